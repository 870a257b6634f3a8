//! The integer runtime of Dunlin: `.dun` format, parser, executor and kernels.
//!
//! `no_std`, no allocator, `unsafe` only in the kernels of an instruction set. [`Model::parse`] proves a file once; after it [`Session::run`] cannot
//! fail, panic, allocate or touch memory outside of the arena. Every instruction set gives the same bits.
#![no_std]
#![deny(unsafe_code)]
#![deny(missing_docs)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod arena;
mod error;
pub mod fixed;
pub mod fixed16;
pub mod format;
mod isa;
mod model;
mod observe;
pub mod ops;
pub mod quant;
mod session;
pub mod shape;

#[cfg(feature = "alloc")]
pub use arena::AlignedVec;
pub use arena::{AlignedBytes, Arena};
pub use error::{NodeFault, ParseError, Part, SessionError, TensorFault};
pub use isa::{IsaKind, Target};
pub use model::{MAX_DIMS, MAX_INTERFACE, Model, Storage, Tables};
pub use observe::Observer;
pub use session::{Element, Session};

/// Bytes of working memory that an operator needs on `isa`, for the planner.
///
/// `inputs` and `outputs` index `tensors`, whose places do not matter.
#[cfg(feature = "encode")]
pub fn scratch_bytes(
    op: &ops::Op,
    tensors: &[format::Tensor],
    inputs: &[u16],
    outputs: &[u16],
    isa: IsaKind,
) -> u64 {
    let target = Target::Portable;
    op.scratch(&ops::Operands { tensors, inputs, outputs, data: &[], target }, isa)
}
