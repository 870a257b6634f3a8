//! Weights rounded so that sums change least, instead of each to the nearest.
//!
//! An error of rounding that meets an activation which is large in every sample adds the same to an output each time, and errors of
//! weights whose activations go together add up. Nearest rounding knows neither. Layer after layer, from the input on:
//! - a dense layer's weights are rounded up or down by coordinate descent on the squared error of its sums, `(w − q)ᵀ H (w − q)` with
//!   `H` the covariance of the activations; the choice between the two neighbours is that of Nagel et al. 2020 (AdaRound), the
//!   error that of Frantar et al. 2022 (GPTQ). The activations are those of the quantised network, the sums those of the float one, so that later
//!   layers make up for what earlier ones lost.
//! - the bias of every layer with weights takes up what is left of the mean error of each channel (Nagel et al. 2019).

use super::fake::{FakeQuant, FakeTap};
use super::ranges::Ranges;
use super::{QuantiseError, params};
use crate::exec::{self, Device, ExecError, Mode, NoTap, Tap, Tensor, Weights};
use crate::graph::{Graph, Node, NodeId, ParamId, ValueId};
use crate::ops::{Activation, Op};

/// Part of the mean variance that each activation has in addition, so that samples which are few do not decide too much.
const DAMPING: f32 = 0.01;
/// Most passes over the weights of an output.
const SWEEPS: usize = 50;

/// Rounds the weights of `graph`, which the passes are done with, for activations with these `ranges`, so that what its layers compute on
/// `batch` changes least. The new weights lie on the grid that lowering finds for them, and stay what they are there.
///
/// # Errors
/// A value without a finite range, a batch that does not fit.
pub fn round_weights(graph: &mut Graph, ranges: &Ranges, batch: &[Tensor<4>]) -> Result<(), QuantiseError> {
    let float = graph.clone();
    let weights = Weights::from_graph(&float, &Device::flex());
    let fake = FakeQuant::new(graph, ranges)?;
    for id in (0..graph.nodes.len()).map(NodeId) {
        if !is_free(&float, id) {
            continue;
        }
        let node = float.node(id);
        let want = [node.inputs[0], node.outputs[0]];
        let [x, y] = sums(&float, &weights, id, batch, want, &mut NoTap)?;
        let rounded = |graph: &Graph| {
            let weights = Weights::from_graph(graph, &Device::flex());
            sums(graph, &weights, id, batch, want, &mut Unrounded { fake: fake.tap(), value: want[1] })
        };
        if matches!(node.op, Op::Dense(_)) {
            let [seen, _] = rounded(graph)?;
            let scale = ranges.qparams(&float, want[0])?.scale;
            round_dense(graph, node, scale, x, seen);
        }
        if let Some(&bias) = node.params.get(1) {
            let [_, found] = rounded(graph)?;
            let lost = values(y.mean_dim(0) - found.mean_dim(0));
            graph.params[bias.0].data.iter_mut().zip(lost).for_each(|(bias, lost)| *bias += lost);
        }
    }
    Ok(())
}

/// Whether the parameters of node `id` are there for lowering to round, and no other node's.
fn is_free(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    params::channel_last(&node.op).is_some()
        && node.params.iter().all(|&p| graph.param(p).pin.is_none())
        && !graph.shares_params(id)
}

/// Input and output of a layer before its activation, a row for each pixel of each sample.
fn sums(
    graph: &Graph,
    weights: &Weights,
    id: NodeId,
    batch: &[Tensor<4>],
    want: [ValueId; 2],
    tap: &mut dyn Tap,
) -> Result<[Tensor<2>; 2], ExecError> {
    let mut linear = graph.clone();
    if let Some(fused) = linear.nodes[id.0].op.fused_mut() {
        *fused = Activation::None;
    }
    let run = exec::run(&linear, weights, batch, &want, Mode::Evaluate, tap)?;
    Ok([0, 1].map(|i| {
        let [n, h, w, c] = run.values[i].float().dims();
        run.values[i].float().reshape([n * h * w, c])
    }))
}

/// Fake quantisation of all but one value.
struct Unrounded {
    fake: FakeTap,
    value: ValueId,
}

impl Tap for Unrounded {
    fn value(&mut self, id: ValueId, tensor: Tensor<4>) -> Tensor<4> {
        if id == self.value { tensor } else { self.fake.value(id, tensor) }
    }

    fn param(&mut self, node: NodeId, id: ParamId, tensor: Tensor<4>) -> Tensor<4> {
        self.fake.param(node, id, tensor)
    }
}

