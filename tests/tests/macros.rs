//! `dunlin::model!`: the same model as the parser's, as a static.

use dunlin::{AlignedVec, Model};
use dunlin_tests::golden::{self, COUNTS};
use dunlin_tests::host::Tables;

static GOLDEN: Model<'static> = dunlin::model!("golden/v1/model.dun");

dunlin::model! {
    /// The same file as a module.
    mod golden_module = concat!("golden/v1", "/model.dun");
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
