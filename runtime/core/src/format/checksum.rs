//! The checksum of a file.

use super::header::{CHECKED_FROM, TARGET_AT};

/// Makes the checksum depend on the target, whose byte it does not cover; a portable file's is a plain CRC.
const TARGET_FACTOR: u32 = 0x9e37_79b9;

/// CRC-32 (ISO-HDLC) of a file with this header length and contents, exclusive-or the number of its target times a constant.
pub fn checksum(file: &[u8]) -> u32 {
    let target = u32::from(file.get(TARGET_AT).copied().unwrap_or(0));
    crc(file.get(CHECKED_FROM..).unwrap_or(&[])) ^ target.wrapping_mul(TARGET_FACTOR)
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
