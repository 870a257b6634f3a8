//! Depthwise two-dimensional convolution.

use super::conv2d::taps;
use super::{Activation, Context, Data, Init, OpError, Operator, ParamSpec, one, windowed};
use burn::tensor::{Tensor, s};
use dunlin::shape::{Shape, Window};
use serde::{Deserialize, Serialize};

/// Each input channel has `multiplier` filters of its own; output channel `c · multiplier + m`.
/// Weights `[1, kernel_h, kernel_w, in · multiplier]`, bias `[in · multiplier]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DepthwiseConv2d {
    /// Filters per input channel.
    pub multiplier: u32,
    /// Window with its padding resolved.
    pub window: Window,
    /// Whether a bias is added.
    pub bias: bool,
    /// Activation applied to the output.
    pub fused: Activation,
}

impl Operator for DepthwiseConv2d {
    fn name(&self) -> &'static str {
        "depthwise_conv2d"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = one(inputs)?;
        let c =
            x.c.checked_mul(self.multiplier).filter(|c| *c > 0).ok_or_else(|| {
                OpError::Attribute(format!("multiplier {} is out of range", self.multiplier))
            })?;
        Ok(vec![windowed(&self.window, x, c)?])
    }

    fn params(&self, inputs: &[Shape]) -> Vec<ParamSpec> {
        let (kh, kw) = (self.window.kernel_h as usize, self.window.kernel_w as usize);
        let out = (inputs[0].c * self.multiplier) as usize;
        let mut specs = vec![ParamSpec {
            name: "weight",
            dims: vec![1, kh, kw, out],
            init: Init::HeNormal { fan_in: kh * kw },
            trainable: true,
        }];
        if self.bias {
            specs.push(ParamSpec { name: "bias", dims: vec![out], init: Init::Zeros, trainable: true });
        }
        specs
    }

    fn macs(&self, inputs: &[Shape]) -> u64 {
        let Ok(out) = self.infer(inputs) else { return 0 };
        out[0].elements() as u64 * self.window.taps() as u64
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], params: &[Tensor<4>]) -> Vec<Data> {
        let mut x = inputs[0].float();
        let [c, n, h, w] = x.dims();
        let m = self.multiplier as usize;
        if m > 1 {
            x = x.reshape([c, 1, n, h, w]).expand([c, m, n, h, w]).reshape([c * m, n, h, w]);
        }
        let out = c * m;
        let kw = usize::from(self.window.kernel_w);
        let y = taps(x, &self.window, 0.0)
            .into_iter()
            .enumerate()
            .map(|(i, tap)| {
                let (ky, kx) = (i / kw, i % kw);
                let filter = params[0].clone().slice(s![0..1, ky..ky + 1, kx..kx + 1, ..]);
                tap * filter.reshape([out, 1, 1, 1])
            })
            .reduce(|a, b| a + b)
            .expect("a window has at least one tap");
        let y = if self.bias { y + params[1].clone().reshape([out, 1, 1, 1]) } else { y };
        vec![Data::Float(self.fused.apply(y))]
    }
}
