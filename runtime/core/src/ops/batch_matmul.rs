//! Product of matrices that are both activations.

use super::wide::{values, values_mut};
use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::format::DType;
use crate::isa::{Isa, IsaKind};
use crate::quant::{Clamp, Clamp16, Requant};
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// Products of matrices, int8, TensorFlow Lite semantics (`BATCH_MATMUL`).
///
/// Input 0 holds matrices `m x k` as `[n, h, m, k]`, or `[n, h, k, m]` where `transpose_a`; input 1 `k x c` as
/// `[n, h, k, c]`, or `[n, h, c, k]` where `transpose_b`, which is the faster form. Output `[n, h, m, c]`. Of `n` and `h`
/// each input has the output's size or 1 (broadcast). Reduction limit as in [`Conv2d`](super::Conv2d): 65,793, or
/// 33,025 where input 1 has a zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BatchMatMul {
    /// Factor of the sum: input scales multiplied, over the output scale.
    pub output: Requant,
    /// The matrices of input 0 are stored transposed.
    pub transpose_a: bool,
    /// The matrices of input 1 are stored transposed.
    pub transpose_b: bool,
}

/// As [`BatchMatMul`] for 16-bit inputs and outputs; sums of 64 bits, at most 2^17 products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BatchMatMul16 {
    /// Factor of the sum: input scales multiplied, over the output scale.
    pub output: Requant,
    /// The matrices of input 0 are stored transposed.
    pub transpose_a: bool,
    /// The matrices of input 1 are stored transposed.
    pub transpose_b: bool,
}

/// Layout of the matrices and constants of the products.
#[derive(Clone, Copy)]
struct Product {
    output: Requant,
    transpose_a: bool,
    transpose_b: bool,
}

/// What differs between the types of activations.
trait Value: bytemuck::Pod {
    const DTYPE: DType;
    type Sum: bytemuck::Pod;

    /// Largest number of products that cannot overflow.
    fn limit(zero_b: i16) -> u32;
    fn is_valid(factor: Requant) -> bool;
    fn dot<I: Isa>(a: &[Self], b: &[Self], zeros: [i32; 2]) -> Self::Sum;
    /// `sums[j] += (a - zero_a) * (b[j] - zero_b)`.
    fn add_scaled(a: Self, b: &[Self], zeros: [i32; 2], sums: &mut [Self::Sum]);
    fn finish(sum: Self::Sum, factor: Requant, zero: i32) -> Self;
}

impl Value for i8 {
    const DTYPE: DType = DType::I8;
    type Sum = i32;

    fn limit(zero_b: i16) -> u32 {
        i32::MAX as u32 / if zero_b == 0 { 255 * 128 } else { 255 * 255 }
    }

    fn is_valid(factor: Requant) -> bool {
        factor.is_valid()
    }

    #[inline(always)]
    fn dot<I: Isa>(a: &[i8], b: &[i8], zeros: [i32; 2]) -> i32 {
        I::dot(a, b, zeros[0], zeros[1])
    }

    #[inline(always)]
    fn add_scaled(a: i8, b: &[i8], zeros: [i32; 2], sums: &mut [i32]) {
        let a = i32::from(a) - zeros[0];
        for (sum, &b) in sums.iter_mut().zip(b) {
            *sum = sum.wrapping_add(a * (i32::from(b) - zeros[1]));
        }
    }

    #[inline(always)]
    fn finish(sum: i32, factor: Requant, zero: i32) -> i8 {
        Clamp::FULL.apply(factor.apply(sum).wrapping_add(zero))
    }
}

impl Value for i16 {
    const DTYPE: DType = DType::I16;
    type Sum = i64;

    fn limit(_: i16) -> u32 {
        // The rule for 64-bit sums holds below 2^47; a product is at most 2^30.
        (1 << 17) - 1
    }

    fn is_valid(factor: Requant) -> bool {
        factor.is_valid_wide()
    }

    #[inline(always)]
    fn dot<I: Isa>(a: &[i16], b: &[i16], _: [i32; 2]) -> i64 {
        a.iter().zip(b).map(|(&a, &b)| i64::from(i32::from(a) * i32::from(b))).fold(0, i64::wrapping_add)
    }

    #[inline(always)]
    fn add_scaled(a: i16, b: &[i16], _: [i32; 2], sums: &mut [i64]) {
        for (sum, &b) in sums.iter_mut().zip(b) {
            *sum = sum.wrapping_add(i64::from(i32::from(a) * i32::from(b)));
        }
    }

    #[inline(always)]
    fn finish(sum: i64, factor: Requant, _: i32) -> i16 {
        Clamp16::FULL.apply(factor.apply_wide(sum))
    }
}

impl Product {
    /// Rows and columns of one matrix of input 0 and of input 1, not transposed.
    fn sizes(&self, a: Shape, b: Shape) -> [[u32; 2]; 2] {
        let turned = |s: Shape, turn: bool| if turn { [s.c, s.w] } else { [s.w, s.c] };
        [turned(a, self.transpose_a), turned(b, self.transpose_b)]
    }

