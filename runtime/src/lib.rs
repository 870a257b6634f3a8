//! Façade of the Dunlin runtime: re-exports `dunlin-core` and the `model!` macro.
#![cfg_attr(not(feature = "std"), no_std)]

pub use dunlin_core::*;
