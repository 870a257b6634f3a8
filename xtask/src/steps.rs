//! Steps of a long command: each is announced, timed and counted, also if it did not run.

use std::process::Command;
use std::time::{Duration, Instant};

enum Outcome {
    Done,
    Failed(String),
    LeftOut(String),
}

/// What has been done so far.
pub(crate) struct Steps {
    started: Instant,
    list: Vec<(String, Duration, Outcome)>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), list: Vec::new() }
    }

    /// Runs a step; a failure is kept for the end, so that the steps after it are run too.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<(), String>) -> bool {
        eprintln!("\n== {name}");
        let started = Instant::now();
        let outcome = match step() {
            Ok(()) => Outcome::Done,
            Err(reason) => {
                eprintln!("{reason}");
                Outcome::Failed(reason)
            }
        };
        let passed = matches!(outcome, Outcome::Done);
        self.list.push((name.to_owned(), started.elapsed(), outcome));
        passed
    }

    /// Counts a step that cannot run here.
    pub(crate) fn left_out(&mut self, name: &str, reason: &str) {
        eprintln!("\n== {name}: left out, {reason}");
        self.list.push((name.to_owned(), Duration::ZERO, Outcome::LeftOut(reason.to_owned())));
    }

    /// Prints the summary. In continuous integration (`CI=true`) a step left out is a failure.
    pub(crate) fn finish(self) -> Result<(), String> {
        let strict = std::env::var("CI").is_ok_and(|value| value == "true" || value == "1");
        let (summary, failures) = self.summary(strict);
        println!("{summary}");
        if failures == 0 { Ok(()) } else { Err(format!("{failures} of {} steps failed", self.list.len())) }
    }

    fn summary(&self, strict: bool) -> (String, usize) {
        let mut lines = vec![String::new(), "== summary".to_owned()];
        let (mut failures, mut left_out) = (0, 0);
        for (name, time, outcome) in &self.list {
            let seconds = time.as_secs_f64();
            lines.push(match outcome {
                Outcome::Done => format!("  ok        {seconds:7.1} s  {name}"),
                Outcome::Failed(reason) => {
                    failures += 1;
                    format!(
                        "  FAILED    {seconds:7.1} s  {name}: {}",
                        reason.lines().next().unwrap_or_default()
                    )
                }
                Outcome::LeftOut(reason) => {
                    left_out += 1;
                    format!("  left out             {name}: {reason}")
                }
            });
        }
        if strict {
            failures += left_out;
        }
        let total = self.started.elapsed().as_secs_f64();
        let done = self.list.len() - left_out;
        lines
            .push(format!("  {done} steps run, {left_out} left out, {failures} failed, {total:.1} s in all"));
        if strict && left_out > 0 {
            lines.push("  CI is set, so a step that was left out counts as failed".to_owned());
        }
        (lines.join("\n"), failures)
    }
}

/// Runs `command` to its end with inherited output.
pub(crate) fn call(command: &mut Command) -> Result<(), String> {
    let shown = show(command);
    let status = command.status().map_err(|error| format!("{shown}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{shown}: {status}")) }
}

/// The command as one would type it.
pub(crate) fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Steps {
        let mut steps = Steps::new();
        assert!(steps.run("good", || Ok(())));
        assert!(!steps.run("bad", || Err("broke\ndetails".to_owned())));
        steps.left_out("absent", "no QEMU");
        steps
    }

    #[test]
    fn every_step_is_in_the_summary() {
        let (summary, failures) = sample().summary(false);
        assert_eq!(failures, 1);
        for part in ["good", "bad: broke", "absent: no QEMU", "2 steps run, 1 left out, 1 failed"] {
            assert!(summary.contains(part), "{part} is missing from {summary}");
        }
    }

    #[test]
    fn what_is_left_out_fails_in_continuous_integration() {
        assert_eq!(sample().summary(true).1, 2);
    }

    #[test]
    fn a_failed_command_says_what_it_was() {
        let error = call(Command::new("false").arg("argument")).unwrap_err();
        assert!(error.starts_with("false argument: "), "{error}");
    }
}
