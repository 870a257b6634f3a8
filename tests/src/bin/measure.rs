//! Instructions of `.dun` files on an emulated board, node by node, and whether board and host agree.
//!
//! `measure BOARD [--for TARGET] FILE…`: with `--for` the constants are packed first, and the working memory of all nodes
//! lies behind the arena, where it is as large as the target's kernels like it.

use dunlin::{AlignedVec, Model, Session, Storage, Target};
use dunlin_emulator::{Job, Options, Run, board, run};
use dunlin_tests::draw::Draw;
use dunlin_tests::packed::packed;
use std::time::Duration;

type Tables = Storage<1024, 2048, 4096>;

fn main() -> Result<(), String> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let target = arguments.iter().position(|a| a == "--for").map(|at| {
        arguments.remove(at);
        arguments.remove(at)
    });
    let target = match &target {
        Some(name) => Target::ALL.into_iter().find(|t| t.name() == name).ok_or("no such target")?,
        None => Target::Portable,
    };
    let [name, files @ ..] = arguments.as_slice() else { return Err("measure BOARD FILE…".into()) };
    let board = board::find(name).ok_or("no such board")?;
    for file in files {
        measure(board, target, file)?;
    }
    Ok(())
}

fn measure(board: &'static board::Board, target: Target, path: &str) -> Result<(), String> {
    let bytes = std::fs::read(path).map_err(|e| format!("{path}: {e}"))?;
    let file = packed(&bytes, target)?;
    let mut tables = Box::new(Tables::new());
    let model = Model::parse(file.as_slice(), &mut tables).map_err(|e| e.to_string())?;
    let mut draw = Draw::seeded(1);
    let inputs: Vec<Vec<u8>> = model
        .inputs()
        .map(|t| draw.bytes(t.bytes() as usize).into_iter().map(|b| b as u8).collect())
        .collect();
    let original = AlignedVec::from_slice(&bytes);
    let mut tables = Box::new(Tables::new());
    let plain = Model::parse(original.as_slice(), &mut tables).map_err(|e| e.to_string())?;
    let outputs = host(&plain, &inputs)?;
    if host(&model, &inputs)? != outputs {
        return Err(format!("{path}: the host differs from itself when the file is packed"));
    }
    let job = Job {
        name: path.into(),
        model: file.as_slice().to_vec(),
        runs: vec![Run { inputs, counts: model.dims().to_vec() }],
    };
    let options = Options { profile: true, time_limit: Duration::from_secs(600), ..Options::default() };
    let report = run(board, &[job], &options).map_err(|e| e.to_string())?;
    let result = report.jobs[0].outcome.result()?;
    let one = &result.runs[0];
    println!(
        "{path} on {} ({}): {} instructions, parsed in {}, arena {} B, stack {} B, data {} B, {}",
        board.name,
        result.isa,
        one.instructions,
        result.parse_instructions,
        result.arena_bytes,
        one.stack_bytes,
        model.data_bytes(),
        if one.outputs == outputs { "equal" } else { "DIFFERENT" }
    );
    for cost in &one.nodes {
        let node = &model.nodes()[cost.node];
        let shapes: Vec<String> = model
            .ids(node.inputs)
            .iter()
            .take(1)
            .chain(model.ids(node.outputs))
            .map(|&id| model.tensors()[usize::from(id)].shape.to_string())
            .collect();
        println!(
            "  {:3} {:18} {:32} {:>10}",
            cost.node,
            node.op.name(),
            shapes.join(" -> "),
            cost.instructions
        );
    }
    Ok(())
}

/// Outputs on this machine; states start at zero, rows are at their bounds.
fn host(model: &Model<'_>, inputs: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, String> {
    let (mut arena, mut state) =
        (AlignedVec::zeroed(model.arena_bytes()), AlignedVec::zeroed(model.state_bytes()));
    let mut session =
        Session::with_state(model, arena.as_mut_slice(), state.as_mut_slice()).map_err(|e| e.to_string())?;
    session.reset_state();
    for (i, bytes) in inputs.iter().enumerate() {
        session.set_input_bytes(i, bytes).map_err(|e| e.to_string())?;
    }
    session.run();
    (0..model.outputs().len())
        .map(|i| session.output_bytes(i).map(<[u8]>::to_vec).map_err(|e| e.to_string()))
        .collect()
}
