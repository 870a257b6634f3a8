//! `dunlin::model!`: the same model as the parser's, as a static.

use dunlin::{AlignedVec, Model};
use dunlin_tests::golden::{self, COUNTS, operators};
use dunlin_tests::host::Tables;

static GOLDEN: Model<'static> = dunlin::model!("golden/v1/model.dun");

dunlin::model! {
    /// The same file as a module.
    mod golden_module = concat!("golden/v1", "/model.dun");
}

dunlin::model! {
    /// Operators of graphs, over nodes and edges.
    mod graphs = "golden/v1-operators/graphs.dun";
}

#[test]
fn a_module_with_bounded_dimensions_and_lists_runs_to_the_same_bytes() {
    use dunlin::format::{DType, Tensor};
    const { assert!(graphs::BOUNDS[0] == 4 && graphs::BOUNDS[1] == 6) };
    assert_eq!(graphs::MODEL.dims(), graphs::BOUNDS);
    assert_eq!(golden_module::BOUNDS, [COUNTS[0]]);
    let [from, to]: [Tensor; 2] = [graphs::INPUTS[2], graphs::INPUTS[3]];
    assert_eq!((from.dtype, from.rows, from.shape.w), (DType::U16, Some(1), graphs::BOUNDS[1]));
    assert_eq!((to.dtype, graphs::OUTPUTS[1].rows), (DType::U16, Some(0)));
    let part = operators::PARTS.iter().find(|part| part.name == "graphs").unwrap();
    let mut arena = graphs::Arena::new();
    let mut session = graphs::session(&mut arena);
    for run in 0..COUNTS.len() {
        for (dim, count) in golden::counts(&graphs::MODEL, run).into_iter().enumerate() {
            session.set_len(dim, count).unwrap();
        }
        for (i, bytes) in operators::inputs(&graphs::MODEL, run).iter().enumerate() {
            session.set_input_bytes(i, bytes).unwrap();
        }
        session.run();
        let outputs = (0..graphs::OUTPUTS.len()).map(|i| session.output_bytes(i).unwrap());
        let path = operators::folder().join(part.run_file(run, "outputs"));
        assert_eq!(outputs.collect::<Vec<_>>().concat(), std::fs::read(&path).unwrap(), "run {run}");
    }
    // A session starts without lists: the model's module is as strict as the parser's.
    session.set_len(1, 1).unwrap();
    assert!(session.set_indices(2, &[4]).is_err() && session.input_bytes_mut(2).is_err());
}

#[test]
fn a_module_knows_its_sizes_and_runs_in_them() {
    assert_eq!(golden_module::MODEL.tables(), GOLDEN.tables());
    assert_eq!(golden_module::ARENA_BYTES, GOLDEN.arena_bytes());
    assert_eq!(golden_module::STATE_BYTES, GOLDEN.state_bytes());
    assert!(GOLDEN.inputs().eq(&golden_module::INPUTS) && GOLDEN.outputs().eq(&golden_module::OUTPUTS));
    let labels = GOLDEN.metadata().unwrap().labels;
    assert_eq!(golden_module::LABELS.join("\n"), labels.trim_end());
    assert!(golden_module::LABELS.len() > 1);
    let mut arena = golden_module::Arena::new();
    let mut state = golden_module::State::new();
    let mut session = golden_module::session(&mut arena, &mut state);
    session.reset_state();
    session.set_len(0, COUNTS[0]).unwrap();
    for (i, bytes) in golden::inputs(0).iter().enumerate() {
        session.set_input_bytes(i, bytes).unwrap();
    }
    session.run();
    for i in 0..golden_module::OUTPUTS.len() {
        let path = golden::folder(1).join(format!("run0-output{i}.bin"));
        assert_eq!(session.output_bytes(i).unwrap(), &std::fs::read(&path).unwrap(), "{}", path.display());
    }
}

#[test]
fn the_macro_gives_the_tables_of_the_parser() {
    let bytes = std::fs::read(golden::folder(1).join("model.dun")).unwrap();
    let file = AlignedVec::from_slice(&bytes);
    let mut tables = Tables::new();
    let parsed = Model::parse(file.as_slice(), &mut tables).unwrap();
    assert_eq!(GOLDEN.tables(), parsed.tables());
    assert_eq!(GOLDEN.metadata(), parsed.metadata());
    assert_eq!(GOLDEN.tables().data.as_ptr() as usize % dunlin::format::ALIGN, 0);
}

#[test]
fn the_macro_s_model_runs_to_the_same_bytes() {
    let inputs: Vec<_> = (0..COUNTS.len()).map(golden::inputs).collect();
    let outputs = golden::run(&GOLDEN, &inputs).unwrap();
    for (run, outputs) in outputs.iter().enumerate() {
        for (i, output) in outputs.iter().enumerate() {
            let path = golden::folder(1).join(format!("run{run}-output{i}.bin"));
            assert_eq!(output, &std::fs::read(&path).unwrap(), "{}", path.display());
        }
    }
}

#[test]
fn the_macro_may_stand_in_an_expression() {
    let model = dunlin::model!("golden/v1/model.dun");
    assert_eq!(model.arena_bytes(), GOLDEN.arena_bytes());
}
