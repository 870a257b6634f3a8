//! Pools of 16-bit values.

use super::layer::window_features;
use super::pool::Pool;
use super::{Draft, Feature, Operand, clamp16};
use crate::draw::Draw;
use crate::oracle::{self, Grid};
use dunlin::ops::{AveragePool2d16, MaxPool2d16, Op};
use dunlin::quant::Clamp16;

fn draft(pool: &Pool, op: Op, clamp: Clamp16, oracle: impl Fn(Grid) -> Grid + 'static) -> Draft {
    let mut draft =
        Draft::unary(op, Operand::int16(pool.shape, 0.05), Operand::int16(pool.out, 0.05), oracle);
    draft.features = window_features(&pool.window);
    draft.feature(Feature::Activation, clamp != Clamp16::FULL)
}

fn range(clamp: Clamp16) -> [i64; 2] {
    [i64::from(clamp.min), i64::from(clamp.max)]
}

pub(super) fn max(draw: &mut Draw<'_>) -> Draft {
    let (pool, clamp) = (Pool::draw(draw), clamp16(draw));
    let (g, out) = (pool.g, pool.out_size());
    let op = Op::MaxPool2d16(MaxPool2d16 { window: pool.window, clamp });
    draft(&pool, op, clamp, move |x| oracle::max_pool(&x, &g, range(clamp), out))
}

pub(super) fn average(draw: &mut Draw<'_>) -> Draft {
    let (pool, clamp) = (Pool::draw(draw), clamp16(draw));
    let (g, out) = (pool.g, pool.out_size());
    let op = Op::AveragePool2d16(AveragePool2d16 { window: pool.window, clamp });
    draft(&pool, op, clamp, move |x| oracle::average_pool16(&x, &g, range(clamp), out))
}
