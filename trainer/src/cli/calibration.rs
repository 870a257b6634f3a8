//! How scales are chosen: what `quantize`, `train`, `import` and `finetune` share.

use dunlin_trainer::quantise::Method;
use miette::{Result, bail};

/// Part of the old average that a sample leaves.
const MOMENTUM: f32 = 0.9;

/// How scales are chosen.
#[derive(Debug, clap::Args)]
pub(super) struct Calibration {
    /// How the range of an activation is chosen from the calibration samples.
    #[arg(long, visible_alias = "method", value_enum, default_value = "minmax")]
    observer: Observer,
    /// Part of the values that --observer percentile keeps, in percent, split over both ends.
    #[arg(long, value_name = "P", default_value_t = 99.99)]
    percentile: f64,
    /// Samples to calibrate on, spread over those that there are.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) samples: u32,
    /// Epochs of quantisation-aware training after calibration.
    #[arg(long, value_name = "EPOCHS", num_args = 0..=1, default_missing_value = "10")]
    pub(super) qat: Option<u32>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Observer {
    /// Smallest and largest value.
    Minmax,
    /// Moving average of each sample's smallest and largest value.
    MovingAverage,
    /// All but the outermost values; see --percentile.
    Percentile,
    /// The range with the least squared error.
    Mse,
}

impl Calibration {
    /// The method.
    pub(super) fn method(&self) -> Result<Method> {
        if !(self.percentile > 50.0 && self.percentile <= 100.0) {
            bail!(
                help = "give a number above 50 and at most 100",
                "--percentile {}: out of range",
                self.percentile
            );
        }
        Ok(match self.observer {
            Observer::Minmax => Method::MinMax,
            Observer::MovingAverage => Method::MovingAverage { momentum: MOMENTUM },
            Observer::Percentile => Method::Percentile { keep: self.percentile / 100.0 },
            Observer::Mse => Method::Mse,
        })
    }

    /// The method in words.
    pub(super) fn name(&self) -> String {
        match self.observer {
            Observer::Minmax => "smallest and largest values".into(),
            Observer::MovingAverage => "a moving average of the extremes".into(),
            Observer::Percentile => format!("the {} % range", self.percentile),
            Observer::Mse => "the range of least squared error".into(),
        }
    }
}
