//! What every operator's importer uses: operands as values or constants, results with their pins.

use super::file::Part;
use super::tensor::TensorInfo;
use crate::graph::{Graph, GraphError, ParamId, Pin, PinnedParam, Scheme, ValueId};
use crate::import::ImportError;
use crate::ops::{Activation, Constant, DType as GraphType, Identity, Op, Reinterpret, Requantize, Reshape};
use dunlin::format::DType;
use dunlin::quant::QParams;
use dunlin::shape::{Padding, Shape, Window};
use std::collections::{HashMap, HashSet};
use tract_tflite::tflite::{
    ActivationFunctionType, BuiltinOperator, Model, Operator, Padding as FilePadding, TensorType,
};

/// Why an operator was not imported.
pub(super) enum Stop {
    /// The file is damaged.
    Broken(ImportError),
    /// Dunlin cannot run it.
    Refused {
        /// Why not.
        reason: String,
        /// The nearest form that it can.
        instead: String,
    },
    /// An operand comes from an operator that was refused.
    Lost,
}

impl Stop {
    pub(super) fn refused(reason: impl Into<String>, instead: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into(), instead: instead.into() }
    }
}

impl From<ImportError> for Stop {
    fn from(error: ImportError) -> Self {
        Self::Broken(error)
    }
}

impl From<GraphError> for Stop {
    fn from(error: GraphError) -> Self {
        match error {
            GraphError::Op { source, .. } => {
                Self::Refused { reason: source.to_string(), instead: String::new() }
            }
            error => Self::Broken(ImportError::Graph(error)),
        }
    }
}

/// The graph while it grows.
pub(super) struct Builder<'b, 'f> {
    pub(super) model: &'b Model<'f>,
    pub(super) part: &'b Part<'f>,
    pub(super) graph: Graph,
    values: Vec<Option<ValueId>>,
    lost: Vec<bool>,
    /// The model computes in integers: real values are only at its edges.
    quantised: bool,
    names: HashSet<String>,
    /// Integers that no scale makes real.
    unscaled: HashSet<ValueId>,
    /// Variable behind each resource handle.
    pub(super) handles: HashMap<usize, String>,
    /// Value that each variable has now, and the persistent tensor that it had at the start.
    pub(super) variables: HashMap<String, (ValueId, ValueId)>,
    /// Integers that are known when the model is read: shapes.
    pub(super) known: HashMap<usize, Vec<i64>>,
    /// Real constants that the file stores in a narrow type.
    pub(super) widened: HashMap<usize, Vec<f32>>,
}

impl<'b, 'f> Builder<'b, 'f> {
    pub(super) fn new(model: &'b Model<'f>, part: &'b Part<'f>, name: &str) -> Result<Self, ImportError> {
        let quantised = part.tensors.iter().any(|t| t.data.is_none() && t.is_quantised());
        let count = part.tensors.len();
        let mut builder = Self {
            model,
            part,
            graph: Graph::new(name),
            values: vec![None; count],
            lost: vec![false; count],
            quantised,
            names: HashSet::new(),
            unscaled: HashSet::new(),
            handles: HashMap::new(),
            variables: HashMap::new(),
            known: HashMap::new(),
            widened: HashMap::new(),
        };
        for &id in &part.inputs {
            builder.input(id)?;
        }
        Ok(builder)
    }

    /// A name that nothing has yet.
    pub(super) fn unique(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_string();
        let mut n = 1;
        while !self.names.insert(name.clone()) {
            n += 1;
            name = format!("{wanted}.{n}");
        }
        name
    }

    fn input(&mut self, id: usize) -> Result<(), ImportError> {
        let tensor = &self.part.tensors[id];
        let place = || format!("input `{}`", tensor.name);
        if self.values[id].is_some() {
            return Err(ImportError::malformed(place(), "it is listed twice"));
        }
        if tensor.elements() == 0 {
            return Err(ImportError::malformed(place(), "it has no elements; give the model a fixed shape"));
        }
        let name = self.unique(&tensor.name);
        let pin = self.pin(id);
        let dtype = if tensor.dtype == TensorType::INT32 && tensor.scales.is_empty() {
            GraphType::Int
        } else {
            GraphType::Float
        };
        let value = self.graph.add_typed_input(&name, tensor.shape(), dtype)?;
        if tensor.dtype == TensorType::UINT8 && self.quantised {
            self.graph.values[value.0].pin = Some(edge_pin(tensor));
            let name = self.unique(&format!("{name}.int8"));
            let inner = self.graph.push(&name, Requantize::default(), &[value])?[0];
            self.graph.values[inner.0].pin = pin;
            self.set(id, inner);
            return Ok(());
        }
        match tensor.dtype {
            TensorType::FLOAT32 | TensorType::INT8 | TensorType::INT16 | TensorType::INT32 => {}
            other => {
                let found = other.variant_name().unwrap_or("unknown");
                return Err(ImportError::malformed(
                    place(),
                    format!("type {found}; inputs are FLOAT32, INT8, UINT8 with a scale, INT16 or INT32"),
                ));
            }
        }
        self.graph.values[value.0].pin = pin;
        self.set(id, value);
        Ok(())
    }

