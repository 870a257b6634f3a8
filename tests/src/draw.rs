//! Choices: one source for seeded cases, for property tests and for the fuzzer.
//!
//! A generator draws every number from a [`Draw`]. Seeded, it is a generator of pseudo-random numbers; given a
//! list of choices it replays them, and a list that ends goes on with zeros, which stand for the smallest
//! value. So a property test shrinks a case by shrinking its list, and needs no strategy for each operator.

/// A source of choices.
#[derive(Clone, Debug)]
pub struct Draw<'a> {
    source: Source<'a>,
}

#[derive(Clone, Debug)]
enum Source<'a> {
    Seeded(u64),
    Choices(std::slice::Iter<'a, u32>),
}

/// One step of SplitMix64 (Steele, Lea and Flood 2014): the next number of the sequence that `state` is in.
pub fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Draw<'static> {
    /// The sequence of `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self { source: Source::Seeded(seed) }
    }
}

impl<'a> Draw<'a> {
    /// These choices, then zeros.
    pub fn replay(choices: &'a [u32]) -> Self {
        Self { source: Source::Choices(choices.iter()) }
    }

    fn word(&mut self) -> u64 {
        match &mut self.source {
            Source::Seeded(state) => splitmix(state) >> 32,
            Source::Choices(choices) => choices.next().map_or(0, |&c| u64::from(c)),
        }
    }

    /// A number from `low` to `high`, both included; the choice 0 gives `low`.
    pub fn range(&mut self, low: i64, high: i64) -> i64 {
        low + (self.word() % (high - low + 1) as u64) as i64
    }

    /// A size from `low` to `high`, both included.
    pub fn size(&mut self, low: u32, high: u32) -> u32 {
        self.range(i64::from(low), i64::from(high)) as u32
    }

    /// A size from 1 to `high`, in some cases as many as kernels take in several steps.
    pub fn big(&mut self, high: u32) -> u32 {
        if self.chance(15) { self.size(1, 70) } else { self.size(1, high) }
    }

    /// True in `percent` of 100 cases; the choice 0 gives false.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.word() % 100 >= 100 - u64::from(percent)
    }

    /// One of `options`; the choice 0 gives the first.
    pub fn pick<T: Copy>(&mut self, options: &[T]) -> T {
        options[(self.word() % options.len() as u64) as usize]
    }

    /// The numbers below `len`, in some order.
    pub fn order(&mut self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        (1..len).rev().for_each(|last| order.swap(last, self.size(0, last as u32) as usize));
        order
    }

    /// `len` values of int8: spread out, extreme, small or all equal.
    pub fn bytes(&mut self, len: usize) -> Vec<i8> {
        let style = self.range(0, 5);
        let mut state = self.word();
        (0..len)
            .map(|_| {
                let word = splitmix(&mut state);
                match style {
                    0 | 1 => word as i8,
                    2 => [i8::MIN, i8::MAX, -127, 0, 1, -1][(word % 6) as usize],
                    3 => (word % 7) as i8 - 3,
                    4 => i8::MAX,
                    _ => i8::MIN,
                }
            })
            .collect()
    }

    /// `len` values of int16: spread out, extreme, small or all equal.
    pub fn words(&mut self, len: usize) -> Vec<i16> {
        let style = self.range(0, 5);
        let mut state = self.word();
        (0..len)
            .map(|_| {
                let word = splitmix(&mut state);
                match style {
                    0 | 1 => word as i16,
                    2 => [i16::MIN, i16::MAX, -i16::MAX, 0, 1, -1][(word % 6) as usize],
                    3 => (word % 601) as i16 - 300,
                    4 => i16::MAX,
                    _ => i16::MIN,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_of_choices_gives_the_smallest_values() {
        let mut draw = Draw::replay(&[]);
        assert_eq!(
            (draw.range(-3, 9), draw.size(2, 7), draw.chance(99), draw.pick(&[5, 6])),
            (-3, 2, false, 5)
        );
    }

    #[test]
    fn seeds_give_the_same_sequence_and_reach_both_ends() {
        let take = |seed| {
            let mut draw = Draw::seeded(seed);
            (0..200).map(|_| draw.range(0, 3)).collect::<Vec<_>>()
        };
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
        assert_eq!((take(1).iter().min(), take(1).iter().max()), (Some(&0), Some(&3)));
    }
}
