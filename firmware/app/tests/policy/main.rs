//! The control loop and the reference wiring, on mocks of pins, buses and timers.

mod wiring;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;

use dunlin::format::{
    DType, DataSection, NodeSpec, OwnedMetadata, Place, ProgramSpec, Scratch, Tensor, encode,
};
use dunlin::ops::{Add, Dense, Filter, Op};
use dunlin::quant::{Clamp, QParams, Requant};
use dunlin::shape::Shape;
use dunlin::{AlignedVec, Model, Session, Storage, Target};
use dunlin_app::policy::wiring::{Address, Bridge, DriveError, Imu, Servo};
use dunlin_app::policy::{
    Action, ActionSpace, Actuator, Clock, Controller, Counts, Fault, Normalisation, Policy, Sensor, Ticks,
    Unfit,
};
use embedded_hal::digital::OutputPin;
use embedded_hal::i2c::ErrorKind;
use embedded_hal::spi::SpiDevice;
use embedded_hal_mock::eh1::MockError;
use embedded_hal_mock::eh1::delay::{CheckedDelay, NoopDelay, Transaction as Delay};
use embedded_hal_mock::eh1::digital::{Mock as Pin, State, Transaction as Level};
use embedded_hal_mock::eh1::i2c::{Mock as Bus, Transaction as Transfer};
use embedded_hal_mock::eh1::pwm::{Mock as Pwm, Transaction as Duty};
use embedded_hal_mock::eh1::spi::{Mock as SpiMock, Transaction as Spi};

/// Of inputs and outputs of the models below.
const SCALE: f32 = 1.0 / 64.0;

fn tensor(len: usize, place: Place) -> Tensor {
    let quant = QParams { scale: SCALE, zero_point: 0 };
    Tensor { dtype: DType::I8, shape: Shape::vector(len as u32), quant, place, rows: None }
}

fn file(
    tensors: Vec<Tensor>,
    op: Op,
    [inputs, outputs]: [Vec<u16>; 2],
    state: usize,
    data: DataSection,
) -> AlignedVec {
    let ends = tensors.iter().filter(|t| matches!(t.place, Place::Arena(_)));
    let spec = ProgramSpec {
        dims: Vec::new(),
        arena_len: 32 * ends.count() as u32,
        tensors,
        nodes: vec![NodeSpec { op, inputs, outputs: outputs.clone(), scratch: Scratch::default() }],
        inputs: vec![0],
        outputs,
        target: Target::Portable,
        state_len: state as u32,
        data,
        metadata: OwnedMetadata::default(),
    };
    encode(&spec).expect("a valid model")
}

/// Numbers that are these sums of the observation.
fn linear(weights: &[&[i8]]) -> AlignedVec {
    let (inputs, outputs) = (weights[0].len(), weights.len());
    let mut data = DataSection::new();
    let one = Requant::from_real(1.0).expect("a factor");
    let filter = Filter {
        weights: data.push(&weights.concat()),
        bias: data.push(&vec![0i32; outputs]),
        multiplier: data.push(&vec![one.multiplier; outputs]),
        shift: data.push(&vec![one.shift; outputs]),
        weight_zero: 0,
        clamp: Clamp::FULL,
    };
    let tensors = vec![tensor(inputs, Place::Arena(0)), tensor(outputs, Place::Arena(32))];
    file(tensors, Op::Dense(Dense { filter }), [vec![0], vec![1]], 0, data)
}

/// A number that is the sum of all observations since the beginning of the episode.
fn summing() -> AlignedVec {
    let half = Requant::from_real(0.5).expect("a factor");
    let output = Requant::from_real(2.0 / f64::from(1 << 20)).expect("a factor");
    let op = Add { inputs: [half; 2], output, left_shift: 20, clamp: Clamp::FULL };
    let tensors = vec![tensor(1, Place::Arena(0)), tensor(1, Place::State(0))];
    file(tensors, Op::Add(op), [vec![1, 0], vec![1]], 1, DataSection::new())
}

