//! Policies that are made without training, and their loop on the host.
//!
//! The layers are those of trained policies, so that what they cost is real.

use crate::draw::Draw;
use crate::golden::network::{Network, factor};
use dunlin::format::{OwnedMetadata, Place, Tensor, encode};
use dunlin::ops::{Add, Conv2d, Dense, Filter, Op, Reshape};
use dunlin::quant::{Clamp, QParams, Requant};
use dunlin::shape::{Shape, Window};
use dunlin::{AlignedVec, Model, Session, Storage};
use dunlin_app::policy::{
    self, Action, ActionSpace, Actuator, Controller, Normalisation, Policy, Sensor, Ticks,
};
use dunlin_emulator::link::{MOST_ACTIONS, MOST_NUMBERS};
use dunlin_emulator::policy::Fault;
use dunlin_emulator::{ControlJob, Plant};
use dunlin_plant::CartPole;
use std::convert::Infallible;

/// Neurons of each of the two hidden layers of [`cart_pole`].
pub const HIDDEN: usize = 64;

/// A rectifier of outputs whose zero is -128.
const RECTIFIED: Clamp = Clamp { min: -128, max: 127 };

fn named(name: &str) -> OwnedMetadata {
    OwnedMetadata { name: name.into(), ..OwnedMetadata::default() }
}

/// Adds a fully connected layer with these real weights, `[output][input]`, and no bias.
fn dense(net: &mut Network, input: u16, weights: &[Vec<f64>], output: (f32, i16), clamp: Clamp) -> u16 {
    let (scale_in, scale_out) = (f64::from(net.get(input).quant.scale), f64::from(output.0));
    let (mut values, mut factors) = (Vec::new(), Vec::new());
    for row in weights {
        let step = row.iter().fold(0.0, |most: f64, w| most.max(w.abs())) / 127.0;
        values.extend(row.iter().map(|w| (w / step).round() as i8));
        factors.push(Requant::from_real(step * scale_in / scale_out).expect("a layer with weights"));
    }
    let data = &mut net.spec.data;
    let filter = Filter {
        weights: data.push(&values),
        bias: data.push(&vec![0i32; weights.len()]),
        multiplier: data.push(&factors.iter().map(|f| f.multiplier).collect::<Vec<_>>()),
        shift: data.push(&factors.iter().map(|f| f.shift).collect::<Vec<_>>()),
        weight_zero: 0,
        clamp,
    };
    let id = net.int8(Shape::vector(weights.len() as u32), output.0, output.1);
    net.node(Op::Dense(Dense { filter }), &[input], &[id]);
    id
}

/// 4-64-64-2: the scores of pushing a cart to the left and to the right, of a cart with a pole whose position, velocity,
/// angle and angular velocity were divided by `spread`.
///
/// A linear controller, whose gains are near those of the quadratic regulator of the task, spread over two rectified layers:
/// of the first, one half has the controller's sum and the other half its negative; the second sums each half up.
pub fn cart_pole(spread: [f32; 4]) -> AlignedVec {
    const GAINS: [f64; 4] = [1.0, 1.6, 18.7, 3.5];
    let mut net = Network::new(Vec::new(), 1, named("cart-pole"));
    let observation = net.int8(Shape::vector(4), 1.0 / 127.0, 0);
    let sign = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
    // No two neurons round alike.
    let slope = |i: usize| 0.7 + 0.3 * i as f64 / HIDDEN as f64;
    let gains: [f64; 4] = std::array::from_fn(|i| GAINS[i] * f64::from(spread[i]));
    let first: Vec<Vec<f64>> =
        (0..HIDDEN).map(|i| gains.iter().map(|g| sign(i) * slope(i) * g).collect()).collect();
    let hidden = dense(&mut net, observation, &first, (4.0 / 255.0, -128), RECTIFIED);
    let mean = 2.0 / HIDDEN as f64;
    let second: Vec<Vec<f64>> =
        (0..HIDDEN).map(|i| (0..HIDDEN).map(|j| sign(i) * sign(j) * slope(i + j) * mean).collect()).collect();
    let hidden = dense(&mut net, hidden, &second, (4.0 / 255.0, -128), RECTIFIED);
    let last: Vec<Vec<f64>> =
        (0..2).map(|i| (0..HIDDEN).map(|j| -sign(i) * sign(j) * mean).collect()).collect();
    let scores = dense(&mut net, hidden, &last, (8.0 / 255.0, 0), Clamp::FULL);
    (net.spec.inputs, net.spec.outputs) = (vec![observation], vec![scores]);
    encode(&net.spec).expect("a valid policy")
}

/// Values of the actions of a grid game, 10x10 with so many channels: 16 filters of 3x3 without padding, 128 neurons, as the
/// networks of MinAtar (Young and Tian 2019), with drawn weights.
pub fn grid(channels: u32, actions: u32) -> AlignedVec {
    const FILTERS: u32 = 16;
    const NEURONS: u32 = 128;
    let mut net = Network::new(Vec::new(), 2, named("grid"));
    let observation = net.int8(Shape::image(10, 10, channels), 1.0 / 127.0, 0);
    let features = net.int8(Shape::image(8, 8, FILTERS), 0.05, -128);
    let taps = 9 * channels;
    let filter = net.filter(FILTERS, (taps * FILTERS) as usize, taps);
    let filter = Filter { clamp: RECTIFIED, ..filter };
    let window = Window::square(3, 1);
    net.node(Op::Conv2d(Conv2d { window, filter, labels: None }), &[observation], &[features]);
    let inputs = 64 * FILTERS;
    let flat = net.over(features, Shape::vector(inputs));
    net.node(Op::Reshape(Reshape {}), &[features], &[flat]);
    let hidden = net.int8(Shape::vector(NEURONS), 0.05, -128);
    let filter = net.filter(NEURONS, (inputs * NEURONS) as usize, inputs);
    let filter = Filter { clamp: RECTIFIED, ..filter };
    net.node(Op::Dense(Dense { filter }), &[flat], &[hidden]);
    let values = net.int8(Shape::vector(actions), 0.1, 0);
    let filter = net.filter(actions, (NEURONS * actions) as usize, NEURONS);
    net.node(Op::Dense(Dense { filter: Filter { clamp: Clamp::FULL, ..filter } }), &[hidden], &[values]);
    (net.spec.inputs, net.spec.outputs) = (vec![observation], vec![values]);
    encode(&net.spec).expect("a valid policy")
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
        name: "cart-pole".into(),
        model: cart_pole(SPREAD).as_slice().to_vec(),
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

/// A policy of a grid game with so many channels and six actions, and so many of its pictures, sparse ones of zeros and ones.
pub fn playing(channels: u32, steps: u32) -> ControlJob {
    let mut draw = Draw::seeded(8);
    let elements = steps * 100 * channels;
    let observations = (0..elements).map(|_| f32::from(u8::from(draw.chance(10)))).collect();
    ControlJob {
        name: format!("grid-{channels}"),
        model: grid(channels, 6).as_slice().to_vec(),
        centre: vec![0.0],
        spread: vec![1.0],
        actions: dunlin_emulator::ActionSpace::Discrete(6),
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
