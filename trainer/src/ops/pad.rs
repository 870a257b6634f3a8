//! Padding as an operator of its own.

use super::axes::{dim, on_axis, select, shape, sizes};
use super::conv2d::pad_hw;
use super::{Context, Data, OpError, Operator, one};
use burn::tensor::Tensor;
use dunlin::shape::{Pad, Shape};
use serde::{Deserialize, Serialize};

/// What padding is filled with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PadMode {
    /// One value.
    #[default]
    Constant,
    /// The mirror image without the outermost element: `2 1 | 0 1 2 | 1 0`.
    Reflect,
    /// The mirror image with the outermost element: `1 0 | 0 1 2 | 2 1`.
    Symmetric,
}

/// Surrounds a value with a constant, 0 where nothing else is said, or with its mirror image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PadOp {
    /// Rows and columns to add.
    pub pad: Pad,
    /// Samples to add before and after.
    #[serde(default)]
    pub samples: [u16; 2],
    /// Channels to add before and after.
    #[serde(default)]
    pub channels: [u16; 2],
    /// What is added.
    #[serde(default)]
    pub mode: PadMode,
    /// The constant.
    #[serde(default)]
    pub value: f32,
}

impl PadOp {
    /// Rows and columns of zeros.
    pub fn zeros(pad: Pad) -> Self {
        Self { pad, ..Self::default() }
    }

    /// Elements before and after each axis, NHWC.
    pub fn edges(&self) -> ([u16; 4], [u16; 4]) {
        let p = self.pad;
        (
            [self.samples[0], p.top, p.left, self.channels[0]],
            [self.samples[1], p.bottom, p.right, self.channels[1]],
        )
    }

    /// Whether nothing is added.
    pub fn is_none(&self) -> bool {
        self.edges() == ([0; 4], [0; 4])
    }

    /// What each element along an axis of this size is after padding: the index of an element before.
    fn mirrored(&self, size: usize, before: usize, after: usize) -> Vec<usize> {
        let on_edge = usize::from(self.mode == PadMode::Reflect);
        let left = (0..before).rev().map(|i| i + on_edge);
        let right = (0..after).map(|i| size - 1 - on_edge - i);
        left.chain(0..size).chain(right).collect()
    }

    /// Pads one dimension of the executor's tensor.
    fn padded(&self, x: Tensor<4>, dim: usize, before: usize, after: usize) -> Tensor<4> {
        if before == 0 && after == 0 {
            return x;
        }
        let mut size = x.dims();
        if self.mode != PadMode::Constant {
            return select(x, dim, &self.mirrored(size[dim], before, after));
        }
        let device = x.device();
        let mut edge = |len: usize| {
            size[dim] = len;
            (len > 0).then(|| Tensor::full(size, self.value, &device))
        };
        let (before, after) = (edge(before), edge(after));
        Tensor::cat(before.into_iter().chain([x]).chain(after).collect(), dim)
    }
}

impl Operator for PadOp {
    fn name(&self) -> &'static str {
        match self.mode {
            PadMode::Constant => "pad",
            PadMode::Reflect | PadMode::Symmetric => "mirror_pad",
        }
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = one(inputs)?;
        let (before, after) = self.edges();
        let mut grown = sizes(x);
        for (axis, size) in grown.iter_mut().enumerate() {
            let (before, after) = (u32::from(before[axis]), u32::from(after[axis]));
            let widest = match self.mode {
                PadMode::Constant => u32::MAX,
                PadMode::Reflect => size.saturating_sub(1),
                PadMode::Symmetric => *size,
            };
            if before.max(after) > widest {
                return Err(on_axis(axis, x, format!("mirror images of {before} and {after} are too wide")));
            }
            *size = size
                .checked_add(before + after)
                .ok_or_else(|| OpError::Attribute("the padded size exceeds 32 bits".into()))?;
        }
        Ok(vec![shape(grown)])
    }

    fn mixes_samples(&self, _inputs: &[Shape]) -> bool {
        self.samples != [0; 2]
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let (mut before, mut after) = self.edges();
        let mut x = inputs[0].float();
        if self.mode == PadMode::Constant {
            x = pad_hw(x, self.pad, self.value);
            [before[1], before[2], after[1], after[2]] = [0; 4];
        }
        let all = (0..4).fold(x, |x, axis| {
            self.padded(x, dim(axis), usize::from(before[axis]), usize::from(after[axis]))
        });
        vec![Data::Float(all)]
    }
}
