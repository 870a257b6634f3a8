//! The reference wiring: an MPU-6050 on I2C, a hobby servo on a PWM channel, a motor on an H-bridge (TB6612FNG).

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::OutputPin;
use embedded_hal::i2c::I2c;
use embedded_hal::pwm::SetDutyCycle;
use mpu6050_dmp::accel::AccelFullScale;
use mpu6050_dmp::clock_source::ClockSource;
use mpu6050_dmp::config::DigitalLowPassFilter;
use mpu6050_dmp::gyro::GyroFullScale;
use mpu6050_dmp::sensor::Mpu6050;
use tb6612fng::{DriveCommand, Motor, MotorError};

pub use mpu6050_dmp::address::Address;
pub use mpu6050_dmp::error::Error as ImuError;

use super::{Action, Actuator, Sensor};

/// Standard acceleration of gravity, in m/s² (CGPM 1901).
const GRAVITY: f32 = 9.80665;
/// A degree, in radians.
const DEGREE: f32 = core::f32::consts::PI / 180.0;
/// Until registers can be read and written after power-up, in milliseconds (PS-MPU-6000A 3.4, section 6.3, maximum).
const POWER_UP_MS: u32 = 100;

/// An accelerometer and gyroscope, MPU-6050. It observes six numbers: the accelerations along x, y, z in m/s², within ±4 g, and
/// the rates about x, y, z in rad/s, within ±500 degrees a second.
pub struct Imu<I: I2c> {
    driver: Mpu6050<I>,
}

impl<I: I2c> Imu<I> {
    /// Numbers of an observation.
    pub const NUMBERS: usize = 6;
    const ACCELERATION: AccelFullScale = AccelFullScale::G4;
    const RATE: GyroFullScale = GyroFullScale::Deg500;

    /// Resets the sensor and wakes it up: clock of the gyroscope, filter of about 95 Hz, a sample each millisecond. Takes 300 ms.
    ///
    /// # Errors
    /// The sensor does not answer on the bus.
    pub fn new(i2c: I, address: Address, delay: &mut impl DelayNs) -> Result<Self, ImuError<I>> {
        delay.delay_ms(POWER_UP_MS);
        let mut driver = Mpu6050::new(i2c, address).map_err(|failed| failed.error)?;
        // The driver only sets bits: a start of the program alone would leave those of the program before.
        driver.reset(delay)?;
        driver.disable_sleep()?;
        driver.set_clock_source(ClockSource::Xgyro)?;
        driver.set_accel_full_scale(Self::ACCELERATION)?;
        driver.set_gyro_full_scale(Self::RATE)?;
        driver.set_digital_lowpass_filter(DigitalLowPassFilter::Filter2)?;
        driver.set_sample_rate_divider(0)?;
        Ok(Self { driver })
    }

    /// The bus.
    pub fn release(self) -> I {
        self.driver.release()
    }
}

impl<I: I2c> Sensor for Imu<I> {
    type Error = ImuError<I>;

    fn read(&mut self, observation: &mut [f32]) -> Result<(), Self::Error> {
        let (acceleration, rate) = self.driver.motion6()?;
        let (acceleration, rate) = (acceleration.scaled(Self::ACCELERATION), rate.scaled(Self::RATE));
        let numbers = [acceleration.x(), acceleration.y(), acceleration.z()].map(|g| g * GRAVITY);
        let rates = [rate.x(), rate.y(), rate.z()].map(|degrees| degrees * DEGREE);
        observation.iter_mut().zip(numbers.into_iter().chain(rates)).for_each(|(slot, x)| *slot = x);
        Ok(())
    }
}

/// An action that is none of the actuator's, or an error of what it drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriveError<E> {
    /// No such action.
    Action,
    /// The pin or timer did not do it.
    Output(E),
}

/// A hobby servo on a PWM channel of a known frequency. Its action is one number from `-bound` to `bound`, which turns it from
/// one end to the other; the safe action is the middle.
#[derive(Clone, Debug)]
pub struct Servo<P> {
    pwm: P,
    hz: u32,
    bound: f32,
}

