//! Operators that move elements.

use super::Grid;

/// Joins tensors along `axis` (0 to 3).
pub fn concat(inputs: &[Grid], axis: usize) -> Grid {
    let mut size = inputs[0].size;
    size[axis] = inputs.iter().map(|x| x.size[axis]).sum();
    Grid::build(size, |mut index| {
        let mut source = inputs.iter();
        loop {
            let x = source.next().expect("the sizes along the axis sum to that of the output");
            if index[axis] < x.size[axis] {
                return x.at(index);
            }
            index[axis] -= x.size[axis];
        }
    })
}

/// Surrounds a tensor by `value`.
pub fn pad(x: &Grid, before: [usize; 4], after: [usize; 4], value: i64) -> Grid {
    let size = [0, 1, 2, 3].map(|axis| before[axis] + x.size[axis] + after[axis]);
    Grid::build(size, |index| {
        let inside = (0..4).all(|a| index[a] >= before[a] && index[a] - before[a] < x.size[a]);
        if inside { x.at([0, 1, 2, 3].map(|a| index[a] - before[a])) } else { value }
    })
}

/// The box of `size` elements from `begin` on.
pub fn slice(x: &Grid, begin: [usize; 4], size: [usize; 4]) -> Grid {
    Grid::build(size, |index| x.at([0, 1, 2, 3].map(|a| index[a] + begin[a])))
}
