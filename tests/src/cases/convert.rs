//! Changes of scale and type.

use super::{Draft, Feature, Operand, quant, requant};
use crate::draw::Draw;
use crate::oracle::{self, Grid};
use dunlin::format::DType;
use dunlin::ops::{Convert, Dequantize, Op, Quantize, Requantize};
use dunlin::quant::{QParams, Requant};
use dunlin::shape::Shape;

fn shape(draw: &mut Draw<'_>) -> Shape {
    let (n, h) = if draw.chance(30) { (2, 3) } else { (1, 1) };
    Shape::new(n, h, draw.size(1, 7), draw.size(1, 9))
}

pub(super) fn requantize(draw: &mut Draw<'_>) -> Draft {
    let shape = shape(draw);
    let input = quant(draw);
    let output = if draw.chance(50) { input } else { quant(draw) };
    let (scale, factor, feature) = requant(draw, 7);
    let zeros = [i64::from(input.zero_point), i64::from(output.zero_point)];
    let op = Op::Requantize(Requantize { scale });
    let mut draft = Draft::unary(op, Operand::int8(shape, input), Operand::int8(shape, output), move |x| {
        oracle::requantize(&x, zeros[0], factor, zeros[1])
    });
    draft.features.extend(feature);
    draft.by_rows()
}

pub(super) fn quantize(draw: &mut Draw<'_>) -> Draft {
    let shape = shape(draw);
    let output = quant(draw);
    let mut input = Operand::real(shape);
    // The values of the runs are spread over steps of this size.
    input.quant.scale = output.scale;
    let zero = i64::from(output.zero_point);
    Draft::new(Op::Quantize(Quantize {}), vec![input], vec![Operand::int8(shape, output)], move |bytes, _| {
        let reals = bytes[0].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        vec![reals.map(|real| oracle::quantize(real, output.scale, zero) as u8).collect()]
    })
    .by_rows()
    .feature(Feature::OddReal, true)
}

pub(super) fn dequantize(draw: &mut Draw<'_>) -> Draft {
    let shape = shape(draw);
    let input = quant(draw);
    let zero = i64::from(input.zero_point);
    let op = Op::Dequantize(Dequantize {});
    Draft::new(op, vec![Operand::int8(shape, input)], vec![Operand::real(shape)], move |bytes, _| {
        let real = |&b: &u8| oracle::dequantize(i64::from(b as i8), input.scale, zero).to_le_bytes();
        vec![bytes[0].iter().flat_map(real).collect()]
    })
    .by_rows()
}

/// Scale and zero point of a tensor of this type.
fn quant_of(dtype: DType, draw: &mut Draw<'_>) -> QParams {
    let q = quant(draw);
    let zero_point = match dtype {
        DType::I8 => q.zero_point,
        DType::U8 => q.zero_point + 128,
        DType::I16 | DType::I32 | DType::F32 | DType::U16 => 0,
    };
    QParams { zero_point, ..q }
}

fn range_of(dtype: DType) -> [i64; 2] {
    match dtype {
        DType::I8 => [-128, 127],
        DType::U8 => [0, 255],
        DType::I16 => [-32_768, 32_767],
        DType::I32 | DType::F32 | DType::U16 => [i64::from(i32::MIN), i64::from(i32::MAX)],
    }
}

fn integers(dtype: DType, size: [usize; 4], bytes: &[u8]) -> Grid {
    match dtype {
        DType::I8 => Grid::from_i8(size, bytes),
        DType::U8 => Grid::from_u8(size, bytes),
        DType::I16 => Grid::from_i16(size, bytes),
        DType::I32 | DType::F32 | DType::U16 => Grid::from_i32(size, bytes),
    }
}

fn bytes_of(dtype: DType, values: &Grid) -> Vec<u8> {
    match dtype {
        DType::I8 | DType::U8 => values.to_bytes(),
        DType::I16 => values.to_i16_bytes(),
        DType::I32 | DType::F32 | DType::U16 => values.to_i32_bytes(),
    }
}

pub(super) fn convert(draw: &mut Draw<'_>) -> Draft {
    const INTEGERS: [DType; 4] = [DType::I8, DType::U8, DType::I16, DType::I32];
    let shape = shape(draw);
    let (from, to) = match draw.range(0, 5) {
        0 => (DType::F32, draw.pick(&INTEGERS)),
        1 => (draw.pick(&INTEGERS), DType::F32),
        _ => (draw.pick(&INTEGERS), draw.pick(&INTEGERS)),
    };
    let bits = |dtype: DType| i64::from(8 * dtype.size()) - 1;
    let (mut scale, mut factor, feature) = requant(draw, bits(from) - bits(to) + 7);
    // Equal scales, as between int8 and uint8 of one tensor.
    let same = draw.chance(20);
    if same {
        scale = Requant { multiplier: 1 << 30, shift: 1 };
        factor = oracle::Factor { multiplier: 1 << 30, shift: 1 };
    }
    let truncate = draw.chance(30);
    let (mut input, output) = (quant_of(from, draw), quant_of(to, draw));
    if from == DType::F32 {
        // The values of the runs are spread over steps of this size.
        input.scale = output.scale;
    }
    let (zero, output_zero) = (i64::from(input.zero_point), i64::from(output.zero_point));
    let operand = |dtype: DType, quant: QParams| Operand { dtype, ..Operand::int8(shape, quant) };
    let op = Op::Convert(Convert { scale, truncate });
    let mut draft =
        Draft::new(op, vec![operand(from, input)], vec![operand(to, output)], move |bytes, counts| {
            let rows = counts[0];
            let size = [shape.n, shape.h, rows, shape.c].map(|d| d as usize);
            let range = range_of(to);
            let values = match from {
                DType::F32 => {
                    let reals =
                        bytes[0].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
                    let steps = |real| oracle::quantize_to(real, output.scale, output_zero, range, truncate);
                    Grid { size, data: reals.map(steps).collect() }
                }
                from => integers(from, size, &bytes[0]),
            };
            vec![match (from, to) {
                (DType::F32, _) => bytes_of(to, &values),
                (_, DType::F32) => {
                    let real = |&q: &i64| oracle::dequantize(q, input.scale, zero).to_le_bytes();
                    values.data.iter().flat_map(real).collect()
                }
                _ => bytes_of(to, &oracle::requantize_to(&values, zero, factor, output_zero, range)),
            }]
        });
    draft.features.extend(feature.filter(|_| !same));
    draft.by_rows().feature(Feature::OddReal, from == DType::F32)
}
