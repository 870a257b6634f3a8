//! Long short-term memory.

use super::{Context, DType, Data, Init, OpError, Operator, ParamSpec};
use burn::tensor::{Tensor, activation::sigmoid};
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// Long short-term memory (Hochreiter and Schmidhuber, 1997) over sequences `[n, 1, w, i]` (time on W).
///
/// Inputs: the sequence; optionally hidden and cell state before it, `[n, 1, 1, u]` each, else zero. Outputs: hidden
/// state of every step `[n, 1, w, u]`, hidden and cell state after the last, `[n, 1, 1, u]` each, and the cell state of
/// every step, which calibration observes and int8 programs do not have.
///
/// Parameters, gates in the order input, forget, cell, output: `weight` `[4u, i]`, `recurrent` `[4u, u]`, `bias` `[4u]`.
/// Pinned parameters have one scale per row, the same for all rows of a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lstm {
    /// Number of units `u`.
    pub units: u32,
    /// Largest magnitude of the cell state.
    pub cell_clip: Option<f32>,
    /// The cell gate is a logistic function instead of tanh.
    pub logistic_cell_gate: bool,
}

/// The sequence among the inputs of a recurrent operator, which may be followed by `states` states.
pub(super) fn sequence(inputs: &[Shape], states: &[Shape]) -> Result<Shape, OpError> {
    let expected = if states.len() == 2 { "1 or 3" } else { "1 or 2" };
    let given = &inputs[1.min(inputs.len())..];
    if inputs.is_empty() || !(given.is_empty() || given.len() == states.len()) {
        return Err(OpError::InputCount { expected, found: inputs.len() });
    }
    let x = inputs[0];
    if x.h != 1 {
        return Err(OpError::Shape { what: "sequence", expected: Shape { h: 1, ..x }, found: x });
    }
    for (&found, &state) in given.iter().zip(states) {
        let expected = Shape { n: x.n, ..state };
        if found != expected {
            return Err(OpError::Shape { what: "state", expected, found });
        }
    }
    Ok(x)
}

impl Operator for Lstm {
    fn name(&self) -> &'static str {
        "lstm"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = sequence(inputs, &[Shape::vector(self.units); 2])?;
        let (all, last) = (x.with_c(self.units), Shape::new(x.n, 1, 1, self.units));
        Ok(vec![all, last, last, all])
    }

    fn params(&self, inputs: &[Shape]) -> Vec<ParamSpec> {
        let (i, u) = (inputs[0].c as usize, self.units as usize);
        // Half of the variance of a layer with a rectifier.
        let matrix = |name, columns: usize| ParamSpec {
            name,
            dims: vec![4 * u, columns],
            init: Init::HeNormal { fan_in: 2 * columns },
            trainable: true,
        };
        let bias = ParamSpec { name: "bias", dims: vec![4 * u], init: Init::Zeros, trainable: true };
        vec![matrix("weight", i), matrix("recurrent", u), bias]
    }

    fn macs(&self, inputs: &[Shape]) -> u64 {
        let (x, u) = (inputs[0], u64::from(self.units));
        x.pixels() as u64 * 4 * u * (u64::from(x.c) + u)
    }

    fn output_types(&self) -> Vec<DType> {
        vec![DType::Float; 4]
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        let [i, n, _, steps] = x.dims();
        let u = self.units as usize;
        let weight = params[0].clone().reshape([4 * u, i]);
        let recurrent = params[1].clone().reshape([4 * u, u]);
        let bias = params[2].clone().reshape([4 * u, 1]);
        let projected = weight.matmul(x.clone().reshape([i, n * steps])).add(bias).reshape([4 * u, n, steps]);
        let state = |k: usize| match inputs.get(k) {
            Some(data) => data.float().reshape([u, n]),
            None => Tensor::zeros([u, n], &x.device()),
        };
        let (mut h, mut c) = (state(1), state(2));
        let (mut hidden, mut cells) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
        for step in 0..steps {
            let sum = projected.clone().narrow(2, step, 1).reshape([4 * u, n]) + recurrent.clone().matmul(h);
            let gate = |k: usize| sum.clone().narrow(0, k * u, u);
            let candidate = if self.logistic_cell_gate { sigmoid(gate(2)) } else { gate(2).tanh() };
            c = sigmoid(gate(1)) * c + sigmoid(gate(0)) * candidate;
            if let Some(clip) = self.cell_clip {
                c = c.clamp(-clip, clip);
            }
            h = sigmoid(gate(3)) * c.clone().tanh();
            hidden.push(h.clone().reshape([u, n, 1, 1]));
            cells.push(c.clone().reshape([u, n, 1, 1]));
        }
        let last = |t: Tensor<2>| Data::Float(t.reshape([u, n, 1, 1]));
        let all = |steps| Data::Float(Tensor::cat(steps, 3));
        vec![all(hidden), last(h), last(c), all(cells)]
    }
}
