//! The driver: panels, strips and blocks.

use super::{
    Buffer, Finish, PANEL_COUNT, PANELS, PATCHES, PIXELS, Place, Rows, Runs, SLACK, STRIP, Strip, Tile, WIDTH,
};
use crate::isa::{Geometry, Isa, Reduction, Scalar, generic};

/// Where the taps of output pixels are.
#[derive(Clone, Copy)]
struct Source<'a, T> {
    taps: &'a [T],
    runs: Runs,
    /// Pixels of an output row, and taps from one to the next, and from row to row.
    width: usize,
    step: usize,
    row: usize,
}

/// Panels of one pass: the channels from `first` on.
struct Pass<'a, W> {
    panels: &'a [W],
    finishes: &'a [Finish],
    first: usize,
    count: usize,
}

/// [`Isa::matmul`].
pub(in crate::isa) fn matmul<T: Tile>(p: &Reduction<'_>, k: usize, rows: &[i8], out: &mut [i8]) {
    if p.weight_zero != 0 {
        return Scalar::matmul(p, k, rows, out, &mut []);
    }
    let m = out.len() / p.n;
    let padded = k.next_multiple_of(T::STEP);
    if m < T::FEWEST || padded > PATCHES || padded * T::CHANNELS > PANELS {
        for (row, out) in rows.chunks_exact(k).zip(out.chunks_exact_mut(p.n)) {
            T::row(p, row, out);
        }
        return;
    }
    let runs = Runs { count: 1, steps: padded / T::STEP, stride: 0 };
    if T::IN_PLACE && padded == k {
        let source = Source { taps: bytemuck::cast_slice(rows), runs, width: m, step: k, row: 0 };
        return passes::<T>(p, k, runs, out, |pass, out| blocks::<T>(p, pass, &source, 0, out));
    }
    let mut patches = Buffer::<T::Tap, PATCHES>::new();
    let count = (PATCHES / padded).min(m);
    let patches = patches.zeroed(count * padded);
    passes::<T>(p, k, runs, out, |pass, out| {
        for (rows, out) in rows.chunks(count * k).zip(out.chunks_mut(count * p.n)) {
            for (row, taps) in rows.chunks_exact(k).zip(patches.chunks_exact_mut(padded)) {
                T::taps(row, p.input_zero, &mut taps[..k]);
            }
            let source = Source { taps: &*patches, runs, width: count, step: padded, row: 0 };
            blocks::<T>(p, pass, &source, 0, out);
        }
    });
}

/// [`Isa::conv`].
pub(in crate::isa) fn conv<I: Isa, T: Tile>(
    p: &Reduction<'_>,
    g: &Geometry,
    image: &[i8],
    first: usize,
    out: &mut [i8],
    scratch: &mut [i8],
) {
    let plan = if p.weight_zero == 0 { Plan::new::<T>(p.n, g, first, out.len() / p.n) } else { None };
    let Some(plan) = plan else { return generic::conv::<I>(p, g, image, first, out, scratch) };
    let Plan { runs, len, band, .. } = plan;
    let w = &g.window;
    let (top, bottom) = (first / g.width, first / g.width + out.len() / p.n / g.width);
    let stride = usize::from(w.stride_w) * g.input.c as usize;
    if T::IN_PLACE && w.pad.is_none() && !plan.gather && len.is_multiple_of(T::STEP) {
        let row = usize::from(w.stride_h) * plan.strip.image_row;
        let taps = bytemuck::cast_slice(&image[top * row..]);
        let runs = Runs { stride: usize::from(w.dilation_h) * plan.strip.image_row, ..runs };
        let source = Source { taps, runs, width: g.width, step: stride, row };
        return passes::<T>(p, len, runs, out, |pass, out| blocks::<T>(p, pass, &source, 0, out));
    }
    let mut fill = [<T::Tap as bytemuck::Zeroable>::zeroed()];
    T::taps(&[g.fill], p.input_zero, &mut fill);
    let mut strip = Buffer::<T::Tap, STRIP>::new();
    let strip = strip.zeroed(plan.strip.len(w, band));
    let mut patches = Buffer::<T::Tap, PATCHES>::new();
    let patches = patches.zeroed(if plan.gather { PIXELS * plan.patch + T::STEP } else { 0 });
    let row = usize::from(w.stride_h) * plan.strip.row;
    let mut starts = [0; PIECES];
    let piece = if plan.gather { plan.pieces(g, &mut starts) } else { 0 };
    let starts = &starts[..if plan.gather { g.taps().runs } else { 0 }];
    passes::<T>(p, len, runs, out, |pass, out| {
        for (band_at, out) in (top..bottom).step_by(band).zip(out.chunks_mut(band * g.width * p.n)) {
            plan.strip.fill(g, image, band_at, fill[0], |x, taps| T::taps(x, p.input_zero, taps), strip);
            let source = Source { taps: &*strip, runs, width: g.width, step: stride, row };
            if !plan.gather {
                blocks::<T>(p, pass, &source, 0, out);
                continue;
            }
            let (mut y, mut x) = (0, 0);
            for out in out.chunks_mut(PIXELS * p.n) {
                for patch in (0..out.len() / p.n).map(|i| i * plan.patch) {
                    let at = y * row + x * stride;
                    x += 1;
                    if x == g.width {
                        (x, y) = (0, y + 1);
                    }
                    window::<T>(starts, piece, &strip[at..], &mut patches[patch..]);
                }
                let source = Source { taps: &*patches, runs, width: PIXELS, step: plan.patch, row: 0 };
                blocks::<T>(p, pass, &source, 0, out);
            }
        }
    });
}

