//! Packing: offsets for buffers of given sizes and lifetimes (dynamic storage allocation, NP-hard).
//!
//! Every packing is made by one rule, "the lowest offset where it fits", from an order of the buffers, and the
//! best order is looked for: several greedy ones, a seeded local search, and for small problems all of them (an
//! optimal packing, taken from low to high offsets, is one of these). The search ends where the lower bound is met.

use dunlin::format::ALIGN;
use rand::Rng;
use rand_pcg::Pcg64;

/// Something that needs `bytes` from time `first` to time `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Size.
    pub bytes: u32,
    /// First time at which it is needed.
    pub first: usize,
    /// Last time at which it is needed.
    pub last: usize,
}

impl Item {
    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    fn aligned(&self) -> u32 {
        self.bytes.next_multiple_of(ALIGN as u32)
    }
}

/// Seeds of the local search, and changes that each tries.
const SEEDS: u64 = 4;
const CHANGES: usize = 1500;
/// Partial packings that the exhaustive search may visit.
const VISITS: usize = 200_000;

/// Offsets, multiples of 16, at which no two items that meet in time share bytes; and the end of the last.
pub fn pack(items: &[Item]) -> (Vec<u32>, u32) {
    let packer = Packer::new(items);
    let mut best = packer.greedy();
    for seed in 0..SEEDS {
        if best.end <= packer.bound {
            break;
        }
        packer.search(seed, &mut best);
    }
    if best.end > packer.bound {
        packer.exhaust(&mut best);
    }
    let end = items.iter().zip(&best.offsets).map(|(i, o)| o + i.bytes).max().unwrap_or(0);
    (best.offsets, end)
}

#[derive(Clone)]
struct Packing {
    order: Vec<usize>,
    offsets: Vec<u32>,
    end: u32,
}

struct Packer {
    sizes: Vec<u32>,
    /// For each item, those that it meets in time.
    meets: Vec<Vec<usize>>,
    items: Vec<Item>,
    bound: u32,
}

impl Packer {
    fn new(items: &[Item]) -> Self {
        let meets =
            |i: usize| (0..items.len()).filter(move |&j| j != i && items[i].meets(&items[j])).collect();
        let live = |time: usize| -> u32 {
            items.iter().filter(|i| i.first <= time && time <= i.last).map(Item::aligned).sum()
        };
        Self {
            sizes: items.iter().map(Item::aligned).collect(),
            meets: (0..items.len()).map(meets).collect(),
            bound: items.iter().map(|i| live(i.first)).max().unwrap_or(0),
            items: items.to_vec(),
        }
    }

    /// The lowest offset at which item `i` misses all placed items that it meets.
    fn lowest(&self, i: usize, placed: &[Option<u32>]) -> u32 {
        let mut taken: Vec<(u32, u32)> =
            self.meets[i].iter().filter_map(|&j| placed[j].map(|o| (o, o + self.sizes[j]))).collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (start, end) in taken {
            if start >= offset + self.sizes[i] {
                break;
            }
            offset = offset.max(end);
        }
        offset
    }

    fn place(&self, order: Vec<usize>) -> Packing {
        let mut placed = vec![None; self.items.len()];
        let mut end = 0;
        for &i in &order {
            let offset = self.lowest(i, &placed);
            placed[i] = Some(offset);
            end = end.max(offset + self.sizes[i]);
        }
        Packing { order, offsets: placed.into_iter().map(|o| o.unwrap_or(0)).collect(), end }
    }

    /// The best of the orders by size, by lifetime, by both, by begin and by end.
    fn greedy(&self) -> Packing {
        let size = |i: usize| u64::from(self.sizes[i]);
        let life = |i: usize| (self.items[i].last - self.items[i].first + 1) as u64;
        let keys: [&dyn Fn(usize) -> u64; 5] = [
            &|i| u64::MAX - size(i),
            &|i| u64::MAX - size(i).saturating_mul(life(i)),
            &|i| u64::MAX - (life(i) << 32 | size(i)),
            &|i| (self.items[i].first as u64) << 32 | (u64::from(u32::MAX) - size(i)),
            &|i| u64::MAX - ((self.items[i].last as u64) << 32 | size(i)),
        ];
        let packed = keys.iter().map(|key| {
            let mut order: Vec<usize> = (0..self.items.len()).collect();
            order.sort_by_key(|&i| key(i));
            self.place(order)
        });
        // Five keys, so there is a minimum.
        packed.min_by_key(|p| p.end).unwrap_or_else(|| self.place(Vec::new()))
    }

