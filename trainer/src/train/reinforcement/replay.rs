//! Replay memory: uniform (Mnih et al. 2013) or prioritised (Schaul et al. 2016).

use rand::Rng;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};

/// Something that was lived through: `steps` actions long where returns are of several steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// What was seen, normalised.
    pub observation: Vec<f32>,
    /// What was done.
    pub action: usize,
    /// Discounted sum of the rewards.
    pub reward: f32,
    /// What the value of `next` counts: 0 after an end.
    pub discount: f32,
    /// What was seen then.
    pub next: Vec<f32>,
    /// Whether a scripted player did it.
    pub shown: bool,
}

/// Observations; those of zeros and ones take a bit for each element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Store {
    Bits(Vec<u64>),
    Floats(Vec<f32>),
}

/// The newest transitions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    capacity: usize,
    each: usize,
    len: usize,
    at: usize,
    store: Store,
    actions: Vec<u16>,
    rewards: Vec<f32>,
    discounts: Vec<f32>,
    shown: Vec<bool>,
    priorities: Option<SumTree>,
}

/// A sample of the memory, row after row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Where the rows lie, for [`Replay::prioritise`].
    pub places: Vec<usize>,
    /// What was seen.
    pub observations: Vec<f32>,
    /// What was done.
    pub actions: Vec<usize>,
    /// Discounted sums of rewards.
    pub rewards: Vec<f32>,
    /// What the values of `next` count.
    pub discounts: Vec<f32>,
    /// What was seen then.
    pub next: Vec<f32>,
    /// Whether a scripted player did it.
    pub shown: Vec<bool>,
    /// What each row counts in the loss.
    pub weights: Vec<f32>,
}

impl Replay {
    /// A memory of `capacity` transitions whose observations have `each` elements.
    pub fn new(capacity: usize, each: usize, prioritised: bool) -> Self {
        Self {
            capacity,
            each,
            len: 0,
            at: 0,
            store: Store::Bits(vec![0; capacity * 2 * each.div_ceil(64)]),
            actions: vec![0; capacity],
            rewards: vec![0.0; capacity],
            discounts: vec![0.0; capacity],
            shown: vec![false; capacity],
            priorities: prioritised.then(|| SumTree::new(capacity)),
        }
    }

    /// Transitions held.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Holds a transition; the oldest goes where there is no room.
    pub fn push(&mut self, t: &Transition) {
        let at = self.at;
        self.write(2 * at, &t.observation);
        self.write(2 * at + 1, &t.next);
        self.actions[at] = t.action as u16;
        self.rewards[at] = t.reward;
        self.discounts[at] = t.discount;
        self.shown[at] = t.shown;
        if let Some(tree) = &mut self.priorities {
            tree.set(at, tree.largest);
        }
        self.at = (at + 1) % self.capacity;
        self.len = (self.len + 1).min(self.capacity);
    }

    /// Draws `count` transitions, each as likely as its priority to the power that it was given with; `beta` undoes that
    /// in the weights, wholly where it is 1.
    pub fn sample(&self, count: usize, beta: f64, rng: &mut Pcg64) -> Sample {
        let mut sample = Sample::default();
        for i in 0..count {
            let place = match &self.priorities {
                None => rng.random_range(0..self.len),
                Some(tree) => {
                    let share = tree.total() / count as f64;
                    tree.find((i as f64 + rng.random::<f64>()) * share).min(self.len - 1)
                }
            };
            sample.places.push(place);
            self.read(2 * place, &mut sample.observations);
            self.read(2 * place + 1, &mut sample.next);
            sample.actions.push(usize::from(self.actions[place]));
            sample.rewards.push(self.rewards[place]);
            sample.discounts.push(self.discounts[place]);
            sample.shown.push(self.shown[place]);
        }
        sample.weights = match &self.priorities {
            None => vec![1.0; count],
            Some(tree) => {
                let weight = |&p: &usize| (self.len as f64 * tree.get(p) / tree.total()).powf(-beta);
                let weights: Vec<f64> = sample.places.iter().map(weight).collect();
                let largest = weights.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
                weights.iter().map(|w| (w / largest) as f32).collect()
            }
        };
        sample
    }

    /// Gives the rows of a sample new priorities: errors to the power `alpha`.
    pub fn prioritise(&mut self, places: &[usize], errors: &[f32], alpha: f64) {
        let Some(tree) = &mut self.priorities else { return };
        for (&place, error) in places.iter().zip(errors) {
            let priority = (f64::from(error.abs()) + SMALLEST_ERROR).powf(alpha);
            tree.largest = tree.largest.max(priority);
            tree.set(place, priority);
        }
    }

    fn write(&mut self, row: usize, values: &[f32]) {
        assert_eq!(values.len(), self.each, "an observation of another length");
        if matches!(self.store, Store::Bits(_)) && values.iter().any(|v| *v != 0.0 && *v != 1.0) {
            self.widen();
        }
        match &mut self.store {
            Store::Floats(floats) => floats[row * self.each..(row + 1) * self.each].copy_from_slice(values),
            Store::Bits(bits) => {
                let words = self.each.div_ceil(64);
                for (word, part) in bits[row * words..].iter_mut().zip(values.chunks(64)) {
                    *word = part.iter().enumerate().fold(0, |w, (i, v)| w | u64::from(*v == 1.0) << i);
                }
            }
        }
    }