/// How a convolution is cut up.
#[derive(Clone, Copy)]
struct Plan {
    runs: Runs,
    /// Taps of a run.
    len: usize,
    /// Whether windows are gathered, and taps of one that is.
    gather: bool,
    patch: usize,
    strip: Strip,
    /// Output rows of a strip.
    band: usize,
}

impl Plan {
    /// `None` where the layer does not fit: then windows are gathered one by one.
    fn new<T: Tile>(n: usize, g: &Geometry, first: usize, pixels: usize) -> Option<Self> {
        if !first.is_multiple_of(g.width) || !pixels.is_multiple_of(g.width) || pixels < T::FEWEST {
            return None;
        }
        let w = &g.window;
        let strip = Strip::new(g, T::STEP)?;
        let taps = g.taps();
        let (padded, patch) = (taps.len.next_multiple_of(T::STEP), taps.total().next_multiple_of(T::STEP));
        // Gathering a window costs some instructions for each piece, a product about an eighth of one.
        let waste = (taps.runs * padded).saturating_sub(patch).saturating_mul(n);
        let gather = w.dilation_w != 1 || waste > 320 + 128 * taps.runs;
        let (runs, len) = match gather {
            true => (Runs { count: 1, steps: patch / T::STEP, stride: 0 }, taps.total()),
            false => {
                let stride = usize::from(w.dilation_h) * strip.row;
                (Runs { count: taps.runs, steps: padded / T::STEP, stride }, taps.len)
            }
        };
        let too_long = gather && (PIXELS * patch + T::STEP > PATCHES || taps.runs > PIECES);
        if too_long || runs.total() * T::STEP * T::CHANNELS > PANELS {
            return None;
        }
        let band = strip.rows(w, STRIP).min(pixels / g.width);
        (band > 0).then_some(Self { runs, len, gather, patch, strip, band })
    }

    /// Where the pieces of a window that are contiguous in memory begin, and how long each is.
    fn pieces(&self, g: &Geometry, starts: &mut [usize; PIECES]) -> usize {
        let (w, taps) = (&g.window, g.taps());
        let across = taps.runs / usize::from(w.kernel_h);
        for (i, start) in starts[..taps.runs].iter_mut().enumerate() {
            let (y, x) = (i / across, i % across);
            let x = x * usize::from(w.dilation_w) * g.input.c as usize;
            *start = y * usize::from(w.dilation_h) * self.strip.row + x;
        }
        taps.len
    }
}

/// Most pieces of a window that is gathered.
const PIECES: usize = 64;

/// Gathers one window into one run. Whole steps are copied: what the last one of a piece brings too much, the next
/// piece overwrites, and the weights behind the last piece are zero.
#[inline(always)]
fn window<T: Tile>(starts: &[usize], len: usize, strip: &[T::Tap], patch: &mut [T::Tap]) {
    let mut to = 0;
    for &start in starts {
        let mut at = 0;
        while at < len {
            let from = &strip[start + at..][..T::STEP];
            patch[to + at..][..T::STEP].copy_from_slice(from);
            at += T::STEP;
        }
        to += len;
    }
}

