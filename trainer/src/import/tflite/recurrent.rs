//! Layers with a memory: their states become persistent tensors of the graph.

use super::build::Stop;
use super::call::Call;
use crate::graph::{ParamId, Pin, PinnedParam, ValueId};
use crate::ops::{Activation, Lstm, Svdf, Transpose};
use dunlin::shape::Shape;
use tract_tflite::tflite::{ActivationFunctionType, TensorType};

/// Places of the operands of `UNIDIRECTIONAL_SEQUENCE_LSTM`, gates in the order input, forget, cell, output.
mod lstm {
    use std::ops::RangeInclusive;

    pub(super) const WEIGHTS: [usize; 4] = [1, 2, 3, 4];
    pub(super) const RECURRENT: [usize; 4] = [5, 6, 7, 8];
    pub(super) const BIAS: [usize; 4] = [12, 13, 14, 15];
    pub(super) const HIDDEN: usize = 18;
    pub(super) const CELL: usize = 19;
    /// What Dunlin does not run.
    pub(super) const REFUSED: [(&str, RangeInclusive<usize>); 3] =
        [("peepholes", 9..=11), ("a projection", 16..=17), ("layer normalisation", 20..=23)];
}

impl Call<'_, '_, '_> {
    pub(super) fn lstm(&mut self) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_unidirectional_sequence_lstmoptions())?;
        for (what, mut places) in lstm::REFUSED {
            if places.any(|k| self.input_id(k).is_some()) {
                return Err(Stop::refused(format!("an LSTM with {what}"), "a plain LSTM"));
            }
        }
        if o.fused_activation_function() != ActivationFunctionType::TANH {
            return Err(Stop::refused("an LSTM whose activation is not tanh", "a plain LSTM"));
        }
        if o.proj_clip() != 0.0 && o.proj_clip().is_finite() {
            return Err(Stop::refused("an LSTM with a clipped projection", "a plain LSTM"));
        }
        if self.input_id(lstm::WEIGHTS[0]).is_none() {
            return Err(Stop::refused(
                "an LSTM whose input gate is coupled to its forget gate",
                "a plain LSTM",
            ));
        }
        let input = self.input(0)?;
        let [a, b, depth] = <[u32; 3]>::try_from(input.dims.as_slice())
            .map_err(|_| self.broken(format!("input of shape {:?}, expected three axes", input.dims)))?;
        let (batch, steps) = if o.time_major() { (b, a) } else { (a, b) };
        let units = *self.input(lstm::RECURRENT[0])?.dims.first().unwrap_or(&0);
        let x = self.value(0)?;
        self.integers_only(x)?;
        let turned = o.time_major() && batch > 1;
        let x = if turned { self.turn(x, [a, b, depth])? } else { x };
        let x = self.reshaped(x, Shape::new(batch, 1, steps, depth))?;
        let shape = Shape::new(batch, 1, 1, units);
        let states = [self.memory(lstm::HIDDEN, shape)?, self.memory(lstm::CELL, shape)?];
        let clip = Some(o.cell_clip()).filter(|c| *c > 0.0 && c.is_finite());
        let op = Lstm { units, cell_clip: clip, logistic_cell_gate: false };
        let pin = self.builder.pin(self.output_id(0)?);
        let outputs =
            self.node(op, &[x, states[0].0, states[1].0], [pin, states[0].1, states[1].1, states[1].1])?;
        self.builder.graph.set_state(states[0].0, outputs[1])?;
        self.builder.graph.set_state(states[1].0, outputs[2])?;
        let params = self.last_params();
        self.stacked(params[0], &lstm::WEIGHTS, depth)?;
        self.stacked(params[1], &lstm::RECURRENT, units)?;
        self.stacked(params[2], &lstm::BIAS, 1)?;
        let y = outputs[0];
        if turned {
            let y = self.reshaped(y, Shape::new(1, batch, steps, units))?;
            let y = self.turn(y, [batch, steps, units])?;
            return self.give(0, y);
        }
        self.give(0, y)
    }

    pub(super) fn svdf(&mut self) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_svdfoptions())?;
        let (features, time) = (self.input(1)?, self.input(2)?);
        let rank = u32::try_from(o.rank()).ok().filter(|r| *r > 0);
        let rank = rank.ok_or_else(|| self.broken(format!("rank {}", o.rank())))?;
        let ([filters, depth], [rows, memory]) = (
            <[u32; 2]>::try_from(features.dims.as_slice())
                .map_err(|_| self.broken("feature weights need two axes"))?,
            <[u32; 2]>::try_from(time.dims.as_slice())
                .map_err(|_| self.broken("time weights need two axes"))?,
        );
        if rows != filters || !filters.is_multiple_of(rank) || memory == 0 {
            return Err(self.broken(format!("{filters} filters, {rows} rows of time weights, rank {rank}")));
        }
        let x = self.value(0)?;
        self.integers_only(x)?;
        let elements = self.builder.graph.shape(x).elements() as u32;
        if depth == 0 || !elements.is_multiple_of(depth) {
            return Err(self.broken(format!("feature weights for {depth} numbers, {elements} given")));
        }
        let batch = elements / depth;
        let x = self.reshaped(x, Shape::new(batch, 1, 1, depth))?;
        let (state, pin) = self.memory(4, Shape::new(batch, 1, filters, memory))?;
        let fused = if self.builder.is_quantised() {
            // The reference ignores it and only the output's range limits.
            Activation::None
        } else {
            self.activation(o.fused_activation_function())?
        };
        let op = Svdf { units: filters / rank, rank, memory, fused };
        let y = self.builder.pin(self.output_id(0)?);
        let outputs = self.node(op, &[x, state], [y, pin, pin])?;
        self.builder.graph.set_state(state, outputs[1])?;
        let params = self.last_params();
        let ids = [Some(self.required(1)?), Some(self.required(2)?), self.input_id(3)];
        let given: Vec<(ParamId, usize)> =
            params.iter().zip(ids).filter_map(|(p, id)| Some((*p, id?))).collect();
        for (param, id) in given {
            self.set_params_of(&[param], &[id])?;
        }
        self.give(0, outputs[0])
    }

    /// The persistent tensor behind input `k`, with its pin.
    fn memory(&mut self, k: usize, shape: Shape) -> Result<(ValueId, Option<Pin>), Stop> {
        let id = self.required(k)?;
        let tensor = self.tensor(id);
        if !tensor.variable || tensor.elements() != shape.elements() {
            let name = &tensor.name;
            return Err(self.broken(format!("state `{name}` is no variable of {shape}")));
        }
        if tensor.dtype == TensorType::INT8 && tensor.scales.is_empty() {
            return Err(self.broken(format!("state `{}` has no scale", tensor.name)));
        }
        let (name, pin) = (tensor.name.clone(), self.builder.pin(id));
        let name = self.builder.unique(&name);
        let state = self.builder.graph.add_state(&name, shape)?;
        self.builder.graph.values[state.0].pin = pin;
        Ok((state, pin))
    }

    /// Pushes a node with several outputs, named after the operator.
    fn node<const N: usize>(
        &mut self,
        op: impl Into<crate::ops::Op>,
        inputs: &[ValueId],
        pins: [Option<Pin>; N],
    ) -> Result<Vec<ValueId>, Stop> {
        let name = self.name.clone();
        let name = self.builder.unique(&name);
        let outputs = self.builder.graph.push(&name, op, inputs)?;
        for (value, pin) in outputs.iter().zip(pins) {
            self.builder.graph.values[value.0].pin = pin;
        }
        Ok(outputs)
    }

    fn last_params(&self) -> Vec<ParamId> {
        self.builder.graph.nodes.last().map(|n| n.params.clone()).unwrap_or_default()
    }

    /// Fills a parameter with the rows of four gates, `columns` numbers a row.
    fn stacked(&mut self, param: ParamId, places: &[usize; 4], columns: u32) -> Result<(), Stop> {
        let mut data = Vec::new();
        let mut pinned = PinnedParam { scales: Vec::new(), zero_point: 0, bits: 0, ints: Vec::new() };
        for &k in places {
            let id = match self.input_id(k) {
                Some(id) => id,
                None => return Err(Stop::refused(format!("an LSTM without operand {k}"), "a plain LSTM")),
            };
            let (floats, pin) = self.builder.constant(id)?;
            let rows = floats.len() / columns.max(1) as usize;
            data.extend(floats);
            if let Some(pin) = pin {
                if pin.scales.len() != 1 || pin.zero_point != 0 {
                    return Err(Stop::refused("LSTM weights with scales per channel or a zero point", ""));
                }
                pinned.scales.extend(std::iter::repeat_n(pin.scales[0], rows));
                pinned.bits = pin.bits;
                pinned.ints.extend(pin.ints);
            }
        }
        let quantised = self.builder.is_quantised();
        let slot = &mut self.builder.graph.params[param.0];
        if slot.data.len() != data.len() {
            let (expected, found) = (slot.data.len(), data.len());
            return Err(self.broken(format!("{found} weights for four gates, expected {expected}")));
        }
        let whole = pinned.ints.len() == data.len();
        slot.data = data;
        slot.pin = (quantised && whole).then_some(pinned);
        Ok(())
    }

    /// Exchanges the first two of three axes.
    fn turn(&mut self, x: ValueId, [a, b, c]: [u32; 3]) -> Result<ValueId, Stop> {
        let x = self.reshaped(x, Shape::new(1, a, b, c))?;
        let pin = self.builder.graph.value(x).pin;
        let name = format!("{}.turned", self.name);
        self.add(&name, Transpose { perm: [0, 2, 1, 3] }, &[x], pin)
    }
}
