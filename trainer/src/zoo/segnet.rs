//! SegNet (Badrinarayanan, Kendall and Cipolla 2017), microcontroller-sized: an encoder and its mirror image,
//! joined by the positions of the pooled maxima instead of by copied features.
//!
//! At 120 x 160 only 8 channels fit the arena, so the capacity lies at 1/4 and 1/8 of the resolution. The
//! bottleneck adds two dilated convolutions and the image's mean features, which widen the view to the whole
//! picture at little cost.

use crate::graph::{Graph, GraphError};
use crate::net::Net;
use crate::ops::{ArgMax, Axis, Concat, Resize, ResizeMode};
use crate::train::Recipe;
use dunlin::shape::{Shape, Window};

/// The network for `h x w` colour pictures and `classes` classes; gives the label of every pixel, `1,h,w,1`.
///
/// # Errors
/// A size that the three pools reduce below one pixel.
pub fn graph(h: u32, w: u32, classes: u32) -> Result<Graph, GraphError> {
    let k3 = Window::square(3, 1);
    let mut n = Net::new("segnet");
    let x = n.input("image", Shape::image(h, w, 3))?;
    let x = n.conv_bn_relu("enc1", x, 8, k3)?;
    let (x, at1) = n.max_pool_indices("pool1", x, 2)?;
    let x = n.conv_bn_relu("enc2", x, 28, k3)?;
    let (x, at2) = n.max_pool_indices("pool2", x, 2)?;
    let x = n.conv_bn_relu("enc3a", x, 48, k3)?;
    let x = n.conv_bn_relu("enc3b", x, 48, k3)?;
    let (x, at3) = n.max_pool_indices("pool3", x, 2)?;

    let x = n.conv_bn_relu("mid1", x, 72, k3)?;
    let x = n.conv_bn_relu("mid2", x, 72, k3.dilated(2))?;
    let x = n.conv_bn_relu("mid3", x, 72, k3.dilated(4))?;
    let s = n.shape(x);
    let mean = n.global_avg_pool("context.mean", x)?;
    let mean = n.conv("context", mean, 24, Window::square(1, 1))?;
    let mean = n.relu("context.relu", mean)?;
    let resize = Resize {
        mode: ResizeMode::Nearest,
        half_pixel_centers: false,
        align_corners: false,
        out_h: s.h,
        out_w: s.w,
    };
    let mean = n.push("context.spread", resize, &[mean])?;
    let x = n.push("context.join", Concat { axis: Axis::C }, &[x, mean])?;
    let x = n.conv_bn_relu("mid4", x, 48, k3)?;

    let x = n.max_unpool("unpool3", x, at3)?;
    let x = n.conv_bn_relu("dec3b", x, 48, k3)?;
    let x = n.conv_bn_relu("dec3a", x, 28, k3)?;
    let x = n.max_unpool("unpool2", x, at2)?;
    let x = n.conv_bn_relu("dec2", x, 8, k3)?;
    let x = n.max_unpool("unpool1", x, at1)?;
    let x = n.conv("score", x, classes, k3)?;
    let x = n.push("label", ArgMax, &[x])?;
    n.finish(x)
}

/// How it is trained on CamVid.
pub fn recipe() -> Recipe {
    super::camvid_recipe("segnet", 110)
}
