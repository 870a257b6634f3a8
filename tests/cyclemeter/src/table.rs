//! The blocks that were translated, and the markers.

use std::cell::UnsafeCell;
use std::collections::HashMap;
use std::fmt::Write as _;

/// What a marker instruction says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    Begin,
    End,
    NodeBegin,
    NodeEnd,
}

impl Marker {
    /// The marker in `bytes`, an instruction of Thumb or AArch64 in memory order.
    pub(crate) fn find(aarch64: bool, bytes: &[u8]) -> Option<Self> {
        Some(match (aarch64, bytes) {
            (false, [0xdb, 0x46]) | (true, [0xeb, 0x03, 0x0b, 0xaa]) => Self::Begin,
            (false, [0xd2, 0x46]) | (true, [0xea, 0x03, 0x0a, 0xaa]) => Self::End,
            (false, [0xc9, 0x46]) | (true, [0xe9, 0x03, 0x09, 0xaa]) => Self::NodeBegin,
            (false, [0xe4, 0x46]) | (true, [0xec, 0x03, 0x0c, 0xaa]) => Self::NodeEnd,
            _ => return None,
        })
    }
}

/// A straight run of instructions. It lives as long as QEMU.
pub(crate) struct Block {
    pub(crate) id: u32,
    pub(crate) instructions: u64,
    /// The block's line in the file.
    pub(crate) line: String,
    /// Touched only by the processor whose region is open.
    pub(crate) counts: UnsafeCell<Counts>,
}

// SAFETY: `counts` is used by the owner of the open region alone, and ownership is handed over by an atomic with
// acquire and release; everything else is immutable.
unsafe impl Sync for Block {}

/// What a bucket has counted of a block.
#[derive(Default)]
pub(crate) struct Counts {
    /// Whether the block's line is in the file.
    pub(crate) written: bool,
    /// Entries since the bucket began: from which block, how often. The most recent one is first.
    pub(crate) edges: Vec<(u32, u64)>,
}

/// All blocks, by address and bytes, so that a retranslated one keeps its number.
#[derive(Default)]
pub(crate) struct Table(HashMap<(u64, Vec<u8>), &'static Block>);

impl Table {
    pub(crate) fn block(&mut self, address: u64, instructions: &[&[u8]]) -> &'static Block {
        let id = self.0.len() as u32;
        self.0.entry((address, instructions.concat())).or_insert_with(|| {
            let mut line = format!("block {id} {address:x} ");
            for (index, bytes) in instructions.iter().enumerate() {
                line.push_str(if index == 0 { "" } else { "," });
                for byte in *bytes {
                    // Writing to a string does not fail.
                    let _ = write!(line, "{byte:02x}");
                }
            }
            line.push_str(if instructions.is_empty() { "-" } else { "" });
            let instructions = instructions.len() as u64;
            Box::leak(Box::new(Block { id, instructions, line, counts: UnsafeCell::default() }))
        })
    }
}
