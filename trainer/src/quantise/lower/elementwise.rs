//! Operators on pairs of elements, and functions of one element.

use super::weighted::as_int8;
use super::{Lowering, QTensor, factor, params, table, unsupported};
use crate::graph::{Node, Scheme, ValueId};
use crate::ops::{Activation, PRelu, UnaryFn};
use crate::quantise::QuantiseError;
use dunlin::format::DType;
use dunlin::ops as int8;
use dunlin::quant::{QParams, Requant};

/// Bits by which TensorFlow Lite shifts the inputs of a sum for precision: int8 and int16.
const SUM_LEFT_SHIFT: [u8; 2] = [20, 15];
/// As [`SUM_LEFT_SHIFT`], for a squared difference.
const SQUARE_LEFT_SHIFT: [u8; 2] = [7, 0];

/// Factors of a sum or difference.
struct SumFactors {
    inputs: [Requant; 2],
    output: Requant,
    left_shift: u8,
}

impl Lowering<'_> {
    /// Whether the tensors of a node are int16 instead of int8; a mixture and other types are refused.
    fn wide(&self, node: &Node) -> Result<bool, QuantiseError> {
        let types: Vec<DType> = node.inputs.iter().chain(&node.outputs).map(|v| self.dtype(*v)).collect();
        match types[0] {
            first @ (DType::I8 | DType::I16) if types.iter().all(|&t| t == first) => Ok(first == DType::I16),
            _ => Err(unsupported(
                node,
                format!("its tensors are {types:?}; they must be all int8 or all int16"),
            )),
        }
    }

    fn operands(&self, node: &Node) -> Result<[QParams; 3], QuantiseError> {
        Ok([self.quant(node.inputs[0])?, self.quant(node.inputs[1])?, self.quant(node.outputs[0])?])
    }

    fn sum_factors(&self, node: &Node) -> Result<SumFactors, QuantiseError> {
        let [s1, s2, s] = self.operands(node)?.map(|q| f64::from(q.scale));
        let twice_larger = 2.0 * s1.max(s2);
        let left_shift = SUM_LEFT_SHIFT[usize::from(self.wide(node)?)];
        Ok(SumFactors {
            inputs: [factor(node, 0, s1 / twice_larger)?, factor(node, 0, s2 / twice_larger)?],
            output: factor(node, 0, twice_larger / (f64::from(1u32 << left_shift) * s))?,
            left_shift,
        })
    }

    pub(super) fn add(&mut self, node: &Node, fused: Activation) -> Result<(), QuantiseError> {
        let SumFactors { inputs, output, left_shift } = self.sum_factors(node)?;
        let q = self.quant(node.outputs[0])?;
        let op = if self.wide(node)? {
            int8::Op::Add16(int8::Add16 { inputs, output, left_shift, clamp: params::clamp16(fused, q) })
        } else {
            int8::Op::Add(int8::Add { inputs, output, left_shift, clamp: params::clamp(fused, q) })
        };
        self.plain(node, op)
    }

    pub(super) fn sub(&mut self, node: &Node, fused: Activation) -> Result<(), QuantiseError> {
        let SumFactors { inputs, output, left_shift } = self.sum_factors(node)?;
        let q = self.quant(node.outputs[0])?;
        let op = if self.wide(node)? {
            int8::Op::Sub16(int8::Sub16 { inputs, output, left_shift, clamp: params::clamp16(fused, q) })
        } else {
            int8::Op::Sub(int8::Sub { inputs, output, left_shift, clamp: params::clamp(fused, q) })
        };
        self.plain(node, op)
    }

    pub(super) fn mul(&mut self, node: &Node, fused: Activation) -> Result<(), QuantiseError> {
        let [a, b, q] = self.operands(node)?;
        let real = match self.scheme(node.outputs[0]) {
            Scheme::Int8 => f64::from(a.scale) * f64::from(b.scale) / f64::from(q.scale),
            Scheme::Uint8 => f64::from(a.scale * b.scale / q.scale),
        };
        let output = factor(node, 0, real)?;
        let op = if self.wide(node)? {
            int8::Op::Mul16(int8::Mul16 { output, clamp: params::clamp16(fused, q) })
        } else {
            int8::Op::Mul(int8::Mul { output, clamp: params::clamp(fused, q) })
        };
        self.plain(node, op)
    }

    pub(super) fn div(&mut self, node: &Node, fused: Activation) -> Result<(), QuantiseError> {
        if self.wide(node)? {
            return Err(unsupported(node, "there is no quotient of int16; quantise it to int8"));
        }
        let [a, b, q] = self.operands(node)?;
        let real = match self.scheme(node.outputs[0]) {
            Scheme::Int8 => f64::from(a.scale) / (f64::from(b.scale) * f64::from(q.scale)),
            Scheme::Uint8 => f64::from(a.scale / (b.scale * q.scale)),
        };
        let modular = self.is_pinned(node.outputs[0]);
        let op = int8::Div { output: factor(node, 0, real)?, clamp: params::clamp(fused, q), modular };
        self.plain(node, int8::Op::Div(op))
    }

    /// Stored values are compared: an imported model is taken at its word, any other gets one scale.
    pub(super) fn min_max(&mut self, node: &Node, largest: bool) -> Result<(), QuantiseError> {
        let op = int8::Op::MinMax(int8::MinMax { largest });
        if self.is_pinned(node.outputs[0]) { self.plain(node, op) } else { self.shared(node, op) }
    }

    pub(super) fn squared_difference(&mut self, node: &Node) -> Result<(), QuantiseError> {
        let [s1, s2, s] = self.operands(node)?.map(|q| f64::from(q.scale));
        let twice_larger = 2.0 * s1.max(s2);
        let left_shift = SQUARE_LEFT_SHIFT[usize::from(self.wide(node)?)];
        let precision = f64::from(1u32 << (2 * left_shift));
        let op = int8::SquaredDifference {
            inputs: [factor(node, 0, s1 / twice_larger)?, factor(node, 0, s2 / twice_larger)?],
            output: factor(node, 0, twice_larger * twice_larger / (precision * s))?,
            left_shift,
        };
        self.plain(node, int8::Op::SquaredDifference(op))
    }

    pub(super) fn prelu(&mut self, node: &Node, o: &PRelu) -> Result<(), QuantiseError> {
        self.wide(node)?;
        let (x, y) = (self.quant(node.inputs[0])?, self.quant(node.outputs[0])?);
        let param = self.graph.param(node.params[0]);
        let (slopes, quant) = match &param.pin {
            Some(pin) => {
                let [scale] = *pin.scales.as_slice() else {
                    return Err(unsupported(node, "its slopes have more than one scale"));
                };
                (as_int8(node, &param.name, &pin.ints)?, QParams { scale, zero_point: pin.zero_point })
            }
            None => {
                let scale = params::weight_scales(&param.data, None, 1, false, 1.0, 1)[0];
                let slopes = param.data.iter().map(|&v| params::weight(v, scale)).collect();
                (slopes, QParams { scale, zero_point: 0 })
            }
        };
        let (positive, negative) = match self.scheme(node.outputs[0]) {
            Scheme::Int8 => {
                let [x, slope, y] = [x.scale, quant.scale, y.scale].map(f64::from);
                (x / y, x * slope / y)
            }
            Scheme::Uint8 => (f64::from(x.scale / y.scale), f64::from(x.scale * quant.scale / y.scale)),
        };
        let op = int8::PRelu { positive: factor(node, 0, positive)?, negative: factor(node, 0, negative)? };
        let constant = Some(self.program.data.push(&slopes));
        let slopes = self.add_tensor(QTensor {
            name: param.name.clone(),
            dtype: DType::I8,
            shape: o.slopes,
            quant,
            rows: None,
            persistent: false,
            constant,
            value: None,
        });
        let (x, y) = (self.tensor(node.inputs[0])?, self.tensor(node.outputs[0])?);
        self.push(&node.name, int8::Op::PRelu(op), vec![x, slopes], vec![y]);
        Ok(())
    }

    pub(super) fn unary(&mut self, node: &Node, function: UnaryFn) -> Result<(), QuantiseError> {
        let (input, output) = (self.quant(node.inputs[0])?, self.quant(node.outputs[0])?);
        let pinned = self.graph.value(node.outputs[0]).pin.map(|pin| pin.scheme);
        let table = table::fill(function, input, output, pinned);
        let table = self.program.data.push(&table);
        self.plain(node, int8::Op::Lut(int8::Lut { table }))
    }

    /// Element type that a value has in the integer program.
    fn dtype(&self, value: ValueId) -> DType {
        self.graph.value(value).pin.map_or(DType::I8, |pin| pin.dtype)
    }

    /// Whether a value comes from an imported model with its bytes to be kept.
    fn is_pinned(&self, value: ValueId) -> bool {
        self.graph.value(value).pin.is_some()
    }
}
