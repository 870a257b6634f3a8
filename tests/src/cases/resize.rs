//! Resizes.

use super::element::Element;
use super::{Draft, Feature, Operand, quant};
use crate::draw::Draw;
use crate::oracle;
use dunlin::format::DataSection;
use dunlin::ops::{
    LabelScores, Op, ResizeBilinear, ResizeBilinear16, ResizeBilinearF32, ResizeNearest, Sampling,
};
use dunlin::shape::Shape;

struct Sizes {
    shape: Shape,
    h: u32,
    w: u32,
    align_corners: bool,
    half_pixel: bool,
}

impl Sizes {
    fn draw(draw: &mut Draw<'_>) -> Self {
        let shape = Shape::new(draw.pick(&[1, 1, 2]), draw.size(1, 6), draw.size(1, 6), draw.size(1, 5));
        let (align_corners, half_pixel) = draw.pick(&[(false, false), (true, false), (false, true)]);
        // From 1 to 66 pixels the rounded scale passes the last one.
        let mut size = || if draw.chance(10) { 66 } else { draw.size(1, 13) };
        Self { shape, h: size(), w: size(), align_corners, half_pixel }
    }

    fn sampling(&self) -> Sampling {
        Sampling {
            output_h: self.h,
            output_w: self.w,
            half_pixel_centers: self.half_pixel,
            align_corners: self.align_corners,
        }
    }
}

pub(super) fn nearest(draw: &mut Draw<'_>) -> Draft {
    let Sizes { shape, h, w, align_corners, half_pixel } = Sizes::draw(draw);
    let mut axis = |input: u32, output: u32| match draw.chance(25) {
        // The format allows any table of rows, the flip of an image included.
        true => (0..output).map(|_| draw.range(0, i64::from(input) - 1) as usize).collect(),
        false => oracle::nearest_indices(input as usize, output as usize, align_corners, half_pixel),
    };
    let (rows, columns): (Vec<usize>, Vec<usize>) = (axis(shape.h, h), axis(shape.w, w));
    let mut data = DataSection::new();
    let mut table = |indices: &[usize]| data.push(&indices.iter().map(|&i| i as u16).collect::<Vec<_>>());
    let op = Op::ResizeNearest(ResizeNearest { rows: table(&rows), columns: table(&columns) });
    let out = shape.with_hw(h, w);
    Element::any(draw)
        .moved(op, shape, out, 0, move |x| oracle::resize_nearest(x, &rows, &columns))
        .with_data(data)
}

pub(super) fn bilinear(draw: &mut Draw<'_>) -> Draft {
    let Sizes { shape, h, w, align_corners, half_pixel } = Sizes::draw(draw);
    let quant = quant(draw);
    let labels = draw
        .chance(30)
        .then_some(LabelScores { channels: shape.c as u16, zero_point: quant.zero_point as i8 });
    let out = shape.with_hw(h, w);
    let output = match labels {
        None => Operand::int8(out, quant),
        Some(_) => Operand::uint8(out.with_c(1)),
    };
    let op = Op::ResizeBilinear(ResizeBilinear {
        output_h: h,
        output_w: w,
        half_pixel_centers: half_pixel,
        align_corners,
        labels,
    });
    Draft::unary(op, Operand::int8(shape, quant), output, move |x| {
        let y = oracle::resize_bilinear(&x, [h as usize, w as usize], align_corners, half_pixel);
        if labels.is_some() { oracle::argmax(&y) } else { y }
    })
    .feature(Feature::FusedArgMax, labels.is_some())
}

pub(super) fn bilinear_f32(draw: &mut Draw<'_>) -> Draft {
    let sizes = Sizes::draw(draw);
    let quant = quant(draw);
    let Sizes { shape, h, w, align_corners, half_pixel } = sizes;
    let op = Op::ResizeBilinearF32(ResizeBilinearF32 { sampling: sizes.sampling() });
    let output = Operand::int8(shape.with_hw(h, w), quant);
    Draft::unary(op, Operand::int8(shape, quant), output, move |x| {
        oracle::resize_bilinear_f32(&x, [h as usize, w as usize], align_corners, half_pixel)
    })
}

pub(super) fn bilinear16(draw: &mut Draw<'_>) -> Draft {
    let sizes = Sizes::draw(draw);
    let Sizes { shape, h, w, align_corners, half_pixel } = sizes;
    let op = Op::ResizeBilinear16(ResizeBilinear16 { sampling: sizes.sampling() });
    let output = Operand::int16(shape.with_hw(h, w), 0.01);
    Draft::unary(op, Operand::int16(shape, 0.01), output, move |x| {
        oracle::resize_bilinear(&x, [h as usize, w as usize], align_corners, half_pixel)
    })
}
