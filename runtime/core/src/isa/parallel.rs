//! Layers by several threads: with the feature `rayon` those of the current pool share the output out, else there is one.
//!
//! Each share is a call of the same kernel for other outputs, so the bits are those of one thread. A share has working
//! memory of its own, on the heap.

use super::{Geometry, Isa, Reduction};

/// [`Isa::matmul`]: shares of rows, or of channels where there is one row.
#[inline(always)]
pub(crate) fn matmul<I: Isa>(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8], scratch: &mut [i8]) {
    #[cfg(feature = "rayon")]
    if let Some(shares) = shares(p, out.len() * k) {
        return shared::matmul::<I>(shares, p, k, rows, out, scratch.len());
    }
    I::matmul(p, k, rows, out, scratch);
}

/// [`Isa::conv`]: shares of output rows.
#[inline(always)]
pub(crate) fn conv<I: Isa>(
    p: &Reduction<'_>,
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
    scratch: &mut [i8],
) {
    #[cfg(feature = "rayon")]
    if let Some(shares) = shares(p, out.len() * g.taps().total()) {
        return shared::conv::<I>(shares, p, g, image, first, out, scratch.len());
    }
    I::conv(p, g, image, first, out, scratch);
}

/// [`Isa::depthwise`]: shares of output rows.
#[inline(always)]
pub(crate) fn depthwise<I: Isa>(
    p: &Reduction<'_>,
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
    scratch: &mut [i8],
) {
    #[cfg(feature = "rayon")]
    if let Some(shares) = shares(p, out.len() * g.window.taps()) {
        return shared::depthwise::<I>(shares, p, g, image, first, out, scratch.len());
    }
    I::depthwise(p, g, image, first, out, scratch);
}

/// Products that are worth a thread: about as long as it takes to wake one.
#[cfg(feature = "rayon")]
const WORTH: usize = 1 << 17;

/// How many shares a layer of so many products is cut into, if more than one.
#[cfg(feature = "rayon")]
fn shares(p: &Reduction<'_>, products: usize) -> Option<usize> {
    if p.packed.is_some() || products < 2 * WORTH {
        return None;
    }
    let shares = rayon::current_num_threads().min(products / WORTH);
    (shares > 1).then_some(shares)
}

#[cfg(feature = "rayon")]
mod shared {
    use super::super::{Channels, Geometry, Isa, Reduction};
    use rayon::prelude::*;
    use std::vec;

    /// Rows or channels of which a share has a multiple: that of every tile.
    const UNIT: usize = 16;

    pub(super) fn matmul<I: Isa>(
        shares: usize,
        p: &Reduction<'_>,
        k: usize,
        rows: &[i8],
        out: &mut [i8],
        scratch: usize,
    ) {
        let m = out.len() / p.n;
        if m == 1 {
            let count = p.n.div_ceil(shares).next_multiple_of(UNIT);
            out.par_chunks_mut(count).enumerate().for_each(|(i, out)| {
                let range = i * count..i * count + out.len();
                let channels = Channels {
                    bias: &p.channels.bias[range.clone()],
                    multiplier: &p.channels.multiplier[range.clone()],
                    shift: &p.channels.shift[range.clone()],
                };
                let weights = &p.weights[range.start * k..range.end * k];
                let part = Reduction { n: out.len(), weights, channels, ..*p };
                I::matmul(&part, k, rows, out, &mut vec![0; scratch]);
            });
            return;
        }
        let count = m.div_ceil(shares).next_multiple_of(UNIT);
        out.par_chunks_mut(count * p.n).zip(rows.par_chunks(count * k)).for_each(|(out, rows)| {
            I::matmul(p, k, rows, out, &mut vec![0; scratch]);
        });
    }

    pub(super) fn conv<I: Isa>(
        shares: usize,
        p: &Reduction<'_>,
        g: &Geometry,
        image: &[i8],
        first: usize,
        out: &mut [i8],
        scratch: usize,
    ) {
        let count = (out.len() / p.n).div_ceil(shares).next_multiple_of(g.width);
        out.par_chunks_mut(count * p.n).enumerate().for_each(|(i, out)| {
            I::conv(p, g, image, first + i * count, out, &mut vec![0; scratch]);
        });
    }

    pub(super) fn depthwise<I: Isa>(
        shares: usize,
        p: &Reduction<'_>,
        g: &Geometry,
        image: &[i8],
        first: usize,
        out: &mut [i8],
        scratch: usize,
    ) {
        let row = g.width * p.n;
        let count = (out.len() / row).div_ceil(shares);
        out.par_chunks_mut(count * row).enumerate().for_each(|(i, out)| {
            I::depthwise(p, g, image, first + i * count, out, &mut vec![0; scratch]);
        });
    }
}

#[cfg(all(test, feature = "rayon"))]
mod tests {
    use super::super::conformance::{self, Draw};
    use super::super::{Isa, Scalar};
    use super::*;

    /// An instruction set whose layers are cut into `N` shares, however small they are.
    struct Cut<I, const N: usize>(core::marker::PhantomData<I>);

    impl<I: Isa, const N: usize> Isa for Cut<I, N> {
        const NAME: &'static str = I::NAME;

        fn matmul(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8], scratch: &mut [i8]) {
            shared::matmul::<I>(N, p, k, rows, out, scratch.len());
        }

        fn conv(
            p: &Reduction<'_>,
            g: &Geometry,
            image: &[i8],
            first: usize,
            out: &mut [i8],
            scratch: &mut [i8],
        ) {
            shared::conv::<I>(N, p, g, image, first, out, scratch.len());
        }

        fn depthwise(
            p: &Reduction<'_>,
            g: &Geometry,
            image: &[i8],
            first: usize,
            out: &mut [i8],
            scratch: &mut [i8],
        ) {
            shared::depthwise::<I>(N, p, g, image, first, out, scratch.len());
        }
    }

    fn equal<I: Isa, const N: usize>() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(N).build().expect("threads");
        pool.install(|| {
            for seed in 1..=100 {
                conformance::matmul::<Cut<I, N>>(&mut Draw(seed));
                conformance::conv::<Cut<I, N>>(&mut Draw(seed));
                conformance::depthwise::<Cut<I, N>>(&mut Draw(seed));
            }
        });
    }

    #[test]
    fn one_to_four_threads_give_the_same_bits() {
        equal::<Scalar, 1>();
        equal::<Scalar, 3>();
        crate::isa::every_isa!(crate::isa::IsaKind::native(), I => {
            equal::<I, 1>();
            equal::<I, 2>();
            equal::<I, 3>();
            equal::<I, 4>();
        });
    }
}
