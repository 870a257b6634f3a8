//! What an operator of the runtime is made of: weights, window. Its multiply-accumulates are counted by
//! `dunlin_emulator::meter::macs`.

use dunlin::format::Tensor;
use dunlin::ops::{LabelScores, Op};
use dunlin::shape::Window;

/// Number of int8 weights of an operator; 0 for those that have none.
pub(super) fn weights(op: &Op, input: &Tensor, output: &Tensor) -> u64 {
    let i = u64::from(input.shape.c);
    let channels =
        |labels: Option<LabelScores>| labels.map_or(u64::from(output.shape.c), |l| u64::from(l.channels));
    match op {
        Op::Conv2d(o) => o.window.taps() as u64 * i * channels(o.labels),
        Op::Conv2dAdd(o) => o.conv.window.taps() as u64 * i * channels(None),
        Op::TransposeConv2d(o) => o.window.taps() as u64 * i * channels(o.labels),
        Op::DepthwiseConv2d(o) => o.window.taps() as u64 * u64::from(output.shape.c),
        Op::Dense(_) => i * u64::from(output.shape.c),
        // Four gates of inputs and hidden state.
        Op::Lstm(_) | Op::Lstm16x8(_) => 4 * u64::from(output.shape.c) * (i + u64::from(output.shape.c)),
        // Without the weights in time, whose number only the state tells.
        Op::Svdf(o) => i * u64::from(output.shape.c) * u64::from(o.rank),
        _ => 0,
    }
}

/// Where in the data section the weights of a layer lie: the same place for nodes that share them.
pub(super) fn weights_at(op: &Op) -> Option<u32> {
    let filter = match op {
        Op::Conv2d(o) => &o.filter,
        Op::Conv2dAdd(o) => &o.conv.filter,
        Op::TransposeConv2d(o) => &o.filter,
        Op::DepthwiseConv2d(o) => &o.filter,
        Op::Dense(o) => &o.filter,
        _ => return None,
    };
    Some(filter.weights.0)
}

/// Which input of an operator meets its weights.
pub(super) fn weighted_input(op: &Op) -> usize {
    usize::from(matches!(op, Op::Conv2dAdd(_)))
}

/// The sliding window of an operator that has one.
pub(super) fn window(op: &Op) -> Option<Window> {
    match op {
        Op::Conv2d(o) => Some(o.window),
        Op::Conv2dAdd(o) => Some(o.conv.window),
        Op::TransposeConv2d(o) => Some(o.window),
        Op::DepthwiseConv2d(o) => Some(o.window),
        Op::MaxPool2d(o) => Some(o.window),
        Op::MaxPool2dWithIndices(o) => Some(o.window),
        Op::MaxUnpool2d(o) => Some(o.window),
        Op::AveragePool2d(o) => Some(o.window),
        _ => None,
    }
}

/// Whether an operator stores the label of the largest channel instead of the scores.
pub(super) fn fused_argmax(op: &Op) -> bool {
    match op {
        Op::Conv2d(o) => o.labels.is_some(),
        Op::TransposeConv2d(o) => o.labels.is_some(),
        Op::ResizeBilinear(o) => o.labels.is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dunlin::format::{Blob, DType, Place};
    use dunlin::ops::{Conv2d, Filter};
    use dunlin::quant::{Clamp, QParams};
    use dunlin::shape::Shape;

    fn tensor(h: u32, w: u32, c: u32) -> Tensor {
        let shape = Shape::image(h, w, c);
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

    #[test]
    fn a_fused_argmax_counts_the_channels_that_it_hides() {
        let labels = Some(LabelScores { channels: 11, zero_point: 0 });
        let op = Op::Conv2d(Conv2d { window: Window::square(3, 1), filter: FILTER, labels });
        assert_eq!(weights(&op, &tensor(6, 8, 5), &tensor(4, 6, 1)), 9 * 5 * 11);
        assert!(fused_argmax(&op));
    }
}
