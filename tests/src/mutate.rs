//! A mutator that knows the file: it changes fields of the header, numbers of the program (longer or shorter
//! ones, too), constants, and lays the parts out again so that they are found.

use crate::draw::splitmix;
use dunlin::format::{ALIGN, HEADER_LEN, Header};

/// A file in its parts.
#[derive(Clone, Debug)]
pub struct Parts {
    header: Header,
    program: Vec<u8>,
    metadata: Vec<u8>,
    data: Vec<u8>,
}

/// Numbers at which something changes: sizes of types, of the format, and around them.
const EDGES: [u32; 24] = [
    0,
    1,
    2,
    3,
    4,
    15,
    16,
    63,
    64,
    127,
    128,
    255,
    256,
    257,
    4095,
    4096,
    32_767,
    65_535,
    65_536,
    1 << 20,
    1 << 28,
    i32::MAX as u32,
    1 << 31,
    u32::MAX,
];

/// The pseudo-random numbers of one mutation.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        (splitmix(&mut self.0) % limit.max(1) as u64) as usize
    }

    fn number(&mut self) -> u32 {
        match self.below(4) {
            0 => EDGES[self.below(EDGES.len())],
            1 => splitmix(&mut self.0) as u32,
            _ => self.below(40) as u32,
        }
    }
}

/// A number as postcard writes it: seven bits a byte, the lowest first.
fn varint(mut value: u32) -> ([u8; 5], usize) {
    let mut bytes = [0; 5];
    let mut len = 0;
    loop {
        bytes[len] = (value & 0x7f) as u8 | if value > 0x7f { 0x80 } else { 0 };
        len += 1;
        value >>= 7;
        if value == 0 {
            return (bytes, len);
        }
    }
}

impl Parts {
    /// The parts of a valid file.
    ///
    /// # Panics
    /// It is not valid.
    pub fn of(file: &[u8]) -> Self {
        let header = Header::parse(file).expect("mutants are made of valid files");
        let part = |(start, len): (u32, u32)| file[start as usize..(start + len) as usize].to_vec();
        Self {
            header,
            program: part(header.program),
            metadata: part(header.metadata),
            data: part(header.data),
        }
    }

    /// Writes the file with its parts in order and 16-byte aligned data; length and checksum are left to
    /// [`reseal`](dunlin::format::reseal).
    pub fn write(&self, out: &mut Vec<u8>) {
        let metadata_at = HEADER_LEN + self.program.len();
        let data_at = (metadata_at + self.metadata.len()).next_multiple_of(ALIGN);
        let header = Header {
            program: (HEADER_LEN as u32, self.program.len() as u32),
            metadata: (metadata_at as u32, self.metadata.len() as u32),
            data: (data_at as u32, self.data.len() as u32),
            ..self.header
        };
        out.clear();
        out.extend_from_slice(&header.to_bytes());
        out.extend_from_slice(&self.program);
        out.extend_from_slice(&self.metadata);
        out.resize(data_at, 0);
        out.extend_from_slice(&self.data);
    }

    /// The file with one to three changes, all drawn from `seed`.
    pub fn mutant(&self, seed: u64, parts: &mut Parts, out: &mut Vec<u8>) {
        let mut dice = Dice(seed);
        parts.header = self.header;
        for (to, from) in [
            (&mut parts.program, &self.program),
            (&mut parts.metadata, &self.metadata),
            (&mut parts.data, &self.data),
        ] {
            to.clear();
            to.extend_from_slice(from);
        }
        for _ in 0..1 + dice.below(3) {
            parts.change(&mut dice);
        }
        parts.write(out);
        if dice.below(16) == 0 {
            // Damage that the layout above would have repaired.
            let at = 16 + dice.below(HEADER_LEN - 16);
            out[at] = dice.number() as u8;
        }
        if dice.below(64) == 0 {
            let len = dice.below(out.len());
            out.truncate(len);
        }
    }

    fn change(&mut self, dice: &mut Dice) {
        let at = dice.below(self.program.len());
        match dice.below(12) {
            _ if self.program.is_empty() => self.header.arena_len = dice.number(),
            0..=2 => self.program[at] = dice.number() as u8,
            3 => self.program[at] ^= 1 << dice.below(8),
            4 => self.program[at] = self.program[at].wrapping_add(if dice.below(2) == 0 { 1 } else { 0xff }),
            5 | 6 => {
                let (bytes, len) = varint(dice.number());
                self.program.splice(at..at + 1, bytes[..len].iter().copied());
            }
            7 => self.program[at] = self.program[dice.below(self.program.len())],
            8 => match dice.below(2) {
                0 => drop(self.program.remove(at)),
                _ => self.program.insert(at, dice.number() as u8),
            },
            9 => self.change_header(dice),
            10 if !self.metadata.is_empty() => {
                let at = dice.below(self.metadata.len());
                self.metadata[at] = dice.number() as u8;
            }
            _ => self.change_data(dice),
        }
    }

    fn change_header(&mut self, dice: &mut Dice) {
        let h = &mut self.header;
        let number = dice.number();
        match dice.below(10) {
            0 | 1 => h.arena_len = number,
            2 => h.arena_len = h.arena_len.wrapping_sub(1 + number % 16),
            3 => h.state_len = number,
            4 => h.nodes = number as u16,
            5 => h.tensors = number as u16,
            6 => h.ids = number as u16,
            7 => h.dims = number as u8,
            8 => h.inputs = number as u8,
            _ => h.outputs = number as u8,
        }
    }

    fn change_data(&mut self, dice: &mut Dice) {
        if self.data.is_empty() {
            return;
        }
        let at = dice.below(self.data.len());
        match dice.below(4) {
            0 => self.data[at] = dice.number() as u8,
            1 => self.data.truncate(at),
            2 => self.data.extend_from_within(at..),
            _ => {
                let at = at & !3;
                if let Some(word) = self.data.get_mut(at..at + 4) {
                    word.copy_from_slice(&dice.number().to_le_bytes());
                }
            }
        }
    }
}
