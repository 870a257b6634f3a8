//! What host and board say to each other over a serial line: the processor in the loop.
//!
//! A frame is a byte of zero, then a number and a message in `postcard` with a CRC-32 (ISO-HDLC) in COBS, whose end is
//! another zero. The first zero ends whatever noise was before. The host sends a [`Request`] and sends it again, with the same
//! number, until the [`Reply`] of that number has come; the board carries each out once and repeats its last reply where the
//! request comes again. So frames may be lost, damaged or doubled on both ways, and anything may come between them.
//!
//! | who | message | what |
//! |---|---|---|
//! | host | `Hello` | asks for the next number; its own number is any, and is repeated in the reply |
//! | host | `Begin` | begins an episode |
//! | host | `Observe` | an observation, little-endian `f32` |
//! | host | `End` | there is no more to come |
//! | board | `Next` | the next number that is taken |
//! | board | `Begun`, `Ended` | it is done |
//! | board | `Chosen`, `Numbers` | the action, as an index or as little-endian `f32` |
//! | board | `Safe` | the safe action was taken, and why |
//! | board | `Length` | the observation has not so many elements; nothing was done |

use crc::{CRC_32_ISO_HDLC, Crc};
use postcard::ser_flavors::crc::CrcModifier;
use postcard::ser_flavors::{Cobs, Slice};
use serde::{Deserialize, Serialize};

use crate::policy::Fault;

/// Elements that an observation can have.
pub const MOST_NUMBERS: usize = 1024;
/// Numbers that an action can have.
pub const MOST_ACTIONS: usize = 32;

/// Bytes of the longest frame from the host.
pub const MOST_FRAME: usize = most(MOST_NUMBERS);
/// Bytes of the longest frame from the board.
pub const MOST_REPLY: usize = most(MOST_ACTIONS);

/// Number, kind, length, values, checksum; COBS adds one byte for every 254, and there are the zeros.
const fn most(values: usize) -> usize {
    let bytes = 5 + 1 + 2 + 4 * values + 4;
    bytes + bytes.div_ceil(254) + 2
}

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// A numbered message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame<T> {
    /// Its number; a reply has that of its request.
    pub number: u32,
    /// What it says.
    pub message: T,
}

/// What the host says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Which number comes next?
    Hello,
    /// An episode begins.
    Begin,
    /// This is observed: what is to be done?
    Observe(&'a [u8]),
    /// The board may do something else.
    End,
}

/// What the board says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply<'a> {
    /// The number of the next request.
    Next(u32),
    /// The episode has begun.
    Begun,
    /// The action, by its index.
    Chosen(u32),
    /// The action, in numbers.
    Numbers(&'a [u8]),
    /// The safe action was taken.
    Safe(Fault),
    /// An observation has so many elements.
    Length(u32),
    /// The board leaves.
    Ended,
}

/// Writes a frame; `None` where the buffer is too short.
pub fn encode<'a, T: Serialize>(frame: &Frame<T>, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let (first, rest) = buffer.split_first_mut()?;
    *first = 0;
    let flavour = CrcModifier::new(Cobs::try_new(Slice::new(rest)).ok()?, CHECKSUM.digest());
    let len = postcard::serialize_with_flavor(frame, flavour).ok()?.len();
    buffer.get(..1 + len)
}

/// Reads what was between two zeros; `None` where it is no frame.
pub fn decode<'a, T: Deserialize<'a>>(block: &'a mut [u8]) -> Option<Frame<T>> {
    let len = cobs::decode_in_place(block).ok()?;
    postcard::from_bytes_crc32(block.get(..len)?, CHECKSUM.digest()).ok()
}

/// Cuts a stream of bytes at its zeros.
#[derive(Debug)]
pub struct Blocks<B> {
    buffer: B,
    len: usize,
    /// Whether the block is longer than the buffer.
    lost: bool,
}

impl<B: AsMut<[u8]>> Blocks<B> {
    /// Nothing yet. `buffer` is as long as the longest block, such as [`MOST_FRAME`].
    pub const fn new(buffer: B) -> Self {
        Self { buffer, len: 0, lost: false }
    }

