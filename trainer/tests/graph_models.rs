//! The models of graphs against real data: the bars that they must reach, that their cards are true, and that a recurrence
//! is stored once.

mod committed;

use committed::{file, folder, metrics};
use dunlin::ops::Aggregation;
use dunlin_trainer::data::graphs::{Answers, GraphSample, GraphSet, Union};
use dunlin_trainer::data::tu;
use dunlin_trainer::eval::graphs;
use dunlin_trainer::exec::{self, Device, Mode, NoTap, Weights};
use dunlin_trainer::export::{self, Options};
use dunlin_trainer::graph::Graph;
use dunlin_trainer::net::Net;
use dunlin_trainer::ops::Op;
use dunlin_trainer::quantise::{Int8Runner, Method};
use dunlin_trainer::report::facts::Facts;
use dunlin_trainer::report::repeated::Repeated;
use dunlin_trainer::train::{Contraction, Optimiser, Recipe, Schedule, supervised};
use dunlin_trainer::zoo::graph_models::{self, GraphModel, Protocol};
use dunlin_trainer::zoo::message_passing::{Edges, MessagePassing};
use dunlin_trainer::zoo::{graph_network, message_passing, scarselli};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Float arithmetic may add in another order on another machine, which can move an example or two.
const FLOAT_TOLERANCE: f64 = 5e-3;

/// What the mean over seeds must reach.
struct Bar {
    name: &'static str,
    runs: usize,
    float: f64,
    int8: f64,
}

/// For a root mean squared error the bar is an upper bound.
const BARS: [Bar; 4] = [
    Bar { name: "gcn-cora", runs: 10, float: 0.805, int8: 0.800 },
    Bar { name: "mpnn-esol", runs: 5, float: 0.75, int8: 0.75 },
    Bar { name: "gn-mutag", runs: 30, float: 0.84, int8: 0.84 },
    Bar { name: "gnn-scarselli", runs: 30, float: 0.80, int8: 0.80 },
];

/// Largest loss of the coefficient of determination from float to int8.
const R2_LOSS: f64 = 0.01;

fn recipe(name: &str) -> Recipe {
    let text = std::fs::read_to_string(folder(name).join("recipe.toml")).expect("a committed recipe");
    toml::from_str(&text).expect("a recipe")
}

/// The data of a model; none where there is none on this machine, which is said.
fn data(model: &GraphModel) -> Option<GraphSet> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let root = std::env::var_os("DUNLIN_DATA").map_or(beside, PathBuf::from);
    if !root.is_dir() {
        println!("LEFT OUT: `{}` on real data: no {} (set DUNLIN_DATA)", model.name, root.display());
        return None;
    }
    Some((model.read)(&root.join(model.folder)).expect("the data set is whole"))
}

#[test]
fn means_over_seeds_reach_their_bars_and_follow_from_their_runs() {
    for bar in &BARS {
        let metrics = metrics(bar.name);
        let repeated = metrics.repeated.expect("a model of graphs is measured over seeds");
        assert_eq!(repeated.runs.len(), bar.runs, "{}", bar.name);
        let again = Repeated::new(repeated.protocol.clone(), repeated.runs.clone());
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        for (a, b) in [(again.float, repeated.float), (again.int8, repeated.int8)] {
            assert!(close(a.mean, b.mean) && close(a.deviation, b.deviation), "{}: {a} {b}", bar.name);
        }
        println!("{}: {} float {}, int8 {}", bar.name, metrics.metric, repeated.float, repeated.int8);
        for (mean, bar) in [(repeated.float.mean, bar.float), (repeated.int8.mean, bar.int8)] {
            let reached = if metrics.metric == "RMSE" { mean <= bar } else { mean >= bar };
            assert!(reached, "{} of {mean}, the bar is {bar}", metrics.metric);
        }
        if let Some([float, int8]) = repeated.r2 {
            assert!(float - int8 <= R2_LOSS, "{}: R² {float} to {int8}", bar.name);
        }
        let first = &repeated.runs[0];
        assert_eq!((first.examples, first.int8), (metrics.examples, metrics.int8), "{}", bar.name);
    }
}

