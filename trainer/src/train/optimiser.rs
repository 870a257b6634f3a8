//! Burn optimisers from a recipe.

use super::recipe::Optimiser;
use crate::exec::Weights;
use crate::graph::{Graph, ParamId};
use burn::module::ParamGroup;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::grad_clipping::GradientClippingConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, ModuleOptimizer, SgdConfig};

/// Adam's epsilon, as in PyTorch.
const EPSILON: f32 = 1e-8;

/// The optimiser of a recipe for the parameters of `graph`. Vectors are exempt from weight decay; of Adam, all but the
/// named matrices are. `clip` bounds the norm of each gradient.
pub fn optimiser(rule: &Optimiser, clip: Option<f32>, graph: &Graph, weights: &Weights) -> ModuleOptimizer {
    let clip = clip.map(GradientClippingConfig::Norm);
    let vectors: Vec<_> = graph
        .params
        .iter()
        .enumerate()
        .filter(|(_, p)| p.dims.len() == 1)
        .map(|(i, _)| weights.burn_id(ParamId(i)))
        .collect();
    let vectors = ParamGroup::from_ids(vectors);
    match rule {
        Optimiser::AdamW { decay, .. } => {
            let config = |decay| {
                AdamWConfig::new()
                    .with_epsilon(EPSILON)
                    .with_weight_decay(decay)
                    .with_grad_clipping(clip.clone())
                    .build()
            };
            ModuleOptimizer::from(config(*decay)).with_group(vectors, config(0.0), None)
        }
        Optimiser::Adam { penalty, penalised, .. } => {
            let matrices =
                graph.nodes.iter().filter(|n| penalised.contains(&n.name)).filter_map(|n| n.params.first());
            let matrices = ParamGroup::from_ids(matrices.map(|id| weights.burn_id(*id)).collect());
            let config = |penalty: Option<f32>| {
                let penalty = penalty.map(WeightDecayConfig::new);
                AdamConfig::new()
                    .with_epsilon(EPSILON)
                    .with_weight_decay(penalty)
                    .with_grad_clipping(clip.clone())
                    .build()
            };
            ModuleOptimizer::from(config(None)).with_group(matrices, config(Some(*penalty)), None)
        }
        Optimiser::Sgd { momentum, decay, .. } => {
            let config = |decay: Option<f32>| {
                let momentum = (*momentum > 0.0).then(|| {
                    MomentumConfig::new().with_momentum(*momentum).with_dampening(0.0).with_nesterov(false)
                });
                SgdConfig::new()
                    .with_gradient_clipping(clip.clone())
                    .with_momentum(momentum)
                    .with_weight_decay(decay.map(WeightDecayConfig::new))
                    .build()
            };
            let matrices = (*decay > 0.0).then_some(*decay);
            ModuleOptimizer::from(config(matrices)).with_group(vectors, config(None), None)
        }
    }
}