    /// Takes a byte; gives the block that it ends. Blocks without a byte, and those that are too long, are none.
    pub fn push(&mut self, byte: u8) -> Option<&mut [u8]> {
        if byte != 0 {
            match self.buffer.as_mut().get_mut(self.len) {
                Some(slot) => {
                    *slot = byte;
                    self.len += 1;
                }
                None => self.lost = true,
            }
            return None;
        }
        let (len, lost) = (core::mem::take(&mut self.len), core::mem::take(&mut self.lost));
        if lost || len == 0 { None } else { self.buffer.as_mut().get_mut(..len) }
    }
}

/// What came over the line to a board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Requests that were carried out.
    pub taken: u32,
    /// Requests that came again, and got the same reply.
    pub repeated: u32,
    /// Frames that were complete, of a number that was over or to come.
    pub stray: u32,
    /// What was no frame.
    pub damaged: u32,
    /// Greetings, each of which was answered.
    pub greetings: u32,
}

/// What a board does with a block.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'b, 's> {
    /// Nothing.
    Ignore,
    /// To send these bytes.
    Send(&'s [u8]),
    /// To carry a request out and to [answer](Station::answer) it.
    Do(Request<'b>),
}

/// The end of the line at which every request is carried out once.
#[derive(Debug)]
pub struct Station<'a> {
    next: u32,
    reply: &'a mut [u8],
    len: usize,
    /// The reply to a greeting: that to the last request is kept.
    greeting: [u8; 24],
    counts: LineCounts,
}

impl<'a> Station<'a> {
    /// A station that takes number 0 first. `buffer` keeps the last reply, at most [`MOST_REPLY`] bytes.
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { next: 0, reply: buffer, len: 0, greeting: [0; 24], counts: LineCounts::default() }
    }

    /// Takes what was between two zeros.
    pub fn take<'b>(&mut self, block: &'b mut [u8]) -> Event<'b, '_> {
        let count = |count: &mut u32| *count = count.saturating_add(1);
        let Some(Frame { number, message }) = decode::<Request<'b>>(block) else {
            count(&mut self.counts.damaged);
            return Event::Ignore;
        };
        if message == Request::Hello {
            count(&mut self.counts.greetings);
            let frame = Frame { number, message: Reply::Next(self.next) };
            return encode(&frame, &mut self.greeting).map_or(Event::Ignore, Event::Send);
        }
        if number == self.next {
            count(&mut self.counts.taken);
            Event::Do(message)
        } else if number == self.next.wrapping_sub(1) && self.len > 0 {
            count(&mut self.counts.repeated);
            Event::Send(&self.reply[..self.len])
        } else {
            count(&mut self.counts.stray);
            Event::Ignore
        }
    }

    /// The reply to the request that was carried out, to be sent; it is kept until the next. A reply that is longer than the
    /// buffer is empty.
    pub fn answer(&mut self, message: Reply<'_>) -> &[u8] {
        let frame = Frame { number: self.next, message };
        self.len = encode(&frame, self.reply).map_or(0, <[u8]>::len);
        self.next = self.next.wrapping_add(1);
        &self.reply[..self.len]
    }

    /// What has come so far.
    pub fn counts(&self) -> &LineCounts {
        &self.counts
    }
}

#[cfg(all(test, feature = "host"))]
mod tests {
    use super::*;

    fn bytes<T: Serialize>(number: u32, message: T) -> Vec<u8> {
        let mut buffer = [0; MOST_FRAME];
        encode(&Frame { number, message }, &mut buffer).expect("it fits").to_vec()
    }

    /// What a station does with these bytes: requests that it carries out, and what it sends. It answers each `Observe` with the
    /// first byte of the observation.
    fn pass(station: &mut Station<'_>, blocks: &mut Blocks<&mut [u8]>, bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (mut done, mut sent) = (Vec::new(), Vec::new());
        for &byte in bytes {
            let Some(block) = blocks.push(byte) else { continue };
            match station.take(block) {
                Event::Ignore => {}
                Event::Send(bytes) => sent.extend_from_slice(bytes),
                Event::Do(Request::Observe(observation)) => {
                    done.push(observation[0]);
                    sent.extend_from_slice(station.answer(Reply::Chosen(observation[0].into())));
                }
                Event::Do(_) => sent.extend_from_slice(station.answer(Reply::Begun)),
            }
        }
        (done, sent)
    }

