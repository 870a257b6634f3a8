//! `metered MODEL.dun INPUT…`: one run of a model between the markers of `tests/cyclemeter`, and a second with a pair of
//! markers around every node. `dunlin-board profile cortex-a72 MODEL.dun` starts it under QEMU; it is for AArch64, the
//! boards have images.

use std::process::ExitCode;

use dunlin::{AlignedVec, Model, Observer, Session, Storage};

/// Executes an instruction that copies a register to itself.
macro_rules! marker {
    ($word:literal) => {
        // SAFETY: changes nothing. Without `nomem` the compiler moves no memory access across it.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            core::arch::asm!(concat!(".inst ", $word), options(nostack, preserves_flags))
        }
    };
}

struct Nodes;

impl Observer for Nodes {
    #[inline(always)]
    fn before(&mut self, _node: usize) {
        marker!("0xaa0903e9");
    }

    #[inline(always)]
    fn after(&mut self, _node: usize) {
        marker!("0xaa0c03ec");
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(isa) => {
            println!("{isa} kernels");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<&'static str, String> {
    if cfg!(not(target_arch = "aarch64")) {
        return Err("metered is for AArch64: build it with `cargo xtask metered`".to_owned());
    }
    let [path, inputs @ ..] = arguments else { return Err("usage: metered MODEL.dun INPUT…".to_owned()) };
    let read = |path: &String| std::fs::read(path).map_err(|error| format!("{path}: {error}"));
    let file = AlignedVec::from_slice(&read(path)?);
    let mut storage = Box::new(Storage::<2048, 4096, 8192>::new());
    let model = Model::parse(file.as_slice(), &mut storage).map_err(|error| format!("{path}: {error}"))?;
    let mut arena = AlignedVec::zeroed(model.arena_bytes());
    let mut state = AlignedVec::zeroed(model.state_bytes());
    let session = Session::with_state(&model, arena.as_mut_slice(), state.as_mut_slice());
    let mut session = session.map_err(|error| error.to_string())?;
    if inputs.len() != model.inputs().len() {
        return Err(format!("{} inputs given, the model has {}", inputs.len(), model.inputs().len()));
    }
    let inputs = inputs.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    for observed in [false, true] {
        session.reset_state();
        for (index, (path, bytes)) in arguments[1..].iter().zip(&inputs).enumerate() {
            session.set_input_bytes(index, bytes).map_err(|error| format!("{path}: {error}"))?;
        }
        marker!("0xaa0b03eb");
        if observed {
            session.run_observed(&mut Nodes)
        } else {
            session.run()
        }
        marker!("0xaa0a03ea");
    }
    Ok(session.isa().name())
}
