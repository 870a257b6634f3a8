//! How a range is chosen from what calibration saw.

use super::params;
use super::ranges::Range;

/// Bins of a histogram between the smallest and the largest value seen.
const BINS: usize = 2048;

/// How the range of an activation is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Smallest and largest value seen.
    MinMax,
    /// Moving average of each batch's smallest and largest value: `momentum` is the part that stays.
    MovingAverage {
        /// In `0.0 .. 1.0`.
        momentum: f32,
    },
    /// Leaves out the outermost values: `keep` is the part that stays, split over both ends.
    Percentile {
        /// For instance 0.9999.
        keep: f64,
    },
    /// The clipping range with the least mean squared error of quantising what was seen.
    Mse,
}

impl Method {
    /// Whether a histogram is needed, hence a second look at the samples.
    pub(super) fn needs_histogram(self) -> bool {
        matches!(self, Method::Percentile { .. } | Method::Mse)
    }
}

/// What was seen of one group of values.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Smallest and largest value so far.
    pub(super) range: Range,
    average: Option<Range>,
    bins: Vec<u64>,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self { range: Range::EMPTY, average: None, bins: Vec::new() }
    }

    /// Takes note of the extremes of one batch.
    pub(super) fn extremes(&mut self, batch: Range, momentum: f32) {
        self.range = self.range.union(batch);
        self.average = Some(match self.average {
            None => batch,
            Some(old) => old.blend(batch, momentum),
        });
    }

    /// Counts values into the histogram over [`Seen::range`].
    pub(super) fn count(&mut self, values: &[f32]) {
        self.bins.resize(BINS, 0);
        let width = (self.range.hi - self.range.lo) / BINS as f32;
        if width > 0.0 {
            let inverse = 1.0 / width;
            for v in values {
                // `as` saturates: rounding at the ends cannot leave the histogram.
                let bin = ((v - self.range.lo) * inverse) as usize;
                self.bins[bin.min(BINS - 1)] += 1;
            }
        }
    }

    /// The range that `method` chooses.
    pub(super) fn choose(&self, method: Method) -> Range {
        match method {
            Method::MinMax => self.range,
            Method::MovingAverage { .. } => self.average.unwrap_or(self.range),
            Method::Percentile { keep } => self.percentile(keep),
            Method::Mse => self.least_error(),
        }
    }

    fn centre(&self, bin: usize) -> f32 {
        self.range.lo + (self.range.hi - self.range.lo) * (bin as f32 + 0.5) / BINS as f32
    }

    fn percentile(&self, keep: f64) -> Range {
        let total: u64 = self.bins.iter().sum();
        if total == 0 {
            return self.range;
        }
        let drop = ((1.0 - keep) / 2.0 * total as f64).floor() as u64;
        // The edge of the first bin at which more than `drop` values have passed.
        let edge = |bins: &mut dyn Iterator<Item = &u64>| {
            let mut passed = 0;
            bins.take_while(|&&n| {
                passed += n;
                passed <= drop
            })
            .count()
        };
        let (below, above) = (edge(&mut self.bins.iter()), edge(&mut self.bins.iter().rev()));
        let step = (self.range.hi - self.range.lo) / BINS as f32;
        Range { lo: self.range.lo + step * below as f32, hi: self.range.hi - step * above as f32 }
    }

    /// Shrinks one end after the other, over 128 steps each and two rounds.
    fn least_error(&self) -> Range {
        const STEPS: u32 = 128;
        const ROUNDS: u32 = 2;
        if self.bins.iter().all(|&n| n == 0) {
            return self.range;
        }
        let mut best = self.range;
        let mut error = self.error(best);
        for _ in 0..ROUNDS {
            for low_end in [false, true] {
                for step in 1..STEPS {
                    let part = step as f32 / STEPS as f32;
                    let candidate = if low_end {
                        Range { lo: self.range.lo * part, ..best }
                    } else {
                        Range { hi: self.range.hi * part, ..best }
                    };
                    let found = self.error(candidate);
                    if found < error {
                        (best, error) = (candidate, found);
                    }
                }
            }
        }
        best
    }

    /// Squared error of quantising the histogram with `range`.
    fn error(&self, range: Range) -> f64 {
        let q = params::activation(range.lo, range.hi);
        let occupied = self.bins.iter().enumerate().filter(|(_, n)| **n > 0);
        occupied
            .map(|(bin, &n)| {
                let v = self.centre(bin);
                let difference = f64::from(v - q.dequantize(q.quantize(v)));
                difference * difference * n as f64
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(values: &[f32]) -> Seen {
        let mut seen = Seen::new();
        seen.extremes(Range::of(values), 0.5);
        seen.count(values);
        seen
    }

    /// Ten thousand values in 0..1 and one far out.
    fn with_outlier() -> Vec<f32> {
        (0..10_000).map(|i| i as f32 / 10_000.0).chain([100.0]).collect()
    }

    #[test]
    fn an_outlier_counts_as_each_method_says() {
        let seen = seen(&with_outlier());
        assert_eq!(seen.choose(Method::MinMax), Range { lo: 0.0, hi: 100.0 });
        let kept = seen.choose(Method::Percentile { keep: 0.999 });
        assert!(kept.lo == 0.0 && kept.hi > 0.9 && kept.hi < 1.2, "{kept:?}");
        // Clipping 100 costs far more than a coarse step over the rest, so little is clipped.
        let optimal = seen.choose(Method::Mse);
        assert!(seen.error(optimal) <= seen.error(Range { lo: 0.0, hi: 100.0 }));
    }

    #[test]
    fn the_least_error_clips_a_thin_tail() {
        // A steep exponential distribution: clipping pays.
        let values: Vec<f32> = (1..200_000).map(|i| -(i as f32 / 200_000.0).ln()).collect();
        let seen = seen(&values);
        let optimal = seen.choose(Method::Mse);
        assert!(optimal.hi < 0.95 * seen.range.hi, "{optimal:?} of {:?}", seen.range);
        assert!(seen.error(optimal) < 0.95 * seen.error(seen.range));
    }

    #[test]
    fn the_average_moves_by_its_momentum() {
        let mut seen = Seen::new();
        seen.extremes(Range { lo: -1.0, hi: 1.0 }, 0.75);
        seen.extremes(Range { lo: -5.0, hi: 3.0 }, 0.75);
        assert_eq!(seen.choose(Method::MovingAverage { momentum: 0.75 }), Range { lo: -2.0, hi: 1.5 });
        assert_eq!(seen.choose(Method::MinMax), Range { lo: -5.0, hi: 3.0 });
    }
}
