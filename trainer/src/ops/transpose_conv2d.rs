//! Transpose ("up") convolution.

use super::{Activation, Context, Data, Init, OpError, Operator, ParamSpec, one};
use burn::tensor::{Tensor, ops::PadMode, s};
use dunlin::shape::{Shape, Window, transpose_output};
use serde::{Deserialize, Serialize};

/// Each input pixel adds its `kernel_h x kernel_w` stamp to the output at `stride` steps; `window.pad` rows
/// and columns are then cut off. Weights OHWI `[out, kernel_h, kernel_w, in]` as in TensorFlow Lite, bias `[out]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransposeConv2d {
    /// Number of output channels.
    pub out_channels: u32,
    /// Kernel, stride and the padding that is cut off the output; dilation is 1.
    pub window: Window,
    /// Whether a bias is added.
    pub bias: bool,
    /// Start as bilinear interpolation of each channel (needs as many outputs as inputs).
    pub bilinear: bool,
    /// Activation applied to the output.
    pub fused: Activation,
    /// Rows below and columns right of what the stamps reach; they hold the bias (ONNX `output_padding`).
    #[serde(default)]
    pub extra: [u16; 2],
}

impl Operator for TransposeConv2d {
    fn name(&self) -> &'static str {
        "transpose_conv2d"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = one(inputs)?;
        let v = &self.window;
        if v.dilation_h != 1 || v.dilation_w != 1 {
            return Err(OpError::Attribute("a transpose convolution has dilation 1".into()));
        }
        if self.bilinear && self.out_channels != x.c {
            return Err(OpError::Attribute(format!(
                "bilinear initialisation needs as many output channels ({}) as input channels ({})",
                self.out_channels, x.c
            )));
        }
        let h = transpose_output(x.h, v.kernel_h, v.stride_h, v.pad.top, v.pad.bottom);
        let w = transpose_output(x.w, v.kernel_w, v.stride_w, v.pad.left, v.pad.right);
        let [below, beside] = self.extra.map(u32::from);
        let (h, w) = (h.and_then(|h| h.checked_add(below)), w.and_then(|w| w.checked_add(beside)));
        match (h, w) {
            (Some(h), Some(w)) => Ok(vec![Shape { n: x.n, h, w, c: self.out_channels }]),
            _ => Err(OpError::Window { kernel_h: v.kernel_h, kernel_w: v.kernel_w, input: x }),
        }
    }

    fn params(&self, inputs: &[Shape]) -> Vec<ParamSpec> {
        let c_in = inputs[0].c as usize;
        let v = &self.window;
        let (kh, kw) = (v.kernel_h as usize, v.kernel_w as usize);
        let out = self.out_channels as usize;
        let fan_in = (kh * kw * c_in).div_ceil(v.stride_h as usize * v.stride_w as usize);
        let init = if self.bilinear {
            Init::Bilinear { stride: v.stride_h as usize }
        } else {
            Init::HeNormal { fan_in }
        };
        let mut specs =
            vec![ParamSpec { name: "weight", dims: vec![out, kh, kw, c_in], init, trainable: true }];
        if self.bias {
            specs.push(ParamSpec { name: "bias", dims: vec![out], init: Init::Zeros, trainable: true });
        }
        specs
    }

    fn macs(&self, inputs: &[Shape]) -> u64 {
        inputs[0].elements() as u64 * self.window.taps() as u64 * u64::from(self.out_channels)
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        let [c, n, h, w] = x.dims();
        let v = &self.window;
        let out = self.out_channels as usize;
        let (kh, kw) = (usize::from(v.kernel_h), usize::from(v.kernel_w));
        let (sh, sw) = (usize::from(v.stride_h), usize::from(v.stride_w));
        // The kernel, filled up with zeros to a whole number of strides, falls into blocks of one stride
        // each; a block is a product of matrices followed by depth-to-space, and blocks overlap by addition.
        let (my, mx) = (kh.div_ceil(sh), kw.div_ceil(sw));
        let weight = params[0].clone().permute([0, 3, 1, 2]);
        let weight = weight.pad([(0, my * sh - kh), (0, mx * sw - kw)], PadMode::Constant(0.0));
        let pixels = x.reshape([c, n * h * w]);
        let mut sum: Option<Tensor<4>> = None;
        for by in 0..my {
            for bx in 0..mx {
                let block = weight.clone().slice(s![.., .., by * sh..(by + 1) * sh, bx * sw..(bx + 1) * sw]);
                let block = block.permute([0, 2, 3, 1]).reshape([out * sh * sw, c]);
                let y = block.matmul(pixels.clone());
                let y = y.reshape([out, sh, sw, n, h, w]).permute([0, 3, 4, 1, 5, 2]);
                let y = y.reshape([out, n, h * sh, w * sw]);
                let rows = (by * sh, (my - 1 - by) * sh);
                let cols = (bx * sw, (mx - 1 - bx) * sw);
                let y = if my * mx > 1 { y.pad([rows, cols], PadMode::Constant(0.0)) } else { y };
                sum = Some(match sum {
                    Some(s) => s + y,
                    None => y,
                });
            }
        }
        let full = sum.expect("a kernel has at least one block");
        let (top, left) = (usize::from(v.pad.top), usize::from(v.pad.left));
        let oh = (h - 1) * sh + kh - top - usize::from(v.pad.bottom);
        let ow = (w - 1) * sw + kw - left - usize::from(v.pad.right);
        let mut y = full.slice(s![.., .., top..top + oh, left..left + ow]);
        let [below, beside] = self.extra.map(usize::from);
        if below > 0 || beside > 0 {
            y = y.pad([(0, below), (0, beside)], PadMode::Constant(0.0));
        }
        if self.bias {
            y = y + params[1].clone().reshape([out, 1, 1, 1]);
        }
        vec![Data::Float(self.fused.apply(y))]
    }
}
