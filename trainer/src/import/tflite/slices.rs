//! Operators that cut a tensor into parts.

use super::build::Stop;
use super::call::Call;
use super::movement::sizes;
use crate::ops::StridedSlice;
use tract_tflite::tflite::BuiltinOperator as B;

impl Call<'_, '_, '_> {
    pub(super) fn unpack(&mut self) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_unpack_options())?;
        let along = self.graph_axis(0, i64::from(o.axis()))?;
        let count = self.output_count();
        self.cut_up(0, along, &vec![1; count])
    }

    pub(super) fn split(&mut self) -> Result<(), Stop> {
        let (data, numbers) = if self.kind() == B::SPLIT { (1, 0) } else { (0, 2) };
        let number = self.ints(numbers)?.first().copied();
        let number = number.ok_or_else(|| self.broken("its axis is missing"))?;
        let along = self.graph_axis(data, number)?;
        let whole = i64::from(sizes(self.input(data)?.shape())[along]);
        let count = self.output_count() as i64;
        let mut parts = if self.kind() == B::SPLIT {
            if count == 0 || whole % count != 0 {
                return Err(self.broken(format!("{whole} does not divide into {count} parts")));
            }
            vec![whole / count; count as usize]
        } else {
            self.ints(1)?
        };
        let known: i64 = parts.iter().filter(|p| **p >= 0).sum();
        parts.iter_mut().filter(|p| **p == -1).for_each(|p| *p = whole - known);
        let sum: i64 = parts.iter().sum();
        if sum != whole || parts.iter().any(|p| *p <= 0) || parts.len() as i64 != count {
            return Err(self.broken(format!("parts {parts:?} of an axis of {whole}, {count} outputs")));
        }
        let parts: Vec<u32> = parts.iter().map(|p| *p as u32).collect();
        self.cut_up(data, along, &parts)
    }

    /// Gives every output its part of input `k` along an axis.
    fn cut_up(&mut self, k: usize, along: usize, parts: &[u32]) -> Result<(), Stop> {
        let x = self.value(k)?;
        let shape = self.builder.graph.shape(x);
        let mut at = 0;
        for (i, &part) in parts.iter().enumerate() {
            let (mut begin, mut size) = ([0; 4], sizes(shape));
            begin[along] = at;
            size[along] = part;
            at += part;
            let pin = self.builder.pin(self.output_id(i)?);
            let source = self.moved(x, i)?;
            let name = self.tensor(self.output_id(i)?).name.clone();
            let slice = StridedSlice { begin, size, step: [1; 4] };
            let value = self.add(&name, slice, &[source], pin)?;
            self.give(i, value)?;
        }
        Ok(())
    }

    pub(super) fn slice(&mut self) -> Result<(), Stop> {
        let rank = self.up_to_four(0)?;
        let (begin, size) = (self.ints(1)?, self.ints(2)?);
        let whole = sizes(self.input(0)?.shape());
        let begin = self.per_axis(&begin, rank, 0)?;
        let mut size = self.per_axis(&size, rank, 1)?;
        for axis in 0..4 {
            if size[axis] == -1 {
                size[axis] = i64::from(whole[axis]) - begin[axis];
            }
        }
        self.strided(0, begin, size, [1; 4])
    }

    /// Pushes a slice after checking that it stays inside.
    fn strided(&mut self, k: usize, begin: [i64; 4], size: [i64; 4], step: [i64; 4]) -> Result<(), Stop> {
        let whole = sizes(self.input(k)?.shape());
        for axis in 0..4 {
            let last = begin[axis] + (size[axis] - 1) * step[axis];
            let inside = 0..i64::from(whole[axis]);
            if size[axis] < 1 || !inside.contains(&begin[axis]) || !inside.contains(&last) {
                let (begin, size, step) = (begin[axis], size[axis], step[axis]);
                return Err(self.broken(format!(
                    "{size} elements from {begin} in steps of {step} of an axis of {}",
                    whole[axis]
                )));
            }
        }
        let op = StridedSlice {
            begin: begin.map(|v| v as u32),
            size: size.map(|v| v as u32),
            step: step.map(|v| v as i32),
        };
        let x = self.source(k)?;
        self.push(op, &[x])
    }

    pub(super) fn strided_slice(&mut self) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_strided_slice_options())?;
        let (begins, ends, steps) = (self.ints(1)?, self.ints(2)?, self.ints(3)?);
        if ends.len() != begins.len() || steps.len() != begins.len() {
            return Err(self.broken("begin, end and strides have different lengths"));
        }
        let bit = |mask: i32, entry: usize| entry < 32 && mask >> entry & 1 == 1;
        let dims = match self.known_dims(0) {
            Some(dims) => dims,
            None => self.input(0)?.dims.iter().map(|&d| i64::from(d)).collect(),
        };
        let (mut begin, mut size, mut step) = (vec![0; dims.len()], dims.clone(), vec![1; dims.len()]);
        // Entries of the specification consume one axis each, but new axes none and an ellipsis all that are left.
        let mut axis = 0;
        for entry in 0..begins.len() {
            if bit(o.new_axis_mask(), entry) {
                continue;
            }
            if bit(o.ellipsis_mask(), entry) {
                let later = (entry + 1..begins.len()).filter(|e| !bit(o.new_axis_mask(), *e)).count();
                axis = dims.len().saturating_sub(later).max(axis);
                continue;
            }
            let Some(&whole) = dims.get(axis) else {
                return Err(self.broken(format!("{} entries for {} axes", begins.len(), dims.len())));
            };
            let stride = steps[entry];
            if stride == 0 {
                return Err(self.broken("a stride of zero"));
            }
            let (low, high) = if stride > 0 { (0, whole) } else { (-1, whole - 1) };
            let bound = |v: i64| (if v < 0 { v.saturating_add(whole) } else { v }).clamp(low, high);
            let first = match (bit(o.begin_mask(), entry), stride > 0) {
                (true, true) => 0,
                (true, false) => whole - 1,
                (false, _) => bound(begins[entry]),
            };
            let shrunk = bit(o.shrink_axis_mask(), entry);
            let end = match (shrunk, bit(o.end_mask(), entry)) {
                (true, _) => first + stride.signum(),
                (false, true) => {
                    if stride > 0 {
                        whole
                    } else {
                        -1
                    }
                }
                (false, false) => bound(ends[entry]),
            };
            let length = if stride > 0 { end - first } else { first - end };
            begin[axis] = first;
            size[axis] = rounded_up(length.max(0), stride.saturating_abs());
            step[axis] = if shrunk { 1 } else { stride };
            axis += 1;
        }
        if let Some(known) = self.known_values(0) {
            let first = begin.first().copied().unwrap_or(0);
            let count = size.first().copied().unwrap_or(1);
            let step = step.first().copied().unwrap_or(1);
            let picked: Option<Vec<i64>> = (0..count)
                .map(|i| usize::try_from(first + i * step).ok().and_then(|at| known.get(at)).copied())
                .collect();
            let picked = picked.ok_or_else(|| self.broken("it reaches outside of a shape"))?;
            let id = self.output_id(0)?;
            self.builder.known.insert(id, picked);
            return Ok(());
        }
        let rank = self.up_to_four(0)?;
        let (begin, size, step) =
            (self.per_axis(&begin, rank, 0)?, self.per_axis(&size, rank, 1)?, self.per_axis(&step, rank, 1)?);
        self.strided(0, begin, size, step)
    }
}

/// Quotient of two numbers of which neither is negative, rounded up.
fn rounded_up(number: i64, divisor: i64) -> i64 {
    number / divisor + i64::from(number % divisor != 0)
}
