//! Reductions.

use super::build::Stop;
use super::call::Call;
use super::movement::axis;
use crate::ops::{ArgExtreme, Reduce, ReduceFn};
use tract_tflite::tflite::{BuiltinOperator as B, TensorType};

impl Call<'_, '_, '_> {
    pub(super) fn reduce(&mut self) -> Result<(), Stop> {
        let function = match self.kind() {
            B::MEAN => ReduceFn::Mean,
            B::SUM => ReduceFn::Sum,
            B::REDUCE_MAX => ReduceFn::Max,
            _ => ReduceFn::Min,
        };
        let numbers = self.ints(1)?;
        let mut axes = [false; 4];
        for number in &numbers {
            axes[self.graph_axis(0, *number)?] = true;
        }
        let x = self.value(0)?;
        self.integers_only(x)?;
        self.push(Reduce { function, axes }, &[x])
    }

    pub(super) fn arg_extreme(&mut self, largest: bool) -> Result<(), Stop> {
        let number = self.ints(1)?.first().copied().ok_or_else(|| self.broken("its axis is missing"))?;
        let along = self.graph_axis(0, number)?;
        if self.output(0)?.dtype != TensorType::INT32 {
            return Err(Stop::refused("an output that is not INT32", "set output_type to INT32"));
        }
        let x = self.value(0)?;
        self.integers_only(x)?;
        self.push(ArgExtreme { axis: axis(along), largest }, &[x])
    }
}
