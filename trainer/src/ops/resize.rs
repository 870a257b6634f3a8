//! Resize by nearest neighbour or bilinear interpolation, with TensorFlow Lite's coordinate rules.
//!
//! Both are separable and linear, so the forward pass is a product with one small matrix per axis.

use super::{Context, Data, OpError, Operator, one};
use burn::tensor::{Device, Tensor, TensorData};
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// How a pixel of the output is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResizeMode {
    /// The nearest pixel of the input.
    Nearest,
    /// Weighted mean of the four nearest pixels of the input.
    Bilinear,
}

/// Height and width changed to `out_h x out_w`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resize {
    /// Rule for a pixel.
    pub mode: ResizeMode,
    /// Pixel centres lie at half-integers; excludes `align_corners`.
    pub half_pixel_centers: bool,
    /// The corner pixels of input and output coincide.
    pub align_corners: bool,
    /// Rows of the output.
    pub out_h: u32,
    /// Columns of the output.
    pub out_w: u32,
}

impl Resize {
    /// Weights of the input positions for one output position along an axis: at most two pairs
    /// `(position, weight)` that sum to 1.
    pub fn weights(&self, input: u32, output: u32, at: u32) -> [(u32, f32); 2] {
        let scale = if self.align_corners && output > 1 {
            (input - 1) as f32 / (output - 1) as f32
        } else {
            input as f32 / output as f32
        };
        let last = input - 1;
        match self.mode {
            ResizeMode::Nearest => {
                let offset = if self.half_pixel_centers { 0.5 } else { 0.0 };
                let x = (at as f32 + offset) * scale;
                let x = if self.align_corners { x.round() } else { x.floor() };
                let x = (x as u32).min(last);
                [(x, 1.0), (x, 0.0)]
            }
            ResizeMode::Bilinear => {
                let x =
                    if self.half_pixel_centers { (at as f32 + 0.5) * scale - 0.5 } else { at as f32 * scale };
                let low = x.floor();
                let lower = (low.max(0.0) as u32).min(last);
                let upper = (x.ceil().max(0.0) as u32).min(last);
                [(lower, 1.0 - (x - low)), (upper, x - low)]
            }
        }
    }

    fn matrix(&self, input: usize, output: u32, device: &Device) -> Tensor<2> {
        let mut m = vec![0.0f32; input * output as usize];
        for at in 0..output {
            for (position, weight) in self.weights(input as u32, output, at) {
                m[position as usize * output as usize + at as usize] += weight;
            }
        }
        Tensor::from_data(TensorData::new(m, [input, output as usize]), device)
    }
}

impl Operator for Resize {
    fn name(&self) -> &'static str {
        match self.mode {
            ResizeMode::Nearest => "resize_nearest",
            ResizeMode::Bilinear => "resize_bilinear",
        }
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = one(inputs)?;
        if self.half_pixel_centers && self.align_corners {
            return Err(OpError::Attribute("half_pixel_centers excludes align_corners".into()));
        }
        Ok(vec![x.with_hw(self.out_h, self.out_w)])
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        let device = x.device();
        let [c, n, h, w] = x.dims();
        let (oh, ow) = (self.out_h as usize, self.out_w as usize);
        let y = x.reshape([n * c * h, w]).matmul(self.matrix(w, self.out_w, &device));
        let y = y.reshape([n * c, h, ow]).swap_dims(1, 2).reshape([n * c * ow, h]);
        let y = y.matmul(self.matrix(h, self.out_h, &device));
        vec![Data::Float(y.reshape([c, n, ow, oh]).swap_dims(2, 3))]
    }
}
