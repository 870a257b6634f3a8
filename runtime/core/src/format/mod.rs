//! The `.dun` file: header, program, metadata, data. `docs/format.md` has the byte map.

mod checksum;
#[cfg(feature = "encode")]
mod encode;
mod header;
#[cfg(feature = "encode")]
mod pack;
mod program;

pub use crate::isa::Target;
pub use checksum::checksum;
#[cfg(feature = "encode")]
pub use encode::{DataSection, EncodeError, NodeSpec, OwnedMetadata, ProgramSpec, encode, reseal};
pub use header::{ALIGN, HEADER_LEN, Header, MAGIC, VERSION};
#[cfg(feature = "encode")]
pub use pack::pack;
pub(crate) use program::{Aligned, Decoder};
pub use program::{Blob, DType, Ids, Metadata, Node, Place, Scaling, Scratch, Tensor};
