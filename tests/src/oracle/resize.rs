//! Resizes (TensorFlow Lite `reference_ops::ResizeNearestNeighbor`, `ResizeBilinearInteger`, `ResizeBilinear`).

use super::Grid;

/// Input index of each output index of an axis, computed in f32 as the reference does.
pub fn nearest_indices(input: usize, output: usize, align_corners: bool, half_pixel: bool) -> Vec<usize> {
    let scale = if align_corners && output > 1 {
        (input - 1) as f32 / (output - 1) as f32
    } else {
        input as f32 / output as f32
    };
    let offset = if half_pixel { 0.5f32 } else { 0.0 };
    (0..output)
        .map(|at| {
            let place = (at as f32 + offset) * scale;
            let index = if align_corners { place.round() } else { place.floor() };
            (index as usize).min(input - 1)
        })
        .collect()
}

/// Gathers rows and columns.
pub fn resize_nearest(x: &Grid, rows: &[usize], columns: &[usize]) -> Grid {
    let size = [x.size[0], rows.len(), columns.len(), x.size[3]];
    Grid::build(size, |[n, y, x_at, c]| x.at([n, rows[y], columns[x_at], c]))
}

struct Between {
    place: i64,
    lower: i64,
    upper: i64,
}

/// `ComputeInterpolationValuesInteger` on one axis, with the scale of `ResizeBilinearInteger`.
fn between(at: usize, input: usize, output: usize, align_corners: bool, half_pixel: bool) -> Between {
    let (at, input, output) = (at as i64, input as i64, output as i64);
    let scale = if align_corners && output > 1 {
        ((1 << 10) * (input - 1) + (output - 1) / 2) / (output - 1)
    } else {
        ((1 << 10) * input + output / 2) / output
    };
    let place = if half_pixel { at * scale + scale / 2 - (1 << 9) } else { at * scale };
    let lower = (place / (1 << 10)).max(0).min(input - 1);
    let upper = ((place + (1 << 10) - 1) / (1 << 10)).min(input - 1);
    Between { place, lower, upper }
}

/// Bilinear resize with ten fraction bits an axis.
pub fn resize_bilinear(x: &Grid, to: [usize; 2], align_corners: bool, half_pixel: bool) -> Grid {
    let [n, h, w, c] = x.size;
    Grid::build([n, to[0], to[1], c], |[n, oy, ox, c]| {
        let v = between(oy, h, to[0], align_corners, half_pixel);
        let u = between(ox, w, to[1], align_corners, half_pixel);
        let value = |y: i64, x_at: i64| x.at([n, y as usize, x_at as usize, c]);
        let (fy, fx) = (v.place - (1 << 10) * v.lower, u.place - (1 << 10) * u.lower);
        let sum = value(v.lower, u.lower) * ((1 << 10) - fy) * ((1 << 10) - fx)
            + value(v.upper, u.lower) * fy * ((1 << 10) - fx)
            + value(v.lower, u.upper) * ((1 << 10) - fy) * fx
            + value(v.upper, u.upper) * fy * fx;
        sum.signum() * ((sum.abs() + (1 << 19)) / (1 << 20))
    })
}

/// `ComputeInterpolationValues` on one axis, with the scale of `ResizeBilinear`: the two indices, and the weight of
/// each.
fn weights(
    at: usize,
    input: usize,
    output: usize,
    align_corners: bool,
    half_pixel: bool,
) -> [(usize, f32); 2] {
    let mut scale = input as f32 / output as f32;
    if align_corners && output > 1 {
        scale = (input - 1) as f32 / (output - 1) as f32;
    }
    let place = if half_pixel { (at as f32 + 0.5f32) * scale - 0.5f32 } else { at as f32 * scale };
    let lower = place.floor().max(0.0);
    let upper = place.ceil().min((input - 1) as f32).max(0.0);
    let far = place - lower;
    [(lower as usize, 1.0 - far), (upper as usize, far)]
}

/// Bilinear resize of unsigned values in f32. `x` holds values 128 lower.
pub fn resize_bilinear_f32(x: &Grid, to: [usize; 2], align_corners: bool, half_pixel: bool) -> Grid {
    let [n, h, w, c] = x.size;
    Grid::build([n, to[0], to[1], c], |[n, oy, ox, c]| {
        let rows = weights(oy, h, to[0], align_corners, half_pixel);
        let columns = weights(ox, w, to[1], align_corners, half_pixel);
        let mut sum: Option<f32> = None;
        for (x_at, across) in columns {
            for (y, down) in rows {
                let term = (x.at([n, y, x_at, c]) + 128) as f32 * down * across;
                sum = Some(sum.map_or(term, |sum| sum + term));
            }
        }
        (sum.expect("four terms") + 0.5) as i64 - 128
    })
}
