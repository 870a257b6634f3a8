//! Any bytes, with length and checksum repaired, are parsed.
#![no_main]

use dunlin_tests::attack::Attacker;
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;

thread_local! {
    static ATTACKER: RefCell<Attacker> = RefCell::new(Attacker::new());
}

fuzz_target!(|bytes: &[u8]| {
    ATTACKER.with_borrow_mut(|attacker| {
        let _ = attacker.parse(bytes);
    });
});
