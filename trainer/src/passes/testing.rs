//! What the passes' equivalence tests share: random parameters and a comparison through the executor.

use crate::exec::{self, Device, Mode, NoTap, Tensor, TensorData, Weights};
use crate::graph::Graph;
use crate::ops::Data;
use rand::Rng;
use rand_pcg::Pcg64;

/// Folding reorders float sums of up to a few hundred terms of size one; this is well above their rounding.
const TOLERANCE: f32 = 1e-4;

/// `graph` with random parameters; variances are positive.
pub(crate) fn filled(mut graph: Graph, seed: u64) -> Graph {
    let mut rng = Pcg64::new(u128::from(seed), 1);
    for p in &mut graph.params {
        let positive = p.name.ends_with(".variance");
        p.data.iter_mut().for_each(|v| {
            *v = if positive { rng.random_range(0.3..2.0) } else { rng.random_range(-0.8..0.8) };
        });
    }
    graph
}

/// Random inputs, two samples each.
pub(crate) fn inputs(graph: &Graph, seed: u64) -> Vec<Tensor<4>> {
    let mut rng = Pcg64::new(u128::from(seed), 2);
    let random = |id: &crate::graph::ValueId| {
        let s = graph.shape(*id);
        let data: Vec<f32> = (0..2 * s.elements()).map(|_| rng.random_range(-2.0..2.0)).collect();
        let dims = [2, s.h as usize, s.w as usize, s.c as usize];
        Tensor::from_data(TensorData::new(data, dims), &Device::flex())
    };
    graph.inputs.iter().map(random).collect()
}

/// All outputs as flat floats.
pub(crate) fn outputs(graph: &Graph, inputs: &[Tensor<4>]) -> Vec<Vec<f32>> {
    let weights = Weights::from_graph(graph, &Device::flex());
    let run = exec::run(graph, &weights, inputs, &graph.outputs, Mode::Evaluate, &mut NoTap).unwrap();
    let flat = |data: &Data| match data {
        Data::Float(t) => t.clone().into_data().try_into_vec().unwrap(),
        Data::Int(t) => t.clone().float().into_data().try_into_vec().unwrap(),
    };
    run.values.iter().map(flat).collect()
}

/// Runs both graphs on the same random inputs.
pub(crate) fn assert_same_function(before: &Graph, after: &Graph) {
    let inputs = inputs(before, 3);
    for (a, b) in outputs(before, &inputs).iter().zip(&outputs(after, &inputs)) {
        assert_eq!(a.len(), b.len());
        let spread = a.iter().fold(1.0f32, |m, v| m.max(v.abs()));
        for (i, (a, b)) in a.iter().zip(b).enumerate() {
            assert!((a - b).abs() <= TOLERANCE * spread, "element {i}: {a} before, {b} after");
        }
    }
}
