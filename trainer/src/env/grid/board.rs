//! Sets of cells of the 10x10 grid, and the chance all games share.

use rand::{RngCore, SeedableRng};
use rand_pcg::Pcg64;

/// Rows and columns of the grid.
pub const SIDE: usize = 10;

/// All columns of a row.
const ROW: u16 = (1 << SIDE) - 1;

/// A set of cells: one channel of an observation. Row 0 is the top, column 0 the left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Board([u16; SIDE]);

impl Board {
    /// No cell.
    pub const EMPTY: Self = Self([0; SIDE]);

    /// The cells of these rows and columns.
    pub fn block(rows: core::ops::Range<usize>, columns: core::ops::Range<usize>) -> Self {
        let mut board = Self::EMPTY;
        let bits = columns.fold(0, |bits, column| bits | 1 << column);
        board.0[rows].fill(bits);
        board
    }

    /// The channel `channel` of `channels` of an observation, channel innermost.
    pub fn of(observation: &[f32], channel: usize, channels: usize) -> Self {
        let mut board = Self::EMPTY;
        for (cell, values) in observation.chunks_exact(channels).enumerate() {
            if values[channel] != 0.0 {
                board.set(cell / SIDE, cell % SIDE);
            }
        }
        board
    }

    /// Whether the cell is in the set.
    pub fn has(&self, row: usize, column: usize) -> bool {
        self.0[row] >> column & 1 == 1
    }

    /// Adds a cell.
    pub fn set(&mut self, row: usize, column: usize) {
        debug_assert!(column < SIDE);
        self.0[row] |= 1 << column;
    }

    /// Adds a cell where it lies on the grid.
    pub fn set_inside(&mut self, row: i8, column: i8) {
        let inside = 0..SIDE as i8;
        if inside.contains(&row) && inside.contains(&column) {
            self.set(row as usize, column as usize);
        }
    }

    /// Takes a cell away.
    pub fn clear(&mut self, row: usize, column: usize) {
        self.0[row] &= !(1 << column);
    }

    /// Number of cells.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|row| row.count_ones()).sum()
    }

    /// Whether there is no cell.
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// Whether a cell of this row is in the set.
    pub fn row_any(&self, row: usize) -> bool {
        self.0[row] != 0
    }

    /// Rows of this column that are in the set, from the top.
    pub fn column(&self, column: usize) -> impl DoubleEndedIterator<Item = usize> + '_ {
        (0..SIDE).filter(move |&row| self.has(row, column))
    }

    /// Cells as row and column, row by row.
    pub fn cells(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.0.iter().enumerate().flat_map(|(row, &bits)| {
            let mut rest = bits;
            core::iter::from_fn(move || {
                let column = rest.trailing_zeros() as usize;
                (rest != 0).then(|| {
                    rest &= rest - 1;
                    (row, column)
                })
            })
        })
    }

    /// All cells one row up; those of row 0 are gone.
    pub fn up(&self) -> Self {
        let mut rows = [0; SIDE];
        rows[..SIDE - 1].copy_from_slice(&self.0[1..]);
        Self(rows)
    }

    /// All cells one row down; those of the last row are gone.
    pub fn down(&self) -> Self {
        let mut rows = [0; SIDE];
        rows[1..].copy_from_slice(&self.0[..SIDE - 1]);
        Self(rows)
    }

    /// All cells one column to the left; those of column 0 are gone.
    pub fn left(&self) -> Self {
        Self(self.0.map(|row| row >> 1))
    }

    /// All cells one column to the right; those of the last column are gone.
    pub fn right(&self) -> Self {
        Self(self.0.map(|row| row << 1 & ROW))
    }

    /// Cells in both.
    pub fn and(&self, other: &Self) -> Self {
        Self(core::array::from_fn(|row| self.0[row] & other.0[row]))
    }

    /// Cells in this set and not in the other.
    pub fn minus(&self, other: &Self) -> Self {
        Self(core::array::from_fn(|row| self.0[row] & !other.0[row]))
    }
}

/// Chance of a game: the same on every machine and with every release of `rand`, whose own distributions may change.
#[derive(Clone, Debug)]
pub struct Dice(Pcg64);

impl Dice {
    /// The chance of an episode.
    pub fn new(seed: u64) -> Self {
        Self(Pcg64::seed_from_u64(seed))
    }

    /// One of `0..n`, all equally likely to within `n`/2^32.
    pub fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.0.next_u32()) * n as u64) >> 32) as usize
    }

    /// True once in two.
    pub fn coin(&mut self) -> bool {
        self.below(2) == 1
    }

    /// True with probability `p`, to within 2^-32.
    pub fn chance(&mut self, p: f64) -> bool {
        f64::from(self.0.next_u32()) < p * 4_294_967_296.0
    }
}
