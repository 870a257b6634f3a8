//! Layers, pools, softmax and functions of one element with 16-bit activations.

use super::{Lowering, factor, params, unsupported};
use crate::graph::{Graph, Node, Pin, PinnedParam, Scheme, ValueId};
use crate::ops::{self, Activation, Op, UnaryFn};
use crate::quantise::{QuantiseError, Ranges};
use dunlin::fixed16::{self, SigmoidScale};
use dunlin::format::DType;
use dunlin::ops as runtime;
use dunlin::ops::{Accumulator, WideFilter};
use dunlin::quant::{Clamp16, QParams, Requant};

/// What 16-bit softmax, logistic function and hyperbolic tangent write.
const UNIT: QParams = QParams { scale: 1.0 / 32_768.0, zero_point: 0 };

/// `graph` with every value that is not pinned pinned to 16 bits, with the scale of its range.
pub(super) fn widened(graph: &Graph, ranges: &Ranges) -> Result<Graph, QuantiseError> {
    let mut wide = graph.clone();
    for (i, value) in wide.values.iter_mut().enumerate() {
        if value.dtype != ops::DType::Float || value.pin.is_some() {
            continue;
        }
        let id = ValueId(i);
        let group = ranges.points().group(id);
        let dictated = group.is_some_and(|g| ranges.points().groups[g].fixed.is_some());
        let quant = match ranges.range(id) {
            _ if dictated => UNIT,
            Some(range) if range.is_finite() => params::activation16(range.lo, range.hi),
            found => {
                let found = found.map_or("no sample".into(), |r| format!("{} to {}", r.lo, r.hi));
                return Err(QuantiseError::Range { value: value.name.clone(), found });
            }
        };
        value.pin = Some(Pin { dtype: DType::I16, quant, scheme: Scheme::Int8 });
    }
    Ok(wide)
}