#[test]
fn committed_models_have_the_quality_that_their_cards_say() {
    for model in &graph_models::ALL {
        let Some(set) = data(model) else { continue };
        let recipe = recipe(model.name);
        assert_eq!(recipe, Recipe { seed: recipe.seed, ..(model.recipe)() }, "{}", model.name);
        let split = &model.protocol.folds(&set, recipe.seed)[0];
        let graph = supervised::load(&folder(model.name)).expect("committed float weights");
        let float = graphs::float(&graph, &set, &split.test).expect("the data fits");
        let int8 = graphs::int8(&graph, &file(model.name), &set, &split.test).expect("the data fits");
        let card = metrics(model.name);
        println!("{}: {} float {:.4}, int8 {:.4}", model.name, float.metric(), float.value(), int8.value());
        assert_eq!((card.metric.as_str(), card.examples), (float.metric(), split.test.len()));
        assert_eq!(card.int8, int8.value(), "{}", model.name);
        assert!((card.float - float.value()).abs() <= FLOAT_TOLERANCE, "{}: {}", model.name, float.value());
    }
}

/// Graphs of any number of links with one-hot nodes, no node with more than four.
fn drawn(count: usize, features: usize, edges: usize) -> GraphSet {
    let mut rng = Pcg64::new(8, 3);
    let mut draw = || {
        let nodes = rng.random_range(2..20usize);
        let mut graph = GraphSample { count: nodes, ..GraphSample::default() };
        let mut degree = vec![0; nodes];
        for _ in 0..nodes + 2 {
            let (a, b) = (rng.random_range(0..nodes), rng.random_range(0..nodes));
            if a != b && degree[a] < 4 && degree[b] < 4 {
                (degree[a], degree[b]) = (degree[a] + 1, degree[b] + 1);
                graph.from.extend([a as u32, b as u32]);
                graph.to.extend([b as u32, a as u32]);
            }
        }
        graph.nodes = (0..nodes * features).map(|_| 0.0).collect();
        (0..nodes).for_each(|i| graph.nodes[i * features + rng.random_range(0..features)] = 1.0);
        graph.edges = (0..graph.from.len() * edges).map(|_| rng.random_range(0.0..1.0)).collect();
        graph
    };
    let graphs: Vec<GraphSample> = (0..count).map(|_| draw()).collect();
    let labels = (0..count).map(|i| (i % 2) as u8).collect();
    GraphSet {
        name: "drawn".into(),
        licence: "none".into(),
        node_features: features,
        edge_features: edges,
        graphs,
        answers: Answers::Graphs { classes: vec!["a".into(), "b".into()], labels },
        public: None,
    }
}

/// The same graph with its nodes and edges in another order.
fn permuted(graph: &GraphSample, features: [usize; 2], rng: &mut Pcg64) -> GraphSample {
    let mut nodes: Vec<usize> = (0..graph.count).collect();
    let mut edges: Vec<usize> = (0..graph.from.len()).collect();
    nodes.shuffle(rng);
    edges.shuffle(rng);
    let mut place = vec![0u32; graph.count];
    nodes.iter().enumerate().for_each(|(new, &old)| place[old] = new as u32);
    let rows = |values: &[f32], order: &[usize], c: usize| {
        order.iter().flat_map(|&i| values[i * c..][..c].to_vec()).collect()
    };
    GraphSample {
        nodes: rows(&graph.nodes, &nodes, features[0]),
        edges: rows(&graph.edges, &edges, features[1]),
        from: edges.iter().map(|&e| place[graph.from[e] as usize]).collect(),
        to: edges.iter().map(|&e| place[graph.to[e] as usize]).collect(),
        count: graph.count,
    }
}

/// The bytes of the first output for one graph.
fn bytes(graph: &Graph, file: &[u8], sample: &GraphSample) -> Vec<u8> {
    let union = Union::of([sample]);
    let counts: Vec<u32> = graphs::counts(graph, &union).iter().map(|(_, n)| *n as u32).collect();
    let inputs = graphs::inputs(graph, &union);
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    Int8Runner::new(file).unwrap().run_counted(&counts, &inputs).unwrap().remove(0).bytes
}

