//! Estimated cycles, from the executed blocks and a table per core. `docs/cycles.md` has the tables, what they were
//! taken from and what they leave out.
//!
//! Every block is timed after the block it was entered from, so that what is under way at the end of one turn of a
//! loop is still under way at the start of the next. Memory answers at once: no wait states, no cache misses, no
//! contention. Branches of the cores that predict them are predicted.

mod aarch64;
mod helium;
mod inorder;
mod insn;
mod thumb;
mod wide;

use super::counts::{Block, Edge};
use inorder::Pipeline;
use insn::Insn;

/// A core for which there is a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// Cortex-M4.
    M4,
    /// Cortex-M7.
    M7,
    /// Cortex-M33.
    M33,
    /// Cortex-M55.
    M55,
    /// Cortex-A53.
    A53,
    /// Cortex-A72.
    A72,
    /// Cortex-A76.
    A76,
}

impl Core {
    /// The core that `name` begins with, if there is a table for it: `Cortex-M4F`, `cortex-a72`.
    pub fn find(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let cores = [
            ("cortex-m33", Self::M33),
            ("cortex-m4", Self::M4),
            ("cortex-m55", Self::M55),
            ("cortex-m7", Self::M7),
            ("cortex-a53", Self::A53),
            ("cortex-a72", Self::A72),
            ("cortex-a76", Self::A76),
        ];
        cores.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, core)| *core)
    }

    fn decode(self, block: &Block) -> Vec<Insn> {
        let words = block.words.iter();
        match self {
            Self::A53 | Self::A72 | Self::A76 => words.map(|word| aarch64::decode(word.code)).collect(),
            _ => words.map(|word| thumb::decode(word.code, word.size)).collect(),
        }
    }

    /// Cycles of one passage of `edge`: for leaving the block it comes from, and for each instruction of its block.
    pub(crate) fn cycles(self, edge: &Edge) -> (f64, Vec<f64>) {
        let from = edge.from.as_ref().map(|block| self.decode(block)).unwrap_or_default();
        let taken = edge.from.as_ref().is_some_and(|block| block.end() != edge.to.address);
        let to = self.decode(&edge.to);
        match self {
            Self::A72 | Self::A76 => {
                let share = if to.is_empty() { 0.0 } else { wide::cycles(self, &to) / to.len() as f64 };
                (0.0, vec![share; to.len()])
            }
            _ => {
                let mut pipeline = Pipeline::new(self);
                for insn in &from {
                    pipeline.issue(insn);
                }
                let mut leaving = 0;
                if taken {
                    pipeline.turn();
                    leaving = inorder::refill(self, from.last());
                }
                (f64::from(leaving), to.iter().map(|insn| f64::from(pipeline.issue(insn))).collect())
            }
        }
    }
}

#[cfg(test)]
mod tests;