/// Rounds the weights of a dense layer whose input is `x` in the float network and `seen` in the quantised one.
fn round_dense(graph: &mut Graph, node: &Node, input_scale: f32, x: Tensor<2>, seen: Tensor<2>) {
    let bias = node.params.get(1).map(|&b| graph.param(b).data.clone());
    let weights = &mut graph.params[node.params[0].0].data;
    let [rows, inputs] = x.dims();
    let outputs = weights.len() / inputs;
    let taps = params::taps(&node.op, inputs as u32);
    let scales = params::weight_scales(weights, bias.as_deref(), outputs, false, input_scale, taps);
    let centred = |t: Tensor<2>| t.clone() - t.mean_dim(0);
    let (x, seen) = (centred(x), centred(seen));
    let square =
        |a: &Tensor<2>, b: Tensor<2>| values(a.clone().transpose().matmul(b).div_scalar(rows as f32));
    let mut covariance = square(&seen, seen.clone());
    let apart = square(&seen, seen.clone() - x);
    let mean = covariance.iter().step_by(inputs + 1).sum::<f32>() / inputs as f32;
    covariance.iter_mut().step_by(inputs + 1).for_each(|v| *v += DAMPING * mean);
    for (row, &scale) in weights.chunks_exact_mut(inputs).zip(&scales) {
        // The scale is made of the largest weight, which is on the grid but for the last bit, and keeps its bits.
        let largest = row.iter().fold(0.0f32, |most, w| most.max(w.abs()));
        let steps = |w: f32| if w.abs() == largest { (w / scale).round() } else { w / scale };
        let exact: Vec<f32> = row.iter().map(|&w| steps(w)).collect();
        let slope: Vec<f32> = apart.chunks_exact(inputs).map(|a| dot(a, &exact)).collect();
        for (w, q) in row.iter_mut().zip(descend(&exact, &covariance, slope)) {
            *w = if w.abs() == largest { *w } else { f32::from(q) * scale };
        }
    }
}