    /// Quantisation of tensor `id` inside of the graph; `None` where the model is one of real numbers.
    pub(super) fn pin(&self, id: usize) -> Option<Pin> {
        let tensor = &self.part.tensors[id];
        if !self.quantised {
            return None;
        }
        let (scale, zero) =
            (tensor.scales.first().copied().unwrap_or(1.0), tensor.zeros.first().copied().unwrap_or(0));
        let pin = |dtype, scale, zero: i64, scheme| Pin {
            dtype,
            quant: QParams { scale, zero_point: zero as i16 },
            scheme,
        };
        Some(match tensor.dtype {
            TensorType::INT8 => pin(DType::I8, scale, zero, Scheme::Int8),
            TensorType::UINT8 => pin(DType::I8, scale, zero - 128, Scheme::Uint8),
            TensorType::INT16 => pin(DType::I16, scale, zero, Scheme::Int8),
            // An INT32 value without a scale is an index or a count.
            TensorType::INT32 => pin(DType::I32, scale, 0, Scheme::Int8),
            _ => Pin::plain(DType::F32),
        })
    }

    /// Marks the outputs of an operator as not to be had.
    pub(super) fn lose(&mut self, index: usize) {
        for id in self.part.ops[index].2.outputs().into_iter().flatten() {
            if let Some(lost) = usize::try_from(id).ok().and_then(|id| self.lost.get_mut(id)) {
                *lost = true;
            }
        }
    }

    /// How an operator is called in messages: by its first output.
    pub(super) fn node_name(&self, index: usize) -> String {
        let output = self.part.ops[index].2.outputs().and_then(|o| o.iter().next());
        match output.and_then(|id| self.part.tensors.get(id as usize)) {
            Some(tensor) => tensor.name.clone(),
            None => format!("operator {index}"),
        }
    }

