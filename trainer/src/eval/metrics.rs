//! Accuracy and intersection over union from one confusion matrix.

use serde::{Deserialize, Serialize};

/// Counts of (true class, predicted class) pairs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    classes: usize,
    ignore: Option<u8>,
    counts: Vec<u64>,
}

impl Confusion {
    /// No pairs yet. Labels equal to `ignore` will not be counted.
    pub fn new(classes: usize, ignore: Option<u8>) -> Self {
        Self { classes, ignore, counts: vec![0; classes * classes] }
    }

    /// Counts one pair; nothing where `truth` is ignored. A prediction that is no class is wrong for every
    /// class and is counted as the class after the true one.
    pub fn add(&mut self, truth: u8, predicted: u8) {
        if Some(truth) == self.ignore || usize::from(truth) >= self.classes {
            return;
        }
        let truth = usize::from(truth);
        let mut predicted = usize::from(predicted);
        if predicted >= self.classes {
            predicted = (truth + 1) % self.classes;
        }
        self.counts[truth * self.classes + predicted] += 1;
    }

    /// Counts two label maps of the same length.
    pub fn add_all(&mut self, truth: &[u8], predicted: &[u8]) {
        for (t, p) in truth.iter().zip(predicted) {
            self.add(*t, *p);
        }
    }

    /// Adds the counts of another matrix of as many classes.
    pub fn merge(&mut self, other: &Self) {
        for (a, b) in self.counts.iter_mut().zip(&other.counts) {
            *a += b;
        }
    }

    /// Number of pairs with this true and predicted class.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth * self.classes + predicted]
    }

    /// Number of all pairs.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Part of all pairs that agree, 0 where there is none.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.classes).map(|c| self.count(c, c)).sum();
        right as f64 / self.total().max(1) as f64
    }

    /// Intersection over union of each class; `None` for a class that neither truth nor prediction has.
    pub fn iou(&self) -> Vec<Option<f64>> {
        (0..self.classes)
            .map(|c| {
                let both = self.count(c, c);
                let truth: u64 = (0..self.classes).map(|p| self.count(c, p)).sum();
                let predicted: u64 = (0..self.classes).map(|t| self.count(t, c)).sum();
                let union = truth + predicted - both;
                (union > 0).then(|| both as f64 / union as f64)
            })
            .collect()
    }

    /// Mean of [`Confusion::iou`] over the classes that occur.
    pub fn mean_iou(&self) -> f64 {
        let present: Vec<f64> = self.iou().into_iter().flatten().collect();
        present.iter().sum::<f64>() / present.len().max(1) as f64
    }
}
