//! Layers with a memory, and products of matrices.

use super::weighted::{as_int8, as_int32};
use super::{Lowering, factor, params, unsupported};
use crate::graph::{Node, Param, State, ValueId};
use crate::ops::{BatchMatMul, Lstm, Svdf};
use crate::quantise::QuantiseError;
use dunlin::fixed16::sigmoid_table;
use dunlin::format::DType;
use dunlin::ops as int8;
use dunlin::quant::{Clamp, QParams, Requant};

/// Scale of a gate before its function: Q3.12.
const GATE_SCALE: f64 = 1.0 / 4096.0;
/// Scale of what the functions of a gate give: Q0.15.
const UNIT: f64 = 1.0 / 32768.0;
/// Largest sum of time weights of a unit, so that the sum over time cannot overflow with a bias of 2^29.
const TIME_SUM: f32 = 49_151.0;

/// Weights of a matrix as integers with the scale of each of its blocks of rows.
struct Matrix {
    ints: Vec<i8>,
    scales: Vec<f32>,
}

impl Lowering<'_> {
    pub(super) fn lstm(&mut self, node: &Node, o: &Lstm) -> Result<(), QuantiseError> {
        self.finite(node)?;
        let x = self.tensor(node.inputs[0])?;
        let hidden = self.memory(node, 1)?;
        let cell = self.memory(node, 2)?;
        let y = self.tensor(node.outputs[0])?;
        let of = |id: u16| &self.program.tensors[usize::from(id)];
        let (dtype, input, output) = (of(x).dtype, of(x).quant, of(hidden).quant);
        let cell_scale = f64::from(of(cell).quant.scale);
        if of(y).quant != output || of(cell).dtype != DType::I16 {
            return Err(unsupported(node, "its output has another scale than its hidden state"));
        }
        let power = cell_scale.log2().round();
        if !(-28.0..=2.0).contains(&power) {
            return Err(unsupported(
                node,
                format!("scale {cell_scale} of its cell state is no power of two in use"),
            ));
        }
        let graph = self.graph;
        let [weight, recurrent, bias] = [0, 1, 2].map(|i| graph.param(node.params[i]));
        let rows = bias.data.len() / 4;
        let largest = |gate: &[f32]| gate.iter().fold(0.0f32, |max, b| max.max(b.abs()));
        let biases: Vec<f32> = bias.data.chunks(rows).map(largest).collect();
        let weights = matrix(node, weight, 4, input.scale, Some(&biases))?;
        let recurrent = matrix(node, recurrent, 4, output.scale, None)?;
        let bias: Vec<i64> = match &bias.pin {
            Some(pin) => pin.ints.clone(),
            None => {
                let scale = |row: usize| weights.scales[row / rows];
                let values = bias.data.iter().enumerate();
                values.map(|(row, &b)| i64::from(params::bias(b, input.scale, scale(row)))).collect()
            }
        };
        let mut factors = Vec::new();
        let mut add = |index: usize, real: f64| -> Result<(), QuantiseError> {
            let Requant { multiplier, shift } = factor(node, index, real)?;
            factors.extend([multiplier, i32::from(shift)]);
            Ok(())
        };
        for gate in 0..4 {
            add(2 * gate, f64::from(input.scale * weights.scales[gate]) / GATE_SCALE)?;
            add(2 * gate + 1, f64::from(output.scale * recurrent.scales[gate]) / GATE_SCALE)?;
        }
        add(8, UNIT * cell_scale / cell_scale)?;
        add(9, UNIT * UNIT / cell_scale)?;
        add(10, UNIT * UNIT / f64::from(output.scale))?;
        let clip = o.cell_clip.filter(|clip| *clip > 0.0);
        let name = &graph.param(node.params[2]).name;
        let narrow = if dtype == DType::I16 { Vec::new() } else { as_int32(node, name, &bias)? };
        let data = &mut self.program.data;
        let cell_attributes = int8::LstmCell {
            weights: data.push(&weights.ints),
            recurrent: data.push(&recurrent.ints),
            bias: if dtype == DType::I16 { data.push(&bias) } else { data.push(&narrow) },
            factors: data.push(&factors),
            sigmoid: data.push(&sigmoid_table()),
            cell_gate: match o.logistic_cell_gate {
                true => int8::CellFunction::Logistic,
                false => int8::CellFunction::Tanh,
            },
            cell_power: power as i8,
            // `as` saturates, and cuts the fraction off as the reference does.
            cell_clip: clip.map(|clip| (f64::from(clip) / cell_scale) as i16),
            reset: node.inputs.len() == 1,
        };
        let op = match dtype {
            DType::I16 => int8::Op::Lstm16x8(int8::Lstm16x8 { cell: cell_attributes }),
            _ => int8::Op::Lstm(int8::Lstm { cell: cell_attributes }),
        };
        self.push(&node.name, op, vec![x, hidden, cell], vec![y]);
        Ok(())
    }

    pub(super) fn svdf(&mut self, node: &Node, o: &Svdf) -> Result<(), QuantiseError> {
        self.finite(node)?;
        if node.inputs.len() == 1 {
            return Err(unsupported(
                node,
                "its memory must be a persistent tensor: give it one as second input",
            ));
        }
        let x = self.tensor(node.inputs[0])?;
        let kept = self.memory(node, 1)?;
        let y = self.tensor(node.outputs[0])?;
        let of = |id: u16| &self.program.tensors[usize::from(id)];
        let (input, state, output) = (of(x).quant, of(kept).quant, of(y).quant);
        let wide = of(kept).dtype == DType::I16;
        let rank = u16::try_from(o.rank).map_err(|_| unsupported(node, "rank exceeds 65,535"))?;
        let graph = self.graph;
        let [weight, time, bias] = [0, 1, 2].map(|i| graph.param(node.params[i]));
        let features = matrix(node, weight, 1, input.scale, None)?;
        let (times, time_scale) = time_weights(node, time, o, state, &bias.data)?;
        let biases = match &bias.pin {
            Some(pin) => as_int32(node, &bias.name, &pin.ints)?,
            None => bias.data.iter().map(|&b| params::bias(b, state.scale, time_scale)).collect(),
        };
        let to_state = f64::from(input.scale * features.scales[0] / state.scale);
        let to_output = f64::from(state.scale * time_scale / output.scale);
        let (to_state, to_output) = (factor(node, 0, to_state)?, factor(node, 1, to_output)?);
        let data = &mut self.program.data;
        let op = int8::Svdf {
            features: data.push(&features.ints),
            time: match wide {
                true => data.push(&times),
                false => data.push(&times.iter().map(|&t| t as i8).collect::<Vec<_>>()),
            },
            bias: data.push(&biases),
            rank,
            state: to_state,
            output: to_output,
            clamp: if weight.pin.is_some() { Clamp::FULL } else { params::clamp(o.fused, output) },
        };
        self.push(&node.name, int8::Op::Svdf(op), vec![x, kept], vec![y]);
        Ok(())
    }

    pub(super) fn batch_matmul(&mut self, node: &Node, o: &BatchMatMul) -> Result<(), QuantiseError> {
        let [a, b, y] = [node.inputs[0], node.inputs[1], node.outputs[0]];
        let scale = |v: ValueId| self.quant(v).map(|q| q.scale);
        let output = factor(node, 0, params::product_of_scales(scale(a)?, scale(b)?, scale(y)?, true))?;
        let id = self.tensor(a)?;
        let BatchMatMul { transpose_a, transpose_b } = *o;
        let op = match self.program.tensors[usize::from(id)].dtype {
            DType::I16 => int8::Op::BatchMatMul16(int8::BatchMatMul16 { output, transpose_a, transpose_b }),
            _ => int8::Op::BatchMatMul(int8::BatchMatMul { output, transpose_a, transpose_b }),
        };
        self.plain(node, op)
    }

    /// The persistent tensor of state `which` (an input, and the output of the same number): that of the graph where the
    /// node alone reads it, else one of the node's own, into which its value is copied first.
    fn memory(&mut self, node: &Node, which: usize) -> Result<u16, QuantiseError> {
        let write = node.outputs[which];
        let read = node.inputs.get(which).copied();
        if let Some(read) = read.filter(|&read| self.is_private(read, write)) {
            let id = self.tensor(read)?;
            self.tensors[write.0] = Some(id);
            return Ok(id);
        }
        let id = self.tensor(write)?;
        self.program.tensors[usize::from(id)].persistent = true;
        if let Some(read) = read {
            let target = self.program.tensors[usize::from(id)].clone();
            let from = self.with_scale(node, read, target.quant)?;
            let tensor = &self.program.tensors[usize::from(from)];
            if tensor.dtype != target.dtype || tensor.quant != target.quant {
                return Err(unsupported(
                    node,
                    format!("state {which} has another type or scale before than after"),
                ));
            }
            let name = format!("{}.state{which}", node.name);
            self.push(&name, int8::Op::Reshape(int8::Reshape {}), vec![from], vec![id]);
        }
        Ok(id)
    }

    /// Whether `read` is a persistent tensor that becomes `write`, and nothing else needs its old content.
    fn is_private(&self, read: ValueId, write: ValueId) -> bool {
        let graph = self.graph;
        graph.states.contains(&State { read, write })
            && graph.consumers(read).len() == 1
            && !graph.outputs.contains(&read)
            && graph.states.iter().filter(|s| s.write == read || s.write == write).count() == 1
    }

    /// Requires the parameters of a node to be numbers.
    fn finite(&self, node: &Node) -> Result<(), QuantiseError> {
        let params = node.params.iter().map(|id| self.graph.param(*id));
        match params.into_iter().find(|p| p.data.iter().any(|v| !v.is_finite())) {
            Some(p) => Err(QuantiseError::NotFinite { node: node.name.clone(), param: p.name.clone() }),
            None => Ok(()),
        }
    }
}

