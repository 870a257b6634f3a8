//! Networks from elsewhere become a [`Graph`](crate::graph::Graph): one importer per file format.
//!
//! An importer reads a file that may be malformed in any way: it gives an [`ImportError`] that names the place, never
//! a panic, and allocates nothing whose size it has not compared with the size of the file or with
//! [`MAX_ELEMENTS`](dunlin::shape::MAX_ELEMENTS).

mod error;
pub mod onnx;
pub mod tflite;

pub use error::{ImportError, UnsupportedNode};