    /// Moves one item to another position of the order and keeps what is not worse.
    fn search(&self, seed: u64, best: &mut Packing) {
        let count = self.items.len();
        if count < 2 {
            return;
        }
        let mut rng = Pcg64::new(u128::from(seed), 0x70_61_63_6b);
        let mut current = best.clone();
        for _ in 0..CHANGES {
            let mut order = current.order.clone();
            let from = rng.random_range(0..count);
            let item = order.remove(from);
            order.insert(rng.random_range(0..count), item);
            let candidate = self.place(order);
            if candidate.end <= current.end {
                current = candidate;
            }
            if current.end < best.end {
                *best = current.clone();
                if best.end <= self.bound {
                    return;
                }
            }
        }
    }

    /// Tries all orders, as far as the number of visits allows.
    fn exhaust(&self, best: &mut Packing) {
        let mut state = Exhaust {
            placed: vec![None; self.items.len()],
            order: Vec::with_capacity(self.items.len()),
            visits: 0,
        };
        self.extend(&mut state, 0, best);
    }

    fn extend(&self, state: &mut Exhaust, end: u32, best: &mut Packing) {
        if state.order.len() == self.items.len() {
            *best = Packing {
                order: state.order.clone(),
                offsets: state.placed.iter().map(|o| o.unwrap_or(0)).collect(),
                end,
            };
            return;
        }
        // In the order of an optimal packing offsets never fall, which excludes most orders.
        let lowest = state.order.last().and_then(|&i| state.placed[i]).unwrap_or(0);
        for i in 0..self.items.len() {
            if state.placed[i].is_some() {
                continue;
            }
            state.visits += 1;
            if state.visits > VISITS || best.end <= self.bound {
                return;
            }
            let offset = self.lowest(i, &state.placed);
            let new_end = end.max(offset + self.sizes[i]);
            if offset < lowest || new_end >= best.end {
                continue;
            }
            state.placed[i] = Some(offset);
            state.order.push(i);
            self.extend(state, new_end, best);
            state.order.pop();
            state.placed[i] = None;
        }
    }
}

struct Exhaust {
    placed: Vec<Option<u32>>,
    order: Vec<usize>,
    visits: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(items: &[Item]) -> (u32, u32) {
        let (offsets, end) = pack(items);
        for (i, a) in items.iter().enumerate() {
            assert_eq!(offsets[i] % 16, 0);
            assert!(offsets[i] + a.bytes <= end);
            for (j, b) in items.iter().enumerate().take(i) {
                let apart = offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i];
                assert!(apart || !a.meets(b), "{a:?} at {} and {b:?} at {}", offsets[i], offsets[j]);
            }
        }
        let live =
            |t: usize| -> u32 { items.iter().filter(|i| i.first <= t && t <= i.last).map(|i| i.bytes).sum() };
        let live = items.iter().map(|i| live(i.first)).max().unwrap_or(0);
        assert!(end >= live);
        (end, live)
    }

    #[test]
    fn random_lifetimes_never_overlap() {
        let mut rng = Pcg64::new(11, 0);
        for _ in 0..60 {
            let count = rng.random_range(0..30);
            let items: Vec<Item> = (0..count)
                .map(|_| {
                    let first = rng.random_range(0..20);
                    Item { bytes: rng.random_range(1..5000), first, last: first + rng.random_range(0..8) }
                })
                .collect();
            check(&items);
        }
    }

    #[test]
    fn a_chain_of_layers_meets_the_bound() {
        let sizes = [57_600, 38_400, 38_400, 9_600, 19_200, 4_800, 9_600, 38_400, 76_800, 19_200];
        let items: Vec<Item> =
            sizes.iter().enumerate().map(|(i, &bytes)| Item { bytes, first: i, last: i + 1 }).collect();
        let (end, live) = check(&items);
        assert_eq!(end, live);
    }

    #[test]
    fn small_problems_are_solved_exactly() {
        let item = |bytes, first, last| Item { bytes, first, last };
        let items =
            [item(32, 0, 4), item(48, 0, 1), item(48, 3, 4), item(64, 2, 2), item(16, 1, 3), item(16, 0, 0)];
        let (end, live) = check(&items);
        assert_eq!((end, live), (112, 112));
        let items =
            [item(16, 0, 2), item(32, 1, 3), item(16, 3, 5), item(32, 4, 6), item(16, 2, 2), item(48, 5, 5)];
        let (end, live) = check(&items);
        assert_eq!(end, live);
    }
}
