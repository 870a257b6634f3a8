//! Maximum unpool.

use super::layer::{geometry, window_features};
use super::{Draft, Feature, Fill, Operand, quant};
use crate::draw::Draw;
use crate::oracle::{self, Grid};
use dunlin::ops::{MaxUnpool2d, Op};
use dunlin::shape::{Pad, Shape, Window};

pub(super) fn draft(draw: &mut Draw<'_>) -> Draft {
    let mut axis = || {
        let (kernel, dilation) = (draw.size(1, 3), draw.pick(&[1, 1, 1, 2]));
        let extent = (kernel - 1) * dilation + 1;
        let (before, after) = (draw.size(0, kernel - 1), draw.size(0, kernel - 1));
        let size = extent + draw.size(0, 6);
        [kernel, extent + draw.size(0, 1), dilation, before, after, size]
    };
    let ([kernel_h, stride_h, dilation_h, top, bottom, h], [kernel_w, stride_w, dilation_w, left, right, w]) =
        (axis(), axis());
    let narrow = |v: u32| v as u16;
    let window = Window {
        kernel_h: narrow(kernel_h),
        kernel_w: narrow(kernel_w),
        stride_h: narrow(stride_h),
        stride_w: narrow(stride_w),
        dilation_h: narrow(dilation_h),
        dilation_w: narrow(dilation_w),
        pad: Pad { top: narrow(top), bottom: narrow(bottom), left: narrow(left), right: narrow(right) },
    };
    let (small_h, small_w) = window.output(h, w).expect("the window was drawn to fit");
    let shape = Shape::new(draw.pick(&[1, 1, 2]), small_h, small_w, draw.size(1, 6));
    let quant = quant(draw);
    let out = shape.with_hw(h, w);
    let g = geometry(&window);
    let stray = draw.chance(50);
    let taps = (kernel_h * kernel_w) as u8;
    let fill = if stray { Fill::Any } else { Fill::Positions(taps) };
    let positions = Operand { fill, ..Operand::uint8(shape) };
    let op = Op::MaxUnpool2d(MaxUnpool2d { window, output_h: h, output_w: w });
    let mut draft = Draft::new(
        op,
        vec![Operand::int8(shape, quant), positions],
        vec![Operand::int8(out, quant)],
        move |bytes, _| {
            let size = [shape.n, shape.h, shape.w, shape.c].map(|d| d as usize);
            let (x, positions) = (Grid::from_i8(size, &bytes[0]), Grid::from_u8(size, &bytes[1]));
            let out = [out.n, out.h, out.w, out.c].map(|d| d as usize);
            vec![oracle::max_unpool(&x, &positions, &g, i64::from(quant.zero_point), out).to_bytes()]
        },
    );
    draft.features = window_features(&window);
    draft.feature(Feature::StrayPosition, stray)
}
