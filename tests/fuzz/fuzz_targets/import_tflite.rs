//! Any bytes are imported as a TensorFlow Lite model.
#![no_main]

use dunlin_trainer::import::tflite::import;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = import(bytes, "fuzzed");
});
