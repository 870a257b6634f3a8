//! The policies: the bars that they must reach, in float and in int8, and that their cards are true.

mod committed;

use committed::{file, folder, metrics};
use dunlin_trainer::env::{self, grid};
use dunlin_trainer::eval::policy::{self, FloatPolicy, Int8Policy};
use dunlin_trainer::ops::largest;
use dunlin_trainer::report::repeated::Repeated;
use dunlin_trainer::train::reinforcement::tabular::expected_return;
use dunlin_trainer::train::supervised;
use dunlin_trainer::zoo::policies::{self, PolicyRecipe};

/// Seeds of each training.
const SEEDS: usize = 3;

fn repeated(name: &str) -> Repeated {
    let repeated = metrics(name).repeated.expect("it is measured over seeds");
    assert_eq!(repeated.runs.len(), SEEDS, "{name}");
    repeated
}

/// Mean return over seeds, float and int8.
fn means(name: &str) -> [f64; 2] {
    let r = repeated(name);
    [r.float.mean, r.int8.mean]
}

#[test]
fn classic_control_reaches_its_bars() {
    let bars = [
        ("cartpole-ppo", 500.0),
        ("acrobot-ppo", -90.0),
        ("mountaincar-dqn", -110.0),
        ("pendulum-ppo", -180.0),
    ];
    for (name, bar) in bars {
        let means = means(name);
        println!("{name}: float {:.2}, int8 {:.2}, bar {bar}", means[0], means[1]);
        assert!(means.iter().all(|m| *m >= bar), "{name}: {means:?}");
        assert!(repeated(name).runs.iter().all(|r| r.examples >= 100));
    }
    assert!(repeated("pendulum-ppo").runs.iter().all(|r| r.examples == 300));
}

/// At least five times the random player's mean on each game, above the written-down player on three.
#[test]
fn games_are_played_better_than_by_chance_and_mostly_than_by_rule() {
    let mut above = Vec::new();
    for entry in &grid::ALL {
        let name = format!("{}-dqn", entry.name);
        let score = |player| grid::measure::score(entry, player, grid::Options::default(), 0..300).mean;
        let (random, scripted) =
            (score(grid::measure::Player::Random), score(grid::measure::Player::Scripted));
        let means = means(&name);
        println!(
            "{name}: float {:.2}, int8 {:.2}; random {random:.2}, written down {scripted:.2}",
            means[0], means[1]
        );
        assert!(means.iter().all(|m| *m >= 5.0 * random), "{name}: {means:?}, random {random}");
        let PolicyRecipe::Network(recipe) = policies::find(&name).expect("a model").recipe else {
            panic!("{name}")
        };
        assert!(recipe(&name).steps <= 500_000);
        if means.iter().all(|m| *m > scripted) {
            above.push(entry.name);
        }
    }
    assert!(above.len() >= 3, "only {above:?}");
}

#[test]
fn goals_are_reached() {
    for (name, bar) in [("walker-ppo", 0.9), ("skirmish", 0.8)] {
        let card = metrics(name);
        let trainings =
            card.repeated.map_or(vec![card.success], |r| r.runs.iter().map(|run| run.success).collect());
        for success in trainings {
            let success = success.expect("it has a goal");
            println!("{name}: {success:?}");
            assert!(success.iter().all(|s| *s >= bar), "{name}: {success:?}");
        }
    }
}

/// The policy in the file is as good as a policy of the state can be.
#[test]
fn tables_are_optimal() {
    // Exact: by value iteration over all discounts, and for the taxi by backward induction over its 200 steps.
    for (name, best) in [("frozenlake8x8-planned", 0.893_57), ("taxi-q", 7.93), ("cliffwalking-q", -13.0)] {
        let model = policies::find(name).expect("a model");
        let world = env::table(model.environment).expect("a table");
        let (states, actions) = (world.mdp().states(), world.mdp().actions());
        let mut int8 = Int8Policy::new(&file(name)).expect("a model");
        let mut rows = vec![0.0; states * states];
        (0..states).for_each(|s| rows[s * states + s] = 1.0);
        let scores = policy::Policy::outputs(&mut int8, &vec![0; states], &rows).expect("it fits");
        let chosen: Vec<usize> = scores.chunks_exact(actions).map(largest).collect();
        let earned = expected_return(world.mdp(), &chosen, world.limit());
        println!("{name}: exactly {earned:.5}");
        assert!((earned - best).abs() < 5e-6, "{name}: {earned}");
    }
}

/// Over all seeds, int8 loses no more than half of the 95 % confidence interval of its mean.
#[test]
fn int8_is_within_the_confidence_interval_of_float() {
    for model in policies::ALL.iter().filter(|m| matches!(m.recipe, PolicyRecipe::Network(_))) {
        let card = metrics(model.name);
        let of = |c: Option<[f64; 2]>| c.expect("of a mean")[1];
        let (float, int8, halves): (f64, f64, Vec<f64>) = match card.repeated {
            Some(r) => (r.float.mean, r.int8.mean, r.runs.iter().map(|run| of(run.confidence)).collect()),
            None => (card.float, card.int8, vec![of(card.confidence)]),
        };
        let half = halves.iter().map(|h| h * h).sum::<f64>().sqrt() / halves.len() as f64;
        println!("{}: float {float:.2}, int8 {int8:.2} ± {half:.2}", model.name);
        assert!(float - int8 <= half + 1e-9, "{}: {float} and {int8} ± {half}", model.name);
    }
}

#[test]
fn committed_policies_earn_what_their_cards_say() {
    for model in &policies::ALL {
        let card = metrics(model.name);
        let text =
            std::fs::read_to_string(folder(model.name).join("recipe.toml")).expect("a committed recipe");
        let seed = match model.recipe {
            PolicyRecipe::Network(own) => {
                let recipe: dunlin_trainer::train::reinforcement::Recipe =
                    toml::from_str(&text).expect("a recipe");
                assert_eq!(recipe, own(model.name), "{}", model.name);
                recipe.seed
            }
            PolicyRecipe::Table(own) => {
                let recipe: dunlin_trainer::train::reinforcement::tabular::TableRecipe =
                    toml::from_str(&text).expect("a recipe");
                assert_eq!(recipe, own(model.name), "{}", model.name);
                recipe.seed().unwrap_or(1)
            }
        };
        let (make, bytes) = (|| model.env(), file(model.name));
        let episodes = u64::from(model.episodes);
        let int8 = policy::measure(&make, &|| Int8Policy::new(&bytes), episodes, seed).expect("it fits");
        println!("{}: int8 {:.3} ± {:.3}", model.name, int8.mean(), int8.confidence());
        // Exactly, but for the last bit, which a reader of JSON may lose.
        let same = |a: f64, b: f64| (a - b).abs() <= 1e-12 * b.abs().max(1.0);
        assert_eq!(card.examples as u64, episodes, "{}", model.name);
        assert!(same(card.int8, int8.mean()), "{}: {} and {}", model.name, card.int8, int8.mean());
        if let Some(repeated) = &card.repeated {
            assert!(same(repeated.runs[0].int8, card.int8), "{}", model.name);
        }
        // Float sums may be in another order on another machine, which can turn an episode.
        let graph = supervised::load(&folder(model.name)).expect("committed float weights");
        let float =
            policy::measure(&make, &|| Ok(FloatPolicy::new(&graph)), episodes, seed).expect("it fits");
        let near = 2.0 * float.confidence() + 1e-9;
        assert!((card.float - float.mean()).abs() <= near, "{}: {}", model.name, float.mean());
    }
}
