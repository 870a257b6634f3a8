//! The cycle meter: what a run executes, by node, function and instruction.
//!
//! The counts come from the QEMU plugin in `tests/cyclemeter` and are exact and the same on every machine; the cycles
//! are estimated from them ([`Core`]).

mod counts;
mod cycles;
mod macs;
mod plugin;
mod profile;
mod symbols;

pub use cycles::Core;
pub use macs::macs;
pub use plugin::{find_metered, find_plugin};
pub use profile::{
    Cost, FunctionCost, InstructionCost, ModelProfile, NodeProfile, ProgramRegion, RegionProfile,
    drawn_inputs, profile, profile_control, profile_linux, profile_program, profile_tracking,
};

pub(crate) use profile::argument;
