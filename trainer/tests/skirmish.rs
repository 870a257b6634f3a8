//! The skirmish agent: its memory on the host and on an emulated board, and what it is worth.

use assert_cmd::Command;
use dunlin_trainer::eval::policy::{self, Int8Policy, Policy, PolicyError};
use dunlin_trainer::exec::{Device, Tensor, TensorData};
use dunlin_trainer::export;
use dunlin_trainer::quantise::Method;
use dunlin_trainer::zoo::policies::{self, PolicyModel};
use std::path::Path;

fn model() -> &'static PolicyModel {
    policies::find("skirmish").expect("a model of the zoo")
}

/// The network as it begins, in int8: what it sees and remembers are waves.
fn untrained() -> Vec<u8> {
    let mut graph = model().graph().unwrap();
    graph.initialise(4);
    let wave = |value, phase: f32| {
        let s = graph.shape(value);
        let rows = 32;
        let data = (0..rows * s.elements()).map(|i| 0.8 * (i as f32 * 0.7 + phase).sin()).collect();
        let dims = [rows, s.h as usize, s.w as usize, s.c as usize];
        Tensor::<4>::from_data(TensorData::new::<f32, _>(data, dims), &Device::flex())
    };
    let values = graph.inputs.iter().copied().chain(graph.states.iter().map(|state| state.read));
    let batch = values.enumerate().map(|(i, value)| wave(value, i as f32)).collect();
    let q = export::post_training_on(&graph, &[batch], Method::MinMax, &export::Options::default());
    q.unwrap().file.as_slice().to_vec()
}

/// Four inputs one after the other, the last equal to the first: the command compares every byte with the host, whose session
/// goes on from run to run too, and an output that only its input made would come twice.
#[test]
fn the_memory_persists_on_an_emulated_board() {
    if dunlin_emulator::emulation_is_off() {
        return dunlin_emulator::leave_out("skirmish", "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("skirmish.dun"), untrained()).unwrap();
    let mut command = Command::cargo_bin("dunlin").expect("the binary is built with the tests");
    command.arg("emulate").arg(at("skirmish.dun")).arg("--pack");
    for (run, seed) in [1u8, 2, 3, 1].into_iter().enumerate() {
        let bytes: Vec<u8> =
            (0..64).map(|i: u8| i.wrapping_mul(37).wrapping_mul(seed).wrapping_add(seed)).collect();
        std::fs::write(at(&format!("{run}.in")), bytes).unwrap();
        command.arg("--input").arg(at(&format!("{run}.in")));
    }
    for run in 0..4 {
        command.arg("--output").arg(at(&format!("{run}.out")));
    }
    let output = command.assert().success().get_output().stdout.clone();
    let output = String::from_utf8(output).unwrap();
    assert!(output.contains("board and host agree in every byte"), "{output}");
    let [first, last] = ["0.out", "3.out"].map(|name| std::fs::read(at(name)).unwrap());
    assert_ne!(first, last, "the board forgets");
}

/// An int8 policy whose memory is emptied before each step.
struct Forgetful(Vec<u8>);

impl Policy for Forgetful {
    fn begin(&mut self, _lanes: usize) -> Result<(), PolicyError> {
        Ok(())
    }

    fn outputs(&mut self, lanes: &[usize], observations: &[f32]) -> Result<Vec<f32>, PolicyError> {
        let mut fresh = Int8Policy::new(&self.0)?;
        fresh.begin(lanes.len())?;
        fresh.outputs(&(0..lanes.len()).collect::<Vec<_>>(), observations)
    }
}

/// Episodes of the test of the memory: the difference that it makes is about ten in a hundred.
const EPISODES: u64 = 600;

#[test]
fn the_committed_model_wins_and_needs_its_memory() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/skirmish/skirmish.dun");
    let file = std::fs::read(path).expect("a committed model");
    let make = || model().env();
    let won = |policy: &(dyn Fn() -> Result<Box<dyn Policy>, PolicyError> + Sync), episodes, seed| {
        let make_policy = || policy().map(Boxed);
        policy::measure(&make, &make_policy, episodes, seed).unwrap().success().unwrap()
    };
    let whole = || Ok(Box::new(Int8Policy::new(&file)?) as Box<dyn Policy>);
    let forgetful = || Ok(Box::new(Forgetful(file.clone())) as Box<dyn Policy>);
    let rates = [1, 2, 3].map(|seed| won(&whole, 100, seed));
    let mean = rates.iter().sum::<f64>() / 3.0;
    assert!(mean >= 0.8, "{rates:?}");
    let [with, without] = [won(&whole, EPISODES, 9), won(&forgetful, EPISODES, 9)];
    println!("won {rates:?}; of {EPISODES} games {with} with memory, {without} without");
    assert!(without < with, "{with} with memory, {without} without");
}

/// Either policy.
struct Boxed(Box<dyn Policy>);

impl Policy for Boxed {
    fn begin(&mut self, lanes: usize) -> Result<(), PolicyError> {
        self.0.begin(lanes)
    }

    fn outputs(&mut self, lanes: &[usize], observations: &[f32]) -> Result<Vec<f32>, PolicyError> {
        self.0.outputs(lanes, observations)
    }
}