/// Calls `run` for as many channels at a time as there is room for.
fn passes<T: Tile>(
    p: &Reduction<'_>,
    len: usize,
    runs: Runs,
    out: &mut [i8],
    mut run: impl FnMut(&Pass<'_, T::Weight>, &mut [i8]),
) {
    let panel = runs.total() * T::STEP * T::CHANNELS;
    let k = runs.count * len;
    let most = (PANELS / panel).min(PANEL_COUNT) * T::CHANNELS;
    let mut panels = Buffer::<T::Weight, { PANELS + SLACK }>::new();
    let mut finishes = Buffer::<Finish, PANEL_COUNT>::new();
    for first in (0..p.n).step_by(most) {
        let count = most.min(p.n - first);
        let panels = panels.zeroed(count.div_ceil(T::CHANNELS) * panel + SLACK);
        let finishes = finishes.zeroed(count.div_ceil(T::CHANNELS));
        let places = panels.chunks_exact_mut(panel).zip(finishes.iter_mut());
        for (c, (panel, finish)) in (first..first + count).step_by(T::CHANNELS).zip(places) {
            let channels = T::CHANNELS.min(first + count - c);
            *finish = Finish::of(p, c, channels);
            let weights = &p.weights[c * k..(c + channels) * k];
            T::pack(&Rows { weights, channels, runs, len }, panel, finish);
        }
        // What holds of one panel and not of another does not pay.
        let plain = finishes.iter().all(|finish| finish.plain);
        let extreme = finishes.iter().any(|finish| finish.extreme);
        finishes.iter_mut().for_each(|finish| (finish.plain, finish.extreme) = (plain, extreme));
        run(&Pass { panels, finishes, first, count }, out);
    }
}

/// Multiplies the pixels from `pixel` on, as many as `out` holds rows, by the channels of a pass.
#[allow(unsafe_code, reason = "the tile reads and writes through pointers")]
fn blocks<T: Tile>(
    p: &Reduction<'_>,
    pass: &Pass<'_, T::Weight>,
    source: &Source<'_, T::Tap>,
    pixel: usize,
    out: &mut [i8],
) {
    let runs = source.runs;
    let pixels = out.len() / p.n;
    let panel = runs.total() * T::STEP * T::CHANNELS;
    if pixels == 0 {
        return;
    }
    // Offsets grow with row and column, so the last row and column bound them all.
    let (last, width) = (pixel + pixels - 1, source.width.min(pixel + pixels));
    let end = last / source.width * source.row
        + (width - 1) * source.step
        + (runs.count - 1) * runs.stride
        + runs.steps * T::STEP;
    assert!(end <= source.taps.len(), "a window ends at {end} of {} taps", source.taps.len());
    assert!(pass.panels.len() == pass.finishes.len() * panel + SLACK);
    assert!(pass.first + pass.count <= p.n && pass.count <= pass.finishes.len() * T::CHANNELS);
    let (mut y, mut x) = (pixel / source.width, pixel % source.width);
    let mut place = Place { taps: source.taps.as_ptr(), offsets: [0; PIXELS], runs, row: p.n };
    let whole = pass.count / T::CHANNELS;
    let mut rest = out;
    while !rest.is_empty() {
        let left = rest.len() / p.n;
        let block = if left >= T::BLOCK { T::BLOCK } else { 1 << left.ilog2() };
        for offset in &mut place.offsets[..block] {
            *offset = y * source.row + x * source.step;
            x += 1;
            if x == source.width {
                (x, y) = (0, y + 1);
            }
        }
        let (out, others) = rest.split_at_mut(block * p.n);
        rest = others;
        let (finishes, last) = pass.finishes.split_at(whole);
        // SAFETY: the bounds of taps and panels were asserted above; `out` has `block` rows of `n` channels, of which the
        // last of a whole panel is below `first + count`.
        unsafe {
            T::block(pass.panels.as_ptr(), finishes, &place, block, out.as_mut_ptr().add(pass.first));
        }
        if !last.is_empty() {
            let mut tile = [0i8; PIXELS * WIDTH];
            let place = Place { row: WIDTH, ..place };
            // SAFETY: as above; the tile has room for the largest block.
            unsafe {
                T::block(pass.panels.as_ptr().add(whole * panel), last, &place, block, tile.as_mut_ptr());
            }
            let channels = whole * T::CHANNELS..pass.count;
            for (row, out) in tile.chunks_exact(WIDTH).zip(out.chunks_exact_mut(p.n)) {
                out[pass.first..][channels.clone()].copy_from_slice(&row[..channels.len()]);
            }
        }
    }
}
