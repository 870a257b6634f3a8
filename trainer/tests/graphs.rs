//! Operators of graphs: the float ones with their gradients, and the integer ones against them.

use dunlin::ops::{Aggregation, NO_ROW};
use dunlin::{AlignedVec, IsaKind, Model, Session, Storage};
use dunlin_trainer::exec::{self, Device, Mode, NoTap, Tensor, TensorData, Weights};
use dunlin_trainer::export::{self, Options};
use dunlin_trainer::graph::{DimId, Graph, GraphError, NodeId, ValueId};
use dunlin_trainer::ops::{
    Activation, Axis, Concat, Dense, GatherRows, ScatterReduce, SegmentSoftmax, Unary, UnaryFn,
};
use dunlin_trainer::passes;
use dunlin_trainer::quantise::{Int8Runner, Method, calibrate};
use rand::Rng;
use rand_pcg::Pcg64;

const NODES: u32 = 12;
const EDGES: u32 = 40;

/// A small graph with random features.
#[derive(Clone, Debug)]
struct Sample {
    nodes: Vec<[f32; 5]>,
    edges: Vec<[f32; 3]>,
    from: Vec<u16>,
    to: Vec<u16>,
}

impl Sample {
    fn draw(seed: u64, nodes: u32, edges: u32) -> Self {
        let mut rng = Pcg64::new(u128::from(seed), 1);
        let end = |rng: &mut Pcg64| rng.random_range(0..nodes.max(1)) as u16;
        Self {
            from: (0..edges).map(|_| end(&mut rng)).collect(),
            to: (0..edges).map(|_| end(&mut rng)).collect(),
            nodes: (0..nodes).map(|_| [(); 5].map(|()| rng.random_range(-1.0..1.0))).collect(),
            edges: (0..edges).map(|_| [(); 3].map(|()| rng.random_range(-1.0..1.0))).collect(),
        }
    }

    fn counts(&self) -> [u32; 2] {
        [self.nodes.len() as u32, self.edges.len() as u32]
    }

    /// The inputs in the order of [`network`].
    fn inputs(&self) -> [Vec<f32>; 4] {
        let list = |list: &[u16]| list.iter().map(|&i| f32::from(i)).collect();
        [self.nodes.concat(), self.edges.concat(), list(&self.from), list(&self.to)]
    }

    fn tensors(&self, device: &Device) -> Vec<Tensor<4>> {
        let widths = [5, 3, 1, 1];
        let inputs = self.inputs().into_iter().zip(widths);
        inputs
            .map(|(v, c)| Tensor::from_data(TensorData::new(v.clone(), [1, 1, v.len() / c, c]), device))
            .collect()
    }

    /// The same graph with its nodes and edges in another order: node `i` becomes node `nodes[i]`.
    fn permuted(&self, rng: &mut Pcg64) -> (Self, Vec<usize>) {
        let nodes = shuffled(self.nodes.len(), rng);
        let edges = shuffled(self.edges.len(), rng);
        let mut other = self.clone();
        for (old, &new) in nodes.iter().enumerate() {
            other.nodes[new] = self.nodes[old];
        }
        for (old, &new) in edges.iter().enumerate() {
            other.edges[new] = self.edges[old];
            other.from[new] = nodes[usize::from(self.from[old])] as u16;
            other.to[new] = nodes[usize::from(self.to[old])] as u16;
        }
        (other, nodes)
    }
}

fn shuffled(count: usize, rng: &mut Pcg64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for i in (1..count).rev() {
        order.swap(i, rng.random_range(0..=i));
    }
    order
}

struct Built {
    graph: Graph,
    nodes: DimId,
}

