//! One training over several seeds, splits or folds: each result, mean and deviation.

use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Result of one of the trainings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunMetrics {
    /// Seed of weights, order and split.
    pub seed: u64,
    /// The fold that was held out, from 1, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<usize>,
    /// Held-out examples.
    pub examples: usize,
    /// Figure of the float model.
    pub float: f64,
    /// Figure of the int8 model, run by the runtime.
    pub int8: f64,
    /// Coefficient of determination in float and in int8, where numbers are predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2: Option<[f64; 2]>,
    /// Half of the 95 % confidence interval of a mean return, in float and in int8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<[f64; 2]>,
    /// Part of the episodes that reached their goal, in float and in int8, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<[f64; 2]>,
}

/// Mean and deviation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Standard deviation of a sample; 0 for one value.
    pub deviation: f64,
}

impl Spread {
    /// Of some values.
    pub fn of(values: &[f64]) -> Self {
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Self { mean, deviation: (squares / values.len().saturating_sub(1).max(1) as f64).sqrt() }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.4} ± {:.4}", self.mean, self.deviation)
    }
}

/// Results of one training over seeds and folds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Repeated {
    /// How the data is split, in words.
    pub protocol: String,
    /// Of the float models, over seeds; the folds of a seed count by their examples.
    pub float: Spread,
    /// Of the int8 models.
    pub int8: Spread,
    /// Mean coefficient of determination in float and in int8, where numbers are predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2: Option<[f64; 2]>,
    /// Each training.
    pub runs: Vec<RunMetrics>,
}

/// A seed: number, float, int8.
struct Seed<'a> {
    seed: u64,
    float: f64,
    int8: f64,
    runs: Vec<&'a RunMetrics>,
}

impl Repeated {
    /// Of these trainings.
    pub fn new(protocol: String, runs: Vec<RunMetrics>) -> Self {
        let seeds = by_seed(&runs);
        let spread = |figure: fn(&Seed<'_>) -> f64| Spread::of(&seeds.iter().map(figure).collect::<Vec<_>>());
        let (float, int8) = (spread(|s| s.float), spread(|s| s.int8));
        let r2: Option<Vec<[f64; 2]>> = runs.iter().map(|r| r.r2).collect();
        let r2 = r2
            .filter(|all| !all.is_empty())
            .map(|all| [0, 1].map(|i| all.iter().map(|r| r[i]).sum::<f64>() / all.len() as f64));
        Self { protocol, float, int8, r2, runs }
    }

    /// A table of all seeds, as markdown.
    pub fn markdown(&self, metric: &str) -> String {
        let mut s = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(s, "The same training from several seeds, measured on {}:\n", self.protocol);
        let folds = self.runs.iter().any(|r| r.fold.is_some());
        let mut head = vec!["seed".to_string(), format!("{metric}, float"), format!("{metric}, int8")];
        if self.r2.is_some() {
            head.extend(["R², float".into(), "R², int8".into()]);
        }
        let goals = self.runs.iter().any(|r| r.success.is_some());
        if goals {
            head.extend(["goal reached, float".into(), "goal reached, int8".into()]);
        }
        if folds {
            head.push("folds, float".into());
        }
        let _ = writeln!(s, "| {} |\n|---:{}", head.join(" | "), "|---:".repeat(head.len() - 1) + "|");
        for seed in by_seed(&self.runs) {
            let _ = match seed.runs[0].confidence {
                Some([float, int8]) => {
                    let cells =
                        [(seed.float, float), (seed.int8, int8)].map(|(v, c)| format!("{v:.2} ± {c:.2}"));
                    write!(s, "| {} | {} | {} |", seed.seed, cells[0], cells[1])
                }
                None => write!(s, "| {} | {:.4} | {:.4} |", seed.seed, seed.float, seed.int8),
            };
            if let Some([float, int8]) = seed.runs[0].success {
                let _ = write!(s, " {:.0} % | {:.0} % |", 100.0 * float, 100.0 * int8);
            }
            if let (Some([float, int8]), false) = (seed.runs[0].r2, folds) {
                let _ = write!(s, " {float:.4} | {int8:.4} |");
            }
            if folds {
                let figures: Vec<String> = seed.runs.iter().map(|r| format!("{:.2}", r.float)).collect();
                let _ = write!(s, " {} |", figures.join(" "));
            }
            let _ = writeln!(s);
        }
        let _ = write!(s, "| **mean** | **{}** | **{}** |", self.float, self.int8);
        if let Some([float, int8]) = self.r2 {
            let _ = write!(s, " **{float:.4}** | **{int8:.4}** |");
        }
        let cells = if folds { 1 } else { 2 * usize::from(goals) };
        let _ = writeln!(s, "{}", " |".repeat(cells));
        if self.runs.iter().any(|r| r.confidence.is_some()) {
            let _ = writeln!(
                s,
                "\nA seed: mean ± half of its 95 % confidence interval over its episodes; at the end: mean ± standard deviation over the seeds."
            );
        }
        s
    }
}

/// Each seed with the mean over its folds, by their examples.
fn by_seed(runs: &[RunMetrics]) -> Vec<Seed<'_>> {
    let mut seeds: Vec<u64> = runs.iter().map(|r| r.seed).collect();
    seeds.dedup();
    let seed = |seed: u64| {
        let runs: Vec<&RunMetrics> = runs.iter().filter(|r| r.seed == seed).collect();
        let examples: usize = runs.iter().map(|r| r.examples).sum();
        let mean = |figure: fn(&RunMetrics) -> f64| {
            runs.iter().map(|r| figure(r) * r.examples as f64).sum::<f64>() / examples.max(1) as f64
        };
        Seed { seed, float: mean(|r| r.float), int8: mean(|r| r.int8), runs }
    };
    seeds.into_iter().map(seed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seed: u64, fold: usize, examples: usize, float: f64) -> RunMetrics {
        RunMetrics {
            seed,
            fold: Some(fold),
            examples,
            float,
            int8: float - 0.1,
            r2: None,
            confidence: None,
            success: None,
        }
    }

    #[test]
    fn folds_count_by_their_examples_and_seeds_alike() {
        let runs = vec![run(1, 1, 30, 0.9), run(1, 2, 10, 0.5), run(2, 1, 20, 0.7), run(2, 2, 20, 0.9)];
        let r = Repeated::new("folds".into(), runs);
        assert!((r.float.mean - 0.8).abs() < 1e-12 && r.float.deviation < 1e-12, "{:?}", r.float);
        assert!((r.int8.mean - 0.7).abs() < 1e-12);
        let text = r.markdown("accuracy");
        assert!(text.contains("| 1 | 0.8000 | 0.7000 | 0.90 0.50 |\n"), "{text}");
        assert!(text.contains("| **mean** | **0.8000 ± 0.0000** | **0.7000 ± 0.0000** | |\n"), "{text}");
    }

    #[test]
    fn the_deviation_is_that_of_a_sample() {
        let s = Spread::of(&[1.0, 2.0, 3.0]);
        assert_eq!((s.mean, s.deviation), (2.0, 1.0));
        assert_eq!(Spread::of(&[4.0]), Spread { mean: 4.0, deviation: 0.0 });
    }
}
