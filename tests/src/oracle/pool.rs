//! Pools and the unpool.

use super::{Geometry, Grid};

/// How an average is rounded.
#[derive(Clone, Copy, Debug)]
pub enum Rounding {
    /// int8 kernels: half away from zero on the signed sum.
    Signed,
    /// uint8 kernels: half up on the unsigned sum.
    Unsigned,
}

/// Values and positions (`ky * kernel_w + kx`) of the window's taps that lie inside the image.
pub(super) fn window(x: &Grid, g: &Geometry, [n, oy, ox, c]: [usize; 4]) -> Vec<(i64, i64)> {
    let mut taps = Vec::new();
    for ky in 0..g.kernel[0] {
        for kx in 0..g.kernel[1] {
            let (y, x_at) = g.tap([oy, ox], [ky, kx]);
            if let Some(value) = x.pixel(n, y, x_at, c) {
                taps.push((value, (ky * g.kernel[1] + kx) as i64));
            }
        }
    }
    taps
}

/// Maximum pool.
pub fn max_pool(x: &Grid, g: &Geometry, range: [i64; 2], size: [usize; 4]) -> Grid {
    Grid::build(size, |index| {
        let largest = window(x, g, index).into_iter().map(|(value, _)| value).max();
        largest.expect("a window outside of the image").clamp(range[0], range[1])
    })
}

/// Maxima and the position of the first of equals in row-major order.
pub fn max_pool_with_positions(x: &Grid, g: &Geometry, size: [usize; 4]) -> (Grid, Grid) {
    let best = |index| {
        let taps = window(x, g, index);
        let largest = taps.iter().map(|&(value, _)| value).max().expect("a window outside of the image");
        *taps.iter().find(|&&(value, _)| value == largest).expect("the maximum is one of the taps")
    };
    (Grid::build(size, |index| best(index).0), Grid::build(size, |index| best(index).1))
}

/// Average over the taps inside of the image.
pub fn average_pool(x: &Grid, g: &Geometry, rounding: Rounding, range: [i64; 2], size: [usize; 4]) -> Grid {
    Grid::build(size, |index| {
        let taps = window(x, g, index);
        let count = taps.len() as i64;
        let mean = match rounding {
            Rounding::Signed => {
                let sum: i64 = taps.iter().map(|&(value, _)| value).sum();
                sum.signum() * ((sum.abs() + count / 2) / count)
            }
            Rounding::Unsigned => {
                let sum: i64 = taps.iter().map(|&(value, _)| value + 128).sum();
                (sum + count / 2) / count - 128
            }
        };
        mean.clamp(range[0], range[1])
    })
}

/// Unpool by looking, for every output, for the window and tap that put a value there.
pub fn max_unpool(x: &Grid, positions: &Grid, g: &Geometry, zero: i64, size: [usize; 4]) -> Grid {
    Grid::build(size, |[n, row, column, c]| {
        let mut value = zero;
        for oy in 0..x.size[1] {
            for ox in 0..x.size[2] {
                for ky in 0..g.kernel[0] {
                    for kx in 0..g.kernel[1] {
                        let here = g.tap([oy, ox], [ky, kx]) == (row as i64, column as i64);
                        let position = (ky * g.kernel[1] + kx) as i64;
                        if here && positions.at([n, oy, ox, c]) == position {
                            value = x.at([n, oy, ox, c]);
                        }
                    }
                }
            }
        }
        value
    })
}
