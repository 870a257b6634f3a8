//! A line that loses, doubles, damages and delays frames, always in the same way.

use crate::draw::Draw;
use dunlin_emulator::Wire;
use std::io;
use std::time::Duration;

/// What was done to frames, on both ways together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disturbances {
    /// Were not delivered.
    pub lost: u32,
    /// Were delivered twice.
    pub doubled: u32,
    /// Had some bits changed.
    pub flipped: u32,
    /// Had something before or after them.
    pub noisy: u32,
    /// Were delivered again behind a later one.
    pub late: u32,
    /// Ended too soon.
    pub cut: u32,
}

/// One way of the line.
struct Way {
    draw: Draw<'static>,
    /// A frame that was sent before.
    old: Vec<u8>,
}

impl Way {
    fn noise(&mut self) -> Vec<u8> {
        (0..self.draw.range(1, 40)).map(|_| self.draw.range(0, 255) as u8).collect()
    }

    /// What becomes of a frame.
    fn pass(&mut self, frame: &[u8], done: &mut Disturbances) -> Vec<u8> {
        let old = std::mem::replace(&mut self.old, frame.to_vec());
        let mut frame = frame.to_vec();
        match self.draw.range(0, 99) {
            0..5 => {
                done.lost += 1;
                frame.clear();
            }
            5..10 => {
                done.doubled += 1;
                frame = frame.repeat(2);
            }
            10..15 => {
                done.flipped += 1;
                for _ in 0..self.draw.range(1, 3) {
                    let bit = self.draw.range(0, 8 * frame.len() as i64 - 1) as usize;
                    frame[bit / 8] ^= 1 << (bit % 8);
                }
            }
            15..20 => {
                done.noisy += 1;
                let noise = [self.noise(), self.noise()];
                frame = [&noise[0], &frame, &noise[1]].map(Vec::as_slice).concat();
            }
            20..24 => {
                done.late += 1;
                frame.extend(old);
            }
            24..27 => {
                done.cut += 1;
                frame.truncate(self.draw.range(0, frame.len() as i64 - 1) as usize);
            }
            _ => {}
        }
        frame
    }
}

/// A wire with such a line between.
pub struct Disturbed<'a, W> {
    wire: W,
    there: Way,
    back: Way,
    /// What has come of a frame.
    coming: Vec<u8>,
    /// What is to be delivered.
    ready: Vec<u8>,
    done: &'a mut Disturbances,
}

impl<'a, W> Disturbed<'a, W> {
    /// The line of `seed`, which counts what it does.
    pub fn new(wire: W, seed: u64, done: &'a mut Disturbances) -> Self {
        let way = |seed| Way { draw: Draw::seeded(seed), old: Vec::new() };
        let (there, back) = (way(2 * seed), way(2 * seed + 1));
        Self { wire, there, back, coming: Vec::new(), ready: Vec::new(), done }
    }
}

impl<W: Wire> Wire for Disturbed<'_, W> {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let bytes = self.there.pass(bytes, self.done);
        self.wire.send(&bytes)
    }

    fn receive(&mut self, buffer: &mut [u8], wait: Duration) -> io::Result<usize> {
        if self.ready.is_empty() {
            let mut bytes = [0; 64];
            let count = self.wire.receive(&mut bytes, wait)?;
            for &byte in &bytes[..count] {
                self.coming.push(byte);
                // A frame begins and ends with a zero.
                if byte == 0 && self.coming.len() > 1 {
                    let frame = std::mem::take(&mut self.coming);
                    self.ready.extend(self.back.pass(&frame, self.done));
                }
            }
        }
        let count = self.ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.ready[..count]);
        self.ready.drain(..count);
        Ok(count)
    }
}
