//! The checksum of a file: CRC-32 of portable ones, a residue of packed ones.
//!
//! A core without CRC instructions needs nearly four instructions a byte for a CRC. A packed file is read only by cores that
//! multiply 32 by 32 bits and add two words in one instruction (`umaal`), for which the remainder of a division by a prime near 2^64
//! costs half an instruction a byte. `docs/decisions/0015` compares what the two find.

use super::header::{CHECKED_FROM, TARGET_AT};

/// Checksum of a file with this header length and contents.
///
/// Of a portable one the CRC-32 (ISO-HDLC) of all bytes from 16 on, of a packed one the residue of the words there.
pub fn checksum(file: &[u8]) -> u32 {
    let checked = file.get(CHECKED_FROM..).unwrap_or(&[]);
    let target = file.get(TARGET_AT).copied().unwrap_or(0);
    // Builds that run no packed file have refused it before.
    let packed = cfg!(any(feature = "isa-dsp", feature = "isa-mve", feature = "encode")) && target != 0;
    if packed { Residue::of(checked, target).fold() } else { crc(checked) }
}

/// A number modulo the prime `FACTOR * 2^32 - 1`, as its two words.
#[derive(Clone, Copy)]
struct Residue {
    low: u32,
    high: u32,
}

/// `FACTOR * 2^32 - 1` and half of it, rounded down, are primes: no power of two is near 1 or -1 of it for as long as any file is.
const FACTOR: u32 = 0xffff_da61;

impl Residue {
    /// Of `bytes` as little-endian words, the last filled up with zeros; their length and the target come first.
    fn of(bytes: &[u8], target: u8) -> Self {
        let start = Self { low: bytes.len() as u32, high: u32::from(target) };
        // Aligned words come several in one instruction; every file that a parser takes is aligned.
        let (aligned, rest) = bytes.split_at(bytes.len() / 32 * 32);
        let (sum, rest) = match bytemuck::try_cast_slice::<u8, [u32; 8]>(aligned) {
            Ok(chunks) => (chunks.iter().fold(start, Self::with_chunk), rest),
            Err(_) => (start, bytes),
        };
        let (words, rest) = rest.as_chunks();
        let sum = words.iter().fold(sum, |sum, &word| sum.with(u32::from_le_bytes(word)));
        if rest.is_empty() {
            return sum;
        }
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        sum.with(u32::from_le_bytes(last))
    }

    #[inline(always)]
    fn with_chunk(self, chunk: &[u32; 8]) -> Self {
        chunk.iter().fold(self, |sum, &word| sum.with(u32::from_le(word)))
    }

    /// `self / 2^32 + word`: one multiplication, because `FACTOR * 2^32` is 1 modulo the prime. It cannot overflow: a product of
    /// two words leaves room for two more.
    #[inline(always)]
    fn with(self, word: u32) -> Self {
        let sum = u64::from(FACTOR) * u64::from(self.low) + u64::from(self.high) + u64::from(word);
        Self { low: sum as u32, high: (sum >> 32) as u32 }
    }

    fn fold(self) -> u32 {
        self.low ^ self.high
    }
}

/// The polynomial of ISO-HDLC (zlib, Ethernet), lowest power in the highest bit.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// What a byte leaves behind that is the last of its word, or has one, two or three bytes after it.
///
/// Four tables, because a core without CRC instructions then needs three instructions a byte: two more than the look-up. More
/// tables save only part of the loop. Each is a static of its own: as one, every look-up would compute its address first.
static LAST: [u32; 256] = table(0);
static BEFORE_1: [u32; 256] = table(1);
static BEFORE_2: [u32; 256] = table(2);
static BEFORE_3: [u32; 256] = table(3);

const fn table(bytes_after: u32) -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut left = byte as u32;
        let mut bit = 0;
        while bit < 8 * (1 + bytes_after) {
            left = (left >> 1) ^ (POLYNOMIAL & (left & 1).wrapping_neg());
            bit += 1;
        }
        table[byte] = left;
        byte += 1;
    }
    table
}

fn crc(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks();
    let word = |crc: u32, word: &[u8; 4]| {
        let [a, b, c, d] = (crc ^ u32::from_le_bytes(*word)).to_le_bytes().map(usize::from);
        BEFORE_3[a] ^ BEFORE_2[b] ^ BEFORE_1[c] ^ LAST[d]
    };
    let byte = |crc: u32, byte: &u8| crc >> 8 ^ LAST[usize::from(crc as u8 ^ byte)];
    !rest.iter().fold(words.iter().fold(u32::MAX, word), byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// The remainder by its definition: the sum of each word divided by 2^32 as often as words come after it.
    fn slow(bytes: &[u8], target: u8) -> u128 {
        let prime = (u128::from(FACTOR) << 32) - 1;
        let shift = |value: u128| value * u128::from(FACTOR) % prime;
        let mut sum = bytes.len() as u128 + (u128::from(target) << 32);
        for word in bytes.chunks(4) {
            let word = word.iter().rev().fold(0, |word, &byte| word << 8 | u128::from(byte));
            sum = (shift(sum) + word) % prime;
        }
        sum
    }

    #[test]
    fn a_residue_is_what_a_division_leaves() {
        let prime = (u128::from(FACTOR) << 32) - 1;
        let mut draw = 1u32;
        let bytes: Vec<u8> = core::iter::repeat_with(|| {
            draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (draw >> 24) as u8
        })
        .take(301)
        .collect();
        for bytes in [&bytes[..], &bytes[1..], &bytes[..64], &bytes[..3], &[], &[0xff; 400]] {
            let Residue { low, high } = Residue::of(bytes, 2);
            assert_eq!((u128::from(high) << 32 | u128::from(low)) % prime, slow(bytes, 2));
        }
    }

    #[test]
    fn the_residue_depends_on_every_bit_the_length_and_the_target() {
        let bytes: Vec<u8> = (0..200u32).map(|i| (i * i) as u8).collect();
        let right = Residue::of(&bytes, 1).fold();
        assert_ne!(Residue::of(&bytes, 2).fold(), right);
        assert_ne!(Residue::of(&bytes[..199], 1).fold(), right);
        let longer = [&bytes[..], &[0]].concat();
        assert_ne!(Residue::of(&longer, 1).fold(), right);
        for bit in 0..8 * bytes.len() {
            for other in (0..8 * bytes.len()).step_by(37).filter(|&other| other != bit) {
                let mut damaged = bytes.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_ne!(Residue::of(&damaged, 1).fold(), right, "bit {bit}");
                damaged[other / 8] ^= 1 << (other % 8);
                assert_ne!(Residue::of(&damaged, 1).fold(), right, "bits {bit} and {other}");
            }
        }
    }

    #[test]
    fn the_sum_is_that_of_every_other_implementation() {
        let reference = ::crc::Crc::<u32>::new(&::crc::CRC_32_ISO_HDLC);
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for start in 0..4 {
            for end in [start, start + 1, start + 7, 500, 998, 999, 1000] {
                assert_eq!(crc(&bytes[start..end]), reference.checksum(&bytes[start..end]), "{start}..{end}");
            }
        }
    }
}
