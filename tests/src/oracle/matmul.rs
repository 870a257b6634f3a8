//! Products of matrices (TensorFlow Lite `reference_ops::BatchMatMul`).

use super::{Factor, Grid, finish, rescale, rescale_wide};

/// Constants of the products.
#[derive(Clone, Debug)]
pub struct Matrices {
    /// Whether the matrices of each input are stored transposed.
    pub transpose: [bool; 2],
    /// Zero points of the inputs.
    pub zeros: [i64; 2],
    /// Factor of the sums.
    pub factor: Factor,
    /// Zero point of the output.
    pub output_zero: i64,
    /// Sums of 64 bits, 16-bit outputs.
    pub wide: bool,
}

/// `[n, h, m, k]` times `[n, h, k, c]`, either with its last two axes exchanged, `n` and `h` broadcast.
pub fn batch_matmul(a: &Grid, b: &Grid, p: &Matrices) -> Grid {
    let element = |t: &Grid, turned: bool, [n, h, row, column]: [usize; 4]| {
        let n = if t.size[0] == 1 { 0 } else { n };
        let h = if t.size[1] == 1 { 0 } else { h };
        if turned { t.at([n, h, column, row]) } else { t.at([n, h, row, column]) }
    };
    let rows = a.size[if p.transpose[0] { 3 } else { 2 }];
    let depth = a.size[if p.transpose[0] { 2 } else { 3 }];
    let columns = b.size[if p.transpose[1] { 2 } else { 3 }];
    let size = [a.size[0].max(b.size[0]), a.size[1].max(b.size[1]), rows, columns];
    Grid::build(size, |[n, h, row, column]| {
        let product = |k: usize| {
            let left = element(a, p.transpose[0], [n, h, row, k]) - p.zeros[0];
            left * (element(b, p.transpose[1], [n, h, k, column]) - p.zeros[1])
        };
        let sum = (0..depth).map(product).sum();
        match p.wide {
            true => finish(rescale_wide(sum, p.factor), p.output_zero, [-32_768, 32_767]),
            false => finish(rescale(sum, p.factor), p.output_zero, [-128, 127]),
        }
    })
}
