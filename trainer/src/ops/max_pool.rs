//! Maximum pooling, with and without the positions of the maxima.

use super::conv2d::pad_hw;
use super::{Activation, Context, DType, Data, OpError, Operator, one, windowed};
use burn::tensor::{Int, Tensor, module, ops::MaxPoolOptions};
use dunlin::shape::{Pad, Shape, Window};
use serde::{Deserialize, Serialize};

/// Maximum over each window; padding never wins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaxPool {
    /// Window with its padding resolved; where it is dilated there is none.
    pub window: Window,
    /// Activation applied to the output.
    #[serde(default)]
    pub fused: Activation,
}

/// [`MaxPool`] with a second output: the position of the maximum inside its window, `ky · kernel_w + kx`, u8,
/// the first in row-major order where several are equal. Drives [`super::MaxUnpool`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaxPoolIndices {
    /// Window with its padding resolved; dilation is 1 and it has at most 256 taps.
    pub window: Window,
}

/// That every window of a pool has a pixel.
pub(super) fn check(window: &Window) -> Result<(), OpError> {
    let p = window.pad;
    if (window.dilation_h != 1 || window.dilation_w != 1) && !p.is_none() {
        return Err(OpError::Attribute("a dilated pool has no padding".into()));
    }
    if p.top.max(p.bottom) >= window.kernel_h || p.left.max(p.right) >= window.kernel_w {
        return Err(OpError::Attribute(
            "padding as large as the window leaves windows without a pixel".into(),
        ));
    }
    Ok(())
}

impl Operator for MaxPool {
    fn name(&self) -> &'static str {
        "max_pool"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = one(inputs)?;
        check(&self.window)?;
        Ok(vec![windowed(&self.window, x, x.c)?])
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let x = pad_hw(inputs[0].float(), self.window.pad, f32::NEG_INFINITY);
        vec![Data::Float(self.fused.apply(module::max_pool2d(x, options(&self.window))))]
    }
}

impl Operator for MaxPoolIndices {
    fn name(&self) -> &'static str {
        "max_pool_indices"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = one(inputs)?;
        check(&self.window)?;
        if self.window.dilation_h != 1 || self.window.dilation_w != 1 {
            return Err(OpError::Attribute("a pool with positions has dilation 1".into()));
        }
        if self.window.taps() > 256 {
            return Err(OpError::Attribute(format!(
                "positions are u8: the window has {} taps, at most 256 are possible",
                self.window.taps()
            )));
        }
        let y = windowed(&self.window, x, x.c)?;
        Ok(vec![y, y])
    }

    fn output_types(&self) -> Vec<DType> {
        vec![DType::Float, DType::Index]
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        // Padding is made explicit, so that the plane position is relative to the padded plane.
        let x = pad_hw(inputs[0].float(), self.window.pad, f32::NEG_INFINITY);
        let width = x.dims()[3] as i64;
        let (y, plane) = module::max_pool2d_with_indices(x, options(&self.window));
        let [_, _, oh, ow] = y.dims();
        let (row0, col0) = origins(&self.window, Pad::NONE, oh, ow, &y.device().inner());
        // Positions are not differentiable: they leave the tape here.
        let plane = plane.inner();
        let rows = plane.clone().div_scalar(width) - row0;
        let cols = plane.remainder_scalar(width) - col0;
        let position = rows.mul_scalar(i64::from(self.window.kernel_w)) + cols;
        vec![Data::Float(y), Data::Int(position)]
    }
}

fn options(window: &Window) -> MaxPoolOptions<2> {
    MaxPoolOptions::new([usize::from(window.kernel_h), usize::from(window.kernel_w)])
        .with_stride([usize::from(window.stride_h), usize::from(window.stride_w)])
        .with_dilation([usize::from(window.dilation_h), usize::from(window.dilation_w)])
}

/// Row and column of the first tap of every window, `1,1,oh,1` and `1,1,1,ow`, less `pad`.
pub(super) fn origins(
    window: &Window,
    pad: Pad,
    oh: usize,
    ow: usize,
    device: &burn::tensor::Device,
) -> (Tensor<4, Int>, Tensor<4, Int>) {
    let rows: Vec<i64> =
        (0..oh as i64).map(|y| y * i64::from(window.stride_h) - i64::from(pad.top)).collect();
    let cols: Vec<i64> =
        (0..ow as i64).map(|x| x * i64::from(window.stride_w) - i64::from(pad.left)).collect();
    (
        Tensor::<1, Int>::from_ints(rows.as_slice(), device).reshape([1, 1, oh, 1]),
        Tensor::<1, Int>::from_ints(cols.as_slice(), device).reshape([1, 1, 1, ow]),
    )
}
