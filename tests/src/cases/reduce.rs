//! Sums, means, extremes and their indices.

use super::element::{Element, shape, size};
use super::{Draft, quant, requant};
use crate::draw::Draw;
use crate::oracle::{self, Grid, Sums};
use dunlin::format::DType;
use dunlin::ops::{ArgExtreme, Axis, Op, ReduceExtreme, ReduceSum};
use dunlin::quant::QParams;

/// A shape, axes that are reduced, and the shape after.
fn axes(draw: &mut Draw<'_>) -> ([u32; 4], [bool; 4], [u32; 4]) {
    let from = [draw.size(1, 3), draw.size(1, 6), draw.size(1, 6), draw.size(2, 7)];
    let axes = draw.pick(&[
        [false, true, true, false],
        [false, false, false, true],
        [false, false, true, false],
        [false, true, false, false],
        [true, false, false, false],
        [false, false, true, true],
        [true, true, true, false],
        [false; 4],
    ]);
    (from, axes, [0, 1, 2, 3].map(|a| if axes[a] { 1 } else { from[a] }))
}

pub(super) fn sum(draw: &mut Draw<'_>) -> Draft {
    let (from, axes, to) = axes(draw);
    let input = Element::of(draw, &[DType::I8, DType::I8, DType::I16]);
    let wide = input.dtype == DType::I16;
    let zero_point = if wide { 0 } else { quant(draw).zero_point };
    let output = Element { quant: QParams { scale: 0.4, zero_point }, ..input };
    let count = from.iter().product::<u32>() / to.iter().product::<u32>();
    let mean = draw.chance(60);
    // The sum has as many bits more than its elements as the count; a mean loses them again.
    let bits = if mean { 7 } else { 7 + i64::from(count.ilog2()) };
    let (scale, factor, feature) = requant(draw, bits);
    let scale = if mean { scale.over(count).expect("there are elements") } else { scale };
    let range = if wide { [-32768, 32767] } else { [-128, 127] };
    let p = Sums { axes, mean, zero: [input, output].map(|e| i64::from(e.quant.zero_point)), factor, range };
    let (from, to) = (shape(from), shape(to));
    let op = Op::ReduceSum(ReduceSum { axes, factor: scale });
    let mut draft = Draft::new(op, vec![input.operand(from)], vec![output.operand(to)], move |bytes, _| {
        let x = Grid { size: size(from), data: input.values(&bytes[0]) };
        let y = oracle::reduce_sum(&x, &p);
        vec![y.data.iter().flat_map(|&value| output.bytes(value)).collect()]
    });
    draft.features.extend(feature);
    draft
}

pub(super) fn extreme(draw: &mut Draw<'_>) -> Draft {
    let (from, axes, to) = axes(draw);
    let element = Element::of(draw, &[DType::I8, DType::I8, DType::U8, DType::I16, DType::I32]);
    let largest = draw.chance(50);
    let (from, to) = (shape(from), shape(to));
    let op = Op::ReduceExtreme(ReduceExtreme { axes, largest });
    Draft::new(op, vec![element.operand(from)], vec![element.operand(to)], move |bytes, _| {
        let x = Grid { size: size(from), data: element.values(&bytes[0]) };
        let y = oracle::reduce_extreme(&x, axes, largest);
        vec![y.data.iter().flat_map(|&value| element.bytes(value)).collect()]
    })
}

pub(super) fn arg_extreme(draw: &mut Draw<'_>) -> Draft {
    let from = [draw.size(1, 2), draw.size(1, 5), draw.size(1, 5), draw.size(1, 9)];
    let axis = draw.pick(&[3, 3, 2, 1, 0]);
    let mut to = from;
    to[axis] = 1;
    let element = Element::of(draw, &[DType::I8, DType::I8, DType::U8, DType::I16]);
    let indices = Element { dtype: DType::I32, quant: QParams::UNIT };
    let largest = draw.chance(50);
    let (from, to) = (shape(from), shape(to));
    let op = Op::ArgExtreme(ArgExtreme { axis: [Axis::N, Axis::H, Axis::W, Axis::C][axis], largest });
    Draft::new(op, vec![element.operand(from)], vec![indices.operand(to)], move |bytes, _| {
        let x = Grid { size: size(from), data: element.values(&bytes[0]) };
        let y = oracle::arg_extreme(&x, axis, largest);
        vec![y.data.iter().flat_map(|&index| indices.bytes(index)).collect()]
    })
}
