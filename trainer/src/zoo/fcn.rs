//! Fully convolutional networks (Long, Shelhamer and Darrell 2015), microcontroller-sized: FCN-32s, 16s and 8s.
//!
//! A classifier's convolutions and pools, a 1x1 score layer on the last features and, for the finer ones, on
//! those of the fourth and third pool; coarse scores are upsampled by transpose convolutions that start as
//! bilinear interpolation, and added.

use crate::graph::{Graph, GraphError, ValueId};
use crate::net::Net;
use crate::ops::{Add, ArgMax, Resize, ResizeMode};
use crate::train::Recipe;
use dunlin::shape::{Shape, Window};

/// How fine the last scores are before the final upsampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stride {
    /// Scores of the last features only, upsampled by 32.
    S32,
    /// With those of the fourth pool, upsampled by 16.
    S16,
    /// With those of the third pool too, upsampled by 8.
    S8,
}

impl Stride {
    /// Name of the model.
    pub fn model(self) -> &'static str {
        match self {
            Stride::S32 => "fcn32s",
            Stride::S16 => "fcn16s",
            Stride::S8 => "fcn8s",
        }
    }
}

/// The network for `h x w` colour pictures and `classes` classes; gives the label of every pixel, `1,h,w,1`.
///
/// # Errors
/// A size that the five pools reduce below one pixel.
pub fn graph(stride: Stride, h: u32, w: u32, classes: u32) -> Result<Graph, GraphError> {
    let k1 = Window::square(1, 1);
    let k3 = Window::square(3, 1);
    let mut n = Net::new(stride.model());
    let x = n.input("image", Shape::image(h, w, 3))?;
    let x = n.conv_bn_relu("conv1", x, 8, k3)?;
    let x = n.max_pool("pool1", x, 2)?;
    let x = n.conv_bn_relu("conv2a", x, 24, k3)?;
    let x = n.conv_bn_relu("conv2b", x, 24, k3)?;
    let x = n.max_pool("pool2", x, 2)?;
    let x = n.conv_bn_relu("conv3a", x, 48, k3)?;
    let x = n.conv_bn_relu("conv3b", x, 48, k3)?;
    let pool3 = n.max_pool("pool3", x, 2)?;
    let pool3 = n.conv_bn_relu("conv3c", pool3, 64, k3)?;
    let x = n.conv_bn_relu("conv4", pool3, 64, k3)?;
    let pool4 = n.max_pool("pool4", x, 2)?;
    let x = n.conv_bn_relu("conv5", pool4, 64, k3)?;
    let x = n.max_pool("pool5", x, 2)?;
    let x = n.conv_bn_relu("conv6", x, 96, k3)?;
    let x = n.conv_bn_relu("conv7", x, 96, k1)?;

    let mut score = n.conv("score", x, classes, k1)?;
    let skips: &[(&str, ValueId)] = match stride {
        Stride::S32 => &[],
        Stride::S16 => &[("4", pool4)],
        Stride::S8 => &[("4", pool4), ("3", pool3)],
    };
    for (name, features) in skips {
        let s = n.shape(*features);
        let up = n.upsample(&format!("up{name}"), score, 2, (s.h, s.w))?;
        let skip = n.conv(&format!("score{name}"), *features, classes, k1)?;
        score = n.push(&format!("fuse{name}"), Add::default(), &[up, skip])?;
    }
    // A transpose convolution learns the last upsampling where its kernel, which grows with the square of the
    // stride, still fits the flash; otherwise it is the fixed bilinear one of the paper.
    let x = if stride == Stride::S8 {
        n.upsample("up", score, 8, (h, w))?
    } else {
        let resize = Resize {
            mode: ResizeMode::Bilinear,
            half_pixel_centers: true,
            align_corners: false,
            out_h: h,
            out_w: w,
        };
        n.push("up", resize, &[score])?
    };
    let x = n.push("label", ArgMax, &[x])?;
    n.finish(x)
}

/// How it is trained on CamVid.
pub fn recipe(stride: Stride) -> Recipe {
    super::camvid_recipe(stride.model(), 50)
}
