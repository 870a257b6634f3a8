//! Layers with a memory (TensorFlow Lite Micro `lstm_eval`, `svdf_common`; the 16-bit functions of
//! `reference_integer_ops`).

use super::{Factor, Grid, finish, rescale, rescale_wide, wrap32};

fn saturate16(x: i64) -> i64 {
    x.clamp(-32_768, 32_767)
}

/// Argument of the 16-bit functions: three times `x`, from a scale of `2^power` to one of `2^-12`.
fn argument(x: i64, power: i64) -> i64 {
    match power + 12 {
        shift @ 0.. => x * 3 * (1 << shift),
        shift => {
            let divisor = 1i64 << -shift;
            (x * 3 + divisor / 2).div_euclid(divisor)
        }
    }
}

/// `|x|` in the table with `bits` bits between two entries.
fn between(table: &[i64], x: i64, bits: u32, beyond: i64) -> i64 {
    let one = 1i64 << bits;
    let (index, rest) = ((x.abs() / one) as usize, x.abs() % one);
    if index >= 255 { beyond } else { table[index] * (one - rest) + table[index + 1] * rest }
}

/// `Logistic` of a 16-bit value with scale `2^-12`, result in `2^-15`.
fn logistic16(table: &[i64], x: i64) -> i64 {
    let x = argument(x, -12);
    let y = between(table, x, 9, 0x7fff << 10);
    if x >= 0 { (y + 512).div_euclid(1024) } else { ((1 << 25) - y + 511).div_euclid(1024) }
}

/// `Tanh` of a 16-bit value with scale `2^power`, result in `2^-15`.
fn tanh16(table: &[i64], x: i64, power: i64) -> i64 {
    let x = argument(x, power);
    let y = between(table, x, 8, 0xffff << 8) - (1 << 23);
    if x >= 0 { (y + 128).div_euclid(256) } else { (-y + 127).div_euclid(256) }
}

/// A gate of a long short-term memory.
#[derive(Clone, Debug)]
pub struct Gate {
    /// Weights of the inputs, `[u, i]`.
    pub weights: Vec<i64>,
    /// Weights of the hidden state, `[u, u]`.
    pub recurrent: Vec<i64>,
    /// Per unit.
    pub bias: Vec<i64>,
    /// Factors of inputs and hidden state.
    pub factors: [Factor; 2],
}

/// A long short-term memory.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Input, forget, cell, output.
    pub gates: [Gate; 4],
    /// Of forget gate times cell, input gate times cell gate, output gate times squashed cell.
    pub factors: [Factor; 3],
    /// Table of the sigmoid.
    pub table: Vec<i64>,
    /// Whether the cell gate is squashed by tanh; the logistic function else.
    pub tanh: bool,
    /// Scale of the cell state as a power of two.
    pub power: i64,
    /// Largest magnitude of the cell state.
    pub clip: Option<i64>,
    /// Zero points of input and hidden state.
    pub zeros: [i64; 2],
    /// Range of the activations.
    pub range: [i64; 2],
    /// Sums of 64 bits.
    pub wide: bool,
}

impl Memory {
    fn rescale(&self, x: i64, factor: Factor) -> i64 {
        if self.wide { rescale_wide(x, factor) } else { rescale(x, factor) }
    }

    fn gate(&self, gate: usize, x: &[i64], h: &[i64], tanh: bool) -> Vec<i64> {
        let g = &self.gates[gate];
        let product = |weights: &[i64], unit: usize, values: &[i64], zero: i64| -> i64 {
            (0..values.len()).map(|i| weights[unit * values.len() + i] * (values[i] - zero)).sum()
        };
        let one = |unit: usize| {
            let a = self.rescale(product(&g.weights, unit, x, self.zeros[0]) + g.bias[unit], g.factors[0]);
            let b = self.rescale(product(&g.recurrent, unit, h, self.zeros[1]), g.factors[1]);
            let sum = saturate16(saturate16(a) + saturate16(b));
            if tanh { tanh16(&self.table, sum, -12) } else { logistic16(&self.table, sum) }
        };
        (0..h.len()).map(one).collect()
    }

