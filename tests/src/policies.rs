//! Policies for the tests of control loops, trained and made, and their loop on the host.

use crate::draw::Draw;
use crate::golden::network::{Network, factor};
use dunlin::format::{OwnedMetadata, Place, Tensor, encode};
use dunlin::ops::{Add, Op};
use dunlin::quant::{Clamp, QParams};
use dunlin::shape::Shape;
use dunlin::{AlignedVec, Model, Session, Storage};
use dunlin_app::policy::{
    self, Action, ActionSpace, Actuator, Controller, Normalisation, Policy, Sensor, Ticks,
};
use dunlin_emulator::link::{MOST_ACTIONS, MOST_NUMBERS};
use dunlin_emulator::policy::Fault;
use dunlin_emulator::{ControlJob, Plant};
use dunlin_plant::CartPole;
use std::convert::Infallible;
use std::path::Path;

fn named(name: &str) -> OwnedMetadata {
    OwnedMetadata { name: name.into(), ..OwnedMetadata::default() }
}

/// The file of a trained policy of the repository.
///
/// # Panics
/// There is none of this name.
pub fn trained(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../models/{name}/{name}.dun"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A policy with a memory: its numbers are half of what they were last time and half of the observation, which is a vector of
/// `len` numbers within ±2.
pub fn leaky(len: u32) -> AlignedVec {
    let mut net = Network::new(Vec::new(), 3, named("leaky"));
    let observation = net.int8(Shape::vector(len), 2.0 / 127.0, 0);
    let quant = QParams { scale: 2.0 / 127.0, zero_point: 0 };
    let state = net.push(Tensor { quant, place: Place::State(0), ..net.get(observation) });
    net.spec.state_len = len;
    let op = Add {
        inputs: [factor(0.25); 2],
        output: factor(2.0 / f64::from(1 << 20)),
        left_shift: 20,
        clamp: Clamp::FULL,
    };
    net.node(Op::Add(op), &[state, observation], &[state]);
    (net.spec.inputs, net.spec.outputs) = (vec![observation], vec![state]);
    encode(&net.spec).expect("a valid policy")
}

/// Time for a step of the jobs below, in microseconds: that of a cart and pole.
pub const PERIOD_US: u32 = 20_000;

/// The policy that balances a pole; everything that balances takes this one.
pub fn balancing(controlled: Plant) -> ControlJob {
    // As the environment of training has it.
    const SPREAD: [f32; 4] = [CartPole::MAX_POSITION as f32, 2.5, CartPole::MAX_ANGLE as f32, 2.5];
    ControlJob {
        name: "cartpole-ppo".into(),
        model: trained("cartpole-ppo"),
        centre: vec![0.0],
        spread: SPREAD.to_vec(),
        actions: dunlin_emulator::ActionSpace::Discrete(2),
        controlled,
        steps: CartPole::STEPS,
        period_us: PERIOD_US,
    }
}

/// States from which a pole is to be balanced.
pub fn starts(count: usize) -> Vec<[f32; 4]> {
    let mut draw = Draw::seeded(5);
    let mut start = || draw.range(-1000, 1000) as f32 / 1000.0 * CartPole::START as f32;
    (0..count).map(|_| [start(), start(), start(), start()]).collect()
}

/// What a policy of actions is shown.
#[derive(Clone, Copy, Debug)]
pub struct Played {
    /// Name of the trained policy.
    pub name: &'static str,
    /// Elements of an observation.
    pub elements: u32,
    /// Number of actions.
    pub actions: u32,
}

/// The smallest game on a grid, with four channels.
pub const BREAKOUT: Played = Played { name: "breakout-dqn", elements: 400, actions: 3 };
/// The largest game on a grid, with ten channels.
pub const SEAQUEST: Played = Played { name: "seaquest-dqn", elements: 1000, actions: 6 };
/// The agent with a memory, of four units of 16 features.
pub const SKIRMISH: Played = Played { name: "skirmish", elements: 64, actions: 49 };

/// A trained policy and so many observations, sparse ones of zeros and ones.
pub fn playing(played: &Played, steps: u32) -> ControlJob {
    let mut draw = Draw::seeded(8);
    let observations = (0..steps * played.elements).map(|_| f32::from(u8::from(draw.chance(10)))).collect();
    ControlJob {
        name: played.name.into(),
        model: trained(played.name),
        centre: vec![0.0],
        spread: vec![1.0],
        actions: dunlin_emulator::ActionSpace::Discrete(played.actions),
        controlled: Plant::Given(observations),
        steps,
        period_us: PERIOD_US,
    }
}

/// A sensor that is written to.
struct Observed(Vec<f32>);

impl Sensor for Observed {
    type Error = Infallible;

    fn read(&mut self, observation: &mut [f32]) -> Result<(), Infallible> {
        observation.copy_from_slice(&self.0);
        Ok(())
    }
}

/// Keeps the last action: its index, or the bits of its numbers; nothing for the safe action.
#[derive(Default)]
struct Kept(Vec<u32>);

impl Actuator for Kept {
    type Error = Infallible;

    fn act(&mut self, action: Action<'_>) -> Result<(), Infallible> {
        self.0 = match action {
            Action::Discrete(index) => vec![index as u32],
            Action::Continuous(numbers) => numbers.iter().map(|x| x.to_bits()).collect(),
        };
        Ok(())
    }

    fn safe(&mut self) -> Result<(), Infallible> {
        self.0.clear();
        Ok(())
    }
}

/// A clock that a function reads.
type Clock = Ticks<fn() -> u32>;

/// A control loop on the host: what a board does, without its time.
pub struct HostLoop<'a, 'm> {
    controller: Controller<'a, 'm, Observed, Kept, Clock>,
}

impl HostLoop<'_, '_> {
    /// Gives `test` the loop of `job`.
    ///
    /// # Panics
    /// The model is refused, or it is none of this job.
    pub fn with<R>(job: &ControlJob, test: impl FnOnce(&mut HostLoop<'_, '_>) -> R) -> R {
        let file = AlignedVec::from_slice(&job.model);
        let mut tables = Box::new(Storage::<1024, 2048, 4096>::new());
        let model = Model::parse(file.as_slice(), &mut tables).expect("a valid model");
        let mut arena = AlignedVec::zeroed(model.arena_bytes());
        let mut state = AlignedVec::zeroed(model.state_bytes());
        let session = Session::with_state(&model, arena.as_mut_slice(), state.as_mut_slice());
        let space = match &job.actions {
            dunlin_emulator::ActionSpace::Discrete(count) => ActionSpace::Discrete(*count as usize),
            dunlin_emulator::ActionSpace::Continuous(bounds) => ActionSpace::Continuous(bounds),
        };
        let mut memory = [0.0; MOST_NUMBERS + MOST_ACTIONS];
        let normalisation = Normalisation { centre: &job.centre, spread: &job.spread };
        let mut policy = Policy::new(session.expect("memory"), normalisation, space, &mut memory)
            .expect("a policy of this job");
        let sensor = Observed(vec![0.0; policy.observation().len()]);
        // Time stands still.
        let clock: Clock = Ticks::new(1_000_000, || 0);
        let controller = Controller::new(policy, sensor, Kept::default(), clock, job.period_us);
        test(&mut HostLoop { controller: controller.expect("a period") })
    }

    /// Begins an episode.
    pub fn begin(&mut self) {
        self.controller.begin();
    }

    /// What is done on this observation, as a board reports it.
    ///
    /// # Panics
    /// The observation has another length than the policy takes.
    pub fn step(&mut self, observation: &[f32]) -> (Option<Fault>, Vec<u32>) {
        self.controller.sensor().0.copy_from_slice(observation);
        let fault = self.controller.step().err().map(|fault| match fault {
            policy::Fault::Sensor => Fault::Sensor,
            policy::Fault::NotFinite => Fault::NotFinite,
            policy::Fault::Overrun => Fault::Overrun,
            policy::Fault::Actuator => Fault::Actuator,
        });
        (fault, self.controller.actuator().0.clone())
    }
}
