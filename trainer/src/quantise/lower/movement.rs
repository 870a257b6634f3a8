//! Operators that move values or combine them within one scale: pools, concatenation, padding, resizes.

use super::{Lowering, QTensor, unsupported};
use crate::graph::{Node, NodeId, Scheme};
use crate::ops::{AvgPool, Axis, MaxPool, MaxUnpool, Resize, Slice};
use crate::quantise::{QuantiseError, params};
use dunlin::format::DType;
use dunlin::ops as int8;
use dunlin::quant::QParams;
use dunlin::shape::Window;

impl Lowering<'_> {
    pub(super) fn max_pool(&mut self, node: &Node, o: &MaxPool) -> Result<(), QuantiseError> {
        let clamp = params::clamp(o.fused, self.quant(node.outputs[0])?);
        self.shared(node, int8::Op::MaxPool2d(int8::MaxPool2d { window: o.window, clamp }))
    }

    pub(super) fn max_pool_indices(&mut self, node: &Node, window: Window) -> Result<(), QuantiseError> {
        self.shared(node, int8::Op::MaxPool2dWithIndices(int8::MaxPool2dWithIndices { window }))
    }

    pub(super) fn max_unpool(&mut self, node: &Node, o: &MaxUnpool) -> Result<(), QuantiseError> {
        let op = int8::MaxUnpool2d { window: o.window, output_h: o.out_h, output_w: o.out_w };
        self.shared(node, int8::Op::MaxUnpool2d(op))
    }

    pub(super) fn average_pool(&mut self, node: &Node, o: &AvgPool) -> Result<(), QuantiseError> {
        let rounding = match self.scheme(node.outputs[0]) {
            Scheme::Int8 => int8::AverageRounding::HalfAwayFromZero,
            Scheme::Uint8 => int8::AverageRounding::UnsignedHalfUp,
        };
        let clamp = params::clamp(o.fused, self.quant(node.outputs[0])?);
        let op = int8::AveragePool2d { window: o.window, clamp, rounding };
        self.shared(node, int8::Op::AveragePool2d(op))
    }

    pub(super) fn concat(&mut self, node: &Node, axis: Axis) -> Result<(), QuantiseError> {
        if node.inputs.len() > 255 {
            return Err(unsupported(node, "at most 255 tensors can be joined at once"));
        }
        self.moved(node, int8::Op::Concat(int8::Concat { axis: super::shape::axis(axis) }))
    }

    pub(super) fn slice(&mut self, node: &Node, o: &Slice) -> Result<(), QuantiseError> {
        let [h, w, c] = o.begin;
        self.shared(node, int8::Op::Slice(int8::Slice { begin: [0, h, w, c] }))
    }

    /// Labels of a nearest-neighbour resize are the resized labels: the maximum is taken before, where there
    /// are fewer pixels.
    pub(super) fn resize_nearest(
        &mut self,
        id: NodeId,
        node: &Node,
        o: &Resize,
    ) -> Result<(), QuantiseError> {
        let x = self.graph.shape(node.inputs[0]);
        let table = |input: u32, output: u32| -> Vec<u16> {
            (0..output).map(|at| o.weights(input, output, at)[0].0 as u16).collect()
        };
        if x.h > u32::from(u16::MAX) || x.w > u32::from(u16::MAX) {
            return Err(unsupported(node, "more than 65,535 rows or columns"));
        }
        let rows = self.program.data.push(&table(x.h, o.out_h));
        let columns = self.program.data.push(&table(x.w, o.out_w));
        let op = int8::Op::ResizeNearest(int8::ResizeNearest { rows, columns });
        let Some((label, _)) = self.labels(id, node)? else { return self.shared(node, op) };
        let scores = self.tensor(node.inputs[0])?;
        let name = format!("{}.labels", node.name);
        let small = self.add_tensor(QTensor {
            name: name.clone(),
            dtype: DType::U8,
            shape: x.with_c(1),
            quant: QParams::UNIT,
            rows: None,
            persistent: false,
            constant: None,
            value: None,
        });
        self.push(&name, int8::Op::ArgMax(int8::ArgMax {}), vec![scores], vec![small]);
        let label = self.tensor(label)?;
        self.push(&node.name, op, vec![small], vec![label]);
        Ok(())
    }

    pub(super) fn resize_bilinear(
        &mut self,
        id: NodeId,
        node: &Node,
        o: &Resize,
    ) -> Result<(), QuantiseError> {
        let op = |labels| {
            int8::Op::ResizeBilinear(int8::ResizeBilinear {
                output_h: o.out_h,
                output_w: o.out_w,
                half_pixel_centers: o.half_pixel_centers,
                align_corners: o.align_corners,
                labels,
            })
        };
        let value = node.outputs[0];
        let sampling = int8::Sampling {
            output_h: o.out_h,
            output_w: o.out_w,
            half_pixel_centers: o.half_pixel_centers,
            align_corners: o.align_corners,
        };
        if self.is_wide(value) {
            return self.shared(node, int8::Op::ResizeBilinear16(int8::ResizeBilinear16 { sampling }));
        }
        if self.scheme(value) == Scheme::Uint8 {
            return self.shared(node, int8::Op::ResizeBilinearF32(int8::ResizeBilinearF32 { sampling }));
        }
        match self.labels(id, node)? {
            None => self.shared(node, op(None)),
            labels => self.scored(node, labels, op),
        }
    }
}
