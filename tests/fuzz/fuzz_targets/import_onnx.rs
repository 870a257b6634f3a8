//! Any bytes are imported as an ONNX model.
#![no_main]

use dunlin_trainer::import::onnx::{Options, import};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = import(bytes, &Options::default());
});
