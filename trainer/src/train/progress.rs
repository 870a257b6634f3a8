//! What a person sees of a run: a bar on a terminal, one line per epoch elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Display of a running training.
pub(super) struct Display {
    bar: Option<ProgressBar>,
    lines: bool,
    started: Instant,
    first_step: u64,
    total_steps: u64,
    metric: String,
}

/// Facts of a finished epoch.
pub(super) struct Epoch<'a> {
    pub(super) number: usize,
    pub(super) of: usize,
    pub(super) loss: f64,
    pub(super) rate: f64,
    pub(super) metric: Option<(&'a str, f64, f64)>,
    pub(super) images_per_second: f64,
    pub(super) steps_done: u64,
}

impl Display {
    /// Shows nothing where `quiet`.
    pub(super) fn new(quiet: bool, first_step: u64, total_steps: u64) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(total_steps), ProgressDrawTarget::stderr());
            let template = "{prefix} {wide_bar} {pos}/{len} steps  {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_position(first_step);
            bar
        });
        Self {
            bar,
            lines: !terminal && !quiet,
            started: Instant::now(),
            first_step,
            total_steps,
            metric: String::new(),
        }
    }

    fn left(&self, steps_done: u64) -> Duration {
        let done = steps_done.saturating_sub(self.first_step).max(1);
        let per_step = self.started.elapsed().as_secs_f64() / done as f64;
        Duration::from_secs_f64(per_step * self.total_steps.saturating_sub(steps_done) as f64)
    }

    /// After each step.
    pub(super) fn step(&self, epoch: usize, of: usize, steps_done: u64, loss: f64, images_per_second: f64) {
        let Some(bar) = &self.bar else { return };
        bar.set_prefix(format!("epoch {epoch}/{of}"));
        bar.set_position(steps_done);
        bar.set_message(format!(
            "loss {loss:.4}{}  {images_per_second:.1} examples/s  {} left",
            self.metric,
            clock(self.left(steps_done))
        ));
    }

    /// After each epoch.
    pub(super) fn epoch(&mut self, e: &Epoch<'_>) {
        if let Some((name, value, best)) = e.metric {
            self.metric = format!("  {name} {value:.4} (best {best:.4})");
        }
        if self.lines {
            eprintln!(
                "epoch {}/{}  loss {:.4}{}  rate {:.2e}  {:.1} examples/s  {} left",
                e.number,
                e.of,
                e.loss,
                if e.metric.is_some() { self.metric.as_str() } else { "" },
                e.rate,
                e.images_per_second,
                clock(self.left(e.steps_done))
            );
        }
    }

    /// On the bar only: where the training is.
    pub(super) fn at(&self, steps_done: u64, message: &str) {
        let Some(bar) = &self.bar else { return };
        bar.set_position(steps_done);
        bar.set_message(format!("{message}  {} left", clock(self.left(steps_done))));
    }

    /// A line where there is no bar.
    pub(super) fn line(&self, steps_done: u64, message: &str) {
        if self.lines {
            eprintln!("{message}  {} left", clock(self.left(steps_done)));
        }
    }

    /// At the end; the bar stays as it is.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

fn clock(d: Duration) -> String {
    let s = d.as_secs();
    if s >= 3600 {
        format!("{}h{:02}m", s / 3600, s % 3600 / 60)
    } else {
        format!("{}m{:02}s", s / 60, s % 60)
    }
}