    /// One step: new hidden and cell state.
    fn step(&self, x: &[i64], h: &[i64], c: &[i64]) -> (Vec<i64>, Vec<i64>) {
        let forget = self.gate(1, x, h, false);
        let input = self.gate(0, x, h, false);
        let candidate = self.gate(2, x, h, self.tanh);
        let output = self.gate(3, x, h, false);
        let cell: Vec<i64> = (0..c.len())
            .map(|u| {
                let kept = saturate16(rescale(forget[u] * c[u], self.factors[0]));
                let new = saturate16(rescale(input[u] * candidate[u], self.factors[1]));
                let sum = saturate16(kept + new);
                self.clip.map_or(sum, |clip| sum.min(clip).max(-clip))
            })
            .collect();
        let hidden = (0..c.len()).map(|u| {
            let squashed = tanh16(&self.table, cell[u], self.power);
            finish(rescale(squashed * output[u], self.factors[2]), self.zeros[1], self.range)
        });
        (hidden.collect(), cell)
    }

    /// Runs `x`, `[n, 1, w, i]`, from states of `[n, 1, 1, u]`: output, hidden state, cell state.
    pub fn run(&self, x: &Grid, hidden: &Grid, cell: &Grid) -> [Grid; 3] {
        let ([n, _, steps, inputs], units) = (x.size, hidden.size[3]);
        let mut output = Vec::new();
        let (mut hidden, mut cell) = (hidden.clone(), cell.clone());
        for sequence in 0..n {
            let mut h = hidden.data[sequence * units..][..units].to_vec();
            let mut c = cell.data[sequence * units..][..units].to_vec();
            for step in 0..steps {
                let at = (sequence * steps + step) * inputs;
                (h, c) = self.step(&x.data[at..at + inputs], &h, &c);
                output.extend(&h);
            }
            hidden.data.splice(sequence * units..(sequence + 1) * units, h);
            cell.data.splice(sequence * units..(sequence + 1) * units, c);
        }
        [Grid { size: [n, 1, steps, units], data: output }, hidden, cell]
    }
}

/// A singular value decomposition filter.
#[derive(Clone, Debug)]
pub struct Filters {
    /// `[f, i]`.
    pub features: Vec<i64>,
    /// `[f, m]`.
    pub time: Vec<i64>,
    /// Per unit.
    pub bias: Vec<i64>,
    /// Factors of projections and of the sum over time.
    pub factors: [Factor; 2],
    /// Zero points of input, state and output.
    pub zeros: [i64; 3],
    /// Range of the state.
    pub state_range: [i64; 2],
    /// Range of the fused activation.
    pub range: [i64; 2],
}

impl Filters {
    /// Runs `x`, `[n, 1, w, i]`, from a state of `[n, 1, f, m]`: output and state.
    pub fn run(&self, x: &Grid, state: &Grid) -> [Grid; 2] {
        let ([n, _, steps, inputs], [_, _, filters, memory]) = (x.size, state.size);
        let rank = filters / self.bias.len();
        let mut output = Vec::new();
        let mut kept = Vec::new();
        for sequence in 0..n {
            // As one queue: the reference shifts all filters by one element and overwrites the last of each.
            let mut queue = state.data[sequence * filters * memory..][..filters * memory].to_vec();
            for step in 0..steps {
                queue.rotate_left(1);
                let x = &x.data[(sequence * steps + step) * inputs..][..inputs];
                for filter in 0..filters {
                    let weights = &self.features[filter * inputs..][..inputs];
                    let sum = x.iter().zip(weights).map(|(x, w)| (x - self.zeros[0]) * w).sum();
                    let [least, most] = self.state_range;
                    let limited = finish(rescale(sum, self.factors[0]), 0, self.state_range) + self.zeros[1];
                    // The zero point is added in the type of the state.
                    let value = (limited - least).rem_euclid(most - least + 1) + least;
                    queue[filter * memory + memory - 1] = value;
                }
                for (unit, &bias) in self.bias.iter().enumerate() {
                    let all = unit * rank * memory..(unit + 1) * rank * memory;
                    let products = all.map(|i| self.time[i] * (queue[i] - self.zeros[1]));
                    let sum = wrap32(bias + products.sum::<i64>());
                    output.push(finish(rescale(sum, self.factors[1]), self.zeros[2], self.range));
                }
            }
            kept.extend(queue);
        }
        [Grid { size: [n, 1, steps, self.bias.len()], data: output }, Grid { size: state.size, data: kept }]
    }
}
