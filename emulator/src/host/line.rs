//! The host's end of the serial line.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::link::{Blocks, Frame, MOST_FRAME, MOST_NUMBERS, MOST_REPLY, Reply, Request, decode, encode};
use crate::policy::Fault;

/// What carries bytes, and may lose some.
pub trait Wire {
    /// Sends bytes.
    ///
    /// # Errors
    /// The line is closed.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Waits at most so long for bytes; gives how many there are, 0 for none.
    ///
    /// # Errors
    /// The line is closed.
    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize>;
}

impl Wire for TcpStream {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize> {
        // The system takes no time of zero for a limit.
        self.set_read_timeout(Some(wait.max(Duration::from_micros(1))))?;
        match self.read(buffer) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(0),
            other => other,
        }
    }
}

/// Why a conversation failed.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The board does not answer.
    #[error("no reply to request {number} in {seconds} s, in which it was sent {tries} times")]
    NoReply {
        /// Number of the request.
        number: u32,
        /// After which time the board counts as silent.
        seconds: f64,
        /// How often it was sent.
        tries: u64,
    },
    /// The board has not connected.
    #[error("the board has not connected to the serial line")]
    NoBoard,
    /// The line is closed.
    #[error("the serial line: {0}")]
    Closed(#[from] io::Error),
    /// The policy takes another observation.
    #[error("an observation of {given} elements was sent, the policy takes {expected}")]
    Length {
        /// As many were sent.
        given: usize,
        /// As many are taken.
        expected: u32,
    },
    /// The board says something else than what it must.
    #[error("request {number} got the reply {reply}")]
    Unexpected {
        /// Number of the request.
        number: u32,
        /// What came.
        reply: String,
    },
}

/// What the board has done on an observation.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// One of the actions.
    Chosen(u32),
    /// Numbers.
    Numbers(Vec<f32>),
    /// The safe action.
    Safe(Fault),
}

/// The host's end: sends each request until it is answered.
#[derive(Debug)]
pub struct Line<W> {
    wire: W,
    blocks: Blocks<Vec<u8>>,
    next: u32,
    patience: Duration,
    limit: Duration,
    resent: u64,
}

impl<W: Wire> Line<W> {
    /// Greets the board. A request that has not been answered after `patience` is sent again; a board that has not answered
    /// after `limit` counts as silent.
    ///
    /// # Errors
    /// The board does not answer.
    pub fn open(wire: W, patience: Duration, limit: Duration) -> Result<Self, LineError> {
        let blocks = Blocks::new(vec![0; MOST_REPLY]);
        let mut line = Self { wire, blocks, next: u32::MAX, patience, limit, resent: 0 };
        line.next = line.ask(Request::Hello, |reply| match reply {
            Reply::Next(next) => Some(next),
            _ => None,
        })?;
        Ok(line)
    }

    /// Begins an episode.
    ///
    /// # Errors
    /// The board does not answer, or wrongly.
    pub fn begin(&mut self) -> Result<(), LineError> {
        self.ask(Request::Begin, |reply| (reply == Reply::Begun).then_some(()))
    }

    /// Gives an observation; says what was done.
    ///
    /// # Errors
    /// The board does not answer, or wrongly; the observation has another length than the policy takes.
    pub fn observe(&mut self, observation: &[f32]) -> Result<Answer, LineError> {
        if observation.len() > MOST_NUMBERS {
            return Err(LineError::Length { given: observation.len(), expected: MOST_NUMBERS as u32 });
        }
        let bytes: Vec<u8> = observation.iter().flat_map(|x| x.to_le_bytes()).collect();
        let answer = self.ask(Request::Observe(&bytes), |reply| {
            Some(match reply {
                Reply::Chosen(index) => Ok(Answer::Chosen(index)),
                Reply::Numbers(bytes) => {
                    let (numbers, []) = bytes.as_chunks() else { return None };
                    Ok(Answer::Numbers(numbers.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()))
                }
                Reply::Safe(fault) => Ok(Answer::Safe(fault)),
                Reply::Length(expected) => Err(expected),
                _ => return None,
            })
        })?;
        answer.map_err(|expected| LineError::Length { given: observation.len(), expected })
    }

    /// Tells the board that there is no more to come. A board that is gone has heard it.
    ///
    /// # Errors
    /// The board does not answer, or wrongly.
    pub fn end(mut self) -> Result<(), LineError> {
        match self.ask(Request::End, |reply| (reply == Reply::Ended).then_some(())) {
            Err(LineError::Closed(_)) => Ok(()),
            other => other,
        }
    }

    /// How often a request was sent again.
    pub fn resent(&self) -> u64 {
        self.resent
    }

    /// Sends `request` until its reply is there, of which `read` says what it is worth.
    fn ask<R>(
        &mut self,
        request: Request<'_>,
        read: impl FnOnce(Reply<'_>) -> Option<R>,
    ) -> Result<R, LineError> {
        let number = self.next;
        let mut buffer = vec![0; MOST_FRAME];
        // What is longer than an observation may be was refused before.
        let frame = encode(&Frame { number, message: request }, &mut buffer).unwrap_or(&[]);
        let (begun, mut tries) = (Instant::now(), 0);
        while begun.elapsed() < self.limit {
            tries += 1;
            self.wire.send(frame)?;
            let sent = Instant::now();
            let mut bytes = [0; 256];
            while let Some(wait) = self.patience.checked_sub(sent.elapsed()) {
                let count = self.wire.receive(&mut bytes, wait)?;
                for &byte in bytes.iter().take(count) {
                    let Some(block) = self.blocks.push(byte) else { continue };
                    match decode::<Reply<'_>>(block) {
                        Some(frame) if frame.number == number => {
                            self.next = number.wrapping_add(1);
                            let reply = format!("{:?}", frame.message);
                            return read(frame.message).ok_or(LineError::Unexpected { number, reply });
                        }
                        // Noise, or the reply to a request that came twice.
                        _ => {}
                    }
                }
            }
            self.resent += 1;
        }
        Err(LineError::NoReply { number, seconds: self.limit.as_secs_f64(), tries })
    }
}
