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

/// Axis `i` of the result is axis `perm[i]` of `x`.
pub fn transpose(x: &Grid, perm: [usize; 4]) -> Grid {
    Grid::build(perm.map(|axis| x.size[axis]), |index| {
        let mut source = [0; 4];
        perm.iter().zip(index).for_each(|(&axis, at)| source[axis] = at);
        x.at(source)
    })
}

/// On each axis `size` elements from `begin` on, `step` apart.
pub fn strided_slice(x: &Grid, begin: [usize; 4], step: [i64; 4], size: [usize; 4]) -> Grid {
    Grid::build(size, |index| {
        x.at([0, 1, 2, 3].map(|a| (begin[a] as i64 + step[a] * index[a] as i64) as usize))
    })
}

/// Pads with the mirror image: with the outermost element repeated (`symmetric`) or not.
pub fn mirror_pad(x: &Grid, before: [usize; 4], after: [usize; 4], symmetric: bool) -> Grid {
    let size = [0, 1, 2, 3].map(|axis| before[axis] + x.size[axis] + after[axis]);
    Grid::build(size, |index| {
        x.at([0, 1, 2, 3].map(|a| {
            let (at, last) = (index[a] as i64 - before[a] as i64, x.size[a] as i64 - 1);
            let repeated = i64::from(symmetric);
            let inside = match at {
                at if at < 0 => -at - repeated,
                at if at > last => last - (at - last) + repeated,
                at => at,
            };
            inside as usize
        }))
    })
}

/// The elements along `axis` with these indices, limited to those that there are.
pub fn gather(x: &Grid, axis: usize, indices: &[i64]) -> Grid {
    let mut size = x.size;
    size[axis] = indices.len();
    Grid::build(size, |mut index| {
        index[axis] = indices[index[axis]].clamp(0, x.size[axis] as i64 - 1) as usize;
        x.at(index)
    })
}

/// Repeats `x` until it has this size.
pub fn tile(x: &Grid, size: [usize; 4]) -> Grid {
    Grid::build(size, |index| x.at([0, 1, 2, 3].map(|a| index[a] % x.size[a])))
}

/// Blocks of pixels to channels, which are numbered by row, column and channel.
pub fn space_to_depth(x: &Grid, block: usize) -> Grid {
    let [n, h, w, c] = x.size;
    let mut y = Grid::build([n, h / block, w / block, c * block * block], |_| 0);
    for n in 0..n {
        for row in 0..h {
            for column in 0..w {
                for channel in 0..c {
                    let deep = ((row % block) * block + column % block) * c + channel;
                    let to = y.index([n, row / block, column / block, deep]);
                    y.data[to] = x.at([n, row, column, channel]);
                }
            }
        }
    }
    y
}

/// Channels to blocks of pixels: numbered by row, column and channel, or by channel, row and column.
pub fn depth_to_space(x: &Grid, block: usize, channel_outermost: bool) -> Grid {
    let [n, h, w, deep] = x.size;
    let c = deep / (block * block);
    let mut y = Grid::build([n, h * block, w * block, c], |_| 0);
    for n in 0..n {
        for row in 0..h {
            for column in 0..w {
                for number in 0..deep {
                    let (down, along, channel) = match channel_outermost {
                        true => (number / block % block, number % block, number / (block * block)),
                        false => (number / c / block, number / c % block, number % c),
                    };
                    let to = y.index([n, row * block + down, column * block + along, channel]);
                    y.data[to] = x.at([n, row, column, number]);
                }
            }
        }
    }
    y
}

/// Pads with `value`, then moves the pixels of each block to samples. `edges`: top, bottom, left, right.
pub fn space_to_batch(x: &Grid, block: [usize; 2], edges: [usize; 4], value: i64) -> Grid {
    let [top, bottom, left, right] = edges;
    let padded = pad(x, [0, top, left, 0], [0, bottom, right, 0], value);
    let [n, h, w, c] = padded.size;
    Grid::build([n * block[0] * block[1], h / block[0], w / block[1], c], |[sample, row, column, channel]| {
        let within = sample / n;
        let (down, along) = (within / block[1], within % block[1]);
        padded.at([sample % n, row * block[0] + down, column * block[1] + along, channel])
    })
}

/// Moves samples to the pixels of blocks, then cuts edges off: top, bottom, left, right.
pub fn batch_to_space(x: &Grid, block: [usize; 2], edges: [usize; 4]) -> Grid {
    let [top, bottom, left, right] = edges;
    let n = x.size[0] / (block[0] * block[1]);
    let whole = [n, x.size[1] * block[0], x.size[2] * block[1], x.size[3]];
    let joined = Grid::build(whole, |[n_, row, column, channel]| {
        let within = (row % block[0]) * block[1] + column % block[1];
        x.at([within * n + n_, row / block[0], column / block[1], channel])
    });
    let size = [n, whole[1] - top - bottom, whole[2] - left - right, whole[3]];
    slice(&joined, [0, top, left, 0], size)
}
