//! Closes control loops on a board, beside a simulated system or over a serial line, and writes what each step did and cost.
//!
//! The loop is that of [`crate::policy`]; sensor and actuator are memory, so that a step is measured without what is
//! controlled.

use dunlin::{Model, Session, Storage};
use dunlin_emulator::board::Board;
use dunlin_emulator::link::{
    Blocks, Event, LineCounts, MOST_ACTIONS, MOST_FRAME, MOST_NUMBERS, MOST_REPLY, Reply, Request, Station,
};
use dunlin_emulator::policy::{self, Actions, Controlled, JobFile};
use dunlin_emulator::record::{self, Kind, Span};
use dunlin_plant::CartPole;
use embedded_io::{Read, Write};

use crate::policy::{Action, ActionSpace, Actuator, Controller, Fault, Normalisation, Policy, Sensor, Ticks};
use crate::serve::{Failure, Platform, serve_one, split, table_bytes};
use crate::writer::{Writer, span_words};

/// The memory of a control loop: a static, which takes no flash.
pub struct Memory {
    observed: [f32; MOST_NUMBERS],
    numbers: [f32; MOST_NUMBERS + MOST_ACTIONS],
    block: [u8; MOST_FRAME],
    reply: [u8; MOST_REPLY],
}

impl Memory {
    /// Memory in which nothing was observed.
    pub const fn new() -> Self {
        Self {
            observed: [0.0; MOST_NUMBERS],
            numbers: [0.0; MOST_NUMBERS + MOST_ACTIONS],
            block: [0; MOST_FRAME],
            reply: [0; MOST_REPLY],
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// An observation in memory.
struct Observed<'a>(&'a mut [f32]);

impl Sensor for Observed<'_> {
    type Error = core::convert::Infallible;

    fn read(&mut self, observation: &mut [f32]) -> Result<(), Self::Error> {
        observation.copy_from_slice(self.0);
        Ok(())
    }
}

/// Keeps the last action.
#[derive(Default)]
struct Kept {
    words: heapless::Vec<u32, MOST_ACTIONS>,
}

impl Actuator for Kept {
    type Error = ();

    fn act(&mut self, action: Action<'_>) -> Result<(), ()> {
        self.words.clear();
        match action {
            Action::Discrete(index) => self.words.push(index as u32).map_err(|_| ()),
            Action::Continuous(numbers) => {
                numbers.iter().try_for_each(|x| self.words.push(x.to_bits())).map_err(|_| ())
            }
        }
    }

    fn safe(&mut self) -> Result<(), ()> {
        self.words.clear();
        Ok(())
    }
}

/// The timer of the board.
type Timer = Ticks<fn() -> u32>;

/// A controller and where its steps are written.
struct Loop<'a, 'm, 'w, 'p, P: Platform> {
    controller: Controller<'a, 'm, Observed<'a>, Kept, Timer>,
    writer: &'w mut Writer<'p, P>,
    /// Whether an action is an index.
    discrete: bool,
    episode: u32,
    step: u32,
}

impl<P: Platform> Loop<'_, '_, '_, '_, P> {
    /// Begins an episode; the first needs no beginning.
    fn begin(&mut self) {
        if self.step > 0 {
            self.episode += 1;
        }
        self.step = 0;
        self.controller.begin();
    }

    /// One step, of which the record is to be written. The observation is in its place.
    fn step(&mut self) -> (Option<Fault>, Span, u32) {
        let mut fault = None;
        let controller = &mut self.controller;
        let (span, stack) = self.writer.platform.measure(|| fault = controller.step().err());
        (fault, span, stack)
    }

