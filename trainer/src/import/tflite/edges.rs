//! Changes of type and scale, and integers that are known when the model is read.

use super::build::Stop;
use super::call::Call;
use crate::ops::{AvgPool, MaxPool, Requantize};
use tract_tflite::tflite::TensorType;

impl Call<'_, '_, '_> {
    pub(super) fn change_type(&mut self) -> Result<(), Stop> {
        let (from, to) = (self.input(0)?, self.output(0)?);
        if let Some(known) = self.known_values(0) {
            let id = self.output_id(0)?;
            self.builder.known.insert(id, known);
            return Ok(());
        }
        let real = |t: TensorType| matches!(t, TensorType::FLOAT32 | TensorType::FLOAT16);
        // Weights that are stored narrow and widened in front of every use.
        if from.data.is_some() && real(to.dtype) {
            let (input, output) = (self.required(0)?, self.output_id(0)?);
            return self.widen(input, output);
        }
        for tensor in [&from, &to] {
            let known = matches!(
                tensor.dtype,
                TensorType::FLOAT32
                    | TensorType::INT8
                    | TensorType::UINT8
                    | TensorType::INT16
                    | TensorType::INT32
            );
            if !known {
                let name = tensor.dtype.variant_name().unwrap_or("unknown");
                return Err(Stop::refused(
                    format!("type {name} of `{}`", tensor.name),
                    "FLOAT32, INT8, UINT8, INT16 and INT32 can be converted",
                ));
            }
        }
        let x = self.value(0)?;
        self.push(Requantize::default(), &[x])
    }

    /// A constant of real numbers from one of narrow type.
    fn widen(&mut self, input: usize, output: usize) -> Result<(), Stop> {
        let (data, _) = self.builder.constant(input)?;
        self.builder.widened.insert(output, data);
        Ok(())
    }

    pub(super) fn pool(&mut self, largest: bool) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_pool_2_doptions())?;
        let x = self.value(0)?;
        self.integers_only(x)?;
        let size = |v: i32| u32::try_from(v).map_err(|_| self.broken(format!("window size {v}")));
        let kernel = (size(o.filter_height())?, size(o.filter_width())?);
        let shape = self.builder.graph.shape(x);
        let window = self.window(kernel, (o.stride_h(), o.stride_w()), (1, 1), o.padding(), shape)?;
        let fused = self.activation(o.fused_activation_function())?;
        if largest {
            self.push(MaxPool { window, fused }, &[x])
        } else {
            self.push(AvgPool { window, fused }, &[x])
        }
    }

    /// The shape of a tensor, which is known.
    pub(super) fn shape(&mut self) -> Result<(), Stop> {
        let dims = self.input(0)?.dims.iter().map(|&d| i64::from(d)).collect();
        let id = self.output_id(0)?;
        self.builder.known.insert(id, dims);
        Ok(())
    }

    /// Integers of input `k` that were computed from shapes.
    pub(super) fn known_values(&self, k: usize) -> Option<Vec<i64>> {
        self.builder.known.get(&self.input_id(k)?).cloned()
    }

    /// Size of a known vector of integers.
    pub(super) fn known_dims(&self, k: usize) -> Option<Vec<i64>> {
        self.known_values(k).map(|v| vec![v.len() as i64])
    }

    /// The only integer of input `k`, where it is known or an integer constant without scale.
    pub(super) fn known_scalar(&self, k: usize) -> Option<i64> {
        let id = self.input_id(k)?;
        let tensor = self.tensor(id);
        let constant = || tensor.ints().filter(|_| tensor.scales.is_empty());
        match self.builder.known.get(&id).cloned().or_else(constant)?.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }
}
