//! The slow reference: every operator once more, straight from its definition, in 64- and 128-bit integers.
//!
//! Nothing here is meant to be fast, and nothing is shared with the runtime: no type, no rounding function, no
//! window loop. Where TensorFlow Lite defines an operator this follows the text of its reference kernel (which
//! skips taps outside of the image, scatters transpose convolutions, evaluates each exponential); where it does
//! not, `docs/numerics.md` is the text. Values are i64, layout NHWC.

mod binary;
mod conv;
mod elementwise;
mod graph;
mod log_softmax;
mod matmul;
mod norm;
mod pool;
mod recurrent;
mod reduce;
mod resize;
mod shape;
mod softmax;
mod wide;

pub use binary::{Alignment, Product, Sum, add, divide, min_max, mul, prelu, squared_difference, sub};
pub use conv::{Layer, Summing, conv2d, dense, depthwise_conv2d, transpose_conv2d};
pub use elementwise::{argmax, dequantize, lookup, quantize, quantize_to, requantize, requantize_to};
pub use graph::{Together, gather_rows, scatter_reduce, segment_softmax};
pub use log_softmax::log_softmax;
pub use matmul::{Matrices, batch_matmul};
pub use norm::{Affine, l2_normalize, layer_norm, rsqrt16};
pub use pool::{Rounding, average_pool, max_pool, max_pool_with_positions, max_unpool};
pub use recurrent::{Filters, Gate, Memory};
pub use reduce::{Sums, arg_extreme, reduce_extreme, reduce_sum};
pub use resize::{nearest_indices, resize_bilinear, resize_bilinear_f32, resize_nearest};
pub use shape::{
    batch_to_space, concat, depth_to_space, gather, mirror_pad, pad, slice, space_to_batch, space_to_depth,
    strided_slice, tile, transpose,
};
pub use softmax::softmax;
pub use wide::{average_pool16, interpolate, logistic16, rectify, softmax16, tanh16};

/// A tensor of integers, NHWC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Sizes: samples, rows, columns, channels.
    pub size: [usize; 4],
    /// Elements, channel innermost.
    pub data: Vec<i64>,
}

impl Grid {
    /// A tensor whose elements `value` gives for every index.
    pub fn build(size: [usize; 4], mut value: impl FnMut([usize; 4]) -> i64) -> Self {
        let mut data = Vec::with_capacity(size.iter().product());
        for n in 0..size[0] {
            for y in 0..size[1] {
                for x in 0..size[2] {
                    for c in 0..size[3] {
                        data.push(value([n, y, x, c]));
                    }
                }
            }
        }
        Self { size, data }
    }

    /// The int8 values in `bytes`.
    pub fn from_i8(size: [usize; 4], bytes: &[u8]) -> Self {
        Self { size, data: bytes.iter().map(|&b| i64::from(b as i8)).collect() }
    }

    /// The unsigned values in `bytes`.
    pub fn from_u8(size: [usize; 4], bytes: &[u8]) -> Self {
        Self { size, data: bytes.iter().map(|&b| i64::from(b)).collect() }
    }

    /// The int16 values in `bytes`.
    pub fn from_i16(size: [usize; 4], bytes: &[u8]) -> Self {
        let value = |b: &[u8]| i64::from(i16::from_le_bytes([b[0], b[1]]));
        Self { size, data: bytes.chunks_exact(2).map(value).collect() }
    }

    /// The int32 values in `bytes`.
    pub fn from_i32(size: [usize; 4], bytes: &[u8]) -> Self {
        let value = |b: &[u8]| i64::from(i32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Self { size, data: bytes.chunks_exact(4).map(value).collect() }
    }

    /// Place of an index in `data`.
    pub fn index(&self, [n, y, x, c]: [usize; 4]) -> usize {
        ((n * self.size[1] + y) * self.size[2] + x) * self.size[3] + c
    }

    /// The element at an index.
    pub fn at(&self, index: [usize; 4]) -> i64 {
        self.data[self.index(index)]
    }

    /// The element at a row and column that may lie outside of the image.
    pub fn pixel(&self, n: usize, y: i64, x: i64, c: usize) -> Option<i64> {
        let (y, x) = (usize::try_from(y).ok()?, usize::try_from(x).ok()?);
        (y < self.size[1] && x < self.size[2]).then(|| self.at([n, y, x, c]))
    }

    /// The elements as bytes: int8 or u8, which have the same low eight bits.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.data
            .iter()
            .map(|&v| {
                assert!((-128..=255).contains(&v), "{v} is not a value of 8 bits");
                v as u8
            })
            .collect()
    }
}

