//! The tests that every instruction set is declared with: drawn sizes and values, against plain Rust.

use super::{Channels, Geometry, Isa, ProductParams, Reduction, RescaleParams, Scalar, Source, SumParams};
use crate::fixed;
use crate::quant::{Clamp, Requant};
use crate::shape::{Pad, Shape, Window};
use std::vec;
use std::vec::Vec;

/// Declares the tests of an instruction set, which do nothing on a core without it but say so.
macro_rules! conforms {
    ($name:ident, $isa:ty, $kind:ident) => {
        #[cfg(test)]
        mod $name {
            use crate::isa::conformance::*;

            fn on_this_core() -> bool {
                let there = crate::isa::IsaKind::$kind.is_available();
                if !there {
                    std::println!("left out: this core has no {}", crate::isa::IsaKind::$kind.name());
                }
                there
            }

            $crate::isa::conformance::conforms!(@tests $isa:
                matmul, conv, depthwise, dot, max, accumulate, add, mul, lookup, rescale, softmax);
        }
    };
    (@tests $isa:ty: $($test:ident),*) => {
        $(
            #[test]
            fn $test() {
                if on_this_core() {
                    (1..=400).for_each(|seed| crate::isa::conformance::$test::<$isa>(&mut Draw(seed)));
                }
            }
        )*
    };
}
pub(crate) use conforms;

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn range(&mut self, low: i64, high: i64) -> i64 {
        low + (self.word() % (high - low + 1) as u64) as i64
    }

    fn size(&mut self, low: usize, high: usize) -> usize {
        self.range(low as i64, high as i64) as usize
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.word() % 100 < percent
    }

    /// Values that are spread out or extreme.
    fn bytes(&mut self, len: usize) -> Vec<i8> {
        let style = self.range(0, 3);
        let one = |word: u64| match style {
            0 | 1 => word as i8,
            2 => [i8::MIN, i8::MAX, -127, 0][(word % 4) as usize],
            _ => i8::MIN,
        };
        (0..len).map(|_| one(self.word())).collect()
    }

    fn byte(&mut self) -> i32 {
        self.range(-128, 127) as i32
    }

    /// A factor that brings sums of about `bits` bits near the range of int8, or any.
    fn requant(&mut self, bits: i64) -> Requant {
        let shift = if self.chance(10) { self.range(-31, 30) } else { self.range(1, 5) + 5 - bits };
        let multiplier = if self.chance(5) { 0 } else { self.range(1 << 30, i64::from(i32::MAX)) };
        let multiplier = if self.chance(10) { 1 << 30 } else { multiplier };
        Requant { multiplier: multiplier as i32, shift: shift.clamp(-31, 30) as i8 }
    }

    fn clamp(&mut self) -> Clamp {
        if self.chance(60) {
            return Clamp::FULL;
        }
        let (a, b) = (self.byte() as i8, self.byte() as i8);
        Clamp { min: a.min(b), max: a.max(b) }
    }
}

/// Constants of a drawn layer.
struct Layer {
    n: usize,
    weights: Vec<i8>,
    bias: Vec<i32>,
    multiplier: Vec<i32>,
    shift: Vec<i8>,
    zeros: [i32; 3],
    clamp: Clamp,
}

impl Layer {
    /// `n` channels of `taps` products each.
    fn draw(draw: &mut Draw, n: usize, taps: usize) -> Self {
        let mut weights = draw.bytes(n * taps);
        if draw.chance(60) {
            // Most models have no weight of -128, and kernels may rely on it where it holds.
            weights.iter_mut().for_each(|w| *w = (*w).max(-127));
        }
        let bits = 12 + i64::from(usize::BITS - taps.leading_zeros()) / 2;
        let requant: Vec<Requant> = (0..n).map(|_| draw.requant(bits)).collect();
        let weight_zero = if draw.chance(10) { draw.byte() } else { 0 };
        Self {
            n,
            weights,
            bias: (0..n).map(|_| draw.range(-20_000, 20_000) as i32).collect(),
            multiplier: requant.iter().map(|r| r.multiplier).collect(),
            shift: requant.iter().map(|r| r.shift).collect(),
            zeros: [draw.byte(), weight_zero, draw.byte()],
            clamp: draw.clamp(),
        }
    }

    fn reduction(&self) -> Reduction<'_> {
        let channels = Channels { bias: &self.bias, multiplier: &self.multiplier, shift: &self.shift };
        let [input_zero, weight_zero, output_zero] = self.zeros;
        let weights = &self.weights;
        let (n, clamp) = (self.n, self.clamp);
        Reduction { n, weights, channels, packed: None, input_zero, weight_zero, output_zero, clamp }
    }
}

/// Outputs that the kernel must overwrite all.
fn poisoned(len: usize) -> Vec<i8> {
    vec![0x5a; len]
}

