//! The control loop of a policy: sense, normalise, run the network, act.
//!
//! A [`Controller`] does this once a period over the traits of `embedded-hal`, without allocation and without knowing the
//! board. What goes wrong in a period makes it take the [safe action](Actuator::safe) and is [counted](Counts), by its kind:
//! an error of the sensor, a number that is none, a period that is over before there is an action, an error of the actuator.
//! The next period is tried as if nothing had been. What blocks for ever, such as a bus that hangs, no loop can see: that is
//! for the watchdog of the microcontroller, which is fed after [`Controller::step`].
//!
//! [`wiring`] has the sensors and actuators of the reference wiring.
//!
//! ```no_run
//! use dunlin::Session;
//! use dunlin_app::policy::wiring::{Address, Imu, Servo};
//! use dunlin_app::policy::{ActionSpace, Clock, Controller, Normalisation, Policy};
//! use embedded_hal::{delay::DelayNs, i2c::I2c, pwm::SetDutyCycle};
//!
//! /// Keeps a platform level, 100 times a second, until the servo fails.
//! fn level<I: I2c, P: SetDutyCycle>(
//!     session: Session,
//!     (bus, pwm): (I, P),
//!     clock: impl Clock,
//!     delay: &mut impl DelayNs,
//! ) -> Option<()> {
//!     let (imu, servo) = (Imu::new(bus, Address::default(), delay).ok()?, Servo::new(pwm, 50, 1.0));
//!     let normalisation =
//!         Normalisation { centre: &[0.0, 0.0, 9.8, 0.0, 0.0, 0.0], spread: &[4.0, 4.0, 4.0, 2.0, 2.0, 2.0] };
//!     let memory = &mut [0.0; Imu::<I>::NUMBERS + 1];
//!     let policy = Policy::new(session, normalisation, ActionSpace::Continuous(&[1.0]), memory).ok()?;
//!     let mut controller = Controller::new(policy, imu, servo, clock, 10_000).ok()?;
//!     controller.run(delay, |result| result != Err(dunlin_app::policy::Fault::Actuator)).ok()
//! }
//! ```

mod network;
pub mod wiring;

use embedded_hal::delay::DelayNs;

pub use network::{Action, ActionSpace, Normalisation, Policy, Unfit};

/// What is observed.
pub trait Sensor {
    /// Why there is no observation.
    type Error;

    /// Writes an observation, in real units and before any normalisation.
    ///
    /// # Errors
    /// Those of the bus and of the sensor.
    fn read(&mut self, observation: &mut [f32]) -> Result<(), Self::Error>;
}

/// What acts.
pub trait Actuator {
    /// Why nothing was done.
    type Error;

    /// Acts, until the next action.
    ///
    /// # Errors
    /// Those of pins, timers and buses; an action that is none of this actuator's.
    fn act(&mut self, action: Action<'_>) -> Result<(), Self::Error>;

    /// What does no harm: brakes, coasts, or goes to the middle.
    ///
    /// # Errors
    /// As [`Self::act`].
    fn safe(&mut self) -> Result<(), Self::Error>;
}

/// A clock that only goes forward, for which `embedded-hal` has no trait. Its ticks are a number that wraps after 2^32.
///
/// | of | clock |
/// |---|---|
/// | a core with a cycle counter | `Ticks::new(CORE_HZ, DWT::cycle_count)` |
/// | embassy | `Ticks::new(TICK_HZ as u32, \|\| Instant::now().as_ticks() as u32)` |
/// | RTIC | `Ticks::new(Mono::TIMER_HZ, \|\| Mono::now().ticks() as u32)` |
///
/// A counter of fewer bits must be extended to 32, as these do.
pub trait Clock {
    /// Ticks a second.
    fn hz(&self) -> u32;

    /// Ticks since some beginning, modulo 2^32.
    fn ticks(&mut self) -> u32;
}

/// The clock that a function reads.
#[derive(Clone, Copy, Debug)]
pub struct Ticks<F> {
    hz: u32,
    read: F,
}

impl<F: FnMut() -> u32> Ticks<F> {
    /// A clock of `hz` ticks a second, of which `read` gives the number.
    pub const fn new(hz: u32, read: F) -> Self {
        Self { hz, read }
    }
}

impl<F: FnMut() -> u32> Clock for Ticks<F> {
    fn hz(&self) -> u32 {
        self.hz
    }

