//! Layer normalisation.

use super::{Lowering, factor, unsupported};
use crate::graph::Node;
use crate::quantise::QuantiseError;
use dunlin::format::DType;
use dunlin::ops as int8;

/// Largest integer of a scale per channel.
const LARGEST_GAMMA: f64 = 32_767.0;
/// Largest integer of a shift per channel.
const LARGEST_BETA: f64 = (1u64 << 30) as f64;
/// What the runtime takes at most for epsilon.
const LARGEST_EPSILON: f64 = (1u64 << 62) as f64;

impl Lowering<'_> {
    pub(super) fn layer_norm(&mut self, node: &Node, epsilon: f32) -> Result<(), QuantiseError> {
        let id = self.tensor(node.inputs[0])?;
        if self.program.tensors[usize::from(id)].dtype != DType::I8 {
            return Err(unsupported(node, "only int8 values are normalised"));
        }
        let (input, output) = (self.quant(node.inputs[0])?, self.quant(node.outputs[0])?);
        let [gamma, beta] = [0, 1].map(|i| &self.graph.param(node.params[i]).data);
        if gamma.iter().chain(beta).any(|v| !v.is_finite()) || !(epsilon >= 0.0 && epsilon.is_finite()) {
            return Err(unsupported(node, "its parameters must be finite, epsilon not negative"));
        }
        let channels = self.graph.shape(node.inputs[0]).c;
        let largest = |values: &[f32]| values.iter().fold(0.0, |max: f64, v| max.max(f64::from(v.abs())));
        // Real value of one unit of the accumulator: the scales fill 16 bits, the shifts at most 31.
        let fraction = f64::from(1u32 << int8::layer_norm_fraction(channels));
        let unit = (largest(gamma) / LARGEST_GAMMA / fraction).max(largest(beta) / LARGEST_BETA);
        let unit = if unit > 0.0 { unit } else { f64::from(output.scale) };
        let steps = |v: &f32, unit: f64| (f64::from(*v) / unit).round();
        let gamma: Vec<i16> = gamma.iter().map(|v| steps(v, unit * fraction) as i16).collect();
        let beta: Vec<i32> = beta.iter().map(|v| steps(v, unit) as i32).collect();
        let squares = f64::from(epsilon) / f64::from(input.scale).powi(2) * f64::from(channels).powi(2);
        let op = int8::LayerNorm {
            gamma: self.program.data.push(&gamma),
            beta: self.program.data.push(&beta),
            epsilon: squares.round().min(LARGEST_EPSILON) as u64,
            scale: factor(node, 0, unit / f64::from(output.scale))?,
        };
        self.plain(node, int8::Op::LayerNorm(op))
    }
}
