//! Operators of graphs: rows by index.

use super::{Lowering, factor};
use crate::graph::Node;
use crate::ops::{ScatterReduce, SegmentSoftmax};
use crate::quantise::QuantiseError;
use dunlin::ops as int8;
use dunlin::ops::Aggregation;
use dunlin::quant::Requant;

impl Lowering<'_> {
    pub(super) fn gather_rows(&mut self, node: &Node) -> Result<(), QuantiseError> {
        self.shared(node, int8::Op::GatherRows(int8::GatherRows { gathered: 1 }))
    }

    pub(super) fn scatter_reduce(&mut self, node: &Node, o: &ScatterReduce) -> Result<(), QuantiseError> {
        let aggregation = o.aggregation;
        if aggregation == Aggregation::Max {
            let op = int8::ScatterReduce { aggregation, factor: Requant::ZERO };
            return self.shared(node, int8::Op::ScatterReduce(op));
        }
        let (input, output) = (self.quant(node.inputs[0])?, self.quant(node.outputs[0])?);
        let factor = factor(node, 0, f64::from(input.scale) / f64::from(output.scale))?;
        self.plain(node, int8::Op::ScatterReduce(int8::ScatterReduce { aggregation, factor }))
    }

    pub(super) fn segment_softmax(&mut self, node: &Node, o: &SegmentSoftmax) -> Result<(), QuantiseError> {
        self.dictated(node, super::UNIT_OUTPUT)?;
        let exp = self.softmax_table(node, 1.0)?;
        let dim = o.dim.map(|dim| dim.0 as u8);
        let op = int8::SegmentSoftmax { exp, segments: o.segments, dim };
        self.plain(node, int8::Op::SegmentSoftmax(op))
    }
}