    pub(super) fn call(&mut self, index: usize) -> Call<'_, 'b, 'f> {
        let name = self.node_name(index);
        Call { builder: self, index, name }
    }

    /// The value of tensor `id`: computed before, or a constant that is made now.
    pub(super) fn value(&mut self, id: usize) -> Result<ValueId, Stop> {
        if self.lost[id] {
            return Err(Stop::Lost);
        }
        if let Some(value) = self.values[id] {
            return Ok(value);
        }
        let tensor = &self.part.tensors[id];
        if !self.is_constant(id) {
            return Err(ImportError::malformed(
                format!("tensor `{}`", tensor.name),
                "it is read before anything has written it",
            )
            .into());
        }
        if tensor.elements() == 0 {
            return Err(Stop::refused(format!("operand `{}` has no elements", tensor.name), ""));
        }
        let (data, pinned) = self.constant(id)?;
        let name = self.unique(&tensor.name);
        let shape = tensor.shape();
        let value = self.graph.push(&name, Constant { shape }, &[])?[0];
        let param = self.graph.nodes[self.graph.nodes.len() - 1].params[0];
        self.graph.params[param.0].data = data;
        if pinned.is_some() {
            self.graph.values[value.0].pin = self.pin(id);
            self.graph.params[param.0].pin = pinned;
        } else if self.quantised {
            self.graph.values[value.0].pin = Some(Pin::plain(DType::F32));
        }
        self.values[id] = Some(value);
        Ok(value)
    }

    /// Real values of a constant, and its integers where it is quantised.
    pub(super) fn constant(&self, id: usize) -> Result<(Vec<f32>, Option<PinnedParam>), Stop> {
        let tensor = &self.part.tensors[id];
        if let Some(floats) = self.widened.get(&id).cloned().or_else(|| tensor.floats()) {
            return match floats.iter().find(|v| !v.is_finite()) {
                None => Ok((floats, None)),
                Some(v) => Err(ImportError::malformed(
                    format!("tensor `{}`", tensor.name),
                    format!("it holds {v}, which is not a number to compute with"),
                )
                .into()),
            };
        }
        let Some(mut ints) = tensor.ints() else {
            let found = tensor.dtype.variant_name().unwrap_or("unknown");
            return Err(Stop::refused(format!("constant `{}` has type {found}", tensor.name), ""));
        };
        let mut zeros = tensor.zeros.clone();
        if tensor.dtype == TensorType::UINT8 {
            ints.iter_mut().for_each(|v| *v -= 128);
            zeros.iter_mut().for_each(|z| *z -= 128);
        }
        let scales = if tensor.scales.is_empty() { vec![1.0] } else { tensor.scales.clone() };
        let zero = zeros.first().copied().unwrap_or(0);
        if zeros.iter().any(|z| *z != zero) {
            return Err(Stop::refused(
                format!("`{}` has several zero points", tensor.name),
                "weights per channel are symmetric",
            ));
        }
        let data = dequantised(tensor, &ints, &scales, zero);
        let bits = tensor.bits();
        Ok((data, Some(PinnedParam { scales, zero_point: zero as i16, bits, ints })))
    }

    /// Whether the content of tensor `id` is known when the model is read.
    pub(super) fn is_constant(&self, id: usize) -> bool {
        self.part.tensors[id].data.is_some() || self.widened.contains_key(&id)
    }

    pub(super) fn set(&mut self, id: usize, value: ValueId) {
        let tensor = &self.part.tensors[id];
        let narrow = matches!(tensor.dtype, TensorType::INT8 | TensorType::UINT8 | TensorType::INT16);
        if self.quantised && narrow && tensor.scales.is_empty() {
            self.unscaled.insert(value);
        }
        self.values[id] = Some(value);
    }

    pub(super) fn is_quantised(&self) -> bool {
        self.quantised
    }

    /// The graph, once every operator is in.
    pub(super) fn finish(mut self) -> Result<Graph, ImportError> {
        for &id in &self.part.outputs.clone() {
            let tensor = &self.part.tensors[id];
            let mut value = match self.value(id) {
                Ok(value) => value,
                Err(Stop::Broken(error)) => return Err(error),
                Err(_) => {
                    return Err(ImportError::malformed(
                        format!("output `{}`", tensor.name),
                        "nothing writes it",
                    ));
                }
            };
            if tensor.dtype == TensorType::UINT8 && self.quantised {
                let name = self.unique(&format!("{}.uint8", tensor.name));
                value = self.graph.push(&name, Requantize::default(), &[value])?[0];
                self.graph.values[value.0].pin = Some(edge_pin(tensor));
            } else if self.graph.producer(value).is_none() || self.graph.outputs.contains(&value) {
                let pin = self.graph.value(value).pin;
                let name = self.unique(&format!("{}.copy", tensor.name));
                value = self.graph.push(&name, Identity, &[value])?[0];
                self.graph.values[value.0].pin = pin;
            }
            self.graph.add_output(value);
        }
        for (start, now) in self.variables.values() {
            self.graph.set_state(*start, *now)?;
        }
        // A map has no order; the persistent tensors of a file have.
        self.graph.states.sort_by_key(|s| s.read);
        self.graph.remove_dead();
        self.graph.validate()?;
        Ok(self.graph)
    }
}

/// The pin of a uint8 tensor where it is an input or output of the network.
fn edge_pin(tensor: &TensorInfo<'_>) -> Pin {
    let zero = tensor.zeros.first().copied().unwrap_or(0) as i16;
    let scale = tensor.scales.first().copied().unwrap_or(1.0);
    Pin { dtype: DType::U8, quant: QParams { scale, zero_point: zero }, scheme: Scheme::Uint8 }
}

/// Real values of quantised weights. Scales per channel lie along the first axis, or the last of depthwise weights.
fn dequantised(tensor: &TensorInfo<'_>, ints: &[i64], scales: &[f32], zero: i64) -> Vec<f32> {
    let first = tensor.dims.first().is_some_and(|&d| d as usize == scales.len());
    let run = if first { ints.len() / scales.len() } else { 1 };
    let real = |(i, &v): (usize, &i64)| {
        let scale = scales[(i / run.max(1)) % scales.len()];
        (f64::from(scale) * (v - zero) as f64) as f32
    };
    ints.iter().enumerate().map(real).collect()
}

/// One operator while it is imported.
pub(super) struct Call<'c, 'b, 'f> {
    pub(super) builder: &'c mut Builder<'b, 'f>,
    pub(super) index: usize,
    pub(super) name: String,
}

impl<'f> Call<'_, '_, 'f> {
    pub(super) fn kind(&self) -> BuiltinOperator {
        self.builder.part.ops[self.index].0
    }

