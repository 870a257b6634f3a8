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
/// As a module it also has the model's sizes and interface as constants, and a session that cannot fail:
///
/// ```
/// dunlin::model! {
///     /// Every operator of version 1.
///     mod golden = "../tests/golden/v1/model.dun";
/// }
/// const ELEMENTS: usize = golden::INPUTS[0].shape.elements();
///
/// let (mut arena, mut state) = (golden::Arena::new(), golden::State::new());
/// let mut session = golden::session(&mut arena, &mut state);
/// session.reset_state();
/// assert_eq!(session.input_mut::<f32>(0)?.len(), ELEMENTS);
/// session.run();
/// assert_eq!(golden::ARENA_BYTES, golden::MODEL.arena_bytes());
/// # Ok::<(), dunlin::SessionError>(())
/// ```
///
/// A file that is no model, a path that leads nowhere, an argument that is no path and a session in another model's arena do
/// not compile:
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
/// ```compile_fail
/// dunlin::model! { mod broken = "Cargo.toml"; }
/// ```
/// ```compile_fail
/// static MODEL: dunlin::Model<'static> = dunlin::model!(env!("DUNLIN_NO_SUCH_VARIABLE"));
/// ```
/// ```compile_fail
/// dunlin::model! { mod golden = "../tests/golden/v1/model.dun"; }
/// let (mut arena, mut state) = (dunlin::Arena::<16>::new(), golden::State::new());
/// let session = golden::session(&mut arena, &mut state);
/// ```
pub use dunlin_macros::model;