/// Gives `test` a policy of `model`.
fn with_policy(
    model: &AlignedVec,
    normalisation: Normalisation<'_>,
    space: ActionSpace<'_>,
    test: impl FnOnce(Result<Policy<'_, '_>, Unfit>),
) {
    let mut tables = Storage::<8, 16, 32>::new();
    let model = Model::parse(model.as_slice(), &mut tables).expect("a valid model");
    let (mut arena, mut state) =
        (AlignedVec::zeroed(model.arena_bytes()), AlignedVec::zeroed(model.state_bytes()));
    let session = Session::with_state(&model, arena.as_mut_slice(), state.as_mut_slice()).expect("memory");
    test(Policy::new(session, normalisation, space, &mut [0.0; 16]));
}

/// A clock of 1 MHz that a test turns.
fn clock(time: &Cell<u32>) -> impl Clock {
    Ticks::new(1_000_000, || time.get())
}

/// A sensor that says what the test has written, after so many microseconds.
struct Script<'a> {
    readings: RefCell<std::vec::IntoIter<(Result<f32, ()>, u32)>>,
    time: &'a Cell<u32>,
}

impl<'a> Script<'a> {
    fn new(readings: Vec<(Result<f32, ()>, u32)>, time: &'a Cell<u32>) -> Self {
        Self { readings: RefCell::new(readings.into_iter()), time }
    }
}

impl Sensor for Script<'_> {
    type Error = ();

    fn read(&mut self, observation: &mut [f32]) -> Result<(), ()> {
        let (reading, takes) = self.readings.borrow_mut().next().expect("a reading");
        self.time.set(self.time.get().wrapping_add(takes));
        observation.fill(reading?);
        Ok(())
    }
}

/// Keeps what was done; `None` is the safe action. Acting takes `takes` microseconds.
#[derive(Default)]
struct Log<'a> {
    done: Vec<Option<Vec<f32>>>,
    takes: Option<(&'a Cell<u32>, u32)>,
}

impl Actuator for Log<'_> {
    type Error = Infallible;

    fn act(&mut self, action: Action<'_>) -> Result<(), Infallible> {
        if let Some((time, takes)) = self.takes {
            time.set(time.get().wrapping_add(takes));
        }
        self.done.push(Some(match action {
            Action::Discrete(index) => vec![index as f32],
            Action::Continuous(numbers) => numbers.to_vec(),
        }));
        Ok(())
    }

    fn safe(&mut self) -> Result<(), Infallible> {
        self.done.push(None);
        Ok(())
    }
}

/// A delay that turns the clock, which then wakes up this much too late.
struct Sleep<'a> {
    time: &'a Cell<u32>,
    slept: Vec<u32>,
    late: u32,
}

impl embedded_hal::delay::DelayNs for Sleep<'_> {
    fn delay_ns(&mut self, ns: u32) {
        self.slept.push(ns);
        self.time.set(self.time.get().wrapping_add(ns / 1000 + self.late));
    }
}

const PERIOD_US: u32 = 1000;

#[test]
fn numbers_are_normalised_clamped_and_done_in_every_period() {
    let time = Cell::new(u32::MAX - 1500);
    let model = linear(&[&[1, 0], &[0, -1]]);
    let normalisation = Normalisation { centre: &[1.0], spread: &[2.0, 4.0] };
    with_policy(&model, normalisation, ActionSpace::Continuous(&[0.5, 2.0]), |policy| {
        let readings = [1.0, 2.0, 3.0, -5.0, 1e30].map(|x| (Ok(x), 10));
        let sensor = Script::new(readings.to_vec(), &time);
        let mut controller =
            Controller::new(policy.unwrap(), sensor, Log::default(), clock(&time), PERIOD_US).unwrap();
        let mut delay = Sleep { time: &time, slept: Vec::new(), late: 0 };
        let mut left = 5;
        let done = controller.run(&mut delay, |result| {
            assert!(result.is_ok());
            left -= 1;
            left > 0
        });
        assert_eq!(done, Ok(()));
        let expected = [[0.0, 0.0], [0.5, -0.25], [0.5, -0.5], [-0.5, 1.5], [0.5, -127.0 / 64.0]];
        let expected = expected.iter().map(|numbers| Some(numbers.to_vec())).chain([None]);
        assert_eq!(controller.actuator().done, expected.collect::<Vec<_>>(), "ends with the safe action");
        assert_eq!(*controller.counts(), Counts { steps: 5, ..Counts::default() });
        // The schedule has no drift, also where the clock wraps.
        assert_eq!(delay.slept, [990_000; 4]);
    });
}