    pub(super) fn op(&self) -> Operator<'f> {
        self.builder.part.ops[self.index].2
    }

    fn place(&self) -> String {
        format!("operator {} (`{}`)", self.index, self.name)
    }

    pub(super) fn broken(&self, problem: impl Into<String>) -> Stop {
        Stop::Broken(ImportError::malformed(self.place(), problem))
    }

    /// Options that the operator must have.
    pub(super) fn options<T>(&self, options: Option<T>) -> Result<T, Stop> {
        options.ok_or_else(|| self.broken("its options are missing"))
    }

    pub(super) fn input_count(&self) -> usize {
        self.op().inputs().map_or(0, |v| v.len())
    }

    pub(super) fn output_count(&self) -> usize {
        self.op().outputs().map_or(0, |v| v.len())
    }

    /// Tensor index of input `k`, where it is given.
    pub(super) fn input_id(&self, k: usize) -> Option<usize> {
        let inputs = self.op().inputs()?;
        if k >= inputs.len() {
            return None;
        }
        usize::try_from(inputs.get(k)).ok()
    }

    pub(super) fn output_id(&self, k: usize) -> Result<usize, Stop> {
        let outputs = self.op().outputs().filter(|o| k < o.len());
        let id = outputs.and_then(|o| usize::try_from(o.get(k)).ok());
        id.ok_or_else(|| self.broken(format!("output {k} is missing")))
    }

    pub(super) fn required(&self, k: usize) -> Result<usize, Stop> {
        self.input_id(k).ok_or_else(|| self.broken(format!("input {k} is missing")))
    }

    pub(super) fn tensor(&self, id: usize) -> &'_ TensorInfo<'f> {
        &self.builder.part.tensors[id]
    }

    /// Input `k` as the file describes it.
    pub(super) fn input(&self, k: usize) -> Result<TensorInfo<'f>, Stop> {
        Ok(self.tensor(self.required(k)?).clone())
    }

    pub(super) fn output(&self, k: usize) -> Result<TensorInfo<'f>, Stop> {
        Ok(self.tensor(self.output_id(k)?).clone())
    }

    /// Input `k` as a value.
    pub(super) fn value(&mut self, k: usize) -> Result<ValueId, Stop> {
        let id = self.required(k)?;
        self.builder.value(id)
    }

    /// Input `k` as a value of this shape, which has as many elements.
    pub(super) fn shaped(&mut self, k: usize, shape: Shape) -> Result<ValueId, Stop> {
        let value = self.value(k)?;
        self.reshaped(value, shape)
    }

    /// `value` under another shape, with the same pin.
    pub(super) fn reshaped(&mut self, value: ValueId, shape: Shape) -> Result<ValueId, Stop> {
        let found = self.builder.graph.value(value);
        if found.shape == shape {
            return Ok(value);
        }
        let (name, pin) = (format!("{}.shape", found.name), found.pin);
        self.add(&name, Reshape { shape }, &[value], pin)
    }

    /// Integers of input `k`, which must be known when the model is read.
    pub(super) fn ints(&self, k: usize) -> Result<Vec<i64>, Stop> {
        let id = self.required(k)?;
        let known = self.builder.known.get(&id).cloned();
        known.or_else(|| self.tensor(id).ints()).ok_or_else(|| {
            let name = &self.tensor(id).name;
            Stop::refused(
                format!("`{name}` is computed while the model runs"),
                "only constant shapes, axes and sizes can be planned for",
            )
        })
    }

    /// Pushes a node of any name with one output.
    pub(super) fn add(
        &mut self,
        name: &str,
        op: impl Into<Op>,
        inputs: &[ValueId],
        pin: Option<Pin>,
    ) -> Result<ValueId, Stop> {
        let name = self.builder.unique(name);
        let value = self.builder.graph.push(&name, op, inputs)?[0];
        self.builder.graph.values[value.0].pin = pin;
        Ok(value)
    }

    /// Fills parameters from constants of the file.
    pub(super) fn set_params_of(&mut self, params: &[ParamId], ids: &[usize]) -> Result<(), Stop> {
        for (param, &id) in params.iter().zip(ids) {
            let (data, pin) = self.builder.constant(id)?;
            let quantised = self.builder.is_quantised();
            let (expected, found) = (self.builder.graph.params[param.0].data.len(), data.len());
            if expected != found {
                let name = &self.tensor(id).name;
                return Err(self.broken(format!("`{name}` has {found} elements, expected {expected}")));
            }
            let slot = &mut self.builder.graph.params[param.0];
            slot.data = data;
            slot.pin = pin.filter(|_| quantised);
        }
        Ok(())
    }

    /// Pushes the node that gives output 0, with its pin, and remembers it.
    pub(super) fn push(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<(), Stop> {
        let id = self.output_id(0)?;
        let (name, pin) = (self.name.clone(), self.builder.pin(id));
        let value = self.add(&name, op, inputs, pin)?;
        self.give(0, value)
    }

    /// Makes `value`, reshaped where needed, output `k` of the operator.
    pub(super) fn give(&mut self, k: usize, value: ValueId) -> Result<(), Stop> {
        let id = self.output_id(k)?;
        let tensor = self.tensor(id);
        let (expected, found) = (tensor.shape(), self.builder.graph.shape(value));
        if expected.checked_elements() != found.checked_elements() {
            let dims = &tensor.dims;
            return Err(
                self.broken(format!("the file says output {k} is {dims:?}, the operator gives {found}"))
            );
        }
        let value = self.reshaped(value, expected)?;
        if self.builder.values[id].is_some() {
            return Err(self.broken(format!("`{}` is written twice", self.tensor(id).name)));
        }
        self.builder.set(id, value);
        Ok(())
    }

    /// An operand of an operator that copies integers, with the quantisation that output `k` has: TensorFlow Lite
    /// does not look at scales when it moves values.
    pub(super) fn moved(&mut self, value: ValueId, k: usize) -> Result<ValueId, Stop> {
        let pin = self.builder.pin(self.output_id(k)?);
        let found = self.builder.graph.value(value);
        let (Some(from), Some(to)) = (found.pin, pin) else { return Ok(value) };
        if from.quant == to.quant || from.dtype != to.dtype {
            return Ok(value);
        }
        let name = format!("{}.as.{}", found.name, self.name);
        self.add(&name, Reinterpret { from: from.quant, to: to.quant }, &[value], pin)
    }

    /// Refuses real numbers where a quantised model computes with them.
    pub(super) fn integers_only(&self, value: ValueId) -> Result<(), Stop> {
        if self.builder.unscaled.contains(&value) {
            let name = &self.builder.graph.value(value).name;
            return Err(self.broken(format!("its input `{name}` has integers without a scale")));
        }
        match self.builder.graph.value(value).pin {
            Some(pin) if pin.dtype == DType::F32 => Err(Stop::refused(
                "it computes with real numbers inside of a quantised model",
                "quantise the whole model, or import the float model and calibrate",
            )),
            _ => Ok(()),
        }
    }

    /// A window whose padding is resolved for an input of this shape.
    pub(super) fn window(
        &self,
        kernel: (u32, u32),
        stride: (i32, i32),
        dilation: (i32, i32),
        padding: FilePadding,
        input: Shape,
    ) -> Result<Window, Stop> {
        let narrow = |what: &str, v: i64| {
            u16::try_from(v)
                .ok()
                .filter(|v| *v > 0)
                .ok_or_else(|| self.broken(format!("{what} {v} is not in 1..=65535")))
        };
        let window = Window {
            kernel_h: narrow("kernel height", i64::from(kernel.0))?,
            kernel_w: narrow("kernel width", i64::from(kernel.1))?,
            stride_h: narrow("stride", i64::from(stride.0))?,
            stride_w: narrow("stride", i64::from(stride.1))?,
            dilation_h: narrow("dilation", i64::from(dilation.0))?,
            dilation_w: narrow("dilation", i64::from(dilation.1))?,
            pad: dunlin::shape::Pad::NONE,
        };
        let padding = match padding {
            FilePadding::SAME => Padding::Same,
            FilePadding::VALID => Padding::Valid,
            other => return Err(self.broken(format!("padding {} is neither SAME nor VALID", other.0))),
        };
        window.resolve(padding, input.h, input.w).ok_or_else(|| self.broken("its padding exceeds 16 bits"))
    }

    pub(super) fn activation(&self, function: ActivationFunctionType) -> Result<Activation, Stop> {
        Ok(match function {
            ActivationFunctionType::NONE => Activation::None,
            ActivationFunctionType::RELU => Activation::Relu,
            ActivationFunctionType::RELU6 => Activation::Relu6,
            ActivationFunctionType::RELU_N1_TO_1 => Activation::Clamp { lo: -1.0, hi: 1.0 },
            other => {
                let name = other.variant_name().unwrap_or("unknown");
                return Err(Stop::refused(
                    format!("fused activation {name}"),
                    "use NONE, RELU, RELU6 or RELU_N1_TO_1, or an operator of its own",
                ));
            }
        })
    }
}
