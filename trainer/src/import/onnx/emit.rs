//! Nodes of the graph for what the file's operators need, in the terms of the graph's values.

use super::binary::BinaryFn;
use super::fail::Fail;
use super::importer::Importer;
use crate::graph::ValueId;
use crate::ops::{self, Axis, PadMode, ReduceFn};
use dunlin::ops::BlockOrder;
use dunlin::shape::{Pad, Shape};

/// Part of one axis of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cut {
    pub(super) begin: usize,
    pub(super) step: i64,
    pub(super) size: usize,
}

/// Axis `slot` (0 to 3) of the graph.
fn axis(slot: usize) -> Axis {
    match slot {
        0 => Axis::N,
        1 => Axis::H,
        2 => Axis::W,
        _ => Axis::C,
    }
}

impl Importer {
    /// The part of `value` that `cuts` names.
    pub(super) fn cut(&mut self, value: ValueId, cuts: [Cut; 4]) -> Result<ValueId, Fail> {
        let [n, h, w, c] = cuts;
        let samples = self.graph.shape(value).n as usize;
        if cuts.iter().all(|c| c.step == 1) && n.begin == 0 && n.size == samples {
            let op = ops::Slice {
                begin: [h.begin, w.begin, c.begin].map(|v| v as u32),
                size: [h.size, w.size, c.size].map(|v| v as u32),
            };
            return self.push("slice", op, &[value], vec![]);
        }
        let op = ops::StridedSlice {
            begin: cuts.map(|c| c.begin as u32),
            size: cuts.map(|c| c.size as u32),
            step: cuts.map(|c| if c.size == 1 { 1 } else { c.step as i32 }),
        };
        self.push("slice", op, &[value], vec![])
    }

    /// The values one after the other along axis `slot`.
    pub(super) fn concat(&mut self, values: &[ValueId], slot: usize) -> Result<ValueId, Fail> {
        self.push("", ops::Concat { axis: axis(slot) }, values, vec![])
    }

    /// `value` with its axes in another order.
    pub(super) fn permuted(&mut self, value: ValueId, perm: [usize; 4]) -> Result<ValueId, Fail> {
        self.push("transpose", ops::Transpose { perm }, &[value], vec![])
    }

    /// `value` repeated until it has `shape`.
    pub(super) fn tile(&mut self, value: ValueId, shape: Shape) -> Result<ValueId, Fail> {
        self.push("repeat", ops::Tile { shape }, &[value], vec![])
    }

    /// Blocks of channels to blocks of pixels.
    pub(super) fn depth_to_space(
        &mut self,
        x: ValueId,
        block: u16,
        order: BlockOrder,
    ) -> Result<ValueId, Fail> {
        self.push("", ops::DepthToSpace { block, order }, &[x], vec![])
    }

    /// Blocks of pixels to blocks of channels.
    pub(super) fn space_to_depth(&mut self, x: ValueId, block: u16) -> Result<ValueId, Fail> {
        self.push("", ops::SpaceToDepth { block }, &[x], vec![])
    }

    /// Elements `before` and `after` each axis: `value`, or a mirror image without the outermost element.
    pub(super) fn pad(
        &mut self,
        x: ValueId,
        before: [u16; 4],
        after: [u16; 4],
        value: Option<f32>,
    ) -> Result<ValueId, Fail> {
        let op = ops::PadOp {
            pad: Pad { top: before[1], bottom: after[1], left: before[2], right: after[2] },
            samples: [before[0], after[0]],
            channels: [before[3], after[3]],
            mode: if value.is_some() { PadMode::Constant } else { PadMode::Reflect },
            value: value.unwrap_or(0.0),
        };
        self.push("pad", op, &[x], vec![])
    }

    /// `f(a, b)`, each size of which is the same or 1 in one of them.
    pub(super) fn binary(
        &mut self,
        part: &str,
        f: BinaryFn,
        a: ValueId,
        b: ValueId,
    ) -> Result<ValueId, Fail> {
        let inputs = [a, b];
        match f {
            BinaryFn::Add => self.push(part, ops::Add::default(), &inputs, vec![]),
            BinaryFn::Sub => self.push(part, ops::Sub::default(), &inputs, vec![]),
            BinaryFn::Mul => self.push(part, ops::Mul::default(), &inputs, vec![]),
            BinaryFn::Div => self.push(part, ops::Div::default(), &inputs, vec![]),
            BinaryFn::Max => self.push(part, ops::MinMax { largest: true }, &inputs, vec![]),
            BinaryFn::Min => self.push(part, ops::MinMax { largest: false }, &inputs, vec![]),
        }
    }

    /// Reduction over the axes of the graph marked in `axes`, which stay with size 1.
    pub(super) fn reduce(
        &mut self,
        part: &str,
        function: ReduceFn,
        x: ValueId,
        axes: [bool; 4],
    ) -> Result<ValueId, Fail> {
        self.push(part, ops::Reduce { function, axes }, &[x], vec![])
    }

    /// Index of the extreme along axis `slot`, the first of equals.
    pub(super) fn arg_extreme(&mut self, x: ValueId, slot: usize, largest: bool) -> Result<ValueId, Fail> {
        self.push("", ops::ArgExtreme { axis: axis(slot), largest }, &[x], vec![])
    }

    /// Elements of `value` along axis `slot` at `indices`, another value.
    pub(super) fn gather(&mut self, x: ValueId, indices: ValueId, slot: usize) -> Result<ValueId, Fail> {
        self.push("", ops::Gather { axis: axis(slot), indices: None }, &[x, indices], vec![])
    }

    /// Elements of `value` along axis `slot` at known indices.
    pub(super) fn pick(&mut self, x: ValueId, indices: Vec<u32>, slot: usize) -> Result<ValueId, Fail> {
        self.push("pick", ops::Gather { axis: axis(slot), indices: Some(indices) }, &[x], vec![])
    }
}