impl Grid {
    /// The elements as little-endian int16.
    pub fn to_i16_bytes(&self) -> Vec<u8> {
        let bytes = |v: &i64| i16::try_from(*v).expect("a value of 16 bits").to_le_bytes();
        self.data.iter().flat_map(bytes).collect()
    }

    /// The elements as little-endian int32.
    pub fn to_i32_bytes(&self) -> Vec<u8> {
        let bytes = |v: &i64| i32::try_from(*v).expect("a value of 32 bits").to_le_bytes();
        self.data.iter().flat_map(bytes).collect()
    }
}

/// A window over rows and columns.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Steps between windows.
    pub stride: [usize; 2],
    /// Steps between taps.
    pub dilation: [usize; 2],
    /// Rows above and columns left of the image.
    pub before: [usize; 2],
}

impl Geometry {
    /// Row and column that a tap of the window at output `(oy, ox)` reads; may lie outside.
    pub fn tap(&self, [oy, ox]: [usize; 2], [ky, kx]: [usize; 2]) -> (i64, i64) {
        let place = |axis: usize, out: usize, tap: usize| {
            (out * self.stride[axis] + tap * self.dilation[axis]) as i64 - self.before[axis] as i64
        };
        (place(0, oy, ky), place(1, ox, kx))
    }
}

/// A real factor as the reference stores it: `multiplier * 2^(shift - 31)`.
#[derive(Clone, Copy, Debug)]
pub struct Factor {
    /// Q31 mantissa.
    pub multiplier: i64,
    /// Power of two.
    pub shift: i64,
}

/// The low 32 bits, signed: what a 32-bit register holds.
pub fn wrap32(x: i64) -> i64 {
    i64::from(x as i32)
}

/// `x / 2^bits`, the half away from zero.
pub fn divide_half_away(x: i128, bits: u32) -> i128 {
    let half = if bits == 0 { 0 } else { 1i128 << (bits - 1) };
    x.signum() * ((x.abs() + half) >> bits)
}

/// gemmlowp's `SaturatingRoundingDoublingHighMul`: `2ab / 2^32` by truncating division after a nudge that has
/// the sign of the product, saturated.
pub fn high_mul(a: i64, b: i64) -> i64 {
    if a == i64::from(i32::MIN) && b == a {
        return i64::from(i32::MAX);
    }
    let product = i128::from(a) * i128::from(b);
    let nudge = if product >= 0 { 1i128 << 30 } else { 1 - (1i128 << 30) };
    ((product + nudge) / (1i128 << 31)) as i64
}

/// TensorFlow Lite's `MultiplyByQuantizedMultiplier` (double rounding) on a 32-bit value.
pub fn rescale(x: i64, factor: Factor) -> i64 {
    let (left, right) = (factor.shift.max(0), (-factor.shift).max(0));
    let shifted = wrap32((i128::from(x) * (1i128 << left)) as i64);
    divide_half_away(i128::from(high_mul(shifted, factor.multiplier)), right as u32) as i64
}

/// TensorFlow Lite's `MultiplyByQuantizedMultiplier` on a 64-bit value: a multiplier of 15 bits, one rounding.
pub fn rescale_wide(x: i64, factor: Factor) -> i64 {
    let reduced = ((factor.multiplier + 0x8000) / 0x10000).min(0x7fff);
    let divisor = 1i128 << (15 - factor.shift);
    let product = 2 * i128::from(x) * i128::from(reduced) + divisor;
    wrap32(product.div_euclid(2 * divisor) as i64)
}

/// `value + zero` in 32 bits, then the range of the fused activation.
pub fn finish(value: i64, zero: i64, range: [i64; 2]) -> i64 {
    wrap32(value + zero).clamp(range[0], range[1])
}
