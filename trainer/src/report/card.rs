//! Model cards: what a model is, how it was made, how good it is, as markdown.

use super::facts::Facts;
use super::repeated::Repeated;
use crate::eval::graphs::Quality;
use crate::eval::metrics::Confusion;
use crate::eval::policy::Returns;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Quality of a model on held-out data, as `metrics.json` holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// `mIoU` for segmentation, `accuracy` for classification, `RMSE` for numbers.
    pub metric: String,
    /// Of the float model.
    pub float: f64,
    /// Of the int8 model, run by the runtime.
    pub int8: f64,
    /// Held-out examples, or episodes.
    pub examples: usize,
    /// Part of the pixels, or of the examples, that are right in float and in int8; none where there are no classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<[f64; 2]>,
    /// Coefficient of determination in float and in int8, where numbers are predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2: Option<[f64; 2]>,
    /// Half of the 95 % confidence interval of a mean return, in float and in int8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<[f64; 2]>,
    /// Part of the episodes that reached their goal, in float and in int8, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<[f64; 2]>,
    /// Intersection over union by class, in float and in int8; none where a class does not occur.
    pub classes: Vec<ClassMetrics>,
    /// The same training over seeds, splits or folds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<Repeated>,
}

/// One class of [`Metrics`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Name of the class.
    pub name: String,
    /// Intersection over union of the float model.
    pub float: Option<f64>,
    /// Intersection over union of the int8 model.
    pub int8: Option<f64>,
}

/// Name and value of the metric that counts: mean intersection over union for segmentation, else accuracy.
pub fn headline(segmentation: bool, confusion: &Confusion) -> (&'static str, f64) {
    if segmentation { ("mIoU", confusion.mean_iou()) } else { ("accuracy", confusion.accuracy()) }
}

impl Metrics {
    /// Two figures of `metric` over `examples` examples, and nothing else.
    pub fn plain(metric: &str, examples: usize, float: f64, int8: f64) -> Self {
        Self {
            metric: metric.into(),
            float,
            int8,
            examples,
            accuracy: None,
            r2: None,
            confidence: None,
            success: None,
            classes: Vec::new(),
            repeated: None,
        }
    }

    /// Both confusion matrices over the same `examples` examples.
    pub fn new(
        names: &[String],
        segmentation: bool,
        examples: usize,
        float: &Confusion,
        int8: &Confusion,
    ) -> Self {
        let (metric, value) = headline(segmentation, float);
        let ious = names.iter().zip(float.iou()).zip(int8.iou());
        Self {
            accuracy: Some([float.accuracy(), int8.accuracy()]),
            classes: ious
                .map(|((name, float), int8)| ClassMetrics { name: name.clone(), float, int8 })
                .collect(),
            ..Self::plain(metric, examples, value, headline(segmentation, int8).1)
        }
    }

    /// What a policy earns in float and in int8 over the same number of episodes.
    pub fn of_policy(float: &Returns, int8: &Returns) -> Self {
        let success = float.success().zip(int8.success());
        Self {
            confidence: Some([float.confidence(), int8.confidence()]),
            success: success.map(|(float, int8)| [float, int8]),
            ..Self::plain("mean return", int8.totals.len(), float.mean(), int8.mean())
        }
    }

    /// Both qualities of a model of graphs over the same `examples` items.
    pub fn of_graphs(names: &[String], examples: usize, float: &Quality, int8: &Quality) -> Self {
        match (float, int8) {
            (Quality::Classes(float), Quality::Classes(int8)) => {
                Self::new(names, false, examples, float, int8)
            }
            _ => Self {
                r2: float.r2().zip(int8.r2()).map(|(float, int8)| [float, int8]),
                ..Self::plain(float.metric(), examples, float.value(), int8.value())
            },
        }
    }
}

/// What a card is written from.
#[derive(Clone, Debug)]
pub struct Card<'a> {
    /// The model.
    pub facts: &'a Facts,
    /// Its quality.
    pub metrics: &'a Metrics,
    /// The recipe, as TOML.
    pub recipe: &'a str,
    /// How it was quantised, in a sentence.
    pub quantisation: &'a str,
    /// Commands that make it again.
    pub commands: &'a [String],
    /// Other trainings measured on the same data: name and quality.
    pub compared: &'a [(String, Metrics)],
    /// A paragraph of the person who made it; may be empty.
    pub note: &'a str,
    /// What the held-out examples had no part in.
    pub held_out: &'a str,
    /// Pictures beside the card: file name and caption.
    pub pictures: &'a [(String, String)],
}