    #[test]
    fn frames_are_read_back_also_the_longest() {
        let observation: Vec<u8> = (0..4 * MOST_NUMBERS).map(|i| (i % 256) as u8).collect();
        let mut frame = bytes(u32::MAX, Request::Observe(&observation));
        assert!(frame.len() <= MOST_FRAME && frame.len() > 4 * MOST_NUMBERS);
        assert_eq!(frame.iter().filter(|&&byte| byte == 0).count(), 2);
        let len = frame.len();
        let read = decode(&mut frame[1..len - 1]);
        assert_eq!(read, Some(Frame { number: u32::MAX, message: Request::Observe(&observation) }));
        let mut frame = bytes(7, Reply::Numbers(&[0xff; 4 * MOST_ACTIONS]));
        assert!(frame.len() <= MOST_REPLY);
        let len = frame.len();
        let read = decode(&mut frame[1..len - 1]);
        assert_eq!(read, Some(Frame { number: 7, message: Reply::Numbers(&[0xff; 4 * MOST_ACTIONS]) }));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let frame = bytes(300, Request::Observe(&[0, 1, 2, 0, 0, 255, 7, 8]));
        let inside = &frame[1..frame.len() - 1];
        for bit in 0..8 * inside.len() {
            let mut broken = inside.to_vec();
            broken[bit / 8] ^= 1 << (bit % 8);
            // What has become a zero ends the block.
            for part in broken.split_mut(|&byte| byte == 0) {
                assert_eq!(decode::<Request>(part), None, "bit {bit}");
            }
        }
        for end in 0..inside.len() {
            assert_eq!(decode::<Request>(&mut inside[..end].to_vec()), None, "cut at {end}");
        }
    }

    #[test]
    fn noise_is_no_frame_and_none_makes_the_decoder_fail() {
        let mut state = 1u32;
        let mut buffer = [0; 64];
        let mut blocks = Blocks::new(&mut buffer[..]);
        let mut found = 0;
        for _ in 0..1_000_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Small numbers are frequent, so that blocks are of all lengths.
            let byte = if state >> 28 == 0 { (state >> 16) as u8 & 3 } else { (state >> 16) as u8 };
            if let Some(block) = blocks.push(byte) {
                found += 1;
                assert_eq!(decode::<Request>(block), None);
            }
        }
        assert!(found > 10_000, "{found} blocks");
    }

    #[test]
    fn a_request_that_comes_again_is_carried_out_once_and_answered_alike() {
        let (mut buffer, mut reply) = ([0; MOST_FRAME], [0; MOST_REPLY]);
        let (mut blocks, mut station) = (Blocks::new(&mut buffer[..]), Station::new(&mut reply));
        let mut pass = |bytes: &[u8]| pass(&mut station, &mut blocks, bytes);
        let frames = [5, 6, 7].map(|x| bytes(u32::from(x) - 5, Request::Observe(&[x])));
        let answers = [5, 6, 7].map(|x| bytes(x - 5, Reply::Chosen(x)));
        assert_eq!(pass(&frames[0]), (vec![5], answers[0].clone()));
        assert_eq!(pass(&frames[0]), (vec![], answers[0].clone()));
        assert_eq!(pass(&frames[2]), (vec![], vec![]), "not its turn");
        // Noise before, and one in the middle of which a frame begins.
        let noise = [vec![1, 2, 3], frames[1].clone()].concat();
        assert_eq!(pass(&noise), (vec![6], answers[1].clone()));
        let cut = [&frames[2][..6], &frames[2]].concat();
        assert_eq!(pass(&cut), (vec![7], answers[2].clone()));
        assert_eq!(pass(&frames[0]), (vec![], vec![]), "long over");
        assert_eq!(pass(&frames[2]), (vec![], answers[2].clone()));
        // A greeting takes no number, and the last reply is still there.
        assert_eq!(pass(&bytes(99, Request::Hello)), (vec![], bytes(99, Reply::Next(3))));
        assert_eq!(pass(&frames[2]), (vec![], answers[2].clone()));
        let counts = LineCounts { taken: 3, repeated: 3, stray: 2, damaged: 2, greetings: 1 };
        assert_eq!(*station.counts(), counts);
    }

    #[test]
    fn a_block_that_is_too_long_is_lost_alone() {
        let mut buffer = [0; 32];
        let mut blocks = Blocks::new(&mut buffer[..]);
        assert!((0..40).all(|_| blocks.push(1).is_none()));
        assert_eq!(blocks.push(0), None);
        assert_eq!(blocks.push(0), None);
        assert_eq!(blocks.push(9), None);
        assert_eq!(blocks.push(0), Some(&mut [9][..]));
    }
}
