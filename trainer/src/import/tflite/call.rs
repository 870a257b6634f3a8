//! One operator while it is imported: its operands as values or constants, its results with their pins.

use super::build::{Builder, Stop};
use super::tensor::TensorInfo;
use crate::graph::{ParamId, Pin, ValueId};
use crate::import::ImportError;
use crate::ops::{Activation, Op, Reinterpret, Reshape};
use dunlin::format::DType;
use dunlin::shape::{Padding, Shape, Window};
use tract_tflite::tflite::{ActivationFunctionType, BuiltinOperator, Operator, Padding as FilePadding};

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