pub(crate) fn matmul<I: Isa>(draw: &mut Draw) {
    let long = draw.chance(5);
    let k = if long { draw.size(1000, 9000) } else { draw.size(1, 150) };
    let (m, n) = (draw.size(1, if long { 6 } else { 40 }), draw.size(1, if long { 9 } else { 70 }));
    let layer = Layer::draw(draw, n, k);
    let rows = draw.bytes(m * k);
    let (mut found, mut expected) = (poisoned(m * n), poisoned(m * n));
    I::matmul(&layer.reduction(), k, &rows, &mut found, &mut []);
    Scalar::matmul(&layer.reduction(), k, &rows, &mut expected, &mut []);
    assert_eq!(found, expected, "{m} rows of {k}, {n} channels");
}

/// A window over an image, and the rows of its output.
fn geometry(draw: &mut Draw, c: usize) -> (Geometry, usize) {
    let mut axis = |size: u32| {
        let (kernel, stride) = (draw.size(1, 5) as u16, draw.size(1, 3) as u16);
        let dilation = if draw.chance(15) { 2 } else { 1 };
        let most = if draw.chance(30) { 0 } else { 4 };
        let (mut before, after) = (draw.size(0, most) as u16, draw.size(0, most) as u16);
        let reach = u32::from((kernel - 1) * dilation) + 1;
        before += reach.saturating_sub(size + u32::from(before + after)) as u16;
        [kernel, stride, dilation, before, after]
    };
    let [kernel_h, stride_h, dilation_h, top, bottom] = axis(9);
    let [kernel_w, stride_w, dilation_w, left, right] = axis(13);
    let pad = Pad { top, bottom, left, right };
    let window = Window { kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad };
    let (h, w) = (draw.size(9, 12) as u32, draw.size(13, 21) as u32);
    let (out_h, out_w) = window.output(h, w).expect("the window was drawn to fit");
    let input = Shape { n: 1, h, w, c: c as u32 };
    (Geometry { window, input, width: out_w as usize, fill: 0 }, out_h as usize)
}

pub(crate) fn conv<I: Isa>(draw: &mut Draw) {
    let c = draw.size(1, 36);
    let c = if draw.chance(30) { 16 } else { c };
    let (mut g, rows) = geometry(draw, c);
    let n = draw.size(1, 40);
    let layer = Layer::draw(draw, n, g.taps().total());
    g.fill = layer.zeros[0] as i8;
    let image = draw.bytes(g.input.elements());
    // All of the output, some rows of it, or single pixels.
    let first_row = if draw.chance(50) { 0 } else { draw.size(0, rows - 1) };
    let mut range = first_row * g.width..draw.size(first_row + 1, rows) * g.width;
    if draw.chance(10) {
        range.start += draw.size(0, g.width - 1);
        range.end = draw.size(range.start + 1, range.end);
    }
    let mut scratch = vec![0; g.taps().total()];
    let (mut found, mut expected) = (poisoned(range.len() * n), poisoned(range.len() * n));
    I::conv(&layer.reduction(), &g, &image, range.start, &mut found, &mut scratch);
    Scalar::conv(&layer.reduction(), &g, &image, range.start, &mut expected, &mut scratch);
    assert_eq!(found, expected, "{:?} over {} to {n} channels, pixels {range:?}", g.window, g.input);
}

pub(crate) fn depthwise<I: Isa>(draw: &mut Draw) {
    let (c, multiplier) = match draw.range(0, 3) {
        0 => (1, draw.size(1, 40)),
        1 => (draw.size(1, 9), draw.size(1, 3)),
        _ => (draw.size(1, 50), 1),
    };
    let (mut g, rows) = geometry(draw, c);
    if draw.chance(50) {
        (g.window.kernel_h, g.window.kernel_w, g.window.dilation_h, g.window.dilation_w) = (3, 3, 1, 1);
        g.window.pad = Pad { top: 1, bottom: 1, left: 1, right: 1 };
    }
    let (out_h, out_w) = g.window.output(g.input.h, g.input.w).expect("it fits");
    let rows = if out_w as usize == g.width { rows.min(out_h as usize) } else { out_h as usize };
    g.width = out_w as usize;
    let layer = Layer::draw(draw, c * multiplier, g.window.taps());
    g.fill = layer.zeros[0] as i8;
    let image = draw.bytes(g.input.elements());
    let first = if draw.chance(50) { 0 } else { draw.size(0, rows - 1) };
    let len = (draw.size(first + 1, rows) - first) * g.width * layer.n;
    let mut scratch = vec![0; g.window.taps() * c];
    let (mut found, mut expected) = (poisoned(len), poisoned(len));
    I::depthwise(&layer.reduction(), &g, &image, first, &mut found, &mut scratch);
    Scalar::depthwise(&layer.reduction(), &g, &image, first, &mut expected, &mut scratch);
    assert_eq!(found, expected, "{:?} over {}, times {multiplier}", g.window, g.input);
}

