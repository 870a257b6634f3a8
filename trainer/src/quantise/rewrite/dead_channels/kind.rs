//! How channels pass through the operators of an integer program.

use super::super::constants::Constants;
use crate::quantise::{QGraph, QNode, QTensor};
use dunlin::format::DType;
use dunlin::ops::{Axis, Filter, Op};
use dunlin::shape::{Shape, Window};

/// What the channels of a node's output depend on.
pub(super) enum Kind {
    /// Each on all channels of the input.
    Sum(Sum),
    /// As many as the number says on each channel of the input, in its order: a depthwise convolution.
    Groups(usize),
    /// Each on the channel of the same number of every input.
    Each,
    /// The channels of the inputs, one input after the other.
    Joined,
    /// Nothing is known: all channels stay.
    Whole,
}

impl Kind {
    /// The kind of a node of a program whose constants are `constants`.
    pub(super) fn of(program: &QGraph, node: &QNode, constants: &Constants) -> Self {
        let tensor = |id: &u16| &program.tensors[usize::from(*id)];
        if let Some(sum) = Sum::of(program, node, constants) {
            return Self::Sum(sum);
        }
        let int8 = node.inputs.iter().chain(&node.outputs).all(|id| tensor(id).dtype == DType::I8);
        let [output] = node.outputs.as_slice() else { return Self::Whole };
        if !int8 {
            return Self::Whole;
        }
        match &node.op {
            Op::DepthwiseConv2d(o) => Self::Groups(usize::from(o.multiplier)),
            Op::Concat(o) if o.axis == Axis::C => Self::Joined,
            op if channelwise(op) => {
                let c = tensor(output).shape.c;
                if node.inputs.iter().all(|id| tensor(id).shape.c == c) { Self::Each } else { Self::Whole }
            }
            _ => Self::Whole,
        }
    }
}

/// Whether channel `i` of the output depends on nothing but channel `i` of the inputs, where all have as many channels.
fn channelwise(op: &Op) -> bool {
    match op {
        Op::Add(_)
        | Op::Sub(_)
        | Op::Mul(_)
        | Op::Div(_)
        | Op::MinMax(_)
        | Op::SquaredDifference(_)
        | Op::PRelu(_)
        | Op::Lut(_)
        | Op::Requantize(_)
        | Op::MaxPool2d(_)
        | Op::AveragePool2d(_)
        | Op::ResizeNearest(_)
        | Op::Reshape(_)
        | Op::Slice(_)
        | Op::Concat(_) => true,
        Op::ResizeBilinear(o) => o.labels.is_none(),
        Op::Pad(o) => o.before[3] == 0 && o.after[3] == 0,
        Op::ReduceSum(o) => !o.axes[3],
        Op::ReduceExtreme(o) => !o.axes[3],
        _ => false,
    }
}

/// A convolution or dense layer: every output channel is a sum of products over all input channels.
pub(super) struct Sum {
    pub(super) filter: Filter,
    window: Window,
    input: Shape,
    output: (u32, u32),
    input_zero: i64,
    /// `[outputs, taps, inputs]`.
    weights: Vec<i8>,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// The output is the label of the largest channel: none of them can go.
    pub(super) labels: bool,
}

impl Sum {
    fn of(program: &QGraph, node: &QNode, constants: &Constants) -> Option<Self> {
        let tensor = |ids: &[u16]| -> &QTensor { &program.tensors[usize::from(ids[0])] };
        let (filter, window, labels) = match &node.op {
            Op::Conv2d(o) => (o.filter, o.window, o.labels),
            Op::Dense(o) => (o.filter, Window::square(1, 1), None),
            _ => return None,
        };
        let (input, output) = (tensor(&node.inputs), tensor(&node.outputs));
        let inputs = input.shape.c as usize;
        let outputs = labels.map_or(output.shape.c as usize, |labels| usize::from(labels.channels));
        Some(Self {
            filter,
            window,
            input: input.shape,
            output: (output.shape.h, output.shape.w),
            input_zero: i64::from(input.quant.zero_point),
            weights: constants.int8(filter.weights, outputs * window.taps() * inputs),
            inputs,
            outputs,
            labels: labels.is_some(),
        })
    }

    /// Taps of the window.
    pub(super) fn taps(&self) -> usize {
        self.window.taps()
    }

    /// The weight of a tap less the weights' zero point.
    fn weight(&self, output: usize, tap: usize, input: usize) -> i64 {
        let at = (output * self.taps() + tap) * self.inputs + input;
        i64::from(self.weights[at]) - i64::from(self.filter.weight_zero)
    }

    /// Whether an output channel depends on an input channel.
    pub(super) fn reads(&self, output: usize, input: usize) -> bool {
        (0..self.taps()).any(|tap| self.weight(output, tap, input) != 0)
    }

    /// What an input channel that always is `image` adds to the sum of an output channel; `None` where that is not the
    /// same at every pixel. Padding adds nothing, so a border may make a difference.
    pub(super) fn share(&self, image: &[i8], input: usize, output: usize) -> Option<i64> {
        let (h, w) = (self.input.h as usize, self.input.w as usize);
        let weights: Vec<i64> = (0..self.taps()).map(|tap| self.weight(output, tap, input)).collect();
        let flat = image.iter().all(|q| *q == image[0]);
        if flat && self.window.pad.is_none() {
            return Some((i64::from(image[0]) - self.input_zero) * weights.iter().sum::<i64>());
        }
        let window = &self.window;
        let inside = |out: usize, tap: usize, stride: u16, dilation: u16, before: u16, size: usize| {
            (out * usize::from(stride) + tap * usize::from(dilation))
                .checked_sub(usize::from(before))
                .filter(|&at| at < size)
        };
        let mut share = None;
        for image in image.chunks_exact(h * w) {
            for (oy, ox) in (0..self.output.0).flat_map(|y| (0..self.output.1).map(move |x| (y, x))) {
                let mut sum = 0;
                for (tap, weight) in weights.iter().enumerate() {
                    let (ky, kx) = (tap / usize::from(window.kernel_w), tap % usize::from(window.kernel_w));
                    let (dy, dx) = (window.dilation_h, window.dilation_w);
                    let y = inside(oy as usize, ky, window.stride_h, dy, window.pad.top, h);
                    let x = inside(ox as usize, kx, window.stride_w, dx, window.pad.left, w);
                    if let (Some(y), Some(x)) = (y, x) {
                        sum += (i64::from(image[y * w + x]) - self.input_zero) * weight;
                    }
                }
                if *share.get_or_insert(sum) != sum {
                    return None;
                }
            }
        }
        share
    }
}
