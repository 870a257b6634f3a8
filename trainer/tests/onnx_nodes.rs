//! The node tests of the ONNX standard, in float through the imported [`Graph`](dunlin_trainer::graph::Graph).
//!
//! Each is passed, or listed in `docs/operators.md` with the reason why it is outside of the scope. With
//! `DUNLIN_OVERWRITE=1` the list is written. The data are found in `DUNLIN_DATA`, or beside the checkout.

use burn::tensor::{Device, Tensor, TensorData};
use dunlin_trainer::exec::{self, Mode, NoTap, Weights};
use dunlin_trainer::import::ImportError;
use dunlin_trainer::import::onnx::{self, Imported, Options, Port};
use dunlin_trainer::ops::Data;
use prost::Message;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{ModelProto, TensorProto};

/// Relative tolerance of ONNX's own tests of back ends (`onnx/backend/test/runner`), as is the absolute one.
const RELATIVE: f32 = 1e-3;
const ABSOLUTE: f32 = 1e-5;
/// How many of the tests there are, and how many must pass.
const TESTS: usize = 369;
const PASSES: usize = 200;
/// What surrounds the list in the document.
const BEGIN: &str = "<!-- onnx-node-tests: written by `DUNLIN_OVERWRITE=1 cargo test -p dunlin-trainer --test onnx_nodes` -->";
const END: &str = "<!-- /onnx-node-tests -->";

/// Inputs that stay inputs; the others of an operator are parameters, which must be in the file, where the tests hand them
/// over when the model runs.
fn data_inputs(op: &str) -> usize {
    match op {
        "Add" | "Sub" | "Mul" | "Div" | "MatMul" => 2,
        "Gemm" => 3,
        "Concat" => usize::MAX,
        _ => 1,
    }
}

fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let root = std::env::var_os("DUNLIN_DATA").map_or(beside, PathBuf::from).join("onnx_node_tests");
    root.is_dir().then_some(root)
}

/// Sizes and elements, integers as real numbers.
fn read(tensor: &TensorProto) -> (Vec<usize>, Vec<f32>) {
    let dims = tensor.dims.iter().map(|d| *d as usize).collect();
    let raw = &tensor.raw_data;
    let chunks = |n: usize| raw.chunks_exact(n);
    let elements: Vec<f32> = match DataType::try_from(tensor.data_type).expect("a type of ONNX") {
        DataType::Float => match raw.is_empty() {
            true => tensor.float_data.clone(),
            false => chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
        },
        DataType::Uint8 | DataType::Bool => raw.iter().map(|b| f32::from(*b)).collect(),
        DataType::Int8 => raw.iter().map(|b| f32::from(*b as i8)).collect(),
        DataType::Int16 => chunks(2).map(|b| f32::from(i16::from_le_bytes(b.try_into().unwrap()))).collect(),
        DataType::Int32 => chunks(4).map(|b| i32::from_le_bytes(b.try_into().unwrap()) as f32).collect(),
        DataType::Int64 => chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f32).collect(),
        other => panic!("elements of type {other:?}"),
    };
    (dims, elements)
}

fn tensor(path: &Path) -> Option<TensorProto> {
    let bytes = std::fs::read(path).ok()?;
    Some(TensorProto::decode(bytes.as_slice()).expect("a tensor"))
}

/// The model with its parameters in the file, and the inputs that are left.
fn prepared(folder: &Path) -> (Vec<u8>, Vec<TensorProto>, Vec<TensorProto>) {
    let bytes = std::fs::read(folder.join("model.onnx")).expect("a model");
    let mut model = ModelProto::decode(bytes.as_slice()).expect("a model");
    let graph = model.graph.as_mut().expect("a graph");
    let set = folder.join("test_data_set_0");
    let load = |kind: &str, i: usize| tensor(&set.join(format!("{kind}_{i}.pb")));
    let mut inputs = Vec::new();
    let mut kept = Vec::new();
    for (i, info) in graph.input.clone().into_iter().enumerate() {
        let Some(mut tensor) = load("input", i) else {
            kept.push(info);
            continue;
        };
        let node = &graph.node[0];
        let place = node.input.iter().position(|name| *name == info.name).expect("an input of the node");
        if place < data_inputs(&node.op_type) {
            kept.push(info);
            inputs.push(tensor);
        } else {
            tensor.name = info.name;
            graph.initializer.push(tensor);
        }
    }
    graph.input = kept;
    let outputs = (0..graph.output.len()).filter_map(|i| load("output", i)).collect();
    (model.encode_to_vec(), inputs, outputs)
}

fn shape(graph: &dunlin_trainer::graph::Graph, port: &Port) -> [usize; 4] {
    let s = graph.shape(port.value);
    [s.n, s.h, s.w, s.c].map(|d| d as usize)
}