#[test]
fn the_first_of_the_largest_scores_is_the_action() {
    let time = Cell::new(0);
    let model = linear(&[&[1], &[-1], &[1], &[0]]);
    with_policy(&model, Normalisation::NONE, ActionSpace::Discrete(4), |policy| {
        let sensor = Script::new([0.0, 1.0, -1.0].map(|x| (Ok(x), 0)).to_vec(), &time);
        let mut controller =
            Controller::new(policy.unwrap(), sensor, Log::default(), clock(&time), PERIOD_US).unwrap();
        let actions = [0; 3].map(|_| controller.step().map(|action| format!("{action:?}")));
        assert_eq!(actions, [0, 0, 1].map(|index| Ok(format!("Discrete({index})"))));
    });
}

#[test]
fn each_fault_takes_the_safe_action_is_counted_and_is_over_in_the_next_period() {
    let time = Cell::new(0);
    with_policy(&linear(&[&[1]]), Normalisation::NONE, ActionSpace::Continuous(&[1.0]), |policy| {
        let good = (Ok(0.25), 10);
        let faults = [
            (Err(()), 10),
            (Ok(f32::NAN), 10),
            (Ok(f32::INFINITY), 10),
            (Ok(f32::NEG_INFINITY), 10),
            (Ok(0.5), PERIOD_US),
            (Ok(0.5), PERIOD_US + 1),
        ];
        let readings: Vec<_> = faults.into_iter().flat_map(|fault| [fault, good]).collect();
        let sensor = Script::new(readings, &time);
        let mut controller =
            Controller::new(policy.unwrap(), sensor, Log::default(), clock(&time), PERIOD_US).unwrap();
        let expected = [
            Err(Fault::Sensor),
            Err(Fault::NotFinite),
            Err(Fault::NotFinite),
            Err(Fault::NotFinite),
            // All of the period, but no more.
            Ok(0.5),
            Err(Fault::Overrun),
        ];
        let mut done = Vec::new();
        for expected in expected.into_iter().flat_map(|expected| [expected, Ok(0.25)]) {
            let found = controller.step().map(|action| match action {
                Action::Continuous(&[number]) => number,
                other => panic!("{other:?}"),
            });
            assert_eq!(found, expected);
            done.push(expected.ok().map(|number| vec![number]));
        }
        assert_eq!(controller.actuator().done, done);
        let counts = Counts { steps: 12, sensor_errors: 1, not_finite: 3, overruns: 1, actuator_errors: 0 };
        assert_eq!(*controller.counts(), counts);
    });
}

#[test]
fn a_period_that_acting_or_waking_makes_too_long_is_an_overrun_once() {
    let time = Cell::new(5);
    with_policy(&linear(&[&[1]]), Normalisation::NONE, ActionSpace::Continuous(&[1.0]), |policy| {
        let sensor =
            Script::new(vec![(Ok(0.25), 600), (Ok(0.25), 1001), (Ok(0.25), 1), (Ok(0.25), 1)], &time);
        let actuator = Log { takes: Some((&time, 500)), ..Log::default() };
        let mut controller =
            Controller::new(policy.unwrap(), sensor, actuator, clock(&time), PERIOD_US).unwrap();
        let mut delay = Sleep { time: &time, slept: Vec::new(), late: 0 };
        let acted = Some(vec![0.25]);
        // Sensing is in time, acting is not.
        controller.begin();
        assert!(controller.step().is_ok());
        controller.wait(&mut delay);
        assert_eq!((controller.counts().overruns, delay.slept.len()), (1, 0));
        assert_eq!(controller.actuator().done, [acted.clone(), None]);
        // What the step has seen is not counted again.
        assert_eq!(controller.step(), Err(Fault::Overrun));
        controller.wait(&mut delay);
        assert_eq!((controller.counts().overruns, delay.slept.len()), (2, 0));
        // A late wake-up shortens the period after it.
        delay.late = 300;
        assert!(controller.step().is_ok());
        controller.wait(&mut delay);
        assert!(controller.step().is_ok());
        controller.wait(&mut delay);
        assert_eq!(delay.slept, [499_000, 199_000]);
        assert_eq!(controller.counts().overruns, 2);
        assert_eq!(controller.actuator().done, [acted.clone(), None, None, acted.clone(), acted]);
    });
}