/// Two steps of message passing with attention, one set of weights, and a score for each node.
fn network(aggregation: Aggregation) -> Built {
    let mut g = Graph::new("messages");
    let (nodes, edges) = (g.add_dim("nodes", NODES), g.add_dim("edges", EDGES));
    let x = g.add_rows_input("x", nodes, 5).unwrap();
    let e = g.add_rows_input("e", edges, 3).unwrap();
    let from = g.add_index_input("from", edges).unwrap();
    let to = g.add_index_input("to", edges).unwrap();
    let dense = |out_features| Dense { out_features, bias: true, fused: Activation::None };
    let mut h = g.push("encode", dense(8), &[x]).unwrap()[0];
    let mut first: Option<[NodeId; 3]> = None;
    let layer = |g: &mut Graph, name: &str, out: u32, like: Option<NodeId>, x: ValueId| match like {
        Some(like) => g.push_like(name, like, &[x]).unwrap()[0],
        None => g.push(name, dense(out), &[x]).unwrap()[0],
    };
    for step in 0..2 {
        let name = |part: &str| format!("step{step}.{part}");
        let a = g.push(&name("from"), GatherRows, &[h, from]).unwrap()[0];
        let b = g.push(&name("to"), GatherRows, &[h, to]).unwrap()[0];
        let both = g.push(&name("join"), Concat { axis: Axis::C }, &[a, e, b]).unwrap()[0];
        let m = layer(&mut g, &name("message"), 8, first.map(|f| f[0]), both);
        let m = g.push(&name("relu"), Unary { function: UnaryFn::Relu }, &[m]).unwrap()[0];
        let score = layer(&mut g, &name("score"), 8, first.map(|f| f[1]), both);
        let attention = SegmentSoftmax { segments: NODES, dim: Some(nodes) };
        let weight = g.push(&name("attention"), attention, &[score, to]).unwrap()[0];
        let m = g
            .push(&name("weighted"), dunlin_trainer::ops::Mul { fused: Activation::None }, &[m, weight])
            .unwrap()[0];
        let reduce = ScatterReduce { aggregation, rows: NODES, dim: Some(nodes) };
        let m = g.push(&name("reduce"), reduce, &[m, to]).unwrap()[0];
        let both = g.push(&name("update.join"), Concat { axis: Axis::C }, &[m, h]).unwrap()[0];
        h = layer(&mut g, &name("update"), 8, first.map(|f| f[2]), both);
        if first.is_none() {
            let at = |part: &str| {
                NodeId(g.nodes.iter().position(|n| n.name == name(part)).expect("the node was just made"))
            };
            first = Some([at("message"), at("score"), at("update")]);
        }
    }
    let y = g.push("read", dense(3), &[h]).unwrap()[0];
    g.add_output(y);
    g.initialise(3);
    Built { graph: g, nodes }
}

/// Calibrates on random graphs and exports.
fn exported(graph: &Graph) -> Vec<u8> {
    let mut graph = graph.clone();
    passes::optimise(&mut graph).unwrap();
    let device = Device::flex();
    let batches: Vec<_> = (0..8).map(|seed| Sample::draw(seed, NODES, EDGES).tensors(&device)).collect();
    let weights = Weights::from_graph(&graph, &device);
    let ranges = calibrate(&graph, &weights, &batches, Method::MinMax).unwrap();
    export::dun(&graph, &ranges, &Options::default()).unwrap().1.as_slice().to_vec()
}

const ALL: [Aggregation; 3] = [Aggregation::Sum, Aggregation::Mean, Aggregation::Max];

fn float(graph: &Graph, sample: &Sample) -> Vec<f32> {
    let device = Device::flex();
    let weights = Weights::from_graph(graph, &device);
    let inputs = sample.tensors(&device);
    let run = exec::run(graph, &weights, &inputs, &graph.outputs, Mode::Evaluate, &mut NoTap).unwrap();
    run.float().into_data().try_into_vec().unwrap()
}

fn int8(runner: &mut Int8Runner, sample: &Sample) -> dunlin_trainer::quantise::Output {
    let inputs = sample.inputs();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    runner.run_counted(&sample.counts(), &inputs).unwrap().remove(0)
}

#[test]
fn int8_follows_float_for_every_count_and_the_weights_are_stored_once() {
    for aggregation in ALL {
        let Built { graph, .. } = network(aggregation);
        let file = exported(&graph);
        let mut runner = Int8Runner::new(&file).unwrap();
        let (mut error, mut power) = (0.0, 0.0);
        for (seed, nodes, edges) in [(90, NODES, EDGES), (91, 5, 9), (92, 7, 0), (93, 1, 3), (94, 12, 1)] {
            let sample = Sample::draw(seed, nodes, edges);
            let output = int8(&mut runner, &sample);
            assert_eq!(output.shape.w, nodes);
            for (a, b) in float(&graph, &sample).iter().zip(output.real()) {
                error += (a - b).powi(2);
                power += a.powi(2);
            }
        }
        assert!(error < 0.01 * power, "{aggregation:?}: squared error {error} of {power}");
        // Message, score and update have 19, 19 and 16 inputs and 8 outputs; their two steps share them.
        let weights = 8 * (5 + 19 + 19 + 16 + 3);
        let tables = 2 * 1024;
        assert!(file.len() < weights + tables + 6000, "{} bytes", file.len());
    }
}