impl Card<'_> {
    /// The card as markdown.
    pub fn markdown(&self) -> String {
        let (f, m) = (self.facts, self.metrics);
        let mut s = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(s, "# {}\n", f.name);
        let (input, output) = (first(f, &f.inputs), first(f, &f.outputs));
        let _ = writeln!(
            s,
            "{} nodes, {} int8 weights, {} multiply-accumulates; input {input}, output {output}.\n",
            f.nodes.len(),
            f.totals.weight_bytes,
            f.totals.macs
        );
        self.quality(&mut s);
        let _ = writeln!(s, "## Size\n");
        let _ = writeln!(s, "| | bytes |\n|---|---:|");
        let t = &f.totals;
        for (what, bytes) in [
            ("weights", t.weight_bytes),
            ("file", u64::from(t.file_bytes)),
            ("arena", t.arena_bytes as u64),
            ("largest live set of the arena", t.largest_live_bytes),
            ("state", t.state_bytes as u64),
        ] {
            let _ = writeln!(s, "| {what} | {bytes} |");
        }
        let _ = writeln!(
            s,
            "\nTables: `Storage::<{}, {}, {}>`.\n",
            f.storage.nodes, f.storage.tensors, f.storage.ids
        );
        let _ = writeln!(s, "## Data\n\nLicence: {}.", f.data_licence.trim_end_matches('.'));
        if !f.labels.is_empty() {
            let _ = writeln!(s, "Classes: {}.", f.labels.join(", "));
        }
        let what = if m.confidence.is_some() { "episodes" } else { "held-out examples" };
        let _ = writeln!(s, "Metric over {} {what}; {}.\n", m.examples, self.held_out);
        let _ = writeln!(s, "## Recipe\n\n{}\n\n```toml\n{}\n```\n", self.quantisation, self.recipe.trim());
        let _ = writeln!(s, "Made again by:\n\n```sh\n{}\n```\n", self.commands.join("\n"));
        self.architecture(&mut s);
        for (file, caption) in self.pictures {
            let _ = writeln!(s, "\n![{caption}]({file})");
        }
        s
    }

    fn quality(&self, s: &mut String) {
        let m = self.metrics;
        let _ = writeln!(s, "## Quality\n\n| | float | int8 |\n|---|---:|---:|");
        let _ = writeln!(s, "| {} | {:.4} | {:.4} |", m.metric, m.float, m.int8);
        if m.metric != "accuracy" {
            for (name, figures) in [
                ("accuracy", m.accuracy),
                ("R²", m.r2),
                ("half of its 95 % confidence interval", m.confidence),
                ("part of the episodes that reach the goal", m.success),
            ] {
                if let Some([float, int8]) = figures {
                    let _ = writeln!(s, "| {name} | {float:.4} | {int8:.4} |");
                }
            }
            let cell = |v: Option<f64>| v.map_or("-".into(), |v| format!("{v:.3}"));
            for c in &m.classes {
                let _ = writeln!(s, "| IoU {} | {} | {} |", c.name, cell(c.float), cell(c.int8));
            }
        }
        let _ = writeln!(s, "\nint8 is the `.dun` file as the runtime runs it.\n");
        if let Some(repeated) = &m.repeated {
            let _ = writeln!(s, "{}", repeated.markdown(&m.metric));
        }
        if !self.compared.is_empty() {
            let metric = &m.metric;
            let _ = writeln!(s, "| trained otherwise | {metric}, float | {metric}, int8 |\n|---|---:|---:|");
            let _ = writeln!(s, "| this model | {:.4} | {:.4} |", m.float, m.int8);
            for (name, other) in self.compared {
                let _ = writeln!(s, "| {name} | {:.4} | {:.4} |", other.float, other.int8);
            }
            let _ = writeln!(s);
        }
        if !self.note.is_empty() {
            let _ = writeln!(s, "{}\n", self.note);
        }
    }

    fn architecture(&self, s: &mut String) {
        let _ = writeln!(s, "## Program\n\n| node | operator | input | output | window | MACs | weights |");
        let _ = writeln!(s, "|---:|---|---|---|---|---:|---:|");
        for n in &self.facts.nodes {
            let shape = |x: [u32; 4]| format!("{}x{}x{}", x[1], x[2], x[3]);
            let _ = writeln!(
                s,
                "| {} | {}{} | {} | {} | {} | {} | {} |",
                n.index,
                n.op,
                if n.fused_argmax { " + argmax" } else { "" },
                shape(n.input_shape),
                shape(n.output_shape),
                n.window.as_ref().map(ToString::to_string).unwrap_or_default(),
                n.macs,
                n.weight_bytes
            );
        }
    }
}

fn first(f: &Facts, ids: &[u16]) -> String {
    ids.first()
        .map(|&id| &f.tensors[usize::from(id)])
        .map_or_else(String::new, |t| format!("{} {}x{}x{}", t.dtype, t.shape[1], t.shape[2], t.shape[3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_take_both_matrices_and_survive_json() {
        let names = ["road".to_string(), "sky".to_string(), "car".to_string()];
        let mut float = Confusion::new(3, None);
        float.add_all(&[0, 0, 1, 1], &[0, 0, 1, 1]);
        let mut int8 = Confusion::new(3, None);
        int8.add_all(&[0, 0, 1, 1], &[0, 1, 1, 1]);
        let m = Metrics::new(&names, true, 4, &float, &int8);
        assert_eq!((m.metric.as_str(), m.float), ("mIoU", 1.0));
        assert_eq!(m.int8, (0.5 + 2.0 / 3.0) / 2.0);
        assert_eq!(m.accuracy, Some([1.0, 0.75]));
        assert_eq!(m.classes[2], ClassMetrics { name: "car".into(), float: None, int8: None });
        assert_eq!(serde_json::from_str::<Metrics>(&serde_json::to_string(&m).unwrap()).unwrap(), m);
        let m = Metrics::new(&names, false, 4, &float, &int8);
        assert_eq!((m.metric.as_str(), m.int8), ("accuracy", 0.75));
    }
}