    fn read(&self, row: usize, into: &mut Vec<f32>) {
        match &self.store {
            Store::Floats(floats) => into.extend_from_slice(&floats[row * self.each..(row + 1) * self.each]),
            Store::Bits(bits) => {
                let words = &bits[row * self.each.div_ceil(64)..];
                into.extend((0..self.each).map(|i| (words[i / 64] >> (i % 64) & 1) as f32));
            }
        }
    }

    /// From bits to floats.
    fn widen(&mut self) {
        let mut floats = Vec::with_capacity(self.capacity * 2 * self.each);
        (0..2 * self.capacity).for_each(|row| self.read(row, &mut floats));
        self.store = Store::Floats(floats);
    }
}

/// What is added to an error, so that nothing is forgotten.
const SMALLEST_ERROR: f64 = 1e-3;

/// Sums over a binary tree: the leaf at which a running sum reaches a number is found in logarithmic time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SumTree {
    leaves: usize,
    sums: Vec<f64>,
    largest: f64,
}

impl SumTree {
    fn new(capacity: usize) -> Self {
        let leaves = capacity.next_power_of_two();
        Self { leaves, sums: vec![0.0; 2 * leaves], largest: 1.0 }
    }

    fn total(&self) -> f64 {
        self.sums[1]
    }

    fn get(&self, leaf: usize) -> f64 {
        self.sums[self.leaves + leaf]
    }

    fn set(&mut self, leaf: usize, value: f64) {
        let mut at = self.leaves + leaf;
        self.sums[at] = value;
        while at > 1 {
            at /= 2;
            self.sums[at] = self.sums[2 * at] + self.sums[2 * at + 1];
        }
    }

    fn find(&self, mut target: f64) -> usize {
        let mut at = 1;
        while at < self.leaves {
            at *= 2;
            if target >= self.sums[at] && self.sums[at + 1] > 0.0 {
                target -= self.sums[at];
                at += 1;
            }
        }
        at - self.leaves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transition(value: f32, action: usize) -> Transition {
        Transition {
            observation: vec![value, 0.0, 1.0],
            action,
            reward: value,
            discount: 0.5,
            next: vec![0.0, value, 0.0],
            shown: action == 3,
        }
    }

    #[test]
    fn what_was_pushed_is_drawn_and_the_oldest_goes() {
        let mut replay = Replay::new(4, 3, false);
        (0..6).for_each(|a| replay.push(&transition(1.0, a)));
        assert_eq!(replay.len(), 4);
        let sample = replay.sample(64, 1.0, &mut Pcg64::new(1, 1));
        let mut seen: Vec<usize> = sample.actions.clone();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [2, 3, 4, 5]);
        assert_eq!(sample.observations[..3], [1.0, 0.0, 1.0]);
        assert_eq!(sample.next[..3], [0.0, 1.0, 0.0]);
        assert_eq!(sample.weights, [1.0; 64]);
        let shown: Vec<bool> = sample.actions.iter().map(|a| *a == 3).collect();
        assert_eq!(sample.shown, shown);
    }

    #[test]
    fn bits_become_floats_without_loss() {
        let mut replay = Replay::new(4, 3, false);
        replay.push(&transition(1.0, 0));
        assert!(matches!(replay.store, Store::Bits(_)));
        replay.push(&transition(0.25, 1));
        assert!(matches!(replay.store, Store::Floats(_)));
        let sample = replay.sample(64, 1.0, &mut Pcg64::new(1, 1));
        for (row, action) in sample.observations.chunks_exact(3).zip(&sample.actions) {
            assert_eq!(row, if *action == 0 { [1.0, 0.0, 1.0] } else { [0.25, 0.0, 1.0] });
        }
    }

    #[test]
    fn priorities_decide_how_often_and_weights_undo_it() {
        let mut replay = Replay::new(2, 3, true);
        replay.push(&transition(1.0, 0));
        replay.push(&transition(1.0, 1));
        replay.prioritise(&[0, 1], &[1.0 - 1e-3, 3.0 - 1e-3], 1.0);
        let sample = replay.sample(4000, 1.0, &mut Pcg64::new(1, 1));
        let often = sample.actions.iter().filter(|a| **a == 1).count();
        assert!((2990..=3010).contains(&often), "{often}");
        let weight = |action| {
            let row = sample.actions.iter().position(|a| *a == action).unwrap();
            f64::from(sample.weights[row])
        };
        assert!((weight(0) / weight(1) - 3.0).abs() < 1e-3);
    }

    #[test]
    fn a_sum_tree_finds_by_running_sum() {
        let mut tree = SumTree::new(5);
        [1.0, 2.0, 0.0, 4.0, 3.0].iter().enumerate().for_each(|(i, v)| tree.set(i, *v));
        assert_eq!(tree.total(), 10.0);
        let found: Vec<usize> = [0.5, 1.5, 2.9, 3.0, 6.9, 7.0, 10.0].iter().map(|t| tree.find(*t)).collect();
        assert_eq!(found, [0, 1, 1, 3, 3, 4, 4]);
    }
}
