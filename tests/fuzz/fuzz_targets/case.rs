//! Any choices of the case generators: the runtime gives what the oracle gives.
#![no_main]

use dunlin_tests::cases::Kind;
use dunlin_tests::draw::Draw;
use dunlin_tests::host;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, Vec<u32>)| {
    let kind = Kind::ALL[usize::from(input.0) % Kind::ALL.len()];
    let case = kind.case(&mut Draw::replay(&input.1));
    if let Err(difference) = host::check(&case) {
        panic!("{difference}");
    }
});
