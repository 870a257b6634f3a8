//! Runs a `.dun` file once between the markers of the meter, on an instruction set of this core.
//!
//! `pi FILE [ISA]`: the inputs are drawn, the run is repeated once unmarked first, and the outputs must equal those of
//! plain Rust. With `dunlin-board profile-linux CPU` it counts what a single-board computer executes.

use dunlin::{AlignedVec, IsaKind, Model, Session, Storage};
use dunlin_tests::draw::Draw;

type Tables = Storage<1024, 2048, 4096>;

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, names @ ..] = arguments.as_slice() else { return Err("pi FILE [ISA]".into()) };
    let isa = match names {
        [] => IsaKind::native(),
        [name, ..] => {
            IsaKind::ALL.into_iter().find(|isa| isa.name() == name).ok_or("no such instruction set")?
        }
    };
    let bytes = std::fs::read(path).map_err(|e| format!("{path}: {e}"))?;
    let file = AlignedVec::from_slice(&bytes);
    let mut tables = Box::new(Tables::new());
    let model = Model::parse(file.as_slice(), &mut tables).map_err(|e| format!("{path}: {e}"))?;
    let expected = outputs(&model, IsaKind::Scalar, false)?;
    if outputs(&model, isa, true)? != expected {
        return Err(format!("{path}: {} differs from scalar", isa.name()));
    }
    println!("{path} on {}: equal to scalar", isa.name());
    Ok(())
}

/// Outputs of one run with drawn inputs; states start at zero, rows are at their bounds.
fn outputs(model: &Model<'_>, isa: IsaKind, marked: bool) -> Result<Vec<Vec<u8>>, String> {
    let (mut arena, mut state) =
        (AlignedVec::zeroed(model.arena_bytes()), AlignedVec::zeroed(model.state_bytes()));
    let mut session = Session::with_state(model, arena.as_mut_slice(), state.as_mut_slice())
        .and_then(|session| session.with_isa(isa))
        .map_err(|e| e.to_string())?;
    session.reset_state();
    let mut draw = Draw::seeded(1);
    for i in 0..model.inputs().len() {
        let input = session.input_bytes_mut(i).map_err(|e| e.to_string())?;
        let bytes = draw.bytes(input.len());
        input.iter_mut().zip(bytes).for_each(|(to, from)| *to = from as u8);
    }
    mark::<0>(marked);
    session.run();
    mark::<1>(marked);
    (0..model.outputs().len())
        .map(|i| session.output_bytes(i).map(<[u8]>::to_vec).map_err(|e| e.to_string()))
        .collect()
}

/// The word that begins (0) or ends (1) what the meter counts.
#[inline(always)]
fn mark<const END: usize>(marked: bool) {
    #[cfg(target_arch = "aarch64")]
    if marked {
        // SAFETY: the instructions move a register to itself.
        unsafe {
            match END {
                0 => std::arch::asm!(".inst 0xaa0b03eb", options(nostack, preserves_flags)),
                _ => std::arch::asm!(".inst 0xaa0a03ea", options(nostack, preserves_flags)),
            }
        }
    }
    #[cfg(not(target_arch = "aarch64"))]
    let _ = marked;
}
