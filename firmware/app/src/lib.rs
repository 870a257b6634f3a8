//! Board-agnostic firmware: [control loops of policies](policy), and what takes a job file, runs every job and writes the records.
//!
//! Nothing here knows the board: a `Platform` measures and stores, a job file says what to run.
#![no_std]
#![warn(missing_docs)]

#[cfg(feature = "control")]
pub mod control;
#[cfg(feature = "policy")]
pub mod policy;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "track")]
pub mod tracking;
#[cfg(feature = "serve")]
mod writer;

#[cfg(feature = "serve")]
pub use serve::{Platform, serve};

pub use dunlin::Storage;
