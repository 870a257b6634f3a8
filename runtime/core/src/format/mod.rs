//! The `.dun` file: header, program, metadata, data. `docs/format.md` has the byte map.

#[cfg(feature = "encode")]
mod encode;
mod header;
mod program;

#[cfg(feature = "encode")]
pub use encode::{DataSection, EncodeError, NodeSpec, OwnedMetadata, ProgramSpec, encode, reseal};
pub use header::{ALIGN, HEADER_LEN, Header, MAGIC, TARGET_PORTABLE, VERSION, checksum};
pub(crate) use program::{Aligned, Decoder};
pub use program::{Blob, DType, Ids, Metadata, Node, Place, Scaling, Scratch, Tensor};
