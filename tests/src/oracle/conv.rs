//! Convolutions and the fully connected layer (TensorFlow Lite `reference_integer_ops`).

use super::{Factor, Geometry, Grid, finish, rescale, rescale_wide, wrap32};

/// How products are summed and the sum is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Summing {
    /// int8: 32 bits that a generator must not overflow.
    Exact32,
    /// 16-bit activations with a 32-bit accumulator: it wraps.
    Wrapping32,
    /// 16-bit activations with a 64-bit accumulator.
    Exact64,
}

/// Weights and constants of a layer. `weights` are in the order of the operator.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Weights.
    pub weights: Vec<i64>,
    /// Per output channel.
    pub bias: Vec<i64>,
    /// Per output channel.
    pub factor: Vec<Factor>,
    /// Zero point of the input.
    pub input_zero: i64,
    /// Zero point of the weights.
    pub weight_zero: i64,
    /// Zero point of the output.
    pub output_zero: i64,
    /// Range of the fused activation.
    pub range: [i64; 2],
    /// Width of the sum.
    pub summing: Summing,
}

impl Layer {
    fn product(&self, x: i64, weight: usize) -> i64 {
        (x - self.input_zero) * (self.weights[weight] - self.weight_zero)
    }

    fn output(&self, sum: i64, channel: usize) -> i64 {
        let accumulator = sum + self.bias[channel];
        let factor = self.factor[channel];
        let scaled = match self.summing {
            Summing::Exact32 => {
                assert_eq!(accumulator, wrap32(accumulator), "a generator made a reduction that overflows");
                rescale(accumulator, factor)
            }
            Summing::Wrapping32 => rescale(wrap32(accumulator), factor),
            Summing::Exact64 => rescale_wide(accumulator, factor),
        };
        finish(scaled, self.output_zero, self.range)
    }
}

/// Convolution: weights `[o, ky, kx, i]`, taps outside of the image left out.
pub fn conv2d(x: &Grid, g: &Geometry, layer: &Layer, size: [usize; 4]) -> Grid {
    let [kernel_h, kernel_w] = g.kernel;
    let inputs = x.size[3];
    Grid::build(size, |[n, oy, ox, o]| {
        let mut sum = 0;
        for ky in 0..kernel_h {
            for kx in 0..kernel_w {
                let (y, x_at) = g.tap([oy, ox], [ky, kx]);
                for i in 0..inputs {
                    if let Some(value) = x.pixel(n, y, x_at, i) {
                        sum += layer.product(value, ((o * kernel_h + ky) * kernel_w + kx) * inputs + i);
                    }
                }
            }
        }
        layer.output(sum, o)
    })
}

/// Depthwise convolution: weights `[ky, kx, i * multiplier]`.
pub fn depthwise_conv2d(x: &Grid, g: &Geometry, layer: &Layer, size: [usize; 4]) -> Grid {
    let multiplier = size[3] / x.size[3];
    Grid::build(size, |[n, oy, ox, o]| {
        let mut sum = 0;
        for ky in 0..g.kernel[0] {
            for kx in 0..g.kernel[1] {
                let (y, x_at) = g.tap([oy, ox], [ky, kx]);
                if let Some(value) = x.pixel(n, y, x_at, o / multiplier) {
                    sum += layer.product(value, (ky * g.kernel[1] + kx) * size[3] + o);
                }
            }
        }
        layer.output(sum, o)
    })
}

/// Transpose convolution as a scatter: every input pixel adds to the outputs that its kernel covers.
pub fn transpose_conv2d(x: &Grid, g: &Geometry, layer: &Layer, size: [usize; 4]) -> Grid {
    let mut sums = Grid::build(size, |_| 0);
    let inputs = x.size[3];
    for n in 0..x.size[0] {
        for y in 0..x.size[1] {
            for x_at in 0..x.size[2] {
                for i in 0..inputs {
                    for ky in 0..g.kernel[0] {
                        for kx in 0..g.kernel[1] {
                            let row =
                                (y * g.stride[0] + ky).checked_sub(g.before[0]).filter(|&r| r < size[1]);
                            let column =
                                (x_at * g.stride[1] + kx).checked_sub(g.before[1]).filter(|&c| c < size[2]);
                            let (Some(row), Some(column)) = (row, column) else { continue };
                            for o in 0..size[3] {
                                let weight = ((o * g.kernel[0] + ky) * g.kernel[1] + kx) * inputs + i;
                                let at = sums.index([n, row, column, o]);
                                sums.data[at] += layer.product(x.at([n, y, x_at, i]), weight);
                            }
                        }
                    }
                }
            }
        }
    }
    Grid::build(size, |index| layer.output(sums.at(index), index[3]))
}

/// Fully connected layer on every row: weights `[o, i]`.
pub fn dense(x: &Grid, layer: &Layer, outputs: usize) -> Grid {
    let [n, h, w, inputs] = x.size;
    Grid::build([n, h, w, outputs], |[n, y, x_at, o]| {
        let sum = (0..inputs).map(|i| layer.product(x.at([n, y, x_at, i]), o * inputs + i)).sum();
        layer.output(sum, o)
    })
}
