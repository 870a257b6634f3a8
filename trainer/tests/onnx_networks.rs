//! Small networks with the structure of well-known ones (`fixtures/onnx/make.py` makes them): the imported graph against
//! tract, and what became of NCHW.

use burn::tensor::{Device, Tensor, TensorData};
use dunlin::shape::Shape;
use dunlin_trainer::exec::{self, Mode, NoTap, Weights};
use dunlin_trainer::import::ImportError;
use dunlin_trainer::import::onnx::{self, Imported, Options, reference};
use dunlin_trainer::ops::Op;
use prost::Message;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use std::path::Path;
use tract_onnx::pb::{GraphProto, ModelProto, tensor_shape_proto::dimension::Value as Size};

/// Sums of some hundred products in f32, in another order, through up to twenty layers.
const TOLERANCE: f32 = 1e-4;

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx");
    std::fs::read(folder.join(format!("{name}.onnx"))).expect("a committed fixture")
}

fn imported(name: &str) -> Imported {
    onnx::import(&fixture(name), &Options::default()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut rng = Pcg64::seed_from_u64(seed);
    (0..count).map(|_| rng.random::<f32>() * 2.0 - 1.0).collect()
}

/// First output for the first input, both in the order of ONNX.
fn run(imported: &Imported, x: &[f32]) -> Vec<f32> {
    let device = Device::flex();
    let weights = Weights::from_graph(&imported.graph, &device);
    let port = &imported.inputs[0];
    let s = imported.graph.shape(port.value);
    let data = TensorData::new(port.to_graph(x).unwrap(), [s.n, s.h, s.w, s.c].map(|d| d as usize));
    let tensor = Tensor::from_data(data, &device);
    let output = &imported.outputs[0];
    let run = exec::run(&imported.graph, &weights, &[tensor], &[output.value], Mode::Evaluate, &mut NoTap);
    output.to_onnx(&run.unwrap().float().into_data().try_into_vec::<f32>().unwrap()).unwrap()
}

/// The imported graph gives what tract gives; returns it.
fn same_as_tract(name: &str) -> Imported {
    let imported = imported(name);
    let dims = imported.inputs[0].dims.clone();
    for seed in 0..3 {
        let x = random(seed, dims.iter().product());
        let expected = reference(&fixture(name), &Options::default(), &[(dims.clone(), x.clone())]).unwrap();
        let (shape, expected) = &expected[0];
        assert_eq!(&imported.outputs[0].dims, shape, "{name}");
        let found = run(&imported, &x);
        for (i, (f, e)) in found.iter().zip(expected).enumerate() {
            assert!((f - e).abs() <= TOLERANCE * e.abs().max(1.0), "{name}: element {i} is {f}, not {e}");
        }
    }
    imported
}

fn count(imported: &Imported, is: impl Fn(&Op) -> bool) -> usize {
    imported.graph.nodes.iter().filter(|n| is(&n.op)).count()
}

fn transpositions(imported: &Imported) -> usize {
    count(imported, |op| matches!(op, Op::Transpose(_)))
}

#[test]
fn common_networks_equal_tract_and_have_no_transposition_left() {
    for name in ["resnet", "mobilenet", "vgg", "unet", "dscnn", "wave", "tensorflow"] {
        let imported = same_as_tract(name);
        assert_eq!(transpositions(&imported), 0, "{name}");
        assert!(imported.graph.nodes.len() >= 5, "{name}");
    }
}

#[test]
fn a_channel_shuffle_costs_one_transposition() {
    assert_eq!(transpositions(&same_as_tract("shufflenet")), 1);
}

#[test]
fn attention_transposes_heads_and_nothing_else() {
    // Queries, keys and values to one matrix a head, and the result back.
    let imported = same_as_tract("transformer");
    assert!(transpositions(&imported) <= 5, "{}", transpositions(&imported));
    assert_eq!(count(&imported, |op| matches!(op, Op::BatchMatMul(_))), 2);
}

#[test]
fn recurrent_layers_equal_tract() {
    let imported = same_as_tract("voice");
    assert_eq!(count(&imported, |op| matches!(op, Op::Lstm(_))), 2, "one for each direction");
    // The steps of the other layer share their parameters.
    let inner = imported.graph.params.iter().filter(|p| p.name.contains("gates")).count();
    assert_eq!(inner, 1);
}

#[test]
fn inputs_are_pixels_and_sequences() {
    let shape = |name: &str| {
        let imported = imported(name);
        imported.graph.shape(imported.inputs[0].value)
    };
    assert_eq!(shape("resnet"), Shape::image(16, 16, 3));
    assert_eq!(shape("tensorflow"), Shape::image(10, 8, 3));
    assert_eq!(shape("wave"), Shape::rows(64, 9));
    let unet = imported("unet");
    assert_eq!(unet.graph.shape(unet.outputs[0].value), Shape::image(16, 12, 3));
}

#[test]
fn quantised_models_keep_their_numbers() {
    let imported = imported("qdq");
    let graph = &imported.graph;
    assert!(
        graph.nodes.iter().all(|n| !matches!(n.op, Op::Requantize(_))),
        "every value is pinned in its place"
    );
    let pin = |name: &str| {
        let value = graph.values.iter().find(|v| v.name.starts_with(name)).expect(name);
        value.pin.map(|p| (p.quant.scale, p.quant.zero_point))
    };
    assert_eq!(pin("image"), Some((1.0 / 64.0, -3)));
    assert!(graph.is_pinned(), "nothing is left to calibrate");
    assert_eq!(pin("conv"), Some((1.0 / 32.0, -128)));
    assert_eq!(pin("add"), Some((1.0 / 16.0, -128)));
    let conv = graph.nodes.iter().find(|n| matches!(n.op, Op::Conv2d(_))).unwrap();
    let pins: Vec<_> = conv.params.iter().map(|p| graph.param(*p).pin.clone().unwrap()).collect();
    assert_eq!(pins[0].scales, [1.0 / 512.0, 1.0 / 256.0, 3.0 / 1024.0, 1.0 / 512.0]);
    assert!(pins[0].ints.iter().all(|q| (-127..=127).contains(q)) && pins[0].ints.iter().any(|q| *q != 0));
    let channel = pins[0].ints.len() / 4;
    for (i, (q, x)) in pins[0].ints.iter().zip(&graph.param(conv.params[0]).data).enumerate() {
        assert_eq!(pins[0].scales[i / channel] * *q as f32, *x);
    }
    assert_eq!(pins[1].ints.len(), 4);
    assert_eq!(imported.outputs[0].quant, None);
}

/// A fixture's bytes with its graph edited.
fn edited(name: &str, edit: impl Fn(&mut GraphProto)) -> Vec<u8> {
    let mut model = ModelProto::decode(fixture(name).as_slice()).unwrap();
    edit(model.graph.as_mut().unwrap());
    model.encode_to_vec()
}

fn refused(bytes: &[u8]) -> ImportError {
    onnx::import(bytes, &Options::default()).expect_err("a model that cannot be imported")
}

#[test]
fn every_node_that_cannot_be_imported_is_named_at_once() {
    let bytes = edited("resnet", |g| {
        g.node[3].op_type = "NonMaxSuppression".into();
        g.node[9].op_type = "Loop".into();
        g.node[9].attribute.clear();
    });
    let ImportError::Unsupported(nodes) = refused(&bytes) else { panic!() };
    let ops: Vec<&str> = nodes.iter().map(|n| n.op.as_str()).collect();
    assert_eq!(ops, ["NonMaxSuppression-13", "Loop-13"]);
    assert!(nodes.iter().all(|n| !n.node.is_empty() && !n.reason.is_empty() && !n.instead.is_empty()));
}

#[test]
fn an_attribute_that_nobody_knows_is_not_skipped() {
    let bytes = edited("resnet", |g| {
        g.node[2]
            .attribute
            .push(tract_onnx::pb::AttributeProto { name: "slope".into(), ..Default::default() })
    });
    let ImportError::Unsupported(nodes) = refused(&bytes) else { panic!() };
    assert!(nodes[0].reason.contains("`slope`"), "{}", nodes[0]);
}

/// The place and problem of a malformed file.
fn malformed(bytes: &[u8]) -> (String, String) {
    match refused(bytes) {
        ImportError::Malformed { place, problem } => (place, problem),
        other => panic!("{other}"),
    }
}

#[test]
fn malformed_files_are_refused_by_name() {
    let whole = fixture("resnet");
    assert_eq!(malformed(&whole[..whole.len() / 2]).0, "file");
    assert_eq!(malformed(b"no model").0, "file");
    assert_eq!(malformed(&[]).0, "file");
    let cycle = edited("resnet", |g| {
        let last = g.node.last().unwrap().output[0].clone();
        g.node[1].input[0] = last;
    });
    assert!(malformed(&cycle).1.contains("cycle"));
    let nowhere = edited("resnet", |g| g.node[5].input[0] = "nowhere".into());
    assert!(malformed(&nowhere).1.contains("`nowhere`"));
    let twice = edited("resnet", |g| g.node[4].output = g.node[3].output.clone());
    assert!(malformed(&twice).1.contains("exists already"));
    let short = edited("resnet", |g| {
        g.initializer[0].raw_data.pop();
    });
    assert!(malformed(&short).0.contains("initializer"), "{:?}", malformed(&short));
    let absurd = edited("resnet", |g| g.initializer[0].dims = vec![1 << 40, 1 << 40]);
    assert!(malformed(&absurd).1.contains("elements"));
    let negative = edited("resnet", |g| {
        let tract_onnx::pb::type_proto::Value::TensorType(t) =
            g.input[0].r#type.as_mut().unwrap().value.as_mut().unwrap();
        t.shape.as_mut().unwrap().dim[1].value = Some(Size::DimValue(-3));
    });
    assert!(malformed(&negative).1.contains("-3"));
}

#[test]
fn scales_must_be_positive_numbers() {
    for scale in [f32::NAN, 0.0, -1.0, f32::INFINITY] {
        let bytes = edited("qdq", |g| {
            let name = g.node[0].input[1].clone();
            let tensor = g.initializer.iter_mut().find(|t| t.name == name).unwrap();
            tensor.raw_data = scale.to_le_bytes().to_vec();
        });
        let (place, problem) = malformed(&bytes);
        assert!(place.contains("quantizelinear") && problem.contains("scale"), "{place}: {problem}");
    }
}

#[test]
fn a_symbolic_size_is_asked_for_and_can_be_given() {
    let bytes = edited("wave", |g| {
        let tract_onnx::pb::type_proto::Value::TensorType(t) =
            g.input[0].r#type.as_mut().unwrap().value.as_mut().unwrap();
        t.shape.as_mut().unwrap().dim[2].value = Some(Size::DimParam("time".into()));
    });
    let ImportError::Option(text) = refused(&bytes) else { panic!() };
    assert!(text.contains("`time`") && text.contains("`signal`"), "{text}");
    let options = Options { sizes: [("time".to_string(), 48)].into(), ..Options::default() };
    let imported = onnx::import(&bytes, &options).unwrap();
    assert_eq!(imported.graph.shape(imported.inputs[0].value), Shape::rows(48, 9));
}

#[test]
fn nodes_may_come_in_any_order() {
    let bytes = edited("resnet", |g| g.node.reverse());
    let x = random(5, 3 * 16 * 16);
    let reversed = onnx::import(&bytes, &Options::default()).unwrap();
    assert_eq!(run(&reversed, &x), run(&imported("resnet"), &x));
}

#[test]
fn what_only_computes_shapes_leaves_no_node() {
    let vgg = imported("vgg");
    let allowed =
        |op: &Op| matches!(op, Op::Conv2d(_) | Op::Dense(_) | Op::MaxPool(_) | Op::Unary(_) | Op::Reshape(_));
    assert_eq!(count(&vgg, |op| !allowed(op)), 0);
}