    fn ticks(&mut self) -> u32 {
        (self.read)()
    }
}

/// Why the safe action was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serve", derive(defmt::Format))]
pub enum Fault {
    /// The sensor gave no observation.
    Sensor,
    /// A number of the observation, or of the network's output, is infinite or none.
    NotFinite,
    /// The period was over before there was an action.
    Overrun,
    /// The actuator did not act.
    Actuator,
}

/// What has happened so far; a count that is full stays so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serve", derive(defmt::Format))]
pub struct Counts {
    /// Periods.
    pub steps: u32,
    /// Of them, those without an observation.
    pub sensor_errors: u32,
    /// Those in which a number was infinite or none.
    pub not_finite: u32,
    /// Those that were too short.
    pub overruns: u32,
    /// Those in which an action, or the safe action, could not be taken.
    pub actuator_errors: u32,
}

impl Counts {
    fn add(&mut self, fault: Fault) {
        let count = match fault {
            Fault::Sensor => &mut self.sensor_errors,
            Fault::NotFinite => &mut self.not_finite,
            Fault::Overrun => &mut self.overruns,
            Fault::Actuator => &mut self.actuator_errors,
        };
        *count = count.saturating_add(1);
    }
}

/// A policy with what it sees and does, and with the time that it has.
pub struct Controller<'a, 'm, S, A, C> {
    policy: Policy<'a, 'm>,
    sensor: S,
    actuator: A,
    clock: C,
    /// In ticks, below half of the clock's range.
    period: u32,
    /// When this period began by the schedule.
    due: u32,
    /// Whether this period has been counted as an overrun.
    overrun: bool,
    counts: Counts,
}

impl<'a, 'm, S: Sensor, A: Actuator, C: Clock> Controller<'a, 'm, S, A, C> {
    /// A controller that acts every `period_us` microseconds, at the beginning of its first episode.
    ///
    /// # Errors
    /// The clock has no tick in a period, or wraps in two.
    pub fn new(
        policy: Policy<'a, 'm>,
        sensor: S,
        actuator: A,
        clock: C,
        period_us: u32,
    ) -> Result<Self, Unfit> {
        let ticks = u64::from(period_us) * u64::from(clock.hz()) / 1_000_000;
        let period = u32::try_from(ticks).ok().filter(|ticks| (1..1 << 31).contains(ticks));
        let period = period.ok_or(Unfit::Period)?;
        let counts = Counts::default();
        let mut new = Self { policy, sensor, actuator, clock, period, due: 0, overrun: false, counts };
        new.begin();
        Ok(new)
    }

    /// Begins an episode: what the network remembers is forgotten, and the first period begins now.
    pub fn begin(&mut self) {
        self.policy.reset();
        self.due = self.clock.ticks();
        self.overrun = false;
    }

    /// Senses, decides and acts once, within a period from now on.
    ///
    /// # Errors
    /// Why the safe action was taken; it is counted.
    pub fn step(&mut self) -> Result<Action<'_>, Fault> {
        self.counts.steps = self.counts.steps.saturating_add(1);
        self.overrun = false;
        let begin = self.clock.ticks();
        let Self { policy, sensor, actuator, clock, counts, .. } = self;
        let decided = match sensor.read(policy.observation()) {
            Ok(()) => policy.decide(),
            Err(_) => Err(Fault::Sensor),
        };
        let result = match decided {
            Ok(_) if clock.ticks().wrapping_sub(begin) > self.period => {
                self.overrun = true;
                Err(Fault::Overrun)
            }
            Ok(action) => actuator.act(action).map(|()| action).map_err(|_| Fault::Actuator),
            Err(fault) => Err(fault),
        };
        if let Err(fault) = result {
            counts.add(fault);
            if actuator.safe().is_err() && fault != Fault::Actuator {
                counts.add(Fault::Actuator);
            }
        }
        result
    }

    /// Waits until the period is over. If it is over already, and that has not been seen before, the safe action is taken
    /// and counted as for any overrun; then the next period begins now.
    pub fn wait(&mut self, delay: &mut impl DelayNs) {
        let (now, next) = (self.clock.ticks(), self.due.wrapping_add(self.period));
        let left = next.wrapping_sub(now);
        if left > self.period {
            if !self.overrun {
                self.counts.add(Fault::Overrun);
                if self.actuator.safe().is_err() {
                    self.counts.add(Fault::Actuator);
                }
            }
            self.due = now;
            return;
        }
        self.due = next;
        let mut ns = u64::from(left) * 1_000_000_000 / u64::from(self.clock.hz());
        while ns > 0 {
            let part = u32::try_from(ns).unwrap_or(u32::MAX);
            delay.delay_ns(part);
            ns -= u64::from(part);
        }
    }

    /// Begins an episode, then steps and waits for as long as `more` says after each step; ends with the safe action.
    ///
    /// # Errors
    /// The safe action could not be taken.
    pub fn run(
        &mut self,
        delay: &mut impl DelayNs,
        mut more: impl FnMut(Result<Action<'_>, Fault>) -> bool,
    ) -> Result<(), A::Error> {
        self.begin();
        while more(self.step()) {
            self.wait(delay);
        }
        self.actuator.safe()
    }

    /// What has happened so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Length of a period in ticks of the clock.
    pub fn period(&self) -> u32 {
        self.period
    }

    /// The sensor.
    pub fn sensor(&mut self) -> &mut S {
        &mut self.sensor
    }

    /// The actuator.
    pub fn actuator(&mut self) -> &mut A {
        &mut self.actuator
    }

    /// The parts, with the safe action taken where it can be.
    pub fn release(mut self) -> (S, A, C) {
        // The caller has the actuator now, and may try again.
        let _ = self.actuator.safe();
        (self.sensor, self.actuator, self.clock)
    }
}
