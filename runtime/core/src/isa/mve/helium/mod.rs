//! The loops of Helium in assembly: a vector register cannot leave an `asm!` block, so each is a whole naked function.

mod byte;
mod copy;
mod depthwise;
mod element;
mod gather;
mod gemm;
mod part;
mod recurrent;
mod tail;

pub(super) use copy::{copy_pieces, copy_windows, fill};
pub(super) use depthwise::depthwise;
pub(super) use element::{add, mul, rescale};
pub(super) use gemm::rows;
pub(super) use recurrent::{logistic16, project, tanh16};

use crate::isa::Source;

pub(in crate::isa::mve) fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
    let mut sums = [0i32; 3];
    let len = x.len().min(w.len());
    // SAFETY: both have `len` values.
    unsafe { byte::dot(x.as_ptr(), w.as_ptr(), len, sums.as_mut_ptr()) };
    let [products, x, w] = sums;
    let both = input_zero.wrapping_mul(weight_zero).wrapping_mul(len as i32);
    products
        .wrapping_sub(input_zero.wrapping_mul(w))
        .wrapping_sub(weight_zero.wrapping_mul(x))
        .wrapping_add(both)
}

pub(in crate::isa::mve) fn max_rows(rows: &[i8], out: &mut [i8]) {
    let count = rows.len().checked_div(out.len()).unwrap_or(0);
    if count > 0 {
        // SAFETY: `rows` has `count` rows as long as `out`.
        unsafe { byte::max(rows.as_ptr(), out.as_mut_ptr(), out.len(), count) }
    }
}

pub(in crate::isa::mve) fn accumulate_rows(rows: &[i8], sum: &mut [i32]) {
    if sum.is_empty() {
        return;
    }
    for rows in rows.chunks(byte::ACCUMULATED * sum.len()) {
        let count = rows.len() / sum.len();
        if count > 0 {
            // SAFETY: `rows` has `count` rows as long as `sum`.
            unsafe { byte::accumulate(rows.as_ptr(), sum.as_mut_ptr(), sum.len(), count) }
        }
    }
}

pub(in crate::isa::mve) fn lookup(table: &[i8; 256], a: Source<'_>, out: &mut [i8]) {
    let (a, len) = match a {
        Source::InPlace => (out.as_ptr(), out.len()),
        Source::From(a) => (a.as_ptr(), out.len().min(a.len())),
    };
    // SAFETY: `a` and `out` have `len` values, and an index is a byte.
    unsafe { byte::lookup(table.as_ptr(), a, out.as_mut_ptr(), len) }
}
