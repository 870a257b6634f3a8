//! Pools.

use super::layer::{geometry, window, window_features};
use super::{Draft, Feature, Operand, clamp, quant};
use crate::draw::Draw;
use crate::oracle::{self, Geometry, Grid, Rounding};
use dunlin::ops::{AveragePool2d, AverageRounding, MaxPool2d, MaxPool2dWithIndices, Op};
use dunlin::quant::{Clamp, QParams};
use dunlin::shape::{Shape, Window};

pub(super) struct Pool {
    pub(super) window: Window,
    pub(super) g: Geometry,
    quant: QParams,
    pub(super) shape: Shape,
    pub(super) out: Shape,
}

impl Pool {
    pub(super) fn draw(draw: &mut Draw<'_>) -> Self {
        let shape = Shape::new(draw.pick(&[1, 1, 2]), draw.size(1, 9), draw.size(1, 9), draw.size(1, 7));
        let mut window = window(draw, [shape.h, shape.w], false, true);
        // A window that does not fit undilated and unpadded grew padding that a pool may not have.
        let dilated = window.dilation_h > 1 || window.dilation_w > 1;
        let fits = |w: &Window| {
            let reach = |k: u16, d: u16| (u32::from(k) - 1) * u32::from(d);
            let (tall, wide) = (reach(w.kernel_h, w.dilation_h), reach(w.kernel_w, w.dilation_w));
            let p = w.pad;
            let narrow = u32::from(p.top) <= tall && u32::from(p.left) <= wide;
            let last = |size: u32, out: u32, stride: u16, before: u16| {
                (out - 1) * u32::from(stride) < u32::from(before) + size
            };
            narrow
                && w.output(shape.h, shape.w).is_some_and(|(h, ww)| {
                    last(shape.h, h, w.stride_h, p.top) && last(shape.w, ww, w.stride_w, p.left)
                })
        };
        if (dilated && !window.pad.is_none()) || !fits(&window) {
            window = Window::square(1, window.stride_h);
        }
        let (h, w) = window.output(shape.h, shape.w).expect("one pixel always fits");
        Self { g: geometry(&window), window, quant: quant(draw), shape, out: shape.with_hw(h, w) }
    }

    pub(super) fn out_size(&self) -> [usize; 4] {
        [self.out.n, self.out.h, self.out.w, self.out.c].map(|d| d as usize)
    }

    fn draft(&self, op: Op, clamp: Clamp, oracle: impl Fn(Grid) -> Grid + 'static) -> Draft {
        let (input, output) = (Operand::int8(self.shape, self.quant), Operand::int8(self.out, self.quant));
        let mut draft = Draft::unary(op, input, output, oracle);
        draft.features = window_features(&self.window);
        draft.feature(Feature::Activation, clamp != Clamp::FULL)
    }
}

fn range(clamp: Clamp) -> [i64; 2] {
    [i64::from(clamp.min), i64::from(clamp.max)]
}

pub(super) fn max(draw: &mut Draw<'_>) -> Draft {
    let pool = Pool::draw(draw);
    let clamp = clamp(draw);
    let (g, out) = (pool.g, pool.out_size());
    let op = Op::MaxPool2d(MaxPool2d { window: pool.window, clamp });
    pool.draft(op, clamp, move |x| oracle::max_pool(&x, &g, range(clamp), out))
}

pub(super) fn max_with_indices(draw: &mut Draw<'_>) -> Draft {
    let pool = Pool::draw(draw);
    let (g, out, shape) = (pool.g, pool.out_size(), pool.shape);
    let op = Op::MaxPool2dWithIndices(MaxPool2dWithIndices { window: pool.window });
    let mut draft = pool.draft(op, Clamp::FULL, |x| x);
    draft.outputs.push(Operand::uint8(pool.out));
    draft.oracle = Box::new(move |bytes, _| {
        let x = Grid::from_i8([shape.n, shape.h, shape.w, shape.c].map(|d| d as usize), &bytes[0]);
        let (values, positions) = oracle::max_pool_with_positions(&x, &g, out);
        vec![values.to_bytes(), positions.to_bytes()]
    });
    draft
}

pub(super) fn average(draw: &mut Draw<'_>) -> Draft {
    let pool = Pool::draw(draw);
    let clamp = clamp(draw);
    let (rounding, reference) = match draw.chance(40) {
        false => (AverageRounding::HalfAwayFromZero, Rounding::Signed),
        true => (AverageRounding::UnsignedHalfUp, Rounding::Unsigned),
    };
    let (g, out) = (pool.g, pool.out_size());
    let op = Op::AveragePool2d(AveragePool2d { window: pool.window, clamp, rounding });
    pool.draft(op, clamp, move |x| oracle::average_pool(&x, &g, reference, range(clamp), out))
}
