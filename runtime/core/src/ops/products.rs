//! Multiply-accumulates of an operator.

use super::{LabelScores, Op};
use crate::format::Tensor;

/// Products of weights (or of two factors) with activations that an operator adds up for these tensors, at the bounds of
/// their rows; 0 for one without weights.
///
/// Taps that fall on padding count: so they do in the literature. A transpose convolution counts every product of an
/// input value with a weight, also where the output is cut.
pub fn products(op: &Op, inputs: &[Tensor], output: &Tensor) -> u64 {
    let Some(input) = inputs.first().map(|tensor| tensor.shape) else { return 0 };
    let output = output.shape;
    let (depth, channels) = (u64::from(input.c), u64::from(output.c));
    let scores = |labels: Option<LabelScores>| labels.map_or(channels, |labels| u64::from(labels.channels));
    let (pixels, elements) = (output.pixels() as u64, output.elements() as u64);
    match op {
        Op::Conv2d(op) => pixels * scores(op.labels) * op.window.taps() as u64 * depth,
        Op::Conv2dAdd(op) => {
            // Its first input is the other operand of the sum.
            let depth = inputs.get(1).map_or(0, |input| u64::from(input.shape.c));
            elements * op.conv.window.taps() as u64 * depth
        }
        Op::Conv2d16x8(op) => elements * op.window.taps() as u64 * depth,
        Op::DepthwiseConv2d(op) => elements * op.window.taps() as u64,
        Op::DepthwiseConv2d16x8(op) => elements * op.window.taps() as u64,
        Op::TransposeConv2d(op) => input.elements() as u64 * op.window.taps() as u64 * scores(op.labels),
        Op::TransposeConv2d16x8(op) => input.elements() as u64 * op.window.taps() as u64 * channels,
        Op::Dense(_) | Op::Dense16x8(_) => elements * depth,
        Op::BatchMatMul(op) => elements * u64::from(if op.transpose_a { input.w } else { input.c }),
        Op::BatchMatMul16(op) => elements * u64::from(if op.transpose_a { input.w } else { input.c }),
        // Four gates of inputs and hidden state.
        Op::Lstm(_) | Op::Lstm16x8(_) => pixels * 4 * channels * (depth + channels),
        // The state has the memory of every filter.
        Op::Svdf(op) => {
            let memory = inputs.get(1).map_or(0, |state| u64::from(state.shape.c));
            pixels * channels * u64::from(op.rank) * (depth + memory)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Blob, DType, Place};
    use crate::ops::{BatchMatMul, Conv2d, Dense, DepthwiseConv2d, Filter, Svdf, TransposeConv2d};
    use crate::quant::{Clamp, QParams, Requant};
    use crate::shape::{Shape, Window};

    fn tensor(n: u32, h: u32, w: u32, c: u32) -> Tensor {
        let shape = Shape::new(n, h, w, c);
        Tensor { dtype: DType::I8, shape, quant: QParams::UNIT, place: Place::Arena(0), rows: None }
    }

    const FILTER: Filter = Filter {
        weights: Blob(0),
        bias: Blob(0),
        multiplier: Blob(0),
        shift: Blob(0),
        weight_zero: 0,
        clamp: Clamp::FULL,
    };

    fn count(op: Op, inputs: &[Tensor], output: Tensor) -> u64 {
        products(&op, inputs, &output)
    }

    #[test]
    fn convolutions() {
        let window = Window::square(3, 1);
        let labels = Some(LabelScores { channels: 11, zero_point: 0 });
        let (input, output) = (tensor(1, 6, 8, 5), tensor(1, 4, 6, 7));
        let conv = |labels| Op::Conv2d(Conv2d { window, filter: FILTER, labels });
        assert_eq!(count(conv(None), &[input], output), 9 * 5 * 7 * 24);
        assert_eq!(count(conv(labels), &[input], tensor(1, 4, 6, 1)), 9 * 5 * 11 * 24);
        let depthwise = Op::DepthwiseConv2d(DepthwiseConv2d { window, filter: FILTER, multiplier: 2 });
        assert_eq!(count(depthwise, &[input], tensor(1, 4, 6, 10)), 9 * 10 * 24);
        let transpose = Op::TransposeConv2d(TransposeConv2d {
            window: Window::square(4, 2),
            output_h: 8,
            output_w: 8,
            filter: FILTER,
            labels: None,
        });
        assert_eq!(count(transpose, &[tensor(1, 3, 3, 2)], tensor(1, 8, 8, 7)), 16 * 2 * 7 * 9);
    }

    #[test]
    fn matrices_and_memories() {
        let dense = Op::Dense(Dense { filter: FILTER });
        assert_eq!(count(dense, &[tensor(1, 1, 3, 20)], tensor(1, 1, 3, 10)), 3 * 20 * 10);
        let output = Requant { multiplier: 1 << 30, shift: 0 };
        let product = |transpose_a| Op::BatchMatMul(BatchMatMul { output, transpose_a, transpose_b: false });
        let (b, y) = (tensor(1, 2, 5, 6), tensor(1, 2, 3, 6));
        assert_eq!(count(product(false), &[tensor(1, 2, 3, 5), b], y), 2 * 3 * 5 * 6);
        assert_eq!(count(product(true), &[tensor(1, 2, 5, 3), b], y), 2 * 3 * 5 * 6);
        let svdf = Op::Svdf(Svdf {
            features: Blob(0),
            time: Blob(0),
            bias: Blob(0),
            rank: 2,
            state: output,
            output,
            clamp: Clamp::FULL,
        });
        assert_eq!(
            count(svdf, &[tensor(1, 1, 4, 9), tensor(1, 1, 6, 10)], tensor(1, 1, 4, 3)),
            4 * 6 * (9 + 10)
        );
    }
}
