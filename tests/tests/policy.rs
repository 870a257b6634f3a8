//! Control loops on the emulated boards: beside a simulated system on the board, and with the system on the host at the other
//! end of a serial line. What they do is what the same loop does on the host.
//!
//! Where nothing can be emulated these tests say so and count as left out, as in `boards.rs`.

use dunlin::format::{DType, Tensor};
use dunlin::{AlignedVec, Model, Target};
use dunlin_emulator::board::{Board, MPS2_AN386, MPS3_AN547};
use dunlin_emulator::link::LineCounts;
use dunlin_emulator::policy::Fault;
use dunlin_emulator::{
    ActionSpace, Answer, ControlJob, ControlReport, EmulateError, Faults, Line, LineError, Options, Plant,
    control, control_over_line, emulation_is_off, leave_out, unless_left_out,
};
use dunlin_plant::CartPole;
use dunlin_tests::cases::Kind;
use dunlin_tests::disturbed::{Disturbances, Disturbed};
use dunlin_tests::draw::Draw;
use dunlin_tests::host::Tables;
use dunlin_tests::packed::packed;
use dunlin_tests::policies::{HostLoop, PERIOD_US, SEAQUEST, SKIRMISH, balancing, leaky, playing, starts};
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

/// Each board and the core that its files are packed for.
const BOARDS: [(&Board, Target); 2] = [(&MPS2_AN386, Target::CortexM4), (&MPS3_AN547, Target::CortexM55)];
/// Steps of an episode.
const STEPS: u32 = CartPole::STEPS;
/// After which time the host asks again.
const PATIENCE: Duration = Duration::from_millis(500);
/// The same on a line that loses frames.
const IMPATIENCE: Duration = Duration::from_millis(20);
/// After which time a board counts as silent: machines may be busy.
const LIMIT: Duration = Duration::from_secs(60);

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether there is anything to emulate with; says so where there is not.
fn emulated(what: &str) -> bool {
    if emulation_is_off() {
        leave_out(what, "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
    }
    !emulation_is_off()
}

/// The report of every board, of the portable file and of the packed one; the name of each.
fn on_boards(job: &ControlJob, mut check: impl FnMut(&str, &ControlReport)) {
    if !emulated(&job.name) {
        return;
    }
    for (board, target) in BOARDS {
        let file = packed(&job.model, target).expect("a portable file").as_slice().to_vec();
        for (form, model) in [("portable", job.model.clone()), ("packed", file)] {
            let job = ControlJob { model, ..job.clone() };
            let report = unless_left_out(board.name, control(board, &job, &Options::default()));
            let Some(report) = report else { continue };
            let name = format!("{} on {}, {form}", job.name, board.name);
            assert_eq!(report.isa, board.isa, "{name}");
            let most = report.steps.iter().map(|step| step.instructions).max().unwrap_or(0);
            let stack = report.steps.iter().map(|step| step.stack_bytes).max().unwrap_or(0);
            say(&format!(
                "{name}: {} steps, at most {most} instructions each, arena {} B, controller {} B, stack {stack} B, {:.1} s",
                report.steps.len(),
                report.arena_bytes,
                report.controller_bytes,
                report.seconds
            ));
            check(&name, &report);
        }
    }
}

/// A step on the host.
struct HostStep {
    episode: u32,
    fault: Option<Fault>,
    action: Vec<u32>,
    state: Vec<f32>,
}

/// Holds the steps of a board against those of the host.
fn compare(name: &str, report: &ControlReport, host: &[HostStep]) {
    let bits = |state: &[f32]| state.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    for (i, (found, expected)) in report.steps.iter().zip(host).enumerate() {
        let HostStep { episode, fault, action, state } = expected;
        assert_eq!((found.episode, found.fault), (*episode, *fault), "{name}: step {i}");
        assert_eq!(&found.action, action, "{name}: action of step {i}");
        assert_eq!(bits(&found.state), bits(state), "{name}: state after step {i}");
    }
    assert_eq!(report.steps.len(), host.len(), "{name}");
}

#[test]
fn a_pole_is_balanced_on_the_board_with_the_states_of_the_host() {
    let starts = starts(4);
    let job = balancing(Plant::CartPole(starts.clone()));
    let mut host = Vec::new();
    HostLoop::with(&job, |host_loop| {
        for (episode, &start) in starts.iter().enumerate() {
            let mut system = CartPole::<f32>::new(start);
            host_loop.begin();
            for _ in 0..STEPS {
                let (fault, action) = host_loop.step(&system.state());
                system.step(action == [1]);
                let (episode, state) = (episode as u32, system.state().to_vec());
                host.push(HostStep { episode, fault, action, state });
                assert!(!system.failed(), "the pole falls on the host, after {} steps", host.len());
            }
        }
    });
    let right = host.iter().filter(|step| step.action == [1]).count();
    assert!((host.len() / 4..3 * host.len() / 4).contains(&right), "{right} pushes to the right");
    on_boards(&job, |name, report| {
        compare(name, report, &host);
        assert_eq!(report.faults, Faults { steps: 4 * STEPS, ..Faults::default() }, "{name}");
        let mut last = report.steps.iter().skip(STEPS as usize - 1).step_by(STEPS as usize);
        assert!(last.all(|step| !CartPole::new([0, 1, 2, 3].map(|i| step.state[i])).failed()), "{name}");
    });
}

#[test]
fn a_period_that_is_too_short_makes_every_step_an_overrun() {
    // 4,000 instructions.
    let job = ControlJob { period_us: 4, steps: 3, ..balancing(Plant::CartPole(starts(1))) };
    on_boards(&job, |name, report| {
        assert_eq!(report.faults, Faults { steps: 3, overruns: 3, ..Faults::default() }, "{name}");
        assert!(report.steps.iter().all(|step| step.fault == Some(Fault::Overrun)), "{name}");
        assert!(report.steps.iter().all(|step| step.action.is_empty()), "{name}");
    });
}

/// What the host does with the observations of `job`.
fn given_on_host(job: &ControlJob, elements: usize) -> Vec<HostStep> {
    let Plant::Given(observations) = &job.controlled else { panic!("observations") };
    HostLoop::with(job, |host_loop| {
        host_loop.begin();
        let steps = observations.chunks_exact(elements).map(|observation| {
            let (fault, action) = host_loop.step(observation);
            HostStep { episode: 0, fault, action, state: Vec::new() }
        });
        steps.collect()
    })
}

#[test]
fn numbers_and_memory_are_those_of_the_host_and_no_number_is_a_fault() {
    let mut draw = Draw::seeded(7);
    let mut observations: Vec<f32> = (0..3 * 40).map(|_| draw.range(-4000, 4000) as f32 / 1000.0).collect();
    (observations[31], observations[62], observations[93]) = (f32::NAN, f32::INFINITY, -1e38);
    let job = ControlJob {
        name: "numbers with a memory".into(),
        model: leaky(3).as_slice().to_vec(),
        centre: vec![0.5, -0.5, 0.25],
        spread: vec![1.5],
        actions: ActionSpace::Continuous(vec![0.5, 1.0, 2.0]),
        controlled: Plant::Given(observations),
        steps: 40,
        period_us: PERIOD_US,
    };
    let host = given_on_host(&job, 3);
    let different: std::collections::BTreeSet<_> = host.iter().map(|step| &step.action).collect();
    assert!(different.len() > 30, "{} actions", different.len());
    on_boards(&job, |name, report| {
        compare(name, report, &host);
        assert_eq!(report.faults, Faults { steps: 40, not_finite: 2, ..Faults::default() }, "{name}");
        let faults = report.steps.iter().enumerate().filter(|(_, step)| step.fault.is_some());
        assert_eq!(faults.map(|(i, _)| i).collect::<Vec<_>>(), [10, 20], "{name}");
        assert_eq!(report.state_bytes, 3, "{name}");
    });
}

#[test]
fn a_recurrent_cell_remembers_within_an_episode_as_on_the_host() {
    // Cells that take one vector and give one: those that a control loop can step.
    let mut found = 0;
    for case in (0..500).map(|seed| Kind::Lstm.case(&mut Draw::seeded(seed))) {
        let file = AlignedVec::from_slice(&case.model);
        let mut tables = Tables::new();
        let model = Model::parse(file.as_slice(), &mut tables).expect("a valid model");
        let inputs: Vec<Tensor> = model.inputs().copied().collect();
        let ([input], Some(output)) = (inputs.as_slice(), model.outputs().next()) else { continue };
        let (inputs, outputs) = (input.shape.elements(), output.shape.elements());
        let vectors = input.shape.pixels() == 1 && output.shape.pixels() == 1;
        if !vectors || !model.dims().is_empty() || input.dtype != DType::I8 || output.dtype != DType::I8 {
            continue;
        }
        // The same picture again and again: only a memory makes the numbers differ.
        let seen: Vec<f32> = (0..inputs).map(|i| input.quant.dequantize((37 * i + 20) as i8)).collect();
        let job = ControlJob {
            name: case.name.clone(),
            model: case.model.clone(),
            centre: vec![0.0],
            spread: vec![1.0],
            actions: ActionSpace::Continuous(vec![1e3; outputs]),
            controlled: Plant::Given(seen.repeat(6)),
            steps: 6,
            period_us: PERIOD_US,
        };
        let host = given_on_host(&job, inputs);
        let different: std::collections::BTreeSet<_> = host.iter().map(|step| &step.action).collect();
        if different.len() < 3 {
            continue;
        }
        found += 1;
        on_boards(&job, |name, report| {
            compare(name, report, &host);
            assert_eq!(report.state_bytes as usize, model.state_bytes(), "{name}");
        });
        if found == 2 {
            return;
        }
    }
    panic!("{found} cells that remember");
}

#[test]
fn trained_policies_act_as_on_the_host() {
    for played in [SEAQUEST, SKIRMISH] {
        let job = playing(&played, 8);
        let host = given_on_host(&job, played.elements as usize);
        let different: std::collections::BTreeSet<_> = host.iter().map(|step| &step.action).collect();
        assert!(different.len() > 1, "{}: always the same action", job.name);
        on_boards(&job, |name, report| {
            compare(name, report, &host);
            assert_eq!(report.faults, Faults { steps: 8, ..Faults::default() }, "{name}");
            assert_eq!(report.state_bytes > 0, played.name == SKIRMISH.name, "{name}");
        });
    }
}

/// What it did before decides what the agent with a memory does: the tensors that persist on the board are in use.
#[test]
fn an_agent_with_a_memory_acts_by_what_it_saw_before() {
    let job = playing(&SKIRMISH, 8);
    let elements = SKIRMISH.elements as usize;
    let remembered = given_on_host(&job, elements);
    let Plant::Given(observations) = &job.controlled else { panic!("observations") };
    let forgetful = HostLoop::with(&job, |host_loop| {
        let act = |observation: &[f32]| {
            host_loop.begin();
            host_loop.step(observation).1
        };
        observations.chunks_exact(elements).map(act).collect::<Vec<_>>()
    });
    assert_eq!(remembered[0].action, forgetful[0]);
    assert!(remembered.iter().zip(&forgetful).any(|(step, alone)| step.action != *alone));
}

/// The system on the host and its policy at the other end of the line: all actions until it fails, at most `STEPS`.
fn episode(
    start: [f32; 4],
    mut act: impl FnMut(&[f32]) -> Result<u32, LineError>,
) -> Result<Vec<u32>, LineError> {
    let mut system = CartPole::new(start.map(f64::from));
    let mut actions = Vec::new();
    while actions.len() < STEPS as usize && !system.failed() {
        let action = act(&system.state().map(|x| x as f32))?;
        system.step(action == 1);
        actions.push(action);
    }
    Ok(actions)
}

/// The episodes as the host alone plays them.
fn undisturbed(job: &ControlJob, starts: &[[f32; 4]]) -> Vec<Vec<u32>> {
    HostLoop::with(job, |host_loop| {
        let mut play = |&start: &[f32; 4]| {
            host_loop.begin();
            episode(start, |observation| match host_loop.step(observation) {
                (None, action) => Ok(action[0]),
                other => panic!("{other:?}"),
            })
            .expect("no line")
        };
        starts.iter().map(&mut play).collect()
    })
}

/// Plays the episodes over a line.
fn play<W: dunlin_emulator::Wire>(
    line: &mut Line<W>,
    starts: &[[f32; 4]],
) -> Result<Vec<Vec<u32>>, LineError> {
    let mut play = |&start: &[f32; 4]| {
        line.begin()?;
        episode(start, |observation| match line.observe(observation)? {
            Answer::Chosen(index) => Ok(index),
            other => panic!("{other:?}"),
        })
    };
    starts.iter().map(&mut play).collect()
}

/// What `drive` returns, and the report; `None` where nothing can be emulated.
fn over_line<R>(
    board: &Board,
    job: &ControlJob,
    drive: impl FnOnce(TcpStream) -> Result<R, LineError>,
) -> Option<(ControlReport, R)> {
    if !emulated(board.name) {
        return None;
    }
    unless_left_out(board.name, control_over_line(board, job, &Options::default(), drive))
}

#[test]
fn the_processor_in_the_loop_plays_the_episodes_of_the_host() {
    let (job, starts) = (balancing(Plant::Line), starts(2));
    let host = undisturbed(&job, &starts);
    assert!(host.iter().all(|actions| actions.len() == STEPS as usize), "the pole falls on the host");
    for (board, _) in BOARDS {
        let played = over_line(board, &job, |stream| {
            let mut line = Line::open(stream, PATIENCE, LIMIT)?;
            let played = play(&mut line, &starts)?;
            line.end()?;
            Ok(played)
        });
        let Some((report, played)) = played else { continue };
        assert_eq!(played, host, "{}", board.name);
        assert_eq!(report.faults, Faults { steps: 2 * STEPS, ..Faults::default() }, "{}", board.name);
        let actions: Vec<u32> = report.steps.iter().map(|step| step.action[0]).collect();
        assert_eq!(actions, host.concat(), "{}", board.name);
        // Two beginnings and the end.
        assert_eq!(report.line.taken, 2 * STEPS + 3, "{}", board.name);
        say(&format!(
            "{}: {} steps over the line in {:.1} s",
            board.name,
            report.steps.len(),
            report.seconds
        ));
    }
}

#[test]
fn a_bad_line_changes_no_action() {
    let (job, starts) = (balancing(Plant::Line), starts(1));
    let host = undisturbed(&job, &starts);
    for seed in [1, 2] {
        let played = over_line(&MPS2_AN386, &job, |stream| {
            let mut done = Disturbances::default();
            let mut line = Line::open(Disturbed::new(stream, seed, &mut done), IMPATIENCE, LIMIT)?;
            let played = play(&mut line, &starts)?;
            let resent = line.resent();
            line.end()?;
            Ok((played, resent, done))
        });
        let Some((report, (played, resent, done))) = played else { return };
        assert_eq!(played, host, "seed {seed}");
        // Each request was carried out once, however often it came.
        assert_eq!(report.faults, Faults { steps: STEPS, ..Faults::default() }, "seed {seed}");
        let LineCounts { taken, repeated, stray, damaged, .. } = report.line;
        assert_eq!(taken, STEPS + 2, "seed {seed}: a beginning and the end");
        say(&format!(
            "seed {seed}: {done:?}, sent again {resent} times; the board saw {:?}, {:.1} s",
            report.line, report.seconds
        ));
        let Disturbances { lost, doubled, flipped, noisy, late, cut } = done;
        for (what, count) in [
            ("lost", lost),
            ("doubled", doubled),
            ("flipped", flipped),
            ("noisy", noisy),
            ("late", late),
            ("cut", cut),
        ] {
            assert!(count >= 5, "seed {seed}: {count} frames were {what}");
        }
        assert!(resent > 20 && repeated > 20 && stray > 5 && damaged > 20, "seed {seed}: {:?}", report.line);
    }
}

#[test]
fn what_is_no_observation_over_the_line_is_answered_and_harmless() {
    let job = balancing(Plant::Line);
    let played = over_line(&MPS2_AN386, &job, |stream| {
        let mut line = Line::open(stream, PATIENCE, LIMIT)?;
        line.begin()?;
        let good = line.observe(&[0.0, 0.0, 0.1, 0.0])?;
        let safe = line.observe(&[0.0, f32::NAN, 0.1, 0.0])?;
        let again = line.observe(&[0.0, 0.0, 0.1, 0.0])?;
        let short = line.observe(&[0.0, 0.0, 0.1]).expect_err("three of four").to_string();
        let long = line.observe(&[0.0; 1025]).expect_err("no frame is so long").to_string();
        line.end()?;
        Ok((good, safe, again, [short, long]))
    });
    let Some((report, (good, safe, again, [short, long]))) = played else { return };
    assert_eq!((&good, &again), (&Answer::Chosen(1), &Answer::Chosen(1)));
    assert_eq!(safe, Answer::Safe(Fault::NotFinite));
    assert!(short.contains("observation of 3 elements was sent, the policy takes 4"), "{short}");
    assert!(long.contains("1025 elements was sent"), "{long}");
    assert_eq!(report.faults, Faults { steps: 3, not_finite: 1, ..Faults::default() });
}

#[test]
fn another_model_is_refused_with_the_reason() {
    if !emulated("a policy with too few actions") {
        return;
    }
    for controlled in [Plant::CartPole(starts(1)), Plant::Line] {
        let job = ControlJob { actions: ActionSpace::Discrete(3), ..balancing(controlled.clone()) };
        let result = match controlled {
            Plant::Line => control_over_line(&MPS2_AN386, &job, &Options::default(), |stream| {
                Line::open(stream, PATIENCE, LIMIT)?.begin()
            })
            .map(|_| ()),
            _ => control(&MPS2_AN386, &job, &Options::default()).map(|_| ()),
        };
        match result {
            Err(EmulateError::Refused { reason, .. }) => {
                assert!(reason.contains("cartpole-ppo: Policy") && reason.contains("Outputs"), "{reason}");
            }
            other => assert!(unless_left_out("refusal", other).is_none(), "it was not refused"),
        }
    }
}