#[test]
fn message_passing_has_three_aggregations_and_the_order_of_atoms_and_bonds_changes_no_byte() {
    let set = drawn(12, 9, 4);
    let mut rng = Pcg64::new(5, 9);
    let mut outputs = Vec::new();
    for aggregation in [Aggregation::Sum, Aggregation::Mean, Aggregation::Max] {
        let passing = MessagePassing { aggregation, ..message_passing::ESOL };
        let mut graph = message_passing::graph(&set, passing).expect("it builds");
        graph.initialise(2);
        let file = exported(&graph, &set);
        let mut all = Vec::new();
        for sample in &set.graphs {
            let here = bytes(&graph, &file, sample);
            for _ in 0..4 {
                let other = permuted(sample, [set.node_features, set.edge_features], &mut rng);
                assert_eq!(bytes(&graph, &file, &other), here, "{aggregation:?}");
            }
            all.extend(here);
        }
        assert!(all.iter().any(|b| *b != all[0]), "the network says the same of all graphs");
        let weights = Weights::from_graph(&graph, &Device::flex());
        let union = set.union(&(0..set.graphs.len()).collect::<Vec<_>>());
        let (inputs, counts) =
            (graphs::tensors(&graph, &union, &Device::flex()), graphs::counts(&graph, &union));
        let run =
            exec::run_counted(&graph, &weights, &inputs, &counts, &graph.outputs, Mode::Evaluate, &mut NoTap);
        let float: Vec<f32> = run.unwrap().float().into_data().try_into_vec().unwrap();
        outputs.push(float);
    }
    assert!(outputs[0] != outputs[1] && outputs[1] != outputs[2] && outputs[0] != outputs[2]);
}

#[test]
fn the_network_of_the_documentation_can_be_built() -> Result<(), dunlin_trainer::graph::GraphError> {
    let mut n = Net::new("mine");
    let (nodes, edges) = (n.dim("nodes", 64), n.dim("edges", 256));
    let x = n.rows("nodes", nodes, 8)?;
    let e = n.rows("edges", edges, 4)?;
    let ends = Edges { nodes, from: n.list("from", edges)?, to: n.list("to", edges)? };
    let x = n.dense_relu("node", x, 16)?;
    let e = n.dense_relu("edge", e, 16)?;
    let passing = MessagePassing { steps: 4, node: 16, edge: 16, aggregation: Aggregation::Max };
    let (x, _) = passing.build(&mut n, ends, x, e)?;
    let scores = n.dense("score", x, 3)?;
    let mut graph = n.finish(scores)?;
    graph.initialise(1);
    let set = drawn(5, 8, 4);
    let file = exported(&graph, &set);
    for sample in &set.graphs {
        assert_eq!(bytes(&graph, &file, sample).len(), 3 * sample.count);
    }
    // The text says what is tested.
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/graphs.md")).unwrap();
    assert!(text.contains("let (x, _) = passing.build(&mut n, ends, x, e)?;"));
    Ok(())
}

/// The `.dun` file of a network with drawn weights, calibrated on the set.
fn exported(graph: &Graph, set: &GraphSet) -> Vec<u8> {
    let items: Vec<usize> = (0..set.graphs.len()).collect();
    let batches = graphs::calibration(graph, set, &items);
    let q =
        export::post_training_on(graph, &batches, Method::MinMax, &Options::default()).expect("it exports");
    q.file.as_slice().to_vec()
}

/// How many nodes read each place with weights that several nodes read, in order.
fn shared(facts: &Facts) -> Vec<usize> {
    let mut readers: BTreeMap<u32, usize> = BTreeMap::new();
    facts.nodes.iter().filter_map(|n| n.weights_at).for_each(|at| *readers.entry(at).or_default() += 1);
    readers.into_values().filter(|count| *count > 1).collect()
}

fn steps_of(set: &GraphSet, steps: usize) -> Graph {
    let mut graph = scarselli::graph(set, steps).expect("it builds");
    graph.initialise(4);
    contract(&mut graph);
    graph
}

/// Shrinks the rows of the recurrence as training does.
fn contract(graph: &mut Graph) {
    let bound = scarselli::recipe().contraction.expect("the recurrence is bounded");
    let param = graph.params.iter_mut().find(|p| p.name == bound.param).expect("the recurrence");
    for row in param.data.chunks_exact_mut(scarselli::STATE as usize) {
        let sum: f32 = row.iter().map(|w| w.abs()).sum();
        row.iter_mut().for_each(|w| *w *= (bound.norm / sum).min(1.0));
    }
}