pub(crate) fn dot<I: Isa>(draw: &mut Draw) {
    let len = draw.size(0, 300);
    let (x, w) = (draw.bytes(len), draw.bytes(len));
    let zeros = (draw.byte(), if draw.chance(80) { 0 } else { draw.byte() });
    assert_eq!(I::dot(&x, &w, zeros.0, zeros.1), Scalar::dot(&x, &w, zeros.0, zeros.1), "{len} products");
}

pub(crate) fn max<I: Isa>(draw: &mut Draw) {
    let len = draw.size(0, 100);
    let (row, mut found) = (draw.bytes(len), draw.bytes(len));
    let mut expected = found.clone();
    I::max(&row, &mut found);
    Scalar::max(&row, &mut expected);
    assert_eq!(found, expected);
}

pub(crate) fn accumulate<I: Isa>(draw: &mut Draw) {
    let len = draw.size(0, 100);
    let row = draw.bytes(len);
    let mut found: Vec<i32> = (0..len).map(|_| draw.range(-1_000_000, 1_000_000) as i32).collect();
    let mut expected = found.clone();
    I::accumulate(&row, &mut found);
    Scalar::accumulate(&row, &mut expected);
    assert_eq!(found, expected);
}

/// Runs a kernel of one or two operands both ways: in place or not, with a second operand of one element or of all.
fn elementwise(draw: &mut Draw, run: impl Fn(bool, Source<'_>, &[i8], &mut [i8])) {
    let len = draw.size(1, 100);
    let (a, b) = (draw.bytes(len), draw.bytes(len));
    let b = if draw.chance(30) { &b[..1] } else { &b[..] };
    for in_place in [false, true] {
        let results = [true, false].map(|tested| {
            let mut out = if in_place { a.clone() } else { poisoned(len) };
            run(tested, if in_place { Source::InPlace } else { Source::From(&a) }, b, &mut out);
            out
        });
        assert_eq!(results[0], results[1], "{len} elements, in place: {in_place}");
    }
}

pub(crate) fn add<I: Isa>(draw: &mut Draw) {
    let left_shift = if draw.chance(60) { 20 } else { draw.range(0, 22) as u32 };
    let half = Requant { multiplier: 1 << 30, shift: 0 };
    let operand = |draw: &mut Draw| if draw.chance(40) { half } else { draw.requant(10) };
    let scale = [operand(draw), operand(draw)];
    let p = SumParams {
        zero: [draw.byte(), draw.byte()],
        scale,
        left_shift,
        output: draw.requant(i64::from(left_shift) + 8),
        output_zero: draw.byte(),
        clamp: draw.clamp(),
    };
    elementwise(
        draw,
        |tested, a, b, out| if tested { I::add(&p, a, b, out) } else { Scalar::add(&p, a, b, out) },
    );
}

pub(crate) fn mul<I: Isa>(draw: &mut Draw) {
    let p = ProductParams {
        zero: [draw.byte(), draw.byte()],
        output: draw.requant(14),
        output_zero: draw.byte(),
        clamp: draw.clamp(),
    };
    elementwise(
        draw,
        |tested, a, b, out| if tested { I::mul(&p, a, b, out) } else { Scalar::mul(&p, a, b, out) },
    );
}

pub(crate) fn lookup<I: Isa>(draw: &mut Draw) {
    let table: [i8; 256] = core::array::from_fn(|_| draw.byte() as i8);
    elementwise(draw, |tested, a, _, out| match tested {
        true => I::lookup(&table, a, out),
        false => Scalar::lookup(&table, a, out),
    });
}

pub(crate) fn rescale<I: Isa>(draw: &mut Draw) {
    let p = RescaleParams { input_zero: draw.byte(), scale: draw.requant(8), output_zero: draw.byte() };
    elementwise(draw, |tested, a, _, out| match tested {
        true => I::rescale(&p, a, out),
        false => Scalar::rescale(&p, a, out),
    });
}

pub(crate) fn softmax<I: Isa>(draw: &mut Draw) {
    let len = if draw.chance(5) { 4096 } else { draw.size(1, 100) };
    let row = draw.bytes(len);
    let decay = draw.range(0, 1 << 30);
    let mut entry = i64::from(i32::MAX);
    let exp: Vec<i32> = (0..fixed::EXP_ENTRIES)
        .map(|_| {
            let this = entry as i32;
            entry = (entry * decay) >> 30;
            this
        })
        .collect();
    let (mut found, mut expected) = (poisoned(len), poisoned(len));
    I::softmax(&exp, &row, &mut found);
    Scalar::softmax(&exp, &row, &mut expected);
    assert_eq!(found, expected, "{len} values, decay {decay}");
}
