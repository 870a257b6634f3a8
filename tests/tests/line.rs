//! The protocol of the serial line without a board: both ends in one process, and a bad line between them.

use dunlin_emulator::link::{Blocks, Event, MOST_FRAME, MOST_REPLY, Reply, Request, Station};
use dunlin_emulator::{Answer, Line, LineError, Wire};
use dunlin_tests::disturbed::{Disturbances, Disturbed};
use std::io;
use std::time::Duration;

/// After which time the host asks again.
const IMPATIENCE: Duration = Duration::from_micros(50);
/// After which time a board counts as silent.
const LIMIT: Duration = Duration::from_secs(10);

/// A board that adds the numbers of all observations up: what comes twice, or not at all, is seen in the sum.
struct Adder<'a> {
    blocks: Blocks<&'a mut [u8]>,
    station: Station<'a>,
    sum: f32,
    sent: Vec<u8>,
}

impl Adder<'_> {
    fn take(&mut self, byte: u8) {
        let Some(block) = self.blocks.push(byte) else { return };
        let bytes;
        let reply = match self.station.take(block) {
            Event::Ignore => return,
            Event::Send(bytes) => return self.sent.extend_from_slice(bytes),
            Event::Do(Request::Observe(&[a, b, c, d])) => {
                self.sum += f32::from_le_bytes([a, b, c, d]);
                bytes = self.sum.to_le_bytes();
                Reply::Numbers(&bytes)
            }
            Event::Do(Request::Observe(_)) => Reply::Length(1),
            Event::Do(Request::Begin) => {
                self.sum = 0.0;
                Reply::Begun
            }
            Event::Do(_) => Reply::Ended,
        };
        self.sent.extend_from_slice(self.station.answer(reply));
    }
}

impl Wire for &mut Adder<'_> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        bytes.iter().for_each(|&byte| self.take(byte));
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8], _: Duration) -> io::Result<usize> {
        let count = self.sent.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.sent[..count]);
        self.sent.drain(..count);
        Ok(count)
    }
}

/// Gives `test` such a board.
fn with_adder<R>(test: impl FnOnce(&mut Adder<'_>) -> R) -> R {
    let (mut block, mut reply) = ([0; MOST_FRAME], [0; MOST_REPLY]);
    let (blocks, station) = (Blocks::new(&mut block[..]), Station::new(&mut reply));
    test(&mut Adder { blocks, station, sum: 0.0, sent: Vec::new() })
}

#[test]
fn twenty_thousand_requests_over_a_bad_line_are_each_carried_out_once() {
    with_adder(|adder| {
        let mut done = Disturbances::default();
        let mut line =
            Line::open(Disturbed::new(&mut *adder, 9, &mut done), IMPATIENCE, LIMIT).expect("a reply");
        line.begin().expect("a reply");
        let mut sum = 0.0;
        for i in 0..20_000 {
            let number = f32::from(i as u16 % 100);
            sum += number;
            let answer = line.observe(&[number]).expect("a reply");
            assert_eq!(answer, Answer::Numbers(vec![sum]), "request {i}");
        }
        assert!(line.resent() > 3000, "{}", line.resent());
        line.end().expect("a reply");
        assert_eq!(adder.station.counts().taken, 20_002);
        assert!(done.lost > 2000 && done.cut > 1000, "{done:?}");
    });
}

#[test]
fn a_host_that_begins_again_goes_on_where_the_board_is() {
    with_adder(|adder| {
        for expected in [1.5, 3.0] {
            // The episode goes on: only a beginning ends it.
            let mut line = Line::open(&mut *adder, IMPATIENCE, LIMIT).expect("a reply");
            let answer = line.observe(&[1.5]).expect("a reply");
            assert_eq!(answer, Answer::Numbers(vec![expected]));
        }
        assert_eq!(adder.station.counts().greetings, 2);
    });
}

#[test]
fn a_board_that_is_silent_or_says_something_else_is_an_error() {
    struct Silence;
    impl Wire for Silence {
        fn send(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }

        fn receive(&mut self, _: &mut [u8], _: Duration) -> io::Result<usize> {
            Ok(0)
        }
    }
    match Line::open(Silence, IMPATIENCE, Duration::from_millis(5)).map(|_| ()) {
        Err(LineError::NoReply { tries: 2.., .. }) => {}
        other => panic!("{other:?}"),
    }
    with_adder(|adder| {
        let mut line = Line::open(adder, IMPATIENCE, LIMIT).expect("a reply");
        match line.observe(&[1.0, 2.0]) {
            Err(LineError::Length { given: 2, expected: 1 }) => {}
            other => panic!("{other:?}"),
        }
        // Which was a request like any other: the next has its number.
        assert_eq!(line.observe(&[2.0]).expect("a reply"), Answer::Numbers(vec![2.0]));
    });
}
