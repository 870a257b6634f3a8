//! DSP extension of Armv7E-M and Armv8-M.

use super::{Isa, Layer, PackedLen, ProductParams, Reduction, RescaleParams, Scalar, Source, SumParams};
use crate::quant::Requant;

/// Cortex-M4, M7, M33.
pub(crate) struct Dsp;

impl Isa for Dsp {
    const NAME: &'static str = "dsp";
    const PATCHES: usize = 1;

    fn matmul(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8], scratch: &mut [i8]) {
        Scalar::matmul(p, k, rows, out, scratch);
    }

    fn dot(x: &[i8], w: &[i8], input_zero: i32, weight_zero: i32) -> i32 {
        Scalar::dot(x, w, input_zero, weight_zero)
    }

    fn max(row: &[i8], out: &mut [i8]) {
        Scalar::max(row, out);
    }

    fn accumulate(row: &[i8], sum: &mut [i32]) {
        Scalar::accumulate(row, sum);
    }

    fn add(p: &SumParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        Scalar::add(p, a, b, out);
    }

    fn mul(p: &ProductParams, a: Source<'_>, b: &[i8], out: &mut [i8]) {
        Scalar::mul(p, a, b, out);
    }

    fn lookup(table: &[i8; 256], a: Source<'_>, out: &mut [i8]) {
        Scalar::lookup(table, a, out);
    }

    fn rescale(p: &RescaleParams, a: Source<'_>, out: &mut [i8]) {
        Scalar::rescale(p, a, out);
    }

    fn softmax(exp: &[i32], row: &[i8], out: &mut [i8]) {
        Scalar::softmax(exp, row, out);
    }
}

/// Lengths of the packed constants of a layer, `None` where the layer keeps its portable form.
pub(super) fn packed(layer: &Layer) -> Option<PackedLen> {
    let _ = layer;
    None
}

/// Bias and factor of channel `c` of a packed layer.
pub(super) fn channel(layer: &Layer, constants: &[i32], c: usize) -> (i32, Requant) {
    let _ = (layer, constants, c);
    (0, Requant::ZERO)
}

/// The weights and channel constants of `p`, packed.
#[cfg(feature = "encode")]
pub(super) fn pack(layer: &Layer, p: &Reduction<'_>) -> super::Packed {
    let _ = (layer, p);
    super::Packed { weights: alloc::vec::Vec::new(), constants: alloc::vec::Vec::new() }
}