/// Outputs in the order of ONNX; those of integers that stand for real numbers as these integers.
fn run(imported: &Imported, inputs: &[TensorProto]) -> Vec<Vec<f32>> {
    let graph = &imported.graph;
    let device = Device::flex();
    let weights = Weights::from_graph(graph, &device);
    let tensors: Vec<Tensor<4>> = imported
        .inputs
        .iter()
        .zip(inputs)
        .map(|(port, tensor)| {
            let (_, mut elements) = read(tensor);
            if let Some((scale, zero)) = port.quant {
                elements.iter_mut().for_each(|q| *q = scale * (*q - zero as f32));
            }
            let data = TensorData::new(port.to_graph(&elements).unwrap(), shape(graph, port));
            Tensor::from_data(data, &device)
        })
        .collect();
    let want: Vec<_> = imported.outputs.iter().map(|p| p.value).collect();
    let run = exec::run(graph, &weights, &tensors, &want, Mode::Evaluate, &mut NoTap).expect("a valid graph");
    let outputs = imported.outputs.iter().zip(run.values);
    outputs
        .map(|(port, value)| {
            let elements: Vec<f32> = match value {
                Data::Float(t) => t.into_data().try_into_vec().unwrap(),
                Data::Int(t) => t.float().into_data().try_into_vec().unwrap(),
            };
            let mut elements = port.to_onnx(&elements).unwrap();
            if let Some((scale, zero)) = port.quant {
                let (low, high) = port.range;
                let quantise =
                    |x: f32| ((x / scale).round_ties_even() + zero as f32).clamp(low as f32, high as f32);
                elements.iter_mut().for_each(|x| *x = quantise(*x));
            }
            elements
        })
        .collect()
}

/// Why the test is outside of the scope; `None` where it is passed.
fn outcome(folder: &Path) -> Option<String> {
    let (bytes, inputs, outputs) = prepared(folder);
    let imported = match onnx::import(&bytes, &Options::default()) {
        Ok(imported) => imported,
        Err(ImportError::Unsupported(nodes)) => return Some(nodes[0].reason.clone()),
        Err(error) => panic!("{error}"),
    };
    if outputs.is_empty() {
        return Some("its expected output is not among the data".into());
    }
    let found = run(&imported, &inputs);
    assert_eq!(found.len(), outputs.len(), "outputs");
    for (i, (found, expected)) in found.iter().zip(&outputs).enumerate() {
        let (dims, expected) = read(expected);
        assert_eq!(imported.outputs[i].dims, dims, "shape of output {i}");
        for (k, (f, e)) in found.iter().zip(&expected).enumerate() {
            let close =
                (f - e).abs() <= ABSOLUTE + RELATIVE * e.abs() || (f.is_nan() && e.is_nan()) || f == e;
            assert!(close, "element {k} of output {i} is {f}, not {e}");
        }
    }
    None
}

/// The list in the document: test and reason.
fn listed(document: &str) -> BTreeMap<String, String> {
    let (_, rest) = document.split_once(BEGIN).expect("the list's beginning in docs/operators.md");
    let (list, _) = rest.split_once(END).expect("the list's end in docs/operators.md");
    let rows =
        list.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "));
    rows.map(|(test, reason)| (test.to_string(), reason.to_string())).collect()
}

#[test]
fn the_node_tests_of_the_standard_pass_or_are_listed() {
    let Some(root) = folder() else {
        println!("LEFT OUT: the node tests of ONNX: no folder onnx_node_tests (set DUNLIN_DATA)");
        return;
    };
    let mut names: Vec<String> =
        std::fs::read_dir(&root).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| root.join(name).join("model.onnx").is_file());
    names.sort();
    assert_eq!(names.len(), TESTS);
    let mut outside = BTreeMap::new();
    let mut wrong = Vec::new();
    for name in &names {
        match catch_unwind(AssertUnwindSafe(|| outcome(&root.join(name)))) {
            Ok(None) => {}
            Ok(Some(reason)) => {
                outside.insert(name.clone(), reason);
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                wrong.push(format!("{name}: {}", text.unwrap_or_default()));
            }
        }
    }
    let passed = TESTS - outside.len() - wrong.len();
    println!("{passed} of {TESTS} passed, {} outside of the scope", outside.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(passed >= PASSES, "{passed} passed");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operators.md");
    let document = std::fs::read_to_string(&path).unwrap();
    if std::env::var_os("DUNLIN_OVERWRITE").is_some_and(|v| v == "1") {
        let rows: String =
            outside.iter().map(|(test, reason)| format!("| `{test}` | {reason} |\n")).collect();
        let (before, rest) = document.split_once(BEGIN).expect("the list's beginning");
        let (_, after) = rest.split_once(END).expect("the list's end");
        let text = format!("{before}{BEGIN}\n\n| test | reason |\n|---|---|\n{rows}\n{END}{after}");
        std::fs::write(&path, text).unwrap();
        return;
    }
    assert_eq!(listed(&document), outside, "docs/operators.md: renew the list with DUNLIN_OVERWRITE=1");
}