/// A matrix of `blocks` blocks of rows, each with one scale. `biases` are the largest biases of the blocks.
fn matrix(
    node: &Node,
    param: &Param,
    blocks: usize,
    input_scale: f32,
    biases: Option<&[f32]>,
) -> Result<Matrix, QuantiseError> {
    let columns = *param.dims.last().unwrap_or(&1) as u64;
    if columns > params::longest_sum() {
        let limit = params::longest_sum();
        return Err(QuantiseError::Reduction { node: node.name.clone(), taps: columns, limit });
    }
    if let Some(pin) = &param.pin {
        let rows = param.dims[0];
        let scale = |block: usize| match pin.scales.len() {
            1 => Some(pin.scales[0]),
            len if len == rows => {
                let scales = &pin.scales[block * (rows / blocks)..][..rows / blocks];
                scales.iter().all(|s| *s == scales[0]).then_some(scales[0])
            }
            _ => None,
        };
        let scales: Option<Vec<f32>> = (0..blocks).map(scale).collect();
        let scales = scales.ok_or_else(|| {
            unsupported(node, format!("{} must have one scale for each of its {blocks} blocks", param.name))
        })?;
        if pin.zero_point != 0 {
            return Err(unsupported(
                node,
                format!("{} has zero point {}, expected 0", param.name, pin.zero_point),
            ));
        }
        return Ok(Matrix { ints: as_int8(node, &param.name, &pin.ints)?, scales });
    }
    let scales = params::weight_scales(&param.data, biases, blocks, false, input_scale, columns);
    let block = |i: usize| params::channel_of(i, param.data.len(), blocks, false);
    let ints = param.data.iter().enumerate().map(|(i, &w)| params::weight(w, scales[block(i)])).collect();
    Ok(Matrix { ints, scales })
}

