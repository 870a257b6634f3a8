//! The tracker's stated behaviour, line by line of the table in its documentation.

mod common;
mod detections;
mod int8;
mod stream;
