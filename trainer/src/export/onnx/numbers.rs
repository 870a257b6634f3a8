//! The integers of a quantised network, from the same functions as lowering's.

use crate::graph::{Graph, Node, ValueId};
use crate::quantise::{QuantiseError, Ranges, params};
use dunlin::format::DType;
use dunlin::quant::QParams;

/// Scales of a graph whose passes have run.
#[derive(Clone, Copy, Debug)]
pub struct Numbers<'a> {
    ranges: &'a Ranges,
}

/// Weights and biases of one node as integers.
pub(super) struct Integers {
    /// Scale of each output channel's weights.
    pub(super) scales: Vec<f32>,
    /// Their zero point.
    pub(super) zero_point: i16,
    /// Weights in the order of the parameter.
    pub(super) weights: Vec<i8>,
    /// Biases in units of input scale times weight scale; empty where the node has none.
    pub(super) biases: Vec<i32>,
    /// Those units.
    pub(super) bias_scales: Vec<f32>,
}

impl<'a> Numbers<'a> {
    /// The scales in `ranges`.
    pub fn new(ranges: &'a Ranges) -> Self {
        Self { ranges }
    }

    /// Type, scale and zero point of a value; none for labels, positions and values that are not of eight bits.
    pub(super) fn value(
        &self,
        graph: &Graph,
        id: ValueId,
    ) -> Result<Option<(DType, QParams)>, QuantiseError> {
        if let Some(pin) = graph.value(id).pin {
            return Ok(matches!(pin.dtype, DType::I8 | DType::U8).then_some((pin.dtype, pin.quant)));
        }
        match self.ranges.points().group(id) {
            Some(_) => Ok(Some((DType::I8, self.ranges.qparams(graph, id)?))),
            None => Ok(None),
        }
    }

    /// The integers of a node with weights.
    pub(super) fn weights(&self, graph: &Graph, node: &Node) -> Result<Option<Integers>, QuantiseError> {
        let Some(channel_last) = params::channel_last(&node.op) else { return Ok(None) };
        let channels = graph.shape(node.outputs[0]).c as usize;
        let weight = graph.param(node.params[0]);
        let bias = node.params.get(1).map(|b| graph.param(*b));
        if let Some(pin) = &weight.pin {
            let spread = |scales: &[f32]| match scales {
                [one] => vec![*one; channels],
                all => all.to_vec(),
            };
            let bias = bias.and_then(|b| b.pin.as_ref());
            return Ok(Some(Integers {
                scales: spread(&pin.scales),
                zero_point: pin.zero_point,
                weights: pin.ints.iter().map(|&v| v as i8).collect(),
                biases: bias.map(|b| b.ints.iter().map(|&v| v as i32).collect()).unwrap_or_default(),
                bias_scales: bias.map(|b| spread(&b.scales)).unwrap_or_default(),
            }));
        }
        let Some((_, input)) = self.value(graph, node.inputs[0])? else { return Ok(None) };
        let weights = &weight.data;
        let biases = bias.map(|b| b.data.as_slice());
        let taps = params::taps(&node.op, graph.shape(node.inputs[0]).c);
        let scales = params::weight_scales(weights, biases, channels, channel_last, input.scale, taps);
        let channel = |i| params::channel_of(i, weights.len(), channels, channel_last);
        let integers =
            weights.iter().enumerate().map(|(i, &w)| params::weight(w, scales[channel(i)])).collect();
        let biases = biases.unwrap_or_default().iter().zip(&scales);
        Ok(Some(Integers {
            weights: integers,
            zero_point: 0,
            biases: biases.map(|(&b, &s)| params::bias(b, input.scale, s)).collect(),
            bias_scales: scales.iter().map(|s| input.scale * s).collect(),
            scales,
        }))
    }
}
