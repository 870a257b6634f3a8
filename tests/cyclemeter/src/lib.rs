//! A QEMU plugin that counts what is executed between two marker instructions: every straight run of instructions
//! (*block*), and from which block it was entered.
//!
//! Markers are moves of a register to itself that compilers do not emit. They are not counted.
//!
//! | marker | Thumb | AArch64 |
//! |---|---|---|
//! | region begins | `46db` mov r11, r11 | `aa0b03eb` mov x11, x11 |
//! | region ends | `46d2` mov r10, r10 | `aa0a03ea` mov x10, x10 |
//! | node begins | `46c9` mov r9, r9 | `aa0903e9` mov x9, x9 |
//! | node ends | `46e4` mov r12, r12 | `aa0c03ec` mov x12, x12 |
//!
//! `qemu-system-arm -plugin libdunlin_cyclemeter.so,out=FILE …` writes lines of words, numbers decimal unless said
//! otherwise:
//!
//! ```text
//! dunlin-cyclemeter 1 TARGET
//! begin REGION START_CODE           first address of the program's code, hexadecimal; 0 in system mode
//! bucket NODE                       ordinal of the node in its region, or - for what is outside of nodes
//! block ID ADDRESS BYTES,…          once per block, before its first use; bytes of each instruction in memory order,
//!                                   all hexadecimal; `-` for a marker, which stands in the list of edges only
//! edge FROM ID COUNT                block ID was entered COUNT times from the end of FROM; FROM is - after a marker
//! end REGION INSTRUCTIONS
//! ```
//!
//! Edges belong to the bucket above them; a bucket may come several times in a region. A branch was taken where an
//! edge's block does not begin where FROM ends. One processor at a time is measured: a region that another one begins
//! meanwhile is reported by the line `overlap`.

mod meter;
mod table;

use std::sync::OnceLock;

use qemu_plugin::install::{Args, Info};
use qemu_plugin::{HasCallbacks, PluginId, Register, Result, TranslationBlock, register};

use meter::Meter;
use table::Marker;

static METER: OnceLock<Meter> = OnceLock::new();

struct Plugin;

impl HasCallbacks for Plugin {}

impl Register for Plugin {
    /// Registers nothing but the translation: the crate's other default callbacks cost time at every exception.
    fn register_default(&mut self, id: PluginId, args: &Args, info: &Info) -> Result<()> {
        let path = args.raw.iter().find_map(|argument| argument.strip_prefix("out="));
        let Some(path) = path else { fail("argument out=FILE is missing") };
        let meter =
            Meter::new(path, &info.target_name).unwrap_or_else(|error| fail(&format!("{path}: {error}")));
        if METER.set(meter).is_err() {
            fail("loaded twice");
        }
        qemu_plugin::qemu_plugin_register_vcpu_tb_trans_cb(id, Some(translated))
    }
}

/// An error inside of QEMU has nowhere to go but its standard error.
fn fail(reason: &str) -> ! {
    eprintln!("dunlin-cyclemeter: {reason}");
    std::process::exit(1)
}

/// Splits a translated block at its markers and has every part counted.
extern "C" fn translated(_: PluginId, block: *mut qemu_plugin::sys::qemu_plugin_tb) {
    let Some(meter) = METER.get() else { return };
    let block = TranslationBlock::from(block);
    let instructions: Vec<_> = block.instructions().map(|i| (i.vaddr(), meter.trimmed(i.data()))).collect();
    let mut from = 0;
    for (index, (address, bytes)) in instructions.iter().enumerate() {
        let Some(marker) = meter.marker(bytes) else { continue };
        count(meter, &block, &instructions, from..index);
        let place = meter.block(*address, &[]);
        if let Ok(instruction) = block.instruction(index) {
            instruction.register_execute_callback(move |cpu| meter.marked(cpu, marker, place));
        }
        from = index + 1;
    }
    count(meter, &block, &instructions, from..instructions.len());
}

fn count(
    meter: &'static Meter,
    block: &TranslationBlock,
    instructions: &[(u64, Vec<u8>)],
    range: std::ops::Range<usize>,
) {
    let first = range.start;
    let Some(part @ [(address, _), ..]) = instructions.get(range) else { return };
    let bytes: Vec<&[u8]> = part.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    let part = meter.block(*address, &bytes);
    if first == 0 {
        block.register_execute_callback(move |cpu| meter.entered(cpu, part));
    } else if let Ok(instruction) = block.instruction(first) {
        instruction.register_execute_callback(move |cpu| meter.entered(cpu, part));
    }
}

register!(Plugin);
