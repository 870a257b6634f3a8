//! The reference wiring, byte for byte on the bus.

use super::*;

/// What an MPU-6050 is told at the start, and says of its registers.
fn start_of_the_imu() -> Vec<Transfer> {
    let get = |register, value| Transfer::write_read(IMU, vec![register], vec![value]);
    let set = |register, value| Transfer::write(IMU, vec![register, value]);
    let power = 0x6b;
    vec![
        // Sleep ends.
        get(power, 0x40),
        set(power, 0),
        // Reset, after which it sleeps again.
        get(power, 0),
        set(power, 0x80),
        get(power, 0x40),
        set(power, 0),
        // The clock of the gyroscope's x axis.
        get(power, 0),
        set(power, 1),
        // ±4 g, ±500 degrees a second, 94 and 98 Hz, 1 kHz.
        get(0x1c, 0),
        set(0x1c, 1 << 3),
        get(0x1b, 0),
        set(0x1b, 1 << 3),
        get(0x1a, 0),
        set(0x1a, 2),
        set(0x19, 0),
    ]
}

/// A reading of all registers from the accelerations to the rates, with a temperature between them.
fn motion(acceleration: [i16; 3], rate: [i16; 3]) -> Transfer {
    let numbers = acceleration.into_iter().chain([-1000]).chain(rate);
    Transfer::write_read(IMU, vec![0x3b], numbers.flat_map(i16::to_be_bytes).collect())
}

#[test]
fn the_imu_gives_six_numbers_in_si_units() {
    let mut transfers = start_of_the_imu();
    transfers.push(motion([8192, -4096, 16384], [655, -6550, 0]));
    let mut bus = Bus::new(&transfers);
    let mut imu = Imu::new(bus.clone(), Address::default(), &mut NoopDelay::new()).expect("it answers");
    let mut found = [0.0; 6];
    imu.read(&mut found).expect("it answers");
    let expected = [9.80665, -4.903325, 19.6133, 0.174533, -1.745329, 0.0];
    for (found, expected) in found.into_iter().zip(expected) {
        assert!((found - expected as f32).abs() < 1e-5, "{found} is not {expected}");
    }
    bus.done();
    assert_eq!(Imu::<Bus>::NUMBERS, found.len());
}

#[test]
fn an_imu_and_a_bridge_make_a_loop_that_stops_the_motor_when_the_bus_fails() {
    let level = motion([0, 0, 8192], [0; 3]);
    let fall = [0, 655, 0];
    let mut transfers = start_of_the_imu();
    transfers.extend([
        motion([0, 0, 8192], fall),
        motion([0, 0, 8192], fall.map(|rate| -rate)),
        level.clone().with_error(ErrorKind::NoAcknowledge(embedded_hal::i2c::NoAcknowledgeSource::Address)),
        level,
    ]);
    let mut bus = Bus::new(&transfers);
    let (high, low) = (Level::set(State::High), Level::set(State::Low));
    // Stands, forward, backward, stops, backward (a tie).
    let pins = [
        [low.clone(), high.clone(), low.clone(), low.clone(), low.clone()],
        [low.clone(), low.clone(), high.clone(), low, high],
    ];
    let [mut forward, mut backward] = pins.map(|levels| Pin::new(&levels));
    let duties = [0, 80, 80, 0, 80].map(|duty| [Duty::max_duty_cycle(100), Duty::set_duty_cycle(duty)]);
    let mut power = Pwm::new(duties.as_flattened());
    let bridge = Bridge::new(forward.clone(), backward.clone(), power.clone(), 80, 1.0).expect("pins");
    let imu = Imu::new(bus.clone(), Address::default(), &mut NoopDelay::new()).expect("it answers");

    let time = Cell::new(0);
    let model = linear(&[&[0; 6], &[0, 0, 0, 0, 1, 0]]);
    let normalisation = Normalisation { centre: &[0.0], spread: &[40.0, 40.0, 40.0, 0.5, 0.5, 0.5] };
    with_policy(&model, normalisation, ActionSpace::Discrete(2), |policy| {
        let mut controller = Controller::new(policy.unwrap(), imu, bridge, clock(&time), PERIOD_US).unwrap();
        let actions = [0; 4].map(|_| controller.step().map(|action| format!("{action:?}")));
        let index = |i: usize| Ok(format!("Discrete({i})"));
        assert_eq!(actions, [index(1), index(0), Err(Fault::Sensor), index(0)]);
        assert_eq!(*controller.counts(), Counts { steps: 4, sensor_errors: 1, ..Counts::default() });
    });
    bus.done();
    [&mut forward, &mut backward].into_iter().for_each(|pin| pin.done());
    power.done();
}

/// The angle of a pole by a rotary encoder on SPI that sends it in 16 bits, of which the first makes their number of ones even.
struct Encoder<S>(S);

impl<S: SpiDevice> Sensor for Encoder<S> {
    type Error = Option<S::Error>;

    fn read(&mut self, observation: &mut [f32]) -> Result<(), Self::Error> {
        let mut bytes = [0; 2];
        self.0.read(&mut bytes)?;
        let word = u16::from_be_bytes(bytes);
        if !word.count_ones().is_multiple_of(2) {
            return Err(None);
        }
        observation.fill(f32::from(word & 0x7fff) / 16384.0 - 1.0);
        Ok(())
    }
}

