//! Two-dimensional convolution.
//!
//! The forward pass is written as slices, one concatenation and one matrix product: on burn-flex its
//! backward pass is two to five times as fast as that of the built-in convolution, whose weight gradient
//! is a convolution with a kernel as large as the image.

use super::{Activation, Context, Data, Init, OpError, Operator, ParamSpec, one, windowed};
use burn::tensor::{Tensor, ops::PadMode, s};
use dunlin::shape::{Pad, Shape, Window};
use serde::{Deserialize, Serialize};

/// `y[o] = act(bias[o] + Σ w[o,ky,kx,i] · x[i])`; weights OHWI `[out, kernel_h, kernel_w, in]`, bias `[out]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conv2d {
    /// Number of output channels.
    pub out_channels: u32,
    /// Window with its padding resolved.
    pub window: Window,
    /// Whether a bias is added.
    pub bias: bool,
    /// Activation applied to the output.
    pub fused: Activation,
}

impl Operator for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        Ok(vec![windowed(&self.window, one(inputs)?, self.out_channels)?])
    }

    fn params(&self, inputs: &[Shape]) -> Vec<ParamSpec> {
        let c_in = inputs[0].c as usize;
        let (kh, kw) = (self.window.kernel_h as usize, self.window.kernel_w as usize);
        let out = self.out_channels as usize;
        let mut specs = vec![ParamSpec {
            name: "weight",
            dims: vec![out, kh, kw, c_in],
            init: Init::HeNormal { fan_in: kh * kw * c_in },
            trainable: true,
        }];
        if self.bias {
            specs.push(ParamSpec { name: "bias", dims: vec![out], init: Init::Zeros, trainable: true });
        }
        specs
    }

    fn macs(&self, inputs: &[Shape]) -> u64 {
        let Ok(out) = self.infer(inputs) else { return 0 };
        out[0].elements() as u64 * self.window.taps() as u64 * u64::from(inputs[0].c)
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        let [c, n, h, w] = x.dims();
        let (oh, ow) = output_size(&self.window, h, w);
        let out = self.out_channels as usize;
        let columns = if self.window.is_pointwise() {
            x.reshape([c, n * h * w])
        } else {
            let taps = taps(x, &self.window, 0.0).into_iter();
            Tensor::cat(taps.map(|t| t.reshape([c, n * oh * ow])).collect(), 0)
        };
        let k = self.window.taps() * c;
        // The product is slow where its number of rows is no multiple of the register block: pad with zeros.
        let rows = out.next_multiple_of(8);
        let mut weight = params[0].clone().reshape([out, k]);
        if rows != out {
            weight = weight.pad([(0, rows - out), (0, 0)], PadMode::Constant(0.0));
        }
        let mut y = weight.matmul(columns);
        if rows != out {
            y = y.slice(s![0..out, ..]);
        }
        let mut y = y.reshape([out, n, oh, ow]);
        if self.bias {
            y = y + params[1].clone().reshape([out, 1, 1, 1]);
        }
        vec![Data::Float(self.fused.apply(y))]
    }
}

/// Output height and width of a window that [`Operator::infer`] has accepted.
pub(super) fn output_size(window: &Window, h: usize, w: usize) -> (usize, usize) {
    // `infer` returned an error, and no node exists, where the window does not fit.
    let (oh, ow) = window.output(h as u32, w as u32).expect("window checked on insert");
    (oh as usize, ow as usize)
}

/// Pads height and width of a CNHW tensor with `value`.
pub(super) fn pad_hw(x: Tensor<4>, pad: Pad, value: f32) -> Tensor<4> {
    if pad.is_none() {
        return x;
    }
    let rows = (usize::from(pad.top), usize::from(pad.bottom));
    let cols = (usize::from(pad.left), usize::from(pad.right));
    x.pad([rows, cols], PadMode::Constant(value))
}

/// For each tap of the window, row-major, the input that it reads at every output position, CNHW.
pub(super) fn taps(x: Tensor<4>, window: &Window, pad_value: f32) -> Vec<Tensor<4>> {
    let [_, _, h, w] = x.dims();
    let (oh, ow) = output_size(window, h, w);
    let x = pad_hw(x, window.pad, pad_value);
    let (sh, sw) = (usize::from(window.stride_h), usize::from(window.stride_w));
    let mut out = Vec::with_capacity(window.taps());
    for ky in 0..usize::from(window.kernel_h) {
        for kx in 0..usize::from(window.kernel_w) {
            let y0 = ky * usize::from(window.dilation_h);
            let x0 = kx * usize::from(window.dilation_w);
            let (y1, x1) = (y0 + (oh - 1) * sh + 1, x0 + (ow - 1) * sw + 1);
            out.push(x.clone().slice(s![.., .., y0..y1; sh as isize, x0..x1; sw as isize]));
        }
    }
    out
}