impl<P: SetDutyCycle> Servo<P> {
    /// Widths of the pulse at both ends, in microseconds: what every hobby servo can do.
    pub const ENDS_US: [f32; 2] = [1000.0, 2000.0];

    /// A servo on a channel of `hz` pulses a second, 50 as a rule.
    pub const fn new(pwm: P, hz: u32, bound: f32) -> Self {
        Self { pwm, hz, bound }
    }

    /// Turns to `part` of the way, from 0 to 1.
    fn turn(&mut self, part: f32) -> Result<(), P::Error> {
        let [from, to] = Self::ENDS_US;
        let width = (from + part * (to - from)) * 1e-6 * self.hz as f32;
        let duty = width * f32::from(self.pwm.max_duty_cycle()) + 0.5;
        // `as` saturates; a pulse is never longer than the duty of all the time.
        self.pwm.set_duty_cycle((duty as u16).min(self.pwm.max_duty_cycle()))
    }
}

impl<P: SetDutyCycle> Actuator for Servo<P> {
    type Error = DriveError<P::Error>;

    fn act(&mut self, action: Action<'_>) -> Result<(), Self::Error> {
        match action {
            Action::Continuous(&[number]) if number.abs() <= self.bound && self.bound > 0.0 => {
                self.turn(0.5 + 0.5 * number / self.bound).map_err(DriveError::Output)
            }
            _ => Err(DriveError::Action),
        }
    }

    fn safe(&mut self) -> Result<(), Self::Error> {
        self.turn(0.5).map_err(DriveError::Output)
    }
}

/// A motor on one channel of an H-bridge. Of two actions, 0 drives it backward and 1 forward, at a fixed part of the power; of
/// a number from `-bound` to `bound`, the sign is the direction and the magnitude the power, to the nearest percent. The safe
/// action lets it coast.
#[derive(Debug)]
pub struct Bridge<A, B, P> {
    motor: Motor<A, B, P>,
    percent: u8,
    bound: f32,
}

/// What can go wrong in a [`Bridge`].
pub type BridgeError<A, B, P> = DriveError<
    MotorError<
        <A as embedded_hal::digital::ErrorType>::Error,
        <B as embedded_hal::digital::ErrorType>::Error,
        <P as embedded_hal::pwm::ErrorType>::Error,
    >,
>;

impl<A: OutputPin, B: OutputPin, P: SetDutyCycle> Bridge<A, B, P> {
    /// A motor that stands. `percent` of the power, at most 100, is that of discrete actions, `bound` the number of full power.
    ///
    /// # Errors
    /// A pin or the PWM channel cannot be set.
    pub fn new(
        forward: A,
        backward: B,
        power: P,
        percent: u8,
        bound: f32,
    ) -> Result<Self, BridgeError<A, B, P>> {
        if percent > 100 {
            return Err(DriveError::Action);
        }
        let motor = Motor::new(forward, backward, power).map_err(DriveError::Output)?;
        Ok(Self { motor, percent, bound })
    }
}

impl<A: OutputPin, B: OutputPin, P: SetDutyCycle> Actuator for Bridge<A, B, P> {
    type Error = BridgeError<A, B, P>;

    fn act(&mut self, action: Action<'_>) -> Result<(), Self::Error> {
        let command = match action {
            Action::Discrete(0) => DriveCommand::Backward(self.percent),
            Action::Discrete(1) => DriveCommand::Forward(self.percent),
            Action::Continuous(&[number]) if number.abs() <= self.bound && self.bound > 0.0 => {
                let percent = (100.0 * number.abs() / self.bound + 0.5) as u8;
                if number < 0.0 { DriveCommand::Backward(percent) } else { DriveCommand::Forward(percent) }
            }
            _ => return Err(DriveError::Action),
        };
        self.motor.drive(command).map_err(DriveError::Output)
    }

    fn safe(&mut self) -> Result<(), Self::Error> {
        self.motor.drive(DriveCommand::Stop).map_err(DriveError::Output)
    }
}
