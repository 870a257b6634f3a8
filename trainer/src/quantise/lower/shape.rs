//! Operators that move elements, reduce axes or normalise channels.

use super::{Lowering, QTensor, factor, unsupported};
use crate::graph::{Node, Scheme, ValueId};
use crate::ops::{self, ArgExtreme, Gather, PadMode, PadOp, Reduce, ReduceFn, StridedSlice, Transpose};
use crate::quantise::QuantiseError;
use crate::quantise::points::{LOGARITHM_OUTPUT, NORM_OUTPUT};
use dunlin::format::DType;
use dunlin::ops as int8;
use dunlin::quant::QParams;
use dunlin::shape::Shape;

/// Where the runtime has an axis of the graph.
pub(super) fn axis(axis: ops::Axis) -> int8::Axis {
    match axis {
        ops::Axis::N => int8::Axis::N,
        ops::Axis::H => int8::Axis::H,
        ops::Axis::W => int8::Axis::W,
        ops::Axis::C => int8::Axis::C,
    }
}

impl Lowering<'_> {
    /// A node that moves elements of any type: real ones get the scale and zero point of its output.
    pub(super) fn moved(&mut self, node: &Node, op: int8::Op) -> Result<(), QuantiseError> {
        if self.graph.value(node.outputs[0]).dtype == ops::DType::Float {
            self.shared(node, op)
        } else {
            self.plain(node, op)
        }
    }

    pub(super) fn transpose(&mut self, node: &Node, o: &Transpose) -> Result<(), QuantiseError> {
        let op = int8::Transpose { perm: o.perm.map(|axis| axis as u8) };
        self.moved(node, int8::Op::Transpose(op))
    }

    pub(super) fn strided_slice(&mut self, node: &Node, o: &StridedSlice) -> Result<(), QuantiseError> {
        let op = match o.step == [1; 4] {
            true => int8::Op::Slice(int8::Slice { begin: o.begin }),
            false => int8::Op::StridedSlice(int8::StridedSlice { begin: o.begin, step: o.step }),
        };
        self.moved(node, op)
    }

    pub(super) fn gather(&mut self, node: &Node, o: &Gather) -> Result<(), QuantiseError> {
        let op = int8::Op::Gather(int8::Gather { axis: axis(o.axis) });
        let Some(indices) = &o.indices else { return self.shared(node, op) };
        let indices: Vec<i32> = indices.iter().map(|&index| index as i32).collect();
        let constant = self.program.data.push(&indices);
        let indices = self.add_tensor(QTensor {
            name: format!("{}.indices", node.name),
            dtype: DType::I32,
            shape: Shape::vector(indices.len() as u32),
            quant: QParams::UNIT,
            rows: None,
            persistent: false,
            constant: Some(constant),
            value: None,
        });
        let target = self.quant(node.outputs[0])?;
        let input = self.with_scale(node, node.inputs[0], target)?;
        let output = self.tensor(node.outputs[0])?;
        self.push(&node.name, op, vec![input, indices], vec![output]);
        Ok(())
    }

    pub(super) fn pad(&mut self, node: &Node, o: &PadOp) -> Result<(), QuantiseError> {
        let (before, after) = o.edges();
        let mirrored = |mirror| int8::Op::MirrorPad(int8::MirrorPad { before, after, mirror });
        let op = match o.mode {
            PadMode::Constant => {
                let value = self.padding(node, o.value)?;
                match i8::try_from(value) {
                    Ok(value) => int8::Op::Pad(int8::Pad { before, after, value }),
                    Err(_) => return self.padded_by_edges(node, o, value),
                }
            }
            PadMode::Reflect => mirrored(int8::Mirror::Reflect),
            PadMode::Symmetric => mirrored(int8::Mirror::Symmetric),
        };
        self.shared(node, op)
    }

    /// The constant of a padding in quantised values of the output, saturated.
    fn padding(&self, node: &Node, value: f32) -> Result<i16, QuantiseError> {
        let quant = self.quant(node.outputs[0])?;
        let steps = (f64::from(value) / f64::from(quant.scale)).round() + f64::from(quant.zero_point);
        match self.element(node.outputs[0]) {
            DType::I8 => Ok(steps.clamp(-128.0, 127.0) as i16),
            DType::I16 => Ok(steps.clamp(-32768.0, 32767.0) as i16),
            _ if (-128.0..=127.0).contains(&steps) => Ok(steps as i16),
            _ => Err(unsupported(node, format!("the padding {value} is {steps} steps: at most 127 can be"))),
        }
    }

    /// Padding with a 16-bit constant, for which the runtime's padding has no room: edges in the data section are
    /// joined to the tensor, one axis after the other.
    fn padded_by_edges(&mut self, node: &Node, o: &PadOp, value: i16) -> Result<(), QuantiseError> {
        let (before, after) = o.edges();
        let target = self.quant(node.outputs[0])?;
        let mut current = self.with_scale(node, node.inputs[0], target)?;
        let padded: Vec<usize> = (0..4).filter(|&a| before[a] > 0 || after[a] > 0).collect();
        if padded.is_empty() {
            return self.shared(node, int8::Op::Reshape(int8::Reshape {}));
        }
        for (step, &a) in padded.iter().enumerate() {
            let whole = self.program.tensors[usize::from(current)].clone();
            let Shape { n, h, w, c } = whole.shape;
            let resized = |size: u32| {
                let mut sizes = [n, h, w, c];
                sizes[a] = size;
                Shape::new(sizes[0], sizes[1], sizes[2], sizes[3])
            };
            let name = format!("{}.{step}", node.name);
            let edge = QTensor { persistent: false, value: None, ..whole };
            let mut constant = |len: u16| {
                if len == 0 {
                    return None;
                }
                let shape = resized(u32::from(len));
                let constant = Some(self.program.data.push(&vec![value; shape.elements()]));
                let name = format!("{name}.edge");
                Some(self.add_tensor(QTensor { name, shape, constant, ..edge.clone() }))
            };
            let (first, last) = (constant(before[a]), constant(after[a]));
            let inputs = first.into_iter().chain([current]).chain(last).collect();
            let output = match step + 1 == padded.len() {
                true => self.tensor(node.outputs[0])?,
                false => {
                    let size = [n, h, w, c][a] + u32::from(before[a]) + u32::from(after[a]);
                    let shape = resized(size);
                    self.add_tensor(QTensor { name: name.clone(), shape, constant: None, ..edge })
                }
            };
            let axis = [int8::Axis::N, int8::Axis::H, int8::Axis::W, int8::Axis::C][a];
            self.push(&name, int8::Op::Concat(int8::Concat { axis }), inputs, vec![output]);
            current = output;
        }
        Ok(())
    }

    /// Element type of a value in the integer program.
    fn element(&self, value: ValueId) -> DType {
        self.graph.value(value).pin.map_or(DType::I8, |pin| pin.dtype)
    }

    pub(super) fn reduce(&mut self, node: &Node, o: &Reduce) -> Result<(), QuantiseError> {
        let axes = o.axes;
        if matches!(o.function, ReduceFn::Max | ReduceFn::Min) {
            let largest = o.function == ReduceFn::Max;
            return self.shared(node, int8::Op::ReduceExtreme(int8::ReduceExtreme { axes, largest }));
        }
        let (x, y) = (node.inputs[0], node.outputs[0]);
        let (input, output) = (self.quant(x)?, self.quant(y)?);
        let mut scale = factor(node, 0, f64::from(input.scale) / f64::from(output.scale))?;
        if o.function == ReduceFn::Mean {
            let count = self.graph.shape(x).elements() / self.graph.shape(y).elements();
            scale = scale.over(count as u32).ok_or_else(|| unsupported(node, "a mean of nothing"))?;
        }
        self.plain(node, int8::Op::ReduceSum(int8::ReduceSum { axes, factor: scale }))
    }

    pub(super) fn arg_extreme(&mut self, node: &Node, o: &ArgExtreme) -> Result<(), QuantiseError> {
        let op = int8::ArgExtreme { axis: axis(o.axis), largest: o.largest };
        self.plain(node, int8::Op::ArgExtreme(op))
    }

    pub(super) fn log_softmax(&mut self, node: &Node) -> Result<(), QuantiseError> {
        self.dictated(node, LOGARITHM_OUTPUT)?;
        let scale = f64::from(self.quant(node.inputs[0])?.scale);
        let constants = dunlin::fixed::log_softmax_constants(scale)
            .ok_or_else(|| unsupported(node, format!("the reference refuses an input scale of {scale}")))?;
        let data = &mut self.program.data;
        let op = int8::LogSoftmax {
            exp: data.push(&constants.exp),
            difference: data.push(&constants.difference),
            reverse: constants.reverse,
            radius: constants.radius,
        };
        self.plain(node, int8::Op::LogSoftmax(op))
    }

    pub(super) fn l2_normalize(&mut self, node: &Node) -> Result<(), QuantiseError> {
        self.dictated(node, NORM_OUTPUT)?;
        let value_first = self.scheme(node.outputs[0]) == Scheme::Uint8;
        self.plain(node, int8::Op::L2Normalize(int8::L2Normalize { value_first }))
    }

    /// Requires the scale and zero point of an output that the reference fixes.
    pub(super) fn dictated(&self, node: &Node, expected: QParams) -> Result<(), QuantiseError> {
        let QParams { scale, zero_point } = self.quant(node.outputs[0])?;
        if (QParams { scale, zero_point }) == expected {
            return Ok(());
        }
        let found = format!("its output has scale {scale} and zero point {zero_point}");
        Err(unsupported(node, format!("{found}, not {} and {}", expected.scale, expected.zero_point)))
    }
}
