//! Sums, means and extremes over axes (TensorFlow Lite `QuantizedMeanOrSum`, `ReduceGeneric`, `ArgMinMax`).

use super::{Factor, Grid, finish, rescale};

/// Constants of a sum or mean.
#[derive(Clone, Copy, Debug)]
pub struct Sums {
    /// Axes that are reduced.
    pub axes: [bool; 4],
    /// Divide by the number of elements.
    pub mean: bool,
    /// Zero points of input and output.
    pub zero: [i64; 2],
    /// Input scale over output scale.
    pub factor: Factor,
    /// Range of the type.
    pub range: [i64; 2],
}

/// All values that each output element reduces, in order.
fn gathered(x: &Grid, axes: [bool; 4]) -> ([usize; 4], Vec<Vec<i64>>) {
    let size = [0, 1, 2, 3].map(|a| if axes[a] { 1 } else { x.size[a] });
    let places = Grid { size, data: Vec::new() };
    let mut values = vec![Vec::new(); size.iter().product()];
    Grid::build(x.size, |index| {
        let kept = [0, 1, 2, 3].map(|a| if axes[a] { 0 } else { index[a] });
        values[places.index(kept)].push(x.at(index));
        0
    });
    (size, values)
}

/// A factor divided by a number of elements.
pub(super) fn divided(factor: Factor, count: i64) -> Factor {
    // The highest bit of the count, as far as the shift reaches.
    let mut bits = 0;
    while 2i64 << bits <= count && bits < 31 + factor.shift {
        bits += 1;
    }
    Factor { multiplier: factor.multiplier * (1i64 << bits) / count, shift: factor.shift - bits }
}

/// Sum or mean over axes.
pub fn reduce_sum(x: &Grid, p: &Sums) -> Grid {
    let (size, values) = gathered(x, p.axes);
    let data = values.into_iter().map(|values| {
        let count = values.len() as i64;
        let factor = if p.mean { divided(p.factor, count) } else { p.factor };
        let sum: i64 = values.iter().map(|x| x - p.zero[0]).sum();
        finish(rescale(sum, factor), p.zero[1], p.range)
    });
    Grid { size, data: data.collect() }
}

/// Largest or smallest value over axes.
pub fn reduce_extreme(x: &Grid, axes: [bool; 4], largest: bool) -> Grid {
    let (size, values) = gathered(x, axes);
    let extreme = |mut values: Vec<i64>| {
        values.sort_unstable();
        if largest { values[values.len() - 1] } else { values[0] }
    };
    Grid { size, data: values.into_iter().map(extreme).collect() }
}

/// Index of the first largest or smallest value along an axis.
pub fn arg_extreme(x: &Grid, axis: usize, largest: bool) -> Grid {
    let (size, values) = gathered(x, [0, 1, 2, 3].map(|a| a == axis));
    let search = |values: Vec<i64>| {
        let wanted = if largest { values.iter().max() } else { values.iter().min() };
        values.iter().position(|v| Some(v) == wanted).expect("an axis is not empty") as i64
    };
    Grid { size, data: values.into_iter().map(search).collect() }
}