/// Weights in time and their scale: those of the file, or 16-bit ones whose sums cannot overflow.
fn time_weights(
    node: &Node,
    param: &Param,
    o: &Svdf,
    state: QParams,
    bias: &[f32],
) -> Result<(Vec<i16>, f32), QuantiseError> {
    if let Some(pin) = &param.pin {
        let [scale] = *pin.scales.as_slice() else {
            return Err(unsupported(node, format!("{} must have one scale", param.name)));
        };
        let narrow = |&v: &i64| {
            i16::try_from(v)
                .map_err(|_| unsupported(node, format!("{}: {v} is not a 16-bit value", param.name)))
        };
        return Ok((pin.ints.iter().map(narrow).collect::<Result<_, _>>()?, scale));
    }
    let unit = (o.rank * o.memory) as usize;
    let sums = param.data.chunks(unit).map(|w| w.iter().map(|w| w.abs()).sum::<f32>() / TIME_SUM);
    let single = param.data.iter().map(|w| w.abs() / 32_767.0);
    let biases = bias.iter().map(|b| b.abs() / (state.scale * (1 << 29) as f32));
    let scale = sums.chain(single).chain(biases).fold(f32::MIN_POSITIVE, f32::max);
    Ok((param.data.iter().map(|w| (w / scale).round() as i16).collect(), scale))
}
