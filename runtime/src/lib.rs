//! The integer runtime of Dunlin, for microcontrollers and hosts alike.
//!
//! A `.dun` file is proved once, by [`Model::parse`] when the program runs or by [`model!`] when it is compiled;
//! after that a [`Session`] runs it in memory that the caller gives, and cannot fail.
//!
//! This crate is the façade: it re-exports `dunlin-core`, where the format, the executor and the kernels are, and
//! the macro of `dunlin-macros`, which uses the same parser.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

pub use dunlin_core::*;
/// A good file is an expression of type [`Model<'static>`](Model):
///
/// ```
/// static MODEL: dunlin::Model<'static> = dunlin::model!("../tests/golden/v1/model.dun");
/// assert!(MODEL.arena_bytes() > 0);
/// ```
///
/// A file that is no model, a path that leads nowhere and an argument that is no path do not compile:
///
/// ```compile_fail
/// static MODEL: dunlin::Model<'static> = dunlin::model!("Cargo.toml");
/// ```
/// ```compile_fail
/// static MODEL: dunlin::Model<'static> = dunlin::model!("no/such/model.dun");
/// ```
/// ```compile_fail
/// static MODEL: dunlin::Model<'static> = dunlin::model!(model);
/// ```
pub use dunlin_macros::model;