#[test]
fn what_persists_is_reset_at_the_beginning_of_an_episode_only() {
    let time = Cell::new(0);
    with_policy(&summing(), Normalisation::NONE, ActionSpace::Continuous(&[2.0]), |policy| {
        let good = (Ok(0.25), 0);
        let sensor = Script::new(vec![good, good, (Err(()), 0), (Ok(f32::NAN), 0), good, good, good], &time);
        let mut controller =
            Controller::new(policy.unwrap(), sensor, Log::default(), clock(&time), PERIOD_US).unwrap();
        for _ in 0..5 {
            let _ = controller.step();
        }
        controller.begin();
        for _ in 0..2 {
            let _ = controller.step();
        }
        // A period without an observation is none of the network's.
        let sums = [Some(0.25), Some(0.5), None, None, Some(0.75), Some(0.25), Some(0.5)];
        assert_eq!(controller.actuator().done, sums.map(|sum| sum.map(|x| vec![x])));
    });
}

#[test]
fn long_periods_are_slept_in_parts() {
    let time = Cell::new(0);
    with_policy(&linear(&[&[1]]), Normalisation::NONE, ActionSpace::Continuous(&[1.0]), |policy| {
        let sensor = Script::new(vec![(Ok(0.0), 0)], &time);
        // Six seconds of a clock of 1 kHz.
        let slow = Ticks::new(1000, || time.get());
        let mut controller =
            Controller::new(policy.unwrap(), sensor, Log::default(), slow, 6_000_000).unwrap();
        assert_eq!(controller.period(), 6000);
        let _ = controller.step();
        let mut delay = CheckedDelay::new(&[Delay::delay_ns(u32::MAX), Delay::delay_ns(1_705_032_705)]);
        controller.wait(&mut delay);
        delay.done();
    });
}

#[test]
fn what_does_not_fit_is_refused_with_the_reason() {
    let refused = |model: &AlignedVec, normalisation, space| {
        let mut found = None;
        with_policy(model, normalisation, space, |policy| found = policy.err());
        found
    };
    let (model, none) = (linear(&[&[1, 1], &[1, 1]]), Normalisation::NONE);
    let two = ActionSpace::Discrete(2);
    assert_eq!(refused(&model, none, two), None);
    let outputs = Some(Unfit::Outputs { found: 2, expected: 3 });
    assert_eq!(refused(&model, none, ActionSpace::Discrete(3)), outputs);
    assert_eq!(refused(&model, none, ActionSpace::Continuous(&[1.0, -1.0])), Some(Unfit::Bounds));
    assert_eq!(refused(&model, none, ActionSpace::Continuous(&[1.0, f32::NAN])), Some(Unfit::Bounds));
    for (centre, spread) in
        [(&[0.0][..], &[0.0][..]), (&[0.0; 3], &[1.0]), (&[f32::NAN], &[1.0]), (&[], &[1.0])]
    {
        assert_eq!(refused(&model, Normalisation { centre, spread }, two), Some(Unfit::Normalisation));
    }
    let wide = linear(&[&[1; 20]]);
    let memory = Unfit::Memory { expected: 20, found: 16 };
    assert_eq!(refused(&wide, none, ActionSpace::Discrete(1)), Some(memory));
    with_policy(&model, none, two, |policy| {
        let time = Cell::new(0);
        let sensor = Script::new(Vec::new(), &time);
        let slow = Ticks::new(100, || 0);
        let refused = Controller::new(policy.unwrap(), sensor, Log::default(), slow, PERIOD_US).err();
        assert_eq!(refused, Some(Unfit::Period), "no tick in a period");
    });
}

const IMU: u8 = 0x68;
