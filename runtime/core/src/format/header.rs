//! The fixed header: 64 bytes, little endian.

use super::checksum;
use crate::error::ParseError;
use crate::isa::Target;

/// First four bytes of every file.
pub const MAGIC: [u8; 4] = *b"DUNL";
/// Format version that this crate writes, and the newest that it reads.
pub const VERSION: u16 = 1;
/// Size of the header in bytes.
pub const HEADER_LEN: usize = 64;
/// Alignment of the file in memory, of the data section in the file and of every constant in it.
pub const ALIGN: usize = 16;

/// First byte that the checksum covers; the ones before identify the file and hold the checksum.
pub(super) const CHECKED_FROM: usize = 16;
/// Offset of the target.
pub(super) const TARGET_AT: usize = 6;

/// The header, decoded. `docs/format.md` gives the reason for each field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Core that constants are packed for.
    pub target: Target,
    /// Bytes of the whole file.
    pub file_len: u32,
    /// [`checksum`] of the file.
    pub crc: u32,
    /// Offset and length of the program (postcard).
    pub program: (u32, u32),
    /// Offset and length of the metadata (postcard).
    pub metadata: (u32, u32),
    /// Offset and length of the data section, 16-byte aligned.
    pub data: (u32, u32),
    /// Bytes of arena that a run needs.
    pub arena_len: u32,
    /// Bytes of persistent tensors.
    pub state_len: u32,
    /// Number of nodes.
    pub nodes: u16,
    /// Number of tensors.
    pub tensors: u16,
    /// Entries in the table of tensor ids.
    pub ids: u16,
    /// Number of bounded dimensions.
    pub dims: u8,
    /// Number of inputs of the network.
    pub inputs: u8,
    /// Number of outputs of the network.
    pub outputs: u8,
}

impl Header {
    /// Reads and checks the header of `file`: magic, version, target, checksum, and that every part
    /// lies inside the file in the order program, metadata, data.
    ///
    /// # Errors
    /// The first of these that does not hold.
    pub fn parse(file: &[u8]) -> Result<Self, ParseError> {
        let found = u32::try_from(file.len()).unwrap_or(u32::MAX);
        let Some(bytes) = file.first_chunk::<HEADER_LEN>() else {
            return Err(ParseError::Truncated { needed: HEADER_LEN as u32, found });
        };
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        if bytes[..4] != MAGIC {
            return Err(ParseError::Magic { found: u32_at(0) });
        }
        if u16_at(4) == 0 || u16_at(4) > VERSION {
            return Err(ParseError::Version { found: u16_at(4), supported: VERSION });
        }
        let target = Target::from_number(bytes[TARGET_AT]).filter(|target| target.isa().is_some());
        let target = target.ok_or(ParseError::Target { found: bytes[TARGET_AT] })?;
        let header = Self {
            target,
            file_len: u32_at(8),
            crc: u32_at(12),
            program: (u32_at(16), u32_at(20)),
            metadata: (u32_at(24), u32_at(28)),
            data: (u32_at(32), u32_at(36)),
            arena_len: u32_at(40),
            state_len: u32_at(44),
            nodes: u16_at(48),
            tensors: u16_at(50),
            ids: u16_at(52),
            dims: bytes[54],
            inputs: bytes[55],
            outputs: bytes[56],
        };
        if header.file_len > found {
            return Err(ParseError::Truncated { needed: header.file_len, found });
        }
        if header.file_len < HEADER_LEN as u32 {
            return Err(ParseError::Header { offset: 8, found: header.file_len });
        }
        let reserved = [7, 57, 58, 59, 60, 61, 62, 63];
        if let Some(&at) = reserved.iter().find(|&&at| bytes[at] != 0) {
            return Err(ParseError::Header { offset: at as u32, found: u32::from(bytes[at]) });
        }
        if header.nodes == u16::MAX {
            // Times are node numbers from 1 on, and the last of them means "to the end".
            return Err(ParseError::Header { offset: 48, found: u32::from(header.nodes) });
        }
        let computed = checksum(&file[..header.file_len as usize]);
        if computed != header.crc {
            return Err(ParseError::Checksum { computed, expected: header.crc });
        }
        let parts = [(header.program, 16), (header.metadata, 24), (header.data, 32)];
        let mut from = HEADER_LEN as u32;
        for ((start, len), offset) in parts {
            let end = start.checked_add(len);
            if start < from || end.is_none_or(|end| end > header.file_len) {
                return Err(ParseError::Header { offset, found: start });
            }
            from = end.unwrap_or(u32::MAX);
        }
        if !header.data.0.is_multiple_of(ALIGN as u32) {
            return Err(ParseError::Header { offset: 32, found: header.data.0 });
        }
        Ok(header)
    }

    /// The header as bytes, with the checksum as it stands in `self`.
    #[cfg(feature = "encode")]
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        bytes[TARGET_AT] = self.target.number();
        let words = [
            self.file_len,
            self.crc,
            self.program.0,
            self.program.1,
            self.metadata.0,
            self.metadata.1,
            self.data.0,
            self.data.1,
            self.arena_len,
            self.state_len,
        ];
        for (slot, word) in bytes[8..48].chunks_exact_mut(4).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        for (slot, half) in bytes[48..54].chunks_exact_mut(2).zip([self.nodes, self.tensors, self.ids]) {
            slot.copy_from_slice(&half.to_le_bytes());
        }
        bytes[54] = self.dims;
        bytes[55] = self.inputs;
        bytes[56] = self.outputs;
        bytes
    }
}