fn states(graph: &Graph, union: &Union) -> Vec<f32> {
    let weights = Weights::from_graph(graph, &Device::flex());
    let inputs = graphs::tensors(graph, union, &Device::flex());
    let counts = graphs::counts(graph, union);
    let run =
        exec::run_counted(graph, &weights, &inputs, &counts, &[graph.outputs[1]], Mode::Evaluate, &mut NoTap);
    run.expect("the graph fits").float().into_data().try_into_vec().expect("f32")
}

#[test]
fn the_recurrence_contracts_to_its_fixed_point() {
    let set = drawn(6, 7, 0);
    let union = Union::of(&set.graphs);
    let states: Vec<Vec<f32>> = (2..=12).map(|steps| states(&steps_of(&set, steps), &union)).collect();
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    let moved: Vec<f32> = states.windows(2).map(|w| distance(&w[0], &w[1])).collect();
    println!("largest change of a state by step: {moved:?}");
    assert!(moved[0] > 1e-3, "the recurrence says nothing");
    for pair in moved.windows(2) {
        assert!(pair[1] <= scarselli::RATE * pair[0] + 1e-6, "{moved:?}");
    }
}

static NEVER: AtomicBool = AtomicBool::new(false);

/// Trains a network on drawn graphs for a few steps; returns the parameter of this name.
fn trained(mut graph: Graph, recipe: &Recipe, set: &GraphSet, param: &str) -> Vec<f32> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fold = set.folds(4, 1).remove(0);
    let options = supervised::Options {
        out: folder.path(),
        resume: false,
        keep_weights: false,
        stop: &NEVER,
        quiet: true,
        tap: None,
    };
    supervised::run_graphs(&mut graph, recipe, set, &fold, &options).expect("it trains");
    graph.params.into_iter().find(|p| p.name == param).expect("the parameter").data
}

fn largest_row(weights: &[f32], columns: u32) -> f32 {
    let sums = weights.chunks_exact(columns as usize).map(|row| row.iter().map(|w| w.abs()).sum::<f32>());
    sums.fold(0.0, f32::max)
}

#[test]
fn training_keeps_a_recurrence_in_its_bound_and_needs_to() {
    let set = drawn(40, 7, 0);
    let mut recipe = Recipe { epochs: 3, batch: 10, ..scarselli::recipe() };
    let network = || scarselli::graph(&set, 4).expect("it builds");
    let bound = recipe.contraction.clone().expect("the recurrence is bounded");
    let kept = largest_row(&trained(network(), &recipe, &set, &bound.param), scarselli::STATE);
    recipe.contraction = None;
    let free = largest_row(&trained(network(), &recipe, &set, &bound.param), scarselli::STATE);
    // Rounding in f32.
    assert!(kept <= bound.norm * (1.0 + 1e-5) && free > 2.0 * bound.norm, "{kept} and {free}");
    recipe.contraction = Some(Contraction { param: "nothing".into(), norm: 1.0 });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (out, fold) = (folder.path(), set.folds(4, 1).remove(0));
    let options =
        supervised::Options { out, resume: false, keep_weights: false, stop: &NEVER, quiet: true, tap: None };
    let error = supervised::run_graphs(&mut network(), &recipe, &set, &fold, &options).unwrap_err();
    assert!(error.to_string().contains("no parameter is called `nothing`"), "{error}");
}

#[test]
fn a_penalty_shrinks_the_named_layer_and_no_other() {
    let set = drawn(40, 7, 0);
    let weights = |penalised: &[&str], param: &str| -> f32 {
        let penalised = penalised.iter().map(|name| name.to_string()).collect();
        let optimiser = Optimiser::Adam { rate: 1e-2, penalty: 100.0, penalised };
        let schedule = Schedule::Constant { warm_up: 0.0 };
        let recipe = Recipe { epochs: 20, batch: 10, optimiser, schedule, ..graph_network::recipe() };
        let network = graph_network::graph(&set).expect("it builds");
        trained(network, &recipe, &set, param).iter().map(|w| w * w).sum()
    };
    let free = weights(&[], "decode.weight");
    assert!(weights(&["decode"], "decode.weight") < 0.2 * free);
    assert!(weights(&["encode"], "decode.weight") > 0.5 * free);
}