/// The integers next to `exact` of which the sums differ least: `e = q − exact` for which `eᵀHe + 2·slope·e` cannot be made less by rounding
/// any one weight the other way.
fn descend(exact: &[f32], covariance: &[f32], mut slope: Vec<f32>) -> Vec<i8> {
    let n = exact.len();
    let mut q: Vec<f32> = exact.iter().map(|w| w.round()).collect();
    for i in 0..n {
        let error: f32 = q[i] - exact[i];
        covariance[i * n..][..n].iter().zip(&mut slope).for_each(|(c, slope)| *slope += error * c);
    }
    for _ in 0..SWEEPS {
        let mut moved = false;
        for i in 0..n {
            let step = if q[i] > exact[i] { -1.0 } else { 1.0 };
            let to = q[i] + step;
            let gain = 2.0 * step * slope[i] + covariance[i * n + i];
            // Not two away from a weight that is on the grid, and not by less than rounding errors of this sum.
            if gain < -1e-6 * covariance[i * n + i]
                && (to - exact[i]).abs() < 1.0
                && to.abs() <= params::WEIGHT_MAX
            {
                q[i] = to;
                covariance[i * n..][..n].iter().zip(&mut slope).for_each(|(c, slope)| *slope += step * c);
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    q.into_iter().map(|q| q as i8).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("sums are f32")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::TensorData;
    use crate::net::Net;
    use crate::passes::testing::{filled, outputs};
    use crate::quantise::{Method, calibrate};
    use dunlin::shape::{Shape, Window};
    use rand::Rng;
    use rand_pcg::Pcg64;

    /// Pictures that six numbers make, about a mean: what a trained network's activations look like.
    fn pictures(shape: Shape, count: usize) -> Vec<Tensor<4>> {
        let mut rng = Pcg64::new(5, 5);
        let each = shape.elements();
        let mut draw = move |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let makers = draw(6 * each);
        let picture = |numbers: Vec<f32>| {
            let pixel = |i: usize| {
                0.7 + numbers.iter().zip(makers.chunks_exact(each)).map(|(n, m)| n * m[i]).sum::<f32>()
            };
            (0..each).map(pixel).collect::<Vec<f32>>()
        };
        let all: Vec<f32> = (0..count).flat_map(|_| picture(draw(6))).collect();
        let dims = [count, shape.h as usize, shape.w as usize, shape.c as usize];
        vec![Tensor::from_data(TensorData::new(all, dims), &Device::flex())]
    }

    fn network() -> Graph {
        let mut net = Net::new("scores");
        let x = net.input("x", Shape::image(6, 6, 3)).unwrap();
        let x = net.conv_valid("conv", x, 8, Window::square(3, 1)).unwrap();
        let x = net.relu("relu", x).unwrap();
        let x = net.push("flat", crate::ops::Reshape { shape: Shape::vector(128) }, &[x]).unwrap();
        let x = net.dense_relu("hidden", x, 64).unwrap();
        let y = net.dense("scores", x, 5).unwrap();
        let mut graph = filled(net.finish(y).unwrap(), 8);
        crate::passes::optimise(&mut graph).unwrap();
        graph
    }

    fn calibrated(graph: &Graph, batch: &[Tensor<4>]) -> Ranges {
        let weights = Weights::from_graph(graph, &Device::flex());
        calibrate(graph, &weights, &[batch.to_vec()], Method::MinMax).unwrap()
    }

    /// Fake quantisation of parameters alone.
    struct Parameters(FakeTap);

    impl Tap for Parameters {
        fn param(&mut self, node: NodeId, id: ParamId, tensor: Tensor<4>) -> Tensor<4> {
            self.0.param(node, id, tensor)
        }
    }

    /// The output with rounded parameters.
    fn quantised(graph: &Graph, ranges: &Ranges, batch: &[Tensor<4>]) -> Vec<f32> {
        let weights = Weights::from_graph(graph, &Device::flex());
        let mut tap = Parameters(FakeQuant::new(graph, ranges).unwrap().tap());
        let run = exec::run(graph, &weights, batch, &graph.outputs, Mode::Evaluate, &mut tap).unwrap();
        run.float().into_data().try_into_vec().unwrap()
    }

    /// Root of the mean squared difference, and the largest mean difference of an output.
    fn errors(found: &[f32], exact: &[f32], outputs: usize) -> (f32, f32) {
        let apart: Vec<f32> = found.iter().zip(exact).map(|(a, b)| a - b).collect();
        let count = apart.len() as f32;
        let mean = |c: usize| apart.iter().skip(c).step_by(outputs).sum::<f32>() * outputs as f32 / count;
        let square = apart.iter().map(|e| e * e).sum::<f32>() / count;
        (square.sqrt(), (0..outputs).map(|c| mean(c).abs()).fold(0.0, f32::max))
    }

    #[test]
    fn sums_change_less_than_by_rounding_to_the_nearest() {
        let graph = network();
        let seen = pictures(graph.shape(graph.inputs[0]), 512);
        let (batch, held_out) =
            (vec![seen[0].clone().narrow(0, 0, 256)], vec![seen[0].clone().narrow(0, 256, 256)]);
        let ranges = calibrated(&graph, &batch);
        let mut rounded = graph.clone();
        round_weights(&mut rounded, &ranges, &batch).unwrap();
        let exact = outputs(&graph, &held_out).remove(0);
        let (nearest, nearest_mean) = errors(&quantised(&graph, &ranges, &held_out), &exact, 5);
        let (ours, mean) = errors(&quantised(&rounded, &ranges, &held_out), &exact, 5);
        assert!(
            ours < 0.7 * nearest && mean < 0.5 * nearest_mean,
            "{ours} of {nearest}, mean {mean} of {nearest_mean}"
        );
    }

    #[test]
    fn weights_stay_next_to_where_they_were_and_on_the_grid() {
        let graph = network();
        let batch = pictures(graph.shape(graph.inputs[0]), 64);
        let ranges = calibrated(&graph, &batch);
        let mut rounded = graph.clone();
        round_weights(&mut rounded, &ranges, &batch).unwrap();
        let mut moved = 0;
        for node in &graph.nodes {
            let Op::Dense(dense) = &node.op else { continue };
            let (old, new) = (&graph.param(node.params[0]).data, &rounded.param(node.params[0]).data);
            let scales =
                |w: &[f32]| params::weight_scales(w, None, dense.out_features as usize, false, 1.0, 1);
            assert_eq!(scales(old), scales(new));
            let each = old.len() / dense.out_features as usize;
            for (i, (old, new)) in old.iter().zip(new).enumerate() {
                let scale = scales(&graph.param(node.params[0]).data)[i / each];
                let q = params::weight(*new, scale);
                assert!(
                    (f32::from(q) * scale - new).abs() <= 1e-6 * scale.max(new.abs()),
                    "{new} of {scale}"
                );
                assert!((new - old).abs() < scale * 1.001);
                moved += u32::from(q != params::weight(*old, scale));
            }
        }
        assert!(moved > 100, "{moved} weights are not the nearest");
    }

    #[test]
    fn shared_weights_are_left_alone() {
        let mut graph = network();
        let last = graph.nodes.len() - 1;
        let mut again = graph.nodes[last].clone();
        again.name = "again".into();
        graph.nodes.push(again);
        assert!(!is_free(&graph, NodeId(last)) && is_free(&graph, NodeId(last - 1)));
    }
}