#[test]
fn the_order_of_nodes_and_edges_changes_no_bit_on_any_instruction_set() {
    for aggregation in ALL {
        let file = AlignedVec::from_slice(&exported(&network(aggregation).graph));
        let mut storage = Box::new(Storage::<256, 512, 1024>::new());
        let model = Model::parse(file.as_slice(), &mut storage).unwrap();
        let mut rng = Pcg64::new(17, 4);
        for isa in IsaKind::ALL.into_iter().filter(|isa| isa.is_available()) {
            for seed in 0..20 {
                let (nodes, edges) = (rng.random_range(1..=NODES), rng.random_range(0..=EDGES));
                let sample = Sample::draw(seed, nodes, edges);
                let (other, moved) = sample.permuted(&mut rng);
                let mut arena = AlignedVec::zeroed(model.arena_bytes());
                let mut session = Session::new(&model, arena.as_mut_slice()).unwrap().with_isa(isa).unwrap();
                let mut run = |sample: &Sample| -> Vec<i8> {
                    for (dim, count) in sample.counts().into_iter().enumerate() {
                        session.set_len(dim, count).unwrap();
                    }
                    for (input, values) in sample.inputs().iter().take(2).enumerate() {
                        let q = model.inputs().nth(input).unwrap().quant;
                        let slot = session.input_mut::<i8>(input).unwrap();
                        slot.iter_mut().zip(values).for_each(|(slot, &v)| *slot = q.quantize(v));
                    }
                    session.set_indices(2, &sample.from).unwrap();
                    session.set_indices(3, &sample.to).unwrap();
                    session.run();
                    session.output(0).unwrap().to_vec()
                };
                let (a, b) = (run(&sample), run(&other));
                assert!(a.iter().any(|&v| v != a[0]) || nodes == 1, "the output says nothing");
                for (old, &new) in moved.iter().enumerate() {
                    assert_eq!(a[old * 3..][..3], b[new * 3..][..3], "{aggregation:?} {isa:?} node {old}");
                }
            }
        }
    }
}

#[test]
fn gradients_agree_with_differences() {
    /// Step of the differences, and what rounding in f32 leaves of them.
    const STEP: f32 = 1e-2;
    const TOLERANCE: f32 = 2e-2;
    for aggregation in ALL {
        let Built { mut graph, .. } = network(aggregation);
        let sample = Sample::draw(7, NODES, EDGES);
        let device = Device::flex().autodiff();
        let weights = Weights::from_graph(&graph, &device);
        let inputs = sample.tensors(&device);
        let run = exec::run(&graph, &weights, &inputs, &graph.outputs, Mode::Evaluate, &mut NoTap).unwrap();
        let loss = run.float().powi_scalar(2).sum();
        let grads = loss.backward();
        let encode = graph.nodes[0].params[0];
        let grad: Vec<f32> = weights.tensor(encode).grad(&grads).unwrap().into_data().try_into_vec().unwrap();
        let mut checked = 0;
        for at in (0..grad.len()).step_by(7) {
            let old = graph.params[encode.0].data[at];
            let mut value = |v: f32| -> f32 {
                graph.params[encode.0].data[at] = v;
                float(&graph, &sample).iter().map(|y| y * y).sum()
            };
            let difference = (value(old + STEP) - value(old - STEP)) / (2.0 * STEP);
            value(old);
            let scale = grad.iter().fold(1.0f32, |m, g| m.max(g.abs()));
            assert!(
                (difference - grad[at]).abs() < TOLERANCE * scale,
                "{aggregation:?} weight {at}: {} against {difference}",
                grad[at]
            );
            checked += 1;
        }
        assert!(checked > 4);
    }
}