#[test]
fn the_committed_recurrence_keeps_its_bound() {
    let graph = supervised::load(&folder("gnn-scarselli")).expect("committed float weights");
    let bound = recipe("gnn-scarselli").contraction.expect("the recurrence is bounded");
    let param = graph.params.iter().find(|p| p.name == bound.param).expect("the recurrence");
    let largest = largest_row(&param.data, scarselli::STATE);
    println!("largest row of the recurrence: {largest}, bound {}", bound.norm);
    // Rounding in f32.
    assert!(largest > 0.0 && largest <= bound.norm * (1.0 + 1e-5), "{largest}");
}

#[test]
fn a_recurrence_is_stored_once_however_often_it_is_unrolled() {
    let set = drawn(6, 7, 0);
    let file = |steps| exported(&steps_of(&set, steps), &set);
    let (few, many) = (file(4), file(12));
    let (few_facts, many_facts) = (Facts::read(&few).unwrap(), Facts::read(&many).unwrap());
    // The state before the first step is zero: nothing is read of it.
    assert_eq!((shared(&few_facts), shared(&many_facts)), (vec![3], vec![11]));
    let layer = scarselli::STATE * scarselli::STATE;
    assert_eq!(few_facts.totals.weight_bytes, many_facts.totals.weight_bytes);
    // A step has scales of its own: bias, multiplier and shift of 16 channels, and five nodes of the program.
    let step = (many.len() - few.len()) / 8;
    println!("a step of the recurrence takes {step} bytes, its weights {layer}");
    assert!(step < 16 * 9 + 5 * 60, "{step} bytes a step");

    let set = drawn(6, 9, 4);
    let passing = MessagePassing { steps: 5, ..message_passing::ESOL };
    let mut graph = message_passing::graph(&set, passing).expect("it builds");
    graph.initialise(2);
    let facts = Facts::read(&exported(&graph, &set)).unwrap();
    assert_eq!(shared(&facts), [5, 5], "edges and nodes of five steps");
    let layers = graph.nodes.iter().filter(|n| matches!(n.op, Op::Dense(_))).count();
    assert!(layers > graph.params.iter().filter(|p| p.name.ends_with(".weight")).count());
}

#[test]
fn a_committed_recurrence_is_stored_once() {
    let facts = Facts::read(&file("gnn-scarselli")).expect("the runtime accepts it");
    assert_eq!(shared(&facts), [scarselli::STEPS - 1]);
    let facts = Facts::read(&file("mpnn-esol")).expect("the runtime accepts it");
    assert_eq!(shared(&facts), [message_passing::ESOL.steps; 2]);
}

#[test]
fn all_sets_of_the_collection_are_read() {
    let Some(mutag) = graph_models::find("gn-mutag") else { panic!("a model of graphs") };
    if data(mutag).is_none() {
        return;
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let root = std::env::var_os("DUNLIN_DATA").map_or(beside, PathBuf::from).join(mutag.folder);
    for (name, graphs, classes, features) in
        [("MUTAG", 188, 2, 7), ("ENZYMES", 600, 6, 3), ("NCI1", 4110, 2, 37)]
    {
        let set = tu::read(&root, name).expect("the data set is whole");
        let found = (set.graphs.len(), set.classes().len(), set.node_features);
        assert_eq!(found, (graphs, classes, features), "{name}");
    }
}

#[test]
fn folds_are_disjoint_even_and_different_for_each_seed() {
    let set = drawn(47, 3, 0);
    let folds = Protocol::Folds(5).folds(&set, 1);
    let mut tested: Vec<usize> = folds.iter().flat_map(|f| f.test.clone()).collect();
    tested.sort_unstable();
    assert_eq!(tested, (0..47).collect::<Vec<_>>());
    for fold in &folds {
        assert!(fold.test.iter().all(|i| !fold.train.contains(i)));
        assert_eq!(fold.test.len() + fold.train.len(), 47);
        let odd = fold.test.iter().filter(|&i| i % 2 == 1).count();
        assert!(matches!(fold.test.len(), 9 | 10) && matches!(odd, 4 | 5), "{:?}", fold.test);
    }
    assert_eq!(folds, Protocol::Folds(5).folds(&set, 1));
    assert_ne!(folds, Protocol::Folds(5).folds(&set, 2));
    let split = Protocol::Random([0.8, 0.1]).folds(&set, 1).remove(0);
    assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (37, 5, 5));
}