impl Lowering<'_> {
    /// Whether a value has 16 bits in the integer program.
    pub(super) fn is_wide(&self, value: ValueId) -> bool {
        self.graph.value(value).pin.is_some_and(|pin| pin.dtype == DType::I16)
    }

    /// Lowers a node that has another operator for 16-bit activations; false where it is not one.
    pub(super) fn lower_wide(&mut self, node: &Node) -> Result<bool, QuantiseError> {
        if !self.is_wide(node.outputs[0]) || node.inputs.is_empty() {
            return Ok(false);
        }
        let from_wide = self.is_wide(node.inputs[0]);
        let narrow = || unsupported(node, "a 16-bit output needs a 16-bit input: quantise both alike");
        match &node.op {
            Op::Conv2d(_)
            | Op::DepthwiseConv2d(_)
            | Op::TransposeConv2d(_)
            | Op::Dense(_)
            | Op::MaxPool(_)
            | Op::AvgPool(_)
            | Op::Unary(_)
                if !from_wide =>
            {
                return Err(narrow());
            }
            Op::Conv2d(o) => {
                let filter = self.wide_filter(node, o.fused)?;
                self.plain(node, runtime::Op::Conv2d16x8(runtime::Conv2d16x8 { window: o.window, filter }))?;
            }
            Op::DepthwiseConv2d(o) => {
                let filter = self.wide_filter(node, o.fused)?;
                let multiplier = u16::try_from(o.multiplier)
                    .map_err(|_| unsupported(node, "multiplier exceeds 65,535"))?;
                let op = runtime::DepthwiseConv2d16x8 { window: o.window, filter, multiplier };
                self.plain(node, runtime::Op::DepthwiseConv2d16x8(op))?;
            }
            Op::TransposeConv2d(o) => {
                let filter = self.wide_filter(node, o.fused)?;
                let out = self.graph.shape(node.outputs[0]);
                let (output_h, output_w) = (out.h, out.w);
                let op = runtime::TransposeConv2d16x8 { window: o.window, output_h, output_w, filter };
                self.plain(node, runtime::Op::TransposeConv2d16x8(op))?;
            }
            Op::Dense(o) => {
                let filter = self.wide_filter(node, o.fused)?;
                self.plain(node, runtime::Op::Dense16x8(runtime::Dense16x8 { filter }))?;
            }
            Op::MaxPool(o) => {
                let clamp = params::clamp16(o.fused, self.quant(node.outputs[0])?);
                let op = runtime::MaxPool2d16 { window: o.window, clamp };
                self.shared(node, runtime::Op::MaxPool2d16(op))?;
            }
            Op::AvgPool(o) => {
                let clamp = params::clamp16(o.fused, self.quant(node.outputs[0])?);
                let op = runtime::AveragePool2d16 { window: o.window, clamp };
                self.shared(node, runtime::Op::AveragePool2d16(op))?;
            }
            Op::Unary(o) => self.wide_unary(node, o.function)?,
            Op::Softmax(o) if from_wide => self.wide_softmax(node, o.beta)?,
            Op::Softmax(o) => {
                let exp = self.softmax_table(node, o.beta)?;
                self.plain(node, runtime::Op::SoftmaxTo16(runtime::SoftmaxTo16 { exp }))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Quantises the parameters of a node, or takes them as its file gives them.
    fn wide_filter(&mut self, node: &Node, fused: Activation) -> Result<WideFilter, QuantiseError> {
        let taps = params::taps(&node.op, self.graph.shape(node.inputs[0]).c);
        let limit = params::longest_wide_sum();
        if taps > limit {
            return Err(unsupported(node, format!("it sums {taps} products, at most {limit} are possible")));
        }
        self.parameters_are_finite(node)?;
        let channel_last =
            params::channel_last(&node.op).ok_or_else(|| unsupported(node, "it has no weights"))?;
        let channels = self.graph.shape(node.outputs[0]).c as usize;
        let (input, output) = (self.quant(node.inputs[0])?, self.quant(node.outputs[0])?);
        let clamp = params::clamp16(fused, output);
        if let Some(pin) = &self.graph.param(node.params[0]).pin {
            return self.pinned_wide_filter(node, pin, clamp);
        }
        let weights = &self.graph.param(node.params[0]).data;
        let biases = node.params.get(1).map(|b| self.graph.param(*b).data.as_slice());
        let scales = params::wide_weight_scales(weights, biases, channels, channel_last, input.scale, taps);
        let channel = |i: usize| params::channel_of(i, weights.len(), channels, channel_last);
        let quantised: Vec<i8> =
            weights.iter().enumerate().map(|(i, &w)| params::weight(w, scales[channel(i)])).collect();
        let bias: Vec<i64> = scales
            .iter()
            .enumerate()
            .map(|(c, &scale)| biases.map_or(0, |b| params::wide_bias(b[c], input.scale, scale)))
            .collect();
        let mut requants = Vec::with_capacity(channels);
        for (c, &scale) in scales.iter().enumerate() {
            let real = f64::from(input.scale) * f64::from(scale) / f64::from(output.scale);
            let requant = Requant::from_real(real).filter(Requant::is_valid_wide);
            requants.push(requant.ok_or_else(|| QuantiseError::Scale {
                node: node.name.clone(),
                channel: c,
                factor: real,
            })?);
        }
        let data = &mut self.program.data;
        Ok(WideFilter {
            weights: data.push(&quantised),
            bias: data.push(&bias),
            multiplier: data.push(&requants.iter().map(|r| r.multiplier).collect::<Vec<_>>()),
            shift: data.push(&requants.iter().map(|r| r.shift).collect::<Vec<_>>()),
            weight_zero: 0,
            accumulator: Accumulator::Bits64,
            clamp,
        })
    }

    /// The parameters of a node as its file gives them. A bias of 32 bits makes the reference sum in 32 bits; no
    /// bias, or one of 64 bits (of a transpose convolution also 16), in 64.
    fn pinned_wide_filter(
        &mut self,
        node: &Node,
        pin: &PinnedParam,
        clamp: Clamp16,
    ) -> Result<WideFilter, QuantiseError> {
        let channels = self.graph.shape(node.outputs[0]).c as usize;
        let (weights, weight_zero) = self.pinned_weights(node, pin, channels)?;
        let (bias, accumulator) = match node.params.get(1).map(|id| &self.graph.param(*id).pin) {
            None => (vec![0; channels], Accumulator::Bits64),
            Some(None) => return Err(unsupported(node, "its weights are quantised, its bias is not")),
            Some(Some(pin)) if pin.bits == 32 => (pin.ints.clone(), Accumulator::Bits32),
            Some(Some(pin)) => (pin.ints.clone(), Accumulator::Bits64),
        };
        let (multiplier, shift) = self.pinned_factors(node, &pin.scales, channels)?;
        let data = &mut self.program.data;
        let bias = match accumulator {
            Accumulator::Bits32 => data.push(&bias.iter().map(|&b| b as i32).collect::<Vec<_>>()),
            Accumulator::Bits64 => data.push(&bias),
        };
        Ok(WideFilter {
            weights: data.push(&weights),
            bias,
            multiplier: data.push(&multiplier),
            shift: data.push(&shift),
            weight_zero,
            accumulator,
            clamp,
        })
    }

    fn wide_softmax(&mut self, node: &Node, beta: f32) -> Result<(), QuantiseError> {
        if self.graph.shape(node.inputs[0]).c > 1 << 16 {
            return Err(unsupported(node, "softmax of 16 bits takes at most 65,536 channels"));
        }
        let scale = fixed16::softmax_scale(f64::from(self.quant(node.inputs[0])?.scale), f64::from(beta))
            .ok_or_else(|| unsupported(node, "beta must not be negative, and finite"))?;
        let [exp, reciprocal] = fixed16::softmax_tables();
        let data = &mut self.program.data;
        let op = runtime::Softmax16 { scale, exp: data.push(&exp), reciprocal: data.push(&reciprocal) };
        self.plain(node, runtime::Op::Softmax16(op))
    }

    fn wide_unary(&mut self, node: &Node, function: UnaryFn) -> Result<(), QuantiseError> {
        let (input, output) = (self.quant(node.inputs[0])?, self.quant(node.outputs[0])?);
        let ratio = f64::from(input.scale) / f64::from(output.scale);
        let clamped = |activation| params::clamp16(activation, output);
        let op = match function {
            UnaryFn::Sigmoid | UnaryFn::Tanh => {
                let scaling = match function {
                    UnaryFn::Tanh => SigmoidScale::tanh(input.scale),
                    _ => SigmoidScale::logistic(input.scale),
                };
                let SigmoidScale { multiplier, shift } =
                    scaling.ok_or_else(|| unsupported(node, "its input has no scale"))?;
                let table = self.program.data.push(&fixed16::sigmoid_table());
                match function {
                    UnaryFn::Tanh => runtime::Op::Tanh16(runtime::Tanh16 { multiplier, shift, table }),
                    _ => runtime::Op::Logistic16(runtime::Logistic16 { multiplier, shift, table }),
                }
            }
            UnaryFn::Relu => rectify(node, [ratio; 2], clamped(Activation::Relu))?,
            UnaryFn::Relu6 => rectify(node, [ratio; 2], clamped(Activation::Relu6))?,
            UnaryFn::Clamp { lo, hi } => rectify(node, [ratio; 2], clamped(Activation::Clamp { lo, hi }))?,
            UnaryFn::LeakyRelu { alpha } => {
                let slope = f64::from(input.scale) * f64::from(alpha) / f64::from(output.scale);
                rectify(node, [ratio, slope], Clamp16::FULL)?
            }
            UnaryFn::Abs => rectify(node, [ratio, -ratio], Clamp16::FULL)?,
            UnaryFn::Neg => rectify(node, [-ratio; 2], Clamp16::FULL)?,
            UnaryFn::Rsqrt => {
                let real = 1.0 / (f64::from(input.scale).sqrt() * f64::from(output.scale));
                let real = real / f64::from(1u32 << runtime::Rsqrt16::FRACTION);
                runtime::Op::Rsqrt16(runtime::Rsqrt16 { scale: factor(node, 0, real)? })
            }
            _ => {
                let f = |x: f32| function.eval(f64::from(x)) as f32;
                let table = fixed16::table(input.scale, 0, output.scale, f);
                runtime::Op::Lut16(runtime::Lut16 { table: self.program.data.push(&table) })
            }
        };
        self.plain(node, op)
    }
}

/// A function with these slopes, in steps, from zero up and below.
fn rectify(node: &Node, slopes: [f64; 2], clamp: Clamp16) -> Result<runtime::Op, QuantiseError> {
    let scale = [factor(node, 0, slopes[0].abs())?, factor(node, 0, slopes[1].abs())?];
    Ok(runtime::Op::Rectify16(runtime::Rectify16 { scale, flip: slopes.map(|s| s < 0.0), clamp }))
}