#[test]
fn several_graphs_run_as_one_and_may_exceed_the_bound() {
    let Built { graph, .. } = network(Aggregation::Mean);
    let parts = [Sample::draw(1, NODES, EDGES), Sample::draw(2, 5, 8), Sample::draw(3, 9, 0)];
    let mut all = Sample { nodes: Vec::new(), edges: Vec::new(), from: Vec::new(), to: Vec::new() };
    for part in &parts {
        let offset = all.nodes.len() as u16;
        all.nodes.extend(&part.nodes);
        all.edges.extend(&part.edges);
        all.from.extend(part.from.iter().map(|i| i + offset));
        all.to.extend(part.to.iter().map(|i| i + offset));
    }
    let joined = float(&graph, &all);
    let apart: Vec<f32> = parts.iter().flat_map(|part| float(&graph, part)).collect();
    assert_eq!(joined.len(), apart.len());
    let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
    assert!(joined.iter().zip(&apart).all(close));
}

#[test]
fn an_entry_of_no_row_leaves_the_edge_out() {
    let Built { graph, .. } = network(Aggregation::Sum);
    let mut runner = Int8Runner::new(&exported(&graph)).unwrap();
    let mut with = Sample::draw(5, 6, 10);
    let mut without = with.clone();
    for (edges, ends) in [(&mut without.from, 9), (&mut without.to, 9)] {
        edges.truncate(ends);
    }
    without.edges.truncate(9);
    (with.from[9], with.to[9]) = (NO_ROW, NO_ROW);
    assert_eq!(int8(&mut runner, &with).bytes, int8(&mut runner, &without).bytes);
    let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
    assert!(float(&graph, &with).iter().zip(&float(&graph, &without)).all(close));
}

#[test]
fn rows_of_two_dimensions_do_not_mix() {
    let mut g = Graph::new("wrong");
    // Equal bounds: the sizes alone would not tell them apart.
    let (nodes, edges) = (g.add_dim("nodes", 8), g.add_dim("edges", 8));
    let x = g.add_rows_input("x", nodes, 4).unwrap();
    let e = g.add_rows_input("e", edges, 4).unwrap();
    let to = g.add_index_input("to", edges).unwrap();
    let error = g.push("join", Concat { axis: Axis::C }, &[x, e]).unwrap_err();
    assert!(error.to_string().contains("`x` by nodes"), "{error}");
    g.push("sum", ScatterReduce { aggregation: Aggregation::Sum, rows: 8, dim: Some(nodes) }, &[e, to])
        .unwrap();
    let error = g.push("other", GatherRows, &[e, to]).unwrap_err();
    assert!(matches!(error, GraphError::Stored { .. }), "{error}");
    assert!(error.to_string().contains("nodes"), "{error}");
    g.push("gather", GatherRows, &[x, to]).unwrap();
}

#[test]
fn a_dimension_without_an_input_has_its_bound_or_the_count_given() {
    let mut g = Graph::new("read-out");
    let (nodes, graphs) = (g.add_dim("nodes", 16), g.add_dim("graphs", 1));
    let x = g.add_rows_input("x", nodes, 2).unwrap();
    let of = g.add_index_input("graph", nodes).unwrap();
    let sum = ScatterReduce { aggregation: Aggregation::Sum, rows: 1, dim: Some(graphs) };
    let y = g.push("sum", sum, &[x, of]).unwrap()[0];
    g.add_output(y);
    let device = Device::flex();
    let weights = Weights::from_graph(&g, &device);
    let tensor =
        |v: Vec<f32>, c| Tensor::from_data(TensorData::new(v.clone(), [1, 1, v.len() / c, c]), &device);
    let inputs = [tensor(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2), tensor(vec![0.0, 1.0, 0.0], 1)];
    let run = |counts: &[(DimId, usize)]| -> Vec<f32> {
        let run = exec::run_counted(&g, &weights, &inputs, counts, &[y], Mode::Evaluate, &mut NoTap).unwrap();
        run.float().into_data().try_into_vec().unwrap()
    };
    assert_eq!(run(&[(graphs, 2)]), [6.0, 8.0, 3.0, 4.0]);
    assert_eq!(run(&[]), [6.0, 8.0]);
}

#[test]
fn the_graph_survives_its_file() {
    let Built { graph, nodes } = network(Aggregation::Max);
    let text = serde_json::to_string(&graph).unwrap();
    let mut read: Graph = serde_json::from_str(&text).unwrap();
    read.params.iter_mut().zip(&graph.params).for_each(|(new, old)| new.data = old.data.clone());
    read.validate().unwrap();
    assert_eq!(read, graph);
    assert_eq!(read.value(read.outputs[0]).rows, Some(nodes));
}