    fn write(&mut self, (fault, span, stack): (Option<Fault>, Span, u32), state: &[f32]) {
        let action = &self.controller.actuator().words;
        let fault = fault.map_or(0, |fault| wire(fault) as u32);
        let results = self.writer.plain(Kind::Acted, 4 * (8 + action.len() + state.len()));
        record::words(results, &[self.episode, self.step, fault]);
        record::words(results, &span_words(span));
        record::words(results, &[stack, action.len() as u32]);
        record::words(results, action);
        state.iter().for_each(|x| record::words(results, &[x.to_bits()]));
        self.step += 1;
    }
}

/// What the host calls a fault.
fn wire(fault: Fault) -> policy::Fault {
    match fault {
        Fault::Sensor => policy::Fault::Sensor,
        Fault::NotFinite => policy::Fault::NotFinite,
        Fault::Overrun => policy::Fault::Overrun,
        Fault::Actuator => policy::Fault::Actuator,
    }
}

/// Closes the loop of `job` and writes the records; a model that is refused is a record. `line` is the serial line.
pub fn serve<P: Platform, L: Read + Write, const NODES: usize, const TENSORS: usize, const IDS: usize>(
    platform: &mut P,
    board: &Board,
    job: &JobFile,
    line: &mut L,
    storage: &mut Storage<NODES, TENSORS, IDS>,
    memory: &mut Memory,
    arena: &mut [u8],
) {
    serve_one(platform, board, storage, arena, |writer, storage, arena| {
        control(writer, board, job, line, storage, memory, arena)
    });
}

fn control<P: Platform, L: Read + Write, const NODES: usize, const TENSORS: usize, const IDS: usize>(
    writer: &mut Writer<'_, P>,
    board: &Board,
    job: &JobFile,
    line: &mut L,
    storage: &mut Storage<NODES, TENSORS, IDS>,
    memory: &mut Memory,
    arena: &mut [u8],
) -> Result<(), Failure> {
    let begin = writer.platform.tick();
    let parsed = Model::parse(job.model, storage);
    let parsing = writer.platform.since(begin);
    let model = parsed.map_err(Failure::Parse)?;
    let (arena, state) = split(&model, arena);
    let session = Session::with_state(&model, arena, state).map_err(Failure::Session)?;
    let isa = session.isa().name();
    let space = match job.actions {
        Actions::Discrete(count) => ActionSpace::Discrete(count as usize),
        Actions::Continuous(bounds) => ActionSpace::Continuous(bounds),
    };
    let normalisation = Normalisation { centre: job.centre, spread: job.spread };
    let Memory { observed, numbers, block, reply } = memory;
    let mut policy = Policy::new(session, normalisation, space, numbers).map_err(Failure::Policy)?;
    let inputs = policy.observation().len();
    // As long as the policy's observation, which was checked.
    let sensor = Observed(observed.get_mut(..inputs).unwrap_or(&mut []));
    let clock: Timer = Ticks::new(board.timer_hz, P::ticks);
    let controller =
        Controller::new(policy, sensor, Kept::default(), clock, job.period_us).map_err(Failure::Policy)?;

    let bytes = size_of_val(&controller) + (inputs + Policy::memory(inputs, &space)) * size_of::<f32>();
    let sizes = [model.arena_bytes(), model.state_bytes(), table_bytes(&model), bytes];
    writer.opened(sizes, parsing, isa);

    let discrete = matches!(space, ActionSpace::Discrete(_));
    let mut control = Loop { controller, writer, discrete, episode: 0, step: 0 };
    let counts = match job.controlled {
        Controlled::Given(observations) => {
            control.begin();
            for observation in observations.chunks_exact(inputs).take(job.steps as usize) {
                control.controller.sensor().0.copy_from_slice(observation);
                let done = control.step();
                control.write(done, &[]);
            }
            LineCounts::default()
        }
        Controlled::CartPole(states) => {
            balance(&mut control, states, job.steps)?;
            LineCounts::default()
        }
        Controlled::Line => {
            let mut station = Station::new(reply);
            converse(&mut control, line, &mut Blocks::new(&mut block[..]), &mut station);
            *station.counts()
        }
    };
    let c = *control.controller.counts();
    let line = [counts.taken, counts.repeated, counts.stray, counts.damaged, counts.greetings];
    let results = control.writer.plain(Kind::Faults, 4 * 10);
    record::words(results, &[c.steps, c.sensor_errors, c.not_finite, c.overruns, c.actuator_errors]);
    record::words(results, &line);
    Ok(())
}

/// Balances a pole on a cart, once from each of the states, until it fails. The safe action is no push that the system
/// knows; it counts as the first action.
fn balance<P: Platform>(
    control: &mut Loop<'_, '_, '_, '_, P>,
    states: &[[f32; policy::STATE]],
    steps: u32,
) -> Result<(), Failure> {
    for &state in states {
        let mut system = CartPole::<f32>::new(state);
        control.begin();
        for _ in 0..steps {
            let observed = &mut *control.controller.sensor().0;
            if observed.len() != state.len() {
                return Err(Failure::InputLength { input: 0, given: state.len(), expected: observed.len() });
            }
            observed.copy_from_slice(&system.state());
            let done = control.step();
            system.step(control.controller.actuator().words.first() == Some(&1));
            control.write(done, &system.state());
            if system.failed() {
                break;
            }
        }
    }
    Ok(())
}

/// Does what the host asks for over the line, until it has asked for the end.
fn converse<P: Platform, L: Read + Write>(
    control: &mut Loop<'_, '_, '_, '_, P>,
    line: &mut L,
    blocks: &mut Blocks<&mut [u8]>,
    station: &mut Station<'_>,
) {
    let mut byte = [0];
    // A line that fails ends the conversation; that of a board never does.
    while line.read(&mut byte).is_ok_and(|count| count > 0) {
        let Some(block) = blocks.push(byte[0]) else { continue };
        let request = match station.take(block) {
            Event::Ignore => continue,
            Event::Send(bytes) => {
                if line.write_all(bytes).is_err() {
                    return;
                }
                continue;
            }
            Event::Do(request) => request,
        };
        let mut bytes = [0; 4 * MOST_ACTIONS];
        let mut written = None;
        let reply = match request {
            // Answered by the station.
            Request::Hello => continue,
            Request::Begin => {
                control.begin();
                Reply::Begun
            }
            Request::End => Reply::Ended,
            Request::Observe(observation) => {
                let observed = &mut *control.controller.sensor().0;
                let (values, rest) = observation.as_chunks();
                if values.len() != observed.len() || !rest.is_empty() {
                    Reply::Length(observed.len() as u32)
                } else {
                    observed.iter_mut().zip(values).for_each(|(x, &bytes)| *x = f32::from_le_bytes(bytes));
                    let done = control.step();
                    written = Some(done);
                    let words = &control.controller.actuator().words;
                    match (done.0, words.as_slice(), control.discrete) {
                        (Some(fault), ..) => Reply::Safe(wire(fault)),
                        (None, [index], true) => Reply::Chosen(*index),
                        (None, words, _) => {
                            let bytes = &mut bytes[..4 * words.len()];
                            let chunks = bytes.as_chunks_mut().0;
                            chunks.iter_mut().zip(words).for_each(|(bytes, x)| *bytes = x.to_le_bytes());
                            Reply::Numbers(bytes)
                        }
                    }
                }
            }
        };
        if line.write_all(station.answer(reply)).is_err() {
            return;
        }
        if let Some(done) = written {
            control.write(done, &[]);
        }
        if reply == Reply::Ended {
            return;
        }
    }
}
