//! Damaged files: whatever the importers are given, they answer with a graph or an error, and never panic.
//!
//! The coverage-guided form of this is in `tests/fuzz`.

use dunlin_trainer::import::onnx::{self, Options};
use prost::Message;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use std::panic::catch_unwind;
use std::path::Path;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Size;
use tract_onnx::pb::{GraphProto, ModelProto};

/// Mutants of each fixture and kind: some seconds in all.
const MUTANTS: u64 = 1500;

fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "onnx"));
    files.sort();
    assert!(files.len() >= 10);
    files.iter().map(|p| (p.display().to_string(), std::fs::read(p).unwrap())).collect()
}

/// Imports, and says from which seed a panic came.
fn survives(name: &str, seed: u64, bytes: &[u8]) -> bool {
    let outcome = catch_unwind(|| onnx::import(bytes, &Options::default()).is_ok());
    outcome.unwrap_or_else(|_| panic!("{name}: mutant {seed} makes the importer panic"))
}

/// Changes some bytes, cuts or doubles a piece.
fn damaged(bytes: &[u8], rng: &mut Pcg64) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..out.len());
        match rng.random_range(0..6) {
            0 => out[at] ^= 1 << rng.random_range(0..8),
            1 => out[at] = rng.random(),
            2 => out[at] = [0, 1, 0x7f, 0x80, 0xff][rng.random_range(0..5)],
            3 => out.truncate(at.max(1)),
            4 => {
                let end = (at + rng.random_range(1..20)).min(out.len());
                let piece = out[at..end].to_vec();
                out.splice(at..at, piece);
            }
            _ => {
                let end = (at + rng.random_range(1..20)).min(out.len());
                out.drain(at..end);
                if out.is_empty() {
                    return bytes.to_vec();
                }
            }
        }
    }
    out
}

/// Numbers at which arithmetic on sizes goes wrong.
fn odd(rng: &mut Pcg64) -> i64 {
    const NUMBERS: [i64; 14] =
        [0, 1, 2, 3, 7, -1, -2, -7, 65_535, 65_536, 1 << 28, i32::MAX as i64, i64::MAX, i64::MIN];
    NUMBERS[rng.random_range(0..NUMBERS.len())]
}

fn pick<'a, T>(items: &'a mut [T], rng: &mut Pcg64) -> Option<&'a mut T> {
    if items.is_empty() {
        return None;
    }
    let at = rng.random_range(0..items.len());
    items.get_mut(at)
}

const OPERATORS: [&str; 40] = [
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "BatchNormalization",
    "LayerNormalization",
    "InstanceNormalization",
    "Add",
    "Div",
    "Pow",
    "PRelu",
    "Clip",
    "Softmax",
    "ReduceSum",
    "ReduceMean",
    "ArgMax",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Expand",
    "Tile",
    "Slice",
    "Split",
    "Concat",
    "Gather",
    "Pad",
    "DepthToSpace",
    "SpaceToDepth",
    "Resize",
    "LSTM",
    "GRU",
    "QuantizeLinear",
    "DequantizeLinear",
    "Range",
    "ConstantOfShape",
];

/// Changes what the fields of the model say.
fn edited(model: &mut ModelProto, rng: &mut Pcg64) {
    if rng.random_range(0..20) == 0
        && let Some(set) = model.opset_import.first_mut()
    {
        set.version = rng.random_range(6..27);
    }
    let Some(graph) = model.graph.as_mut() else { return };
    for _ in 0..rng.random_range(1..4) {
        edit(graph, rng);
    }
}

fn edit(graph: &mut GraphProto, rng: &mut Pcg64) {
    let names: Vec<String> =
        graph.node.iter().flat_map(|n| n.input.iter().chain(&n.output)).cloned().collect();
    let any = |rng: &mut Pcg64| names[rng.random_range(0..names.len())].clone();
    match rng.random_range(0..9) {
        0 => {
            if let Some(n) = pick(&mut graph.node, rng) {
                n.op_type = OPERATORS[rng.random_range(0..OPERATORS.len())].into();
            }
        }
        1 => {
            let name = any(rng);
            if let Some(i) = pick(&mut graph.node, rng).and_then(|n| pick(&mut n.input, rng)) {
                *i = name;
            }
        }
        2 => {
            let name = any(rng);
            if let Some(n) = pick(&mut graph.node, rng) {
                n.input.push(name);
            }
        }
        3 => {
            let number = odd(rng);
            if let Some(a) = pick(&mut graph.node, rng).and_then(|n| pick(&mut n.attribute, rng)) {
                a.i = number;
                if let Some(i) = pick(&mut a.ints, rng) {
                    *i = number;
                }
            }
        }
        4 => {
            let number = odd(rng);
            if let Some(d) = pick(&mut graph.initializer, rng).and_then(|t| pick(&mut t.dims, rng)) {
                *d = number;
            }
        }
        5 => {
            // Elements that are themselves sizes, axes or indices.
            let number = odd(rng);
            graph.initializer.iter_mut().filter(|t| t.data_type == 7).for_each(|t| {
                if let Some(bytes) = t.raw_data.get_mut(..8) {
                    bytes.copy_from_slice(&number.to_le_bytes());
                }
            });
        }
        6 => {
            let number = odd(rng);
            let tensor =
                pick(&mut graph.input, rng).and_then(|i| i.r#type.as_mut()).and_then(|t| t.value.as_mut());
            if let Some(tract_onnx::pb::type_proto::Value::TensorType(t)) = tensor
                && let Some(d) = t.shape.as_mut().and_then(|s| pick(&mut s.dim, rng))
            {
                d.value = Some(Size::DimValue(number));
            }
        }
        7 => {
            if let Some(t) = pick(&mut graph.initializer, rng) {
                t.data_type = rng.random_range(0..25);
            }
        }
        _ => {
            if let Some(a) = pick(&mut graph.node, rng).map(|n| &mut n.attribute)
                && !a.is_empty()
            {
                a.remove(rng.random_range(0..a.len()));
            }
        }
    }
}

#[test]
fn damaged_onnx_files_never_make_the_importer_panic() {
    let mut accepted = 0;
    for (name, bytes) in fixtures() {
        for seed in 0..MUTANTS {
            let mut rng = Pcg64::seed_from_u64(seed);
            accepted += usize::from(survives(&name, seed, &damaged(&bytes, &mut rng)));
        }
    }
    assert!(accepted > 100, "{accepted} mutants were accepted: the others say little");
}

#[test]
fn onnx_files_with_other_fields_never_make_the_importer_panic() {
    let mut accepted = 0;
    for (name, bytes) in fixtures() {
        let model = ModelProto::decode(bytes.as_slice()).unwrap();
        for seed in 0..MUTANTS {
            let mut rng = Pcg64::seed_from_u64(seed);
            let mut mutant = model.clone();
            edited(&mut mutant, &mut rng);
            accepted += usize::from(survives(&name, seed, &mutant.encode_to_vec()));
        }
    }
    assert!(accepted > 100, "{accepted} mutants were accepted: the others say little");
}
