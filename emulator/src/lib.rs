//! Emulated Cortex-M boards: what firmware and host agree upon, and the host's QEMU driver.
//!
//! One image per board serves every model. The host writes a *job file* ([`job`]) that QEMU's loader device
//! places into the board's memory ([`board`]); the image runs the jobs and writes a *result file* ([`record`])
//! through semihosting. Log lines travel as `defmt` frames on the side and are never parsed for results.
//!
//! Firmware uses this crate without its default feature: no `std`, no allocator. The feature `host` adds
//! `run`, which starts QEMU, enforces the time limit and returns checked results.

#![cfg_attr(not(feature = "host"), no_std)]
#![warn(missing_docs)]

pub mod board;
pub mod job;
#[cfg(feature = "policy")]
pub mod link;
#[cfg(feature = "policy")]
pub mod policy;
pub mod record;
#[cfg(feature = "track")]
pub mod tracking;

#[cfg(feature = "host")]
mod host;
#[cfg(feature = "host")]
pub mod meter;

#[cfg(feature = "host")]
pub use host::{
    ActionSpace, Answer, ControlJob, ControlReport, ControlStep, EmulateError, Faults, Job, JobFailure,
    JobOutcome, JobResult, Line, LineError, LogLine, NamedOutcome, NodeCost, Options, Plant, Report, Run,
    RunResult, Stage, Step, TrackJob, TrackReport, Tracks, Wire, control, control_over_line,
    emulation_is_off, find_image, find_policy_image, find_tracking_image, flash_bytes, leave_out,
    model_bytes, run, run_bare, track, track_on_host, unless_left_out,
};
