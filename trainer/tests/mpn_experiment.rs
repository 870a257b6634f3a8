//! temporary
use dunlin_trainer::data::mot;
use dunlin_trainer::eval::tracking::Metrics;
use dunlin_trainer::track::Settings;
use dunlin_trainer::track::mpn::{self as mt, MpnParams, Solver};
use dunlin_trainer::track::tune::Tuner;
use dunlin_trainer::train::supervised::Options;
use dunlin_trainer::train::tracking::folds;
use dunlin_trainer::zoo::mpn::{self, Sizes};
use std::sync::atomic::AtomicBool;

#[test]
#[ignore]
fn loso() {
    let sequences = mot::read(std::path::Path::new("/work/shared/data/mot15"), mot::DETECTIONS).unwrap();
    let f = |n: &str, d: f32| std::env::var(n).map_or(d, |s| s.parse().unwrap());
    let seed = f("SEED", 0.0) as u64;
    let mut all: [Vec<Metrics>; 3] = Default::default();
    for held in 0..sequences.len() {
        let train: Vec<_> =
            sequences.iter().enumerate().filter(|(i, _)| *i != held).map(|(_, s)| s).collect();
        let net = mpn::network(Sizes::default()).unwrap();
        let mut rounds = mpn::rounds();
        rounds.recipe.seed = seed;
        rounds.recipe.average = f("AVG", rounds.recipe.average);
        *rounds.recipe.optimiser.rate_mut() = f("RATE", 3e-3) as f64;
        let n = f("ROUNDS", 8.0) as usize;
        let k = f("EPOCHS", 2.0) as usize;
        rounds.epochs = vec![k; n];
        rounds.epochs[0] = k + 1;
        rounds.epochs[n - 1] = 2 * k + 1;
        rounds.keep = f("KEEP", 3.0) as usize;
        let out = std::path::PathBuf::from(format!(
            "/work/t/loso/{}{seed}-{held}",
            std::env::var("TAG").unwrap_or_default()
        ));
        let stop = AtomicBool::new(false);
        let options =
            Options { out: &out, resume: true, keep_weights: false, stop: &stop, quiet: true, tap: None };
        let done = folds::train(net, &rounds, &train, &options).unwrap();
        let d = MpnParams::default();
        let p = MpnParams {
            edge_weight: f("EW", d.edge_weight),
            edge_threshold: f("LT", d.edge_threshold),
            gap_per_hit: f("GPH", d.gap_per_hit as f32) as u32,
            gap_seconds: f("GS", d.gap_seconds),
            min_score: f("MIN", d.min_score),
            ..d
        };
        let int8 = Solver::Int8(done.quantised.unwrap().file.as_slice().to_vec());
        let float = Solver::Float(Box::new(done.graph));
        let s = &sequences[held];
        let m = |solver: &Solver, p: &MpnParams| {
            let rows = mt::track(solver, p, s).unwrap();
            Metrics::of(&s.info.name, s.info.frames, s.truth.as_ref().unwrap(), &rows).unwrap()
        };
        all[0].push(m(&float, &p));
        all[1].push(m(&int8, &p));
        if std::env::var("TUNE").is_ok() {
            let training: Vec<bool> = (0..5).map(|i| i != held).collect();
            let found = Tuner::new(&sequences, |_| {})
                .with_solver(int8.clone())
                .search(&Settings::Mpn(p), &training)
                .unwrap();
            let Settings::Mpn(q) = found else { panic!() };
            println!("{} {q:?}", s.info.name);
            all[2].push(m(&int8, &q));
        }
    }
    for (name, all) in ["float", "int8", "tuned"].iter().zip(&all) {
        let each: Vec<String> = all
            .iter()
            .map(|m| {
                let x = m.summary();
                format!("{:.1}/{:.1}", x.mota, x.idf1)
            })
            .collect();
        let x = all.iter().sum::<Metrics>().summary();
        println!(
            "{name} {} ALL MOTA {:.2} IDF1 {:.2} HOTA {:.2} IDSW {} FP {} FN {}",
            each.join(" "),
            x.mota,
            x.idf1,
            x.hota,
            x.idsw,
            x.fp,
            x.fn_
        );
    }
}
