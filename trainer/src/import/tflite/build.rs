//! The graph while it grows: its inputs, constants and outputs.

use super::call::Call;
use super::file::Part;
use super::tensor::TensorInfo;
use crate::graph::{Graph, GraphError, Pin, PinnedParam, Scheme, ValueId};
use crate::import::ImportError;
use crate::ops::{Constant, DType as GraphType, Identity, Requantize};
use dunlin::format::DType;
use dunlin::quant::QParams;
use std::collections::{HashMap, HashSet};
use tract_tflite::tflite::{Model, TensorType};

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
    pub(super) values: Vec<Option<ValueId>>,
    lost: Vec<bool>,
    /// The model computes in integers: real values are only at its edges.
    quantised: bool,
    names: HashSet<String>,
    /// Integers that no scale makes real.
    pub(super) unscaled: HashSet<ValueId>,
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