#[test]
fn a_sensor_on_spi_with_a_broken_word_stops_a_digital_output() {
    struct Relay<P>(P);
    impl<P: OutputPin> Actuator for Relay<P> {
        type Error = P::Error;

        fn act(&mut self, action: Action<'_>) -> Result<(), P::Error> {
            self.0.set_state((action == Action::Discrete(1)).into())
        }

        fn safe(&mut self) -> Result<(), P::Error> {
            self.0.set_low()
        }
    }
    let words = [0x6000u16, 0x2000, 0xa000, 0x6000];
    let transfers = words.map(|word| {
        [Spi::transaction_start(), Spi::read_vec(word.to_be_bytes().to_vec()), Spi::transaction_end()]
    });
    let mut spi = SpiMock::new(transfers.as_flattened());
    let levels = [State::High, State::Low, State::Low, State::High].map(Level::set);
    let mut pin = Pin::new(&levels);
    let time = Cell::new(0);
    let model = linear(&[&[0], &[1]]);
    with_policy(&model, Normalisation::NONE, ActionSpace::Discrete(2), |policy| {
        let (encoder, relay) = (Encoder(spi.clone()), Relay(pin.clone()));
        let mut controller =
            Controller::new(policy.unwrap(), encoder, relay, clock(&time), PERIOD_US).unwrap();
        let actions = [0; 4].map(|_| controller.step().map(|action| action == Action::Discrete(1)));
        assert_eq!(actions, [Ok(true), Err(Fault::Sensor), Ok(false), Ok(true)]);
    });
    spi.done();
    pin.done();
}

#[test]
fn a_servo_turns_within_its_ends_and_refuses_other_actions() {
    let max = 20_000;
    let expected = [1500, 1000, 2000, 1750, 1500]
        .map(|duty| [Duty::max_duty_cycle(max), Duty::max_duty_cycle(max), Duty::set_duty_cycle(duty)]);
    let mut pwm = Pwm::new(expected.as_flattened());
    let mut servo = Servo::new(pwm.clone(), 50, 2.0);
    for number in [0.0, -2.0, 2.0, 1.0] {
        assert_eq!(servo.act(Action::Continuous(&[number])), Ok(()));
    }
    assert_eq!(servo.safe(), Ok(()));
    for number in [2.5, f32::NAN] {
        assert_eq!(servo.act(Action::Continuous(&[number])), Err(DriveError::Action));
    }
    assert_eq!(servo.act(Action::Discrete(0)), Err(DriveError::Action));
    pwm.done();
}

#[test]
fn an_actuator_that_fails_is_counted_and_told_the_safe_action() {
    let broken = || MockError::Io(std::io::ErrorKind::Other);
    let turn = |duty| [Duty::max_duty_cycle(1000), Duty::max_duty_cycle(1000), Duty::set_duty_cycle(duty)];
    let [a, b, fails] = turn(88);
    let safe = turn(75);
    let mut duties = vec![a, b, fails.with_error(broken())];
    duties.extend(safe.clone());
    duties.extend(turn(88));
    // The sensor fails, and then the safe action does.
    let [a, b, fails] = safe;
    duties.extend([a, b, fails.with_error(broken())]);
    let mut pwm = Pwm::new(&duties);
    let time = Cell::new(0);
    with_policy(&linear(&[&[1]]), Normalisation::NONE, ActionSpace::Continuous(&[1.0]), |policy| {
        let sensor = Script::new(vec![(Ok(0.5), 0), (Ok(0.5), 0), (Err(()), 0)], &time);
        let servo = Servo::new(pwm.clone(), 50, 1.0);
        let mut controller =
            Controller::new(policy.unwrap(), sensor, servo, clock(&time), PERIOD_US).unwrap();
        assert_eq!(controller.step(), Err(Fault::Actuator));
        assert!(controller.step().is_ok());
        assert_eq!(controller.step(), Err(Fault::Sensor));
        let counts = Counts { steps: 3, sensor_errors: 1, actuator_errors: 2, ..Counts::default() };
        assert_eq!(*controller.counts(), counts);
    });
    pwm.done();
}

#[test]
fn a_bridge_drives_by_sign_and_magnitude() {
    let (high, low) = (Level::set(State::High), Level::set(State::Low));
    let levels =
        [[low.clone(), low.clone()], [high.clone(), low.clone()], [low.clone(), high], [low.clone(), low]];
    let mut forward = Pin::new(&levels.clone().map(|[level, _]| level));
    let mut backward = Pin::new(&levels.map(|[_, level]| level));
    let duties = [0, 100, 25, 0].map(|duty| [Duty::max_duty_cycle(100), Duty::set_duty_cycle(duty)]);
    let mut power = Pwm::new(duties.as_flattened());
    let mut bridge = Bridge::new(forward.clone(), backward.clone(), power.clone(), 50, 2.0).expect("pins");
    assert_eq!(bridge.act(Action::Continuous(&[2.0])), Ok(()));
    assert_eq!(bridge.act(Action::Continuous(&[-0.5])), Ok(()));
    assert_eq!(bridge.safe(), Ok(()));
    assert_eq!(bridge.act(Action::Continuous(&[2.1])), Err(DriveError::Action));
    assert_eq!(bridge.act(Action::Continuous(&[1.0, 1.0])), Err(DriveError::Action));
    assert_eq!(bridge.act(Action::Discrete(2)), Err(DriveError::Action));
    [&mut forward, &mut backward].into_iter().for_each(|pin| pin.done());
    power.done();
}
