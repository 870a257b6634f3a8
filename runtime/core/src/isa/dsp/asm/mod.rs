//! The inner loops. Every function is `unsafe`: callers in [`kernel`](super::kernel) state what makes them sound.
//!
//! Loads of words need no alignment where the base is a row of values; `LDM`, `LDRD` and `STM` go to weights,
//! constants and scratch, which are aligned.

#![allow(unsafe_code, reason = "instructions that the compiler does not choose")]

mod depthwise;
mod full;
mod values;

pub(super) use depthwise::*;
pub(super) use full::*;
pub(super) use values::*;