    fn check<V: Value>(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(2, 1)?;
        cx.fixed_rows()?;
        let (a, b) = (cx.typed(0, V::DTYPE)?, cx.typed(1, V::DTYPE)?);
        let [[m, k], [depth, c]] = self.sizes(a.shape, b.shape);
        let joined = |x: u32, y: u32| if x == y || y == 1 { Some(x) } else { (x == 1).then_some(y) };
        let batch = joined(a.shape.n, b.shape.n).zip(joined(a.shape.h, b.shape.h));
        let Some((n, h)) = batch.filter(|_| k == depth) else {
            return Err(NodeFault::InputShape(b.shape));
        };
        cx.expect(0, V::DTYPE, Shape::new(n, h, m, c))?;
        if !V::is_valid(self.output) {
            return Err(NodeFault::Requant { channel: 0 });
        }
        let limit = V::limit(b.quant.zero_point);
        if k > limit { Err(NodeFault::Reduction { found: k, limit }) } else { Ok(()) }
    }

    /// Sums of one row of the output, or one gathered row of input 0 where both rows of a product are contiguous.
    fn scratch<V: Value>(&self, cx: &Operands<'_>) -> u64 {
        let (a, b) = (cx.input(0).shape, cx.input(1).shape);
        match (self.transpose_a, self.transpose_b) {
            (_, false) => u64::from(b.c) * size_of::<V::Sum>() as u64,
            (true, true) => u64::from(a.w) * size_of::<V>() as u64,
            (false, true) => 0,
        }
    }

    fn run<V: Value, I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let [a, b] = [0, 1].map(|i| *io.operands.input(i));
        let output = *io.operands.output(0);
        let zeros = [i32::from(a.quant.zero_point), i32::from(b.quant.zero_point)];
        let zero = i32::from(output.quant.zero_point);
        let [[m, k], [_, c]] =
            self.sizes(a.shape, b.shape).map(|[rows, columns]| [rows as usize, columns as usize]);
        let views = io.views()?;
        let [lhs, rhs] = views.inputs;
        let lhs: &[V] = values(lhs)?;
        let rhs: &[V] = values(rhs)?;
        let [y, _] = views.outputs;
        let y: &mut [V] = values_mut(y)?;
        let at = |s: Shape, n: usize, h: usize| {
            let pick = |size: u32, index: usize| if size == 1 { 0 } else { index };
            pick(s.n, n) * s.h as usize + pick(s.h, h)
        };
        let heads = output.shape.h as usize;
        for (i, y) in y.chunks_exact_mut(m * c).enumerate() {
            let (n, h) = (i / heads, i % heads);
            let lhs = lhs.get(at(a.shape, n, h) * m * k..)?.get(..m * k)?;
            let rhs = rhs.get(at(b.shape, n, h) * k * c..)?.get(..k * c)?;
            for (row, y) in y.chunks_exact_mut(c).enumerate() {
                // Element `j` of row `row` of input 0.
                let (start, step) = if self.transpose_a { (row, m) } else { (row * k, 1) };
                let elements = lhs.get(start..)?.iter().step_by(step).take(k);
                if !self.transpose_b {
                    let sums: &mut [V::Sum] = values_mut(views.scratch)?;
                    let sums = sums.get_mut(..c)?;
                    sums.fill(bytemuck::Zeroable::zeroed());
                    elements.zip(rhs.chunks_exact(c)).for_each(|(&a, b)| V::add_scaled(a, b, zeros, sums));
                    let finished = sums.iter().map(|&sum| V::finish(sum, self.output, zero));
                    y.iter_mut().zip(finished).for_each(|(y, value)| *y = value);
                    continue;
                }
                let row = if self.transpose_a {
                    let gathered: &mut [V] = values_mut(views.scratch)?;
                    let gathered = gathered.get_mut(..k)?;
                    gathered.iter_mut().zip(elements).for_each(|(slot, &value)| *slot = value);
                    &*gathered
                } else {
                    lhs.get(start..start + k)?
                };
                for (b, y) in rhs.chunks_exact(k).zip(y) {
                    *y = V::finish(V::dot::<I>(row, b, zeros), self.output, zero);
                }
            }
        }
        Some(())
    }
}

macro_rules! batch_matmul {
    ($name:ident, $value:ty) => {
        impl $name {
            const fn product(&self) -> Product {
                let Self { output, transpose_a, transpose_b } = *self;
                Product { output, transpose_a, transpose_b }
            }
        }

        impl Operator for $name {
            fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
                self.product().check::<$value>(cx)
            }

            fn scratch(&self, cx: &Operands<'_>, _: IsaKind) -> u64 {
                self.product().scratch::<$value>(cx)
            }

            fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
                self.product().run::<$value, I>(io)
            }
        }
    };
}

batch_matmul!(BatchMatMul, i8);
batch_matmul!(BatchMatMul16, i16);
