//! Convolutions and dense layers: int8 weights per channel, 32-bit biases, multipliers.

use super::{Lowering, factor, params, unsupported};
use crate::graph::{Node, NodeId, PinnedParam, Scheme};
use crate::ops::{Activation, Conv2d, Dense, DepthwiseConv2d, Op, TransposeConv2d};
use crate::quantise::QuantiseError;
use dunlin::ops as int8;
use dunlin::ops::Filter;
use dunlin::quant::Clamp;

impl Lowering<'_> {
    pub(super) fn conv(&mut self, id: NodeId, node: &Node, o: &Conv2d) -> Result<(), QuantiseError> {
        let filter = self.filter(node, o.fused)?;
        let labels = self.labels(id, node)?;
        let window = o.window;
        self.scored(node, labels, |labels| int8::Op::Conv2d(int8::Conv2d { window, filter, labels }))
    }

    pub(super) fn depthwise(&mut self, node: &Node, o: &DepthwiseConv2d) -> Result<(), QuantiseError> {
        let filter = self.filter(node, o.fused)?;
        let multiplier =
            u16::try_from(o.multiplier).map_err(|_| unsupported(node, "multiplier exceeds 65,535"))?;
        let op = int8::DepthwiseConv2d { window: o.window, filter, multiplier };
        self.plain(node, int8::Op::DepthwiseConv2d(op))
    }

    pub(super) fn transpose_conv(
        &mut self,
        id: NodeId,
        node: &Node,
        o: &TransposeConv2d,
    ) -> Result<(), QuantiseError> {
        let w = o.window;
        let filter = self.filter(node, o.fused)?;
        let labels = self.labels(id, node)?;
        let out = self.graph.shape(node.outputs[0]);
        self.scored(node, labels, |labels| {
            int8::Op::TransposeConv2d(int8::TransposeConv2d {
                window: w,
                output_h: out.h,
                output_w: out.w,
                filter,
                labels,
            })
        })
    }

    pub(super) fn dense(&mut self, node: &Node, o: &Dense) -> Result<(), QuantiseError> {
        let filter = self.filter(node, o.fused)?;
        self.plain(node, int8::Op::Dense(int8::Dense { filter }))
    }

    /// Quantises the parameters of a node.
    fn filter(&mut self, node: &Node, fused: Activation) -> Result<Filter, QuantiseError> {
        let taps = params::taps(&node.op, self.graph.shape(node.inputs[0]).c);
        if taps > params::longest_sum() {
            return Err(QuantiseError::Reduction {
                node: node.name.clone(),
                taps,
                limit: params::longest_sum(),
            });
        }
        self.parameters_are_finite(node)?;
        let channel_last =
            params::channel_last(&node.op).ok_or_else(|| unsupported(node, "it has no weights"))?;
        let channels = self.graph.shape(node.outputs[0]).c as usize;
        let (input, output) = (self.quant(node.inputs[0])?, self.quant(node.outputs[0])?);
        if let Some(pin) = &self.graph.param(node.params[0]).pin {
            return self.pinned_filter(node, pin, params::clamp(fused, output));
        }
        let weights = &self.graph.param(node.params[0]).data;
        let biases = node.params.get(1).map(|b| self.graph.param(*b).data.as_slice());
        let scales = params::weight_scales(weights, biases, channels, channel_last, input.scale, taps);
        let quantised: Vec<i8> = weights
            .iter()
            .enumerate()
            .map(|(i, &w)| {
                params::weight(w, scales[params::channel_of(i, weights.len(), channels, channel_last)])
            })
            .collect();
        let bias: Vec<i32> = scales
            .iter()
            .enumerate()
            .map(|(c, &scale)| biases.map_or(0, |b| params::bias(b[c], input.scale, scale)))
            .collect();
        let mut multiplier = Vec::with_capacity(channels);
        let mut shift = Vec::with_capacity(channels);
        for (c, &scale) in scales.iter().enumerate() {
            let real = f64::from(input.scale) * f64::from(scale) / f64::from(output.scale);
            let requant = factor(node, c, real)?;
            multiplier.push(requant.multiplier);
            shift.push(requant.shift);
        }
        let data = &mut self.program.data;
        Ok(Filter {
            weights: data.push(&quantised),
            bias: data.push(&bias),
            multiplier: data.push(&multiplier),
            shift: data.push(&shift),
            weight_zero: 0,
            clamp: params::clamp(fused, output),
        })
    }

    /// The parameters of a node as its file gives them.
    fn pinned_filter(
        &mut self,
        node: &Node,
        pin: &PinnedParam,
        clamp: Clamp,
    ) -> Result<Filter, QuantiseError> {
        let channels = self.graph.shape(node.outputs[0]).c as usize;
        let (weights, weight_zero) = self.pinned_weights(node, pin, channels)?;
        let bias = match node.params.get(1).map(|id| self.graph.param(*id)) {
            None => vec![0; channels],
            Some(param) => match &param.pin {
                Some(pin) => as_int32(node, &param.name, &pin.ints)?,
                None => return Err(unsupported(node, "its weights are quantised, its bias is not")),
            },
        };
        let (multiplier, shift) = self.pinned_factors(node, &pin.scales, channels)?;
        let data = &mut self.program.data;
        Ok(Filter {
            weights: data.push(&weights),
            bias: data.push(&bias),
            multiplier: data.push(&multiplier),
            shift: data.push(&shift),
            weight_zero,
            clamp,
        })
    }

    /// Refuses parameters that a training that diverged leaves behind.
    pub(super) fn parameters_are_finite(&self, node: &Node) -> Result<(), QuantiseError> {
        let mut params = node.params.iter().map(|id| self.graph.param(*id));
        match params.find(|param| param.data.iter().any(|v| !v.is_finite())) {
            None => Ok(()),
            Some(param) => {
                Err(QuantiseError::NotFinite { node: node.name.clone(), param: param.name.clone() })
            }
        }
    }

    /// Weights as their file gives them, and their zero point.
    pub(super) fn pinned_weights(
        &self,
        node: &Node,
        pin: &PinnedParam,
        channels: usize,
    ) -> Result<(Vec<i8>, i8), QuantiseError> {
        let (zero, found) = (pin.zero_point, pin.scales.len());
        if found != 1 && found != channels {
            return Err(unsupported(node, format!("{found} weight scales for {channels} output channels")));
        }
        let weight_zero = i8::try_from(zero)
            .map_err(|_| unsupported(node, format!("weight zero point {zero} is not int8")))?;
        Ok((as_int8(node, &self.graph.param(node.params[0]).name, &pin.ints)?, weight_zero))
    }

    /// Multiplier and shift of each output channel for weights with these scales (one, or one per channel).
    pub(super) fn pinned_factors(
        &self,
        node: &Node,
        scales: &[f32],
        channels: usize,
    ) -> Result<(Vec<i32>, Vec<i8>), QuantiseError> {
        let (input, output) = (self.quant(node.inputs[0])?.scale, self.quant(node.outputs[0])?.scale);
        let in_f32 = self.scheme(node.outputs[0]) == Scheme::Uint8
            || matches!(node.op, Op::Dense(_)) && scales.len() == 1;
        let mut factors = (Vec::with_capacity(channels), Vec::with_capacity(channels));
        for c in 0..channels {
            let scale = scales.get(c).or(scales.first()).copied().unwrap_or(1.0);
            let requant = factor(node, c, params::product_of_scales(input, scale, output, in_f32))?;
            factors.0.push(requant.multiplier);
            factors.1.push(requant.shift);
        }
        Ok(factors)
    }
}

/// Integers of a pinned parameter as int8, or the reason why they are none.
pub(super) fn as_int8(node: &Node, name: &str, ints: &[i64]) -> Result<Vec<i8>, QuantiseError> {
    let narrow = |&v: &i64| {
        i8::try_from(v).map_err(|_| unsupported(node, format!("{name}: weight {v} is not an int8 value")))
    };
    ints.iter().map(narrow).collect()
}

/// Integers of a pinned bias as int32, or the reason why they are none.
pub(super) fn as_int32(node: &Node, name: &str, ints: &[i64]) -> Result<Vec<i32>, QuantiseError> {
    let narrow = |&v: &i64| {
        i32::try_from(v).map_err(|_| unsupported(node, format!("{name}: bias {v} is not an int32 value")))
    };
    ints.iter().map(narrow).collect()
}
