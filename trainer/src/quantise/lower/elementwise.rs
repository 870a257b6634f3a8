//! Sums, products and functions of one element.

use super::{Lowering, factor, params, table};
use crate::graph::Node;
use crate::ops::{Activation, UnaryFn};
use crate::quantise::QuantiseError;
use dunlin::ops as int8;
use dunlin::quant::Clamp;

/// Bits by which TensorFlow Lite's int8 sum shifts its inputs for precision.
const ADD_LEFT_SHIFT: u8 = 20;

impl Lowering<'_> {
    pub(super) fn add(&mut self, node: &Node, fused: Activation) -> Result<(), QuantiseError> {
        let (a, b) = (self.quant(node.inputs[0])?, self.quant(node.inputs[1])?);
        let output = self.quant(node.outputs[0])?;
        let (s1, s2, s) = (f64::from(a.scale), f64::from(b.scale), f64::from(output.scale));
        let twice_larger = 2.0 * s1.max(s2);
        let op = int8::Add {
            inputs: [factor(node, 0, s1 / twice_larger)?, factor(node, 0, s2 / twice_larger)?],
            output: factor(node, 0, twice_larger / (f64::from(1u32 << ADD_LEFT_SHIFT) * s))?,
            left_shift: ADD_LEFT_SHIFT,
            clamp: params::clamp(fused, output),
        };
        self.plain(node, int8::Op::Add(op))
    }

    pub(super) fn mul(&mut self, node: &Node) -> Result<(), QuantiseError> {
        let (a, b) = (self.quant(node.inputs[0])?, self.quant(node.inputs[1])?);
        let output = self.quant(node.outputs[0])?;
        let real = f64::from(a.scale) * f64::from(b.scale) / f64::from(output.scale);
        let op = int8::Mul { output: factor(node, 0, real)?, clamp: Clamp::FULL };
        self.plain(node, int8::Op::Mul(op))
    }

    pub(super) fn unary(&mut self, node: &Node, function: UnaryFn) -> Result<(), QuantiseError> {
        let (input, output) = (self.quant(node.inputs[0])?, self.quant(node.outputs[0])?);
        let table = table::fill(function, input, output);
        let table = self.program.data.push(&table);
        self.plain(node, int8::Op::Lut(int8::Lut { table }))
    }
}
