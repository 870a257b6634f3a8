//! Weighted cross entropy with label smoothing, and squared error.

use burn::tensor::{Int, Tensor, TensorData, activation};

/// Targets of one share of a batch.
pub struct Targets {
    labels: Vec<i32>,
    weights: Vec<f32>,
}

impl Targets {
    /// Weights every label by its class; ignored labels weigh nothing.
    pub fn new(labels: &[u8], class_weights: &[f32], ignore: Option<u8>) -> Self {
        let counted = |l: u8| Some(l) != ignore && usize::from(l) < class_weights.len();
        Self {
            weights: labels
                .iter()
                .map(|&l| if counted(l) { class_weights[usize::from(l)] } else { 0.0 })
                .collect(),
            labels: labels.iter().map(|&l| if counted(l) { i32::from(l) } else { 0 }).collect(),
        }
    }

    /// Sum of the weights.
    pub fn total(&self) -> f64 {
        self.weights.iter().map(|&w| f64::from(w)).sum()
    }
}

/// `Σ wᵢ · CE(logitsᵢ, targetᵢ) / total`, with `logits` NHWC and `total` the weight of the whole batch, so that
/// the losses (and gradients) of shares add up to those of the batch.
pub fn cross_entropy(logits: Tensor<4>, targets: &Targets, total: f64, smoothing: f32) -> Tensor<1> {
    let [n, h, w, c] = logits.dims();
    let rows = n * h * w;
    let device = logits.device();
    let log_p = activation::log_softmax(logits.reshape([rows, c]), 1);
    let labels = Tensor::<2, Int>::from_data(TensorData::new(targets.labels.clone(), [rows, 1]), &device);
    let weights = Tensor::<2>::from_data(TensorData::new(targets.weights.clone(), [rows, 1]), &device);
    let right = log_p.clone().gather(1, labels);
    let score = if smoothing > 0.0 {
        right.mul_scalar(1.0 - smoothing) + log_p.mean_dim(1).mul_scalar(smoothing)
    } else {
        right
    };
    (score * weights).sum().div_scalar(-total.max(1e-12))
}

/// `Σ (outputᵢ − targetᵢ)² / total`, with one output a target, and `total` the number of targets of the whole batch.
pub fn squared_error(outputs: Tensor<4>, targets: &[f32], total: f64) -> Tensor<1> {
    let device = outputs.device();
    let targets = Tensor::<1>::from_data(TensorData::new(targets.to_vec(), [targets.len()]), &device);
    let difference = outputs.reshape([targets.dims()[0]]) - targets;
    difference.powi_scalar(2).sum().div_scalar(total.max(1.0))
}
