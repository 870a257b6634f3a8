//! The cycle meter: what a run executes, by node, function and instruction.
//!
//! The counts come from the QEMU plugin in `tests/cyclemeter` and are exact and the same on every machine.

mod counts;
mod macs;
mod plugin;
mod profile;
mod symbols;

pub use macs::macs;
pub use plugin::find_plugin;
pub use profile::{
    Cost, FunctionCost, InstructionCost, ModelProfile, NodeProfile, RegionProfile, profile, profile_program,
};

pub(crate) use profile::argument;
