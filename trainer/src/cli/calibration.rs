//! How scales are chosen: what `quantize`, `train`, `import` and `finetune` share.

use dunlin_trainer::quantise::Method;
use miette::{Result, bail};

/// Part of the old average that a sample leaves.
const MOMENTUM: f32 = 0.9;

/// How scales are chosen.
#[derive(Debug, clap::Args)]
pub(super) struct Calibration {
    /// How the range of an activation is chosen from the calibration samples.
    /// [default: minmax; percentile for gcn-cora]
    #[arg(long, visible_alias = "method", value_enum)]
    observer: Option<Observer>,
    /// Part of the values that --observer percentile keeps, in percent, split over both ends.
    #[arg(long, value_name = "P", default_value_t = 99.99)]
    percentile: f64,
    /// Samples to calibrate on, spread over those that there are. [default: 64; of graphs all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) samples: Option<u32>,
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

/// Samples to calibrate on, unless told otherwise.
const SAMPLES: u32 = 64;

impl Calibration {
    /// How many pictures are calibrated on.
    pub(super) fn count(&self) -> usize {
        self.samples.unwrap_or(SAMPLES) as usize
    }

    /// The method.
    pub(super) fn method(&self) -> Result<Method> {
        self.method_or(Method::MinMax)
    }

    /// The method, or `own` where none is named.
    pub(super) fn method_or(&self, own: Method) -> Result<Method> {
        if !(self.percentile > 50.0 && self.percentile <= 100.0) {
            bail!(
                help = "give a number above 50 and at most 100",
                "--percentile {}: out of range",
                self.percentile
            );
        }
        Ok(match self.observer {
            None => own,
            Some(Observer::Minmax) => Method::MinMax,
            Some(Observer::MovingAverage) => Method::MovingAverage { momentum: MOMENTUM },
            Some(Observer::Percentile) => Method::Percentile { keep: self.percentile / 100.0 },
            Some(Observer::Mse) => Method::Mse,
        })
    }

    /// The method in words.
    pub(super) fn name(&self) -> String {
        self.name_or(Method::MinMax)
    }

    /// The method, or `own` where none is named, in words.
    pub(super) fn name_or(&self, own: Method) -> String {
        match self.method_or(own).unwrap_or(own) {
            Method::MinMax => "smallest and largest values".into(),
            Method::MovingAverage { .. } => "a moving average of the extremes".into(),
            // Two decimals: a part such as 0.9998 is not exact in binary.
            Method::Percentile { keep } => format!("the {:.2} % range", 100.0 * keep),
            Method::Mse => "the range of least squared error".into(),
        }
    }
}
