//! The constants of an integer program: reading them, and writing those that are left into a new data section.

use super::unplanned;
use crate::quantise::QGraph;
use dunlin::format::{Blob, DataSection, encode};
use dunlin::ops::Op;

/// The data section of a program that the runtime accepts.
pub(super) struct Constants(DataSection);

impl Constants {
    /// The constants of `program`; `None` where the runtime would refuse it, so that whoever holds constants knows
    /// that all shapes fit and all constants are as long as their operators say.
    pub(super) fn of(program: &QGraph) -> Option<Self> {
        encode(&unplanned::spec(program)?).ok()?;
        Some(Self(program.data.clone()))
    }

    /// `len` bytes of a constant.
    pub(super) fn bytes(&self, blob: Blob, len: usize) -> &[u8] {
        &self.0.get(blob)[..len]
    }

    /// `len` weights or shifts.
    pub(super) fn int8(&self, blob: Blob, len: usize) -> Vec<i8> {
        self.bytes(blob, len).iter().map(|&b| b as i8).collect()
    }

    /// `len` biases or multipliers.
    pub(super) fn int32(&self, blob: Blob, len: usize) -> Vec<i32> {
        self.bytes(blob, 4 * len).as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b)).collect()
    }

    /// Writes a new data section with the constants that `program`, made of the one of these constants, still has.
    pub(super) fn repack(&self, program: &mut QGraph) {
        let mut data = DataSection::new();
        for node in &mut program.nodes {
            node.op = self.copied(&node.op, &mut data);
        }
        for tensor in &mut program.tensors {
            let bytes = tensor.bytes() as usize;
            if let Some(blob) = &mut tensor.constant {
                *blob = data.push(self.bytes(*blob, bytes));
            }
        }
        program.data = data;
    }

    /// The operator with its constants, unchanged, in another data section.
    pub(super) fn copied(&self, op: &Op, data: &mut DataSection) -> Op {
        let mut op = *op;
        for blob in op.blobs() {
            *blob = data.push(self.0.get(*blob));
        }
        op
    }
}
