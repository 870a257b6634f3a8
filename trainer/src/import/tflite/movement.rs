//! Operators that move values: TensorFlow Lite copies the integers, whatever the scales.

use super::build::Stop;
use super::call::Call;
use super::tensor::rank4;
use crate::graph::{Scheme, ValueId};
use crate::ops::{
    Axis, BatchToSpace, Concat, DepthToSpace, Gather, PadMode, PadOp, Requantize, RequantizeRule, Resize,
    ResizeMode, SpaceToBatch, SpaceToDepth, Tile, Transpose,
};
use dunlin::ops::BlockOrder;
use dunlin::shape::{Pad, Shape};
use tract_tflite::tflite::{BuiltinOperator as B, MirrorPadMode};

/// The axis of the graph at a place of NHWC.
pub(super) fn axis(index: usize) -> Axis {
    [Axis::N, Axis::H, Axis::W, Axis::C][index & 3]
}

pub(super) fn sizes(s: Shape) -> [u32; 4] {
    [s.n, s.h, s.w, s.c]
}

impl Call<'_, '_, '_> {
    /// Input `k` of an operator that copies integers, as a value with the quantisation of output 0.
    pub(super) fn source(&mut self, k: usize) -> Result<ValueId, Stop> {
        let x = self.value(k)?;
        self.moved(x, 0)
    }

    /// Refuses tensors of more than four axes.
    pub(super) fn up_to_four(&self, k: usize) -> Result<usize, Stop> {
        match self.input(k)?.dims.len() {
            rank @ 0..=4 => Ok(rank),
            rank => Err(Stop::refused(format!("a tensor of {rank} axes"), "join axes with RESHAPE first")),
        }
    }

    /// One number for each axis of the graph from one for each axis of the file's tensor.
    pub(super) fn per_axis<T: Copy>(&self, values: &[T], rank: usize, other: T) -> Result<[T; 4], Stop> {
        if values.len() != rank {
            return Err(self.broken(format!("{} numbers for {rank} axes", values.len())));
        }
        let mut all = [other; 4];
        all[4 - rank..].copy_from_slice(values);
        Ok(all)
    }

    /// The graph's axis for a number of the file.
    pub(super) fn graph_axis(&self, k: usize, number: i64) -> Result<usize, Stop> {
        let rank = self.up_to_four(k)?;
        let tensor = self.input(k)?;
        tensor.axis(number).ok_or_else(|| self.broken(format!("axis {number} of a tensor with {rank} axes")))
    }

    pub(super) fn pad(&mut self) -> Result<(), Stop> {
        let value = match self.input_id(2) {
            None => None,
            Some(id) => {
                let (data, pin) = self.builder.constant(id)?;
                // The integer of the padding counts, in the output's own steps.
                let output = self.builder.pin(self.output_id(0)?);
                Some(match (pin.and_then(|p| p.ints.first().copied()), output) {
                    (Some(q), Some(pin)) => pin.quant.scale * (q - i64::from(pin.quant.zero_point)) as f32,
                    _ => data.first().copied().unwrap_or(0.0),
                })
            }
        };
        self.padded(PadMode::Constant, value.unwrap_or(0.0))
    }

    pub(super) fn mirror_pad(&mut self) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_mirror_pad_options())?;
        let mode = if o.mode() == MirrorPadMode::REFLECT { PadMode::Reflect } else { PadMode::Symmetric };
        self.padded(mode, 0.0)
    }

    fn padded(&mut self, mode: PadMode, value: f32) -> Result<(), Stop> {
        let rank = self.up_to_four(0)?;
        let edges = self.ints(1)?;
        let pairs: Vec<[u16; 2]> = edges
            .chunks_exact(2)
            .map(|pair| Ok([u16::try_from(pair[0])?, u16::try_from(pair[1])?]))
            .collect::<Result<_, std::num::TryFromIntError>>()
            .map_err(|_| self.broken(format!("padding {edges:?} is not in 0..=65535")))?;
        let [n, h, w, c] = self.per_axis(&pairs, rank, [0, 0])?;
        let pad = Pad { top: h[0], bottom: h[1], left: w[0], right: w[1] };
        let x = self.source(0)?;
        self.push(PadOp { pad, samples: n, channels: c, mode, value }, &[x])
    }

    pub(super) fn concatenation(&mut self) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_concatenation_options())?;
        if o.fused_activation_function().0 != 0 {
            return Err(Stop::refused("a fused activation", "an operator of its own behind it"));
        }
        let along = self.graph_axis(0, i64::from(o.axis()))?;
        let mut inputs = Vec::new();
        for k in 0..self.input_count() {
            self.up_to_four(k)?;
            let x = self.value(k)?;
            inputs.push(self.joined(x)?);
        }
        self.push(Concat { axis: axis(along) }, &inputs)
    }

    /// An operand of a concatenation: of the uint8 scheme it changes its scale, else its integers are copied.
    fn joined(&mut self, x: ValueId) -> Result<ValueId, Stop> {
        let pin = self.builder.pin(self.output_id(0)?);
        match (self.builder.graph.value(x).pin, pin) {
            (Some(from), Some(to)) if to.scheme == Scheme::Uint8 && from.quant != to.quant => {
                let name = format!("{}.{}", self.name, self.builder.graph.value(x).name);
                self.add(&name, Requantize { rule: RequantizeRule::Float }, &[x], pin)
            }
            _ => self.moved(x, 0),
        }
    }

    pub(super) fn pack(&mut self) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_pack_options())?;
        let output = self.output(0)?;
        let count = self.input_count();
        let along = output
            .axis(i64::from(o.axis()))
            .ok_or_else(|| Stop::refused(format!("{} axes", output.dims.len()), "at most four axes"))?;
        // Shapes and sizes that are put together while the model is read.
        let known: Option<Vec<i64>> = (0..count).map(|k| self.known_scalar(k)).collect();
        if let (Some(known), 1) = (known, output.dims.len()) {
            let id = self.output_id(0)?;
            self.builder.known.insert(id, known);
            return Ok(());
        }
        let mut slot = sizes(output.shape());
        slot[along] = 1;
        let slot = Shape::new(slot[0], slot[1], slot[2], slot[3]);
        let mut inputs = Vec::new();
        for k in 0..count {
            let x = self.source(k)?;
            inputs.push(self.reshaped(x, slot)?);
        }
        self.push(Concat { axis: axis(along) }, &inputs)
    }

    pub(super) fn reshape(&mut self) -> Result<(), Stop> {
        if let Some(known) = self.known_values(0) {
            let id = self.output_id(0)?;
            self.builder.known.insert(id, known);
            return Ok(());
        }
        let x = self.source(0)?;
        let shape = rank4(&self.output(0)?.dims);
        let pin = self.builder.pin(self.output_id(0)?);
        let found = self.builder.graph.shape(x);
        if found.checked_elements() != shape.checked_elements() {
            return Err(self.broken(format!("{found} cannot become {shape}: other number of elements")));
        }
        let name = self.name.clone();
        let value =
            if found == shape { x } else { self.add(&name, crate::ops::Reshape { shape }, &[x], pin)? };
        self.give(0, value)
    }

    pub(super) fn transpose(&mut self) -> Result<(), Stop> {
        let perm = self.ints(1)?;
        let dims = self.input(0)?.dims;
        if perm.len() != dims.len() || (0..dims.len()).any(|axis| !perm.contains(&(axis as i64))) {
            return Err(self.broken(format!("permutation {perm:?} of {} axes", dims.len())));
        }
        let perm: Vec<usize> = perm.iter().map(|p| *p as usize).collect();
        let (merged, perm) = merge_axes(&dims, &perm);
        let rank = merged.len();
        if rank > 4 {
            return Err(Stop::refused(
                format!("a permutation of {rank} separate axes"),
                "two of at most four axes",
            ));
        }
        let lead = 4 - rank;
        let x = self.source(0)?;
        let x = self.reshaped(x, rank4(&merged))?;
        let mut all = [0, 1, 2, 3];
        perm.iter().enumerate().for_each(|(i, p)| all[lead + i] = p + lead);
        self.push(Transpose { perm: all }, &[x])
    }

    pub(super) fn tile(&mut self) -> Result<(), Stop> {
        self.up_to_four(0)?;
        let x = self.source(0)?;
        let output = self.output(0)?;
        if output.dims.len() > 4 {
            return Err(Stop::refused(
                format!("a tensor of {} axes", output.dims.len()),
                "at most four axes",
            ));
        }
        self.push(Tile { shape: output.shape() }, &[x])
    }

    pub(super) fn gather(&mut self) -> Result<(), Stop> {
        let o = self.op().builtin_options_as_gather_options();
        let (number, batch) = o.map_or((0, 0), |o| (i64::from(o.axis()), o.batch_dims()));
        if batch != 0 {
            return Err(Stop::refused("batch_dims other than 0", "a GATHER for each sample"));
        }
        if let (Some(known), Ok(indices)) = (self.known_values(0), self.ints(1)) {
            let picked: Option<Vec<i64>> = indices
                .iter()
                .map(|&i| usize::try_from(i).ok().and_then(|i| known.get(i)).copied())
                .collect();
            let picked = picked.ok_or_else(|| self.broken("an index outside of a shape"))?;
            let id = self.output_id(0)?;
            self.builder.known.insert(id, picked);
            return Ok(());
        }
        let along = self.graph_axis(0, number)?;
        let x = self.source(0)?;
        let whole = i64::from(sizes(self.builder.graph.shape(x))[along]);
        let indices = self.input(1)?;
        if indices.data.is_some() {
            let list = self.ints(1)?;
            let list: Option<Vec<u32>> =
                list.iter().map(|i| u32::try_from(*i).ok().filter(|i| i64::from(*i) < whole)).collect();
            let list = list.ok_or_else(|| self.broken(format!("an index outside of an axis of {whole}")))?;
            return self.push(Gather { axis: axis(along), indices: Some(list) }, &[x]);
        }
        let count = indices.elements() as u32;
        let indices = self.shaped(1, Shape::vector(count))?;
        self.push(Gather { axis: axis(along), indices: None }, &[x, indices])
    }

    pub(super) fn depth_to_space(&mut self) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_depth_to_space_options())?;
        let block = self.block(i64::from(o.block_size()))?;
        let x = self.source(0)?;
        self.push(DepthToSpace { block, order: BlockOrder::ChannelInnermost }, &[x])
    }

    pub(super) fn space_to_depth(&mut self) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_space_to_depth_options())?;
        let block = self.block(i64::from(o.block_size()))?;
        let x = self.source(0)?;
        self.push(SpaceToDepth { block }, &[x])
    }

    fn block(&self, size: i64) -> Result<u16, Stop> {
        u16::try_from(size).ok().filter(|b| *b > 0).ok_or_else(|| self.broken(format!("block size {size}")))
    }

    pub(super) fn batch_space(&mut self) -> Result<(), Stop> {
        let (blocks, edges) = (self.ints(1)?, self.ints(2)?);
        // A sequence `[n, t, c]` has one spatial axis, which is the height of `[n, t, 1, c]`.
        let input = self.input(0)?;
        let output = self.output(0)?;
        let (blocks, edges, shape, result) =
            match (blocks.as_slice(), input.dims.as_slice(), output.dims.as_slice()) {
                ([h, w], [..], _) if input.dims.len() == 4 && edges.len() == 4 => {
                    ([*h, *w], edges, input.shape(), output.shape())
                }
                ([t], [n, steps, c], [m, long, d]) if edges.len() == 2 => (
                    [*t, 1],
                    [edges, vec![0, 0]].concat(),
                    Shape::new(*n, *steps, 1, *c),
                    Shape::new(*m, *long, 1, *d),
                ),
                _ => {
                    return Err(Stop::refused(
                        "blocks over other axes than height and width",
                        "a rank of 3 or 4",
                    ));
                }
            };
        let block = [self.block(blocks[0])?, self.block(blocks[1])?];
        let narrow = |v: i64| u16::try_from(v).map_err(|_| self.broken(format!("padding or crop {v}")));
        let edge = Pad {
            top: narrow(edges[0])?,
            bottom: narrow(edges[1])?,
            left: narrow(edges[2])?,
            right: narrow(edges[3])?,
        };
        let x = self.source(0)?;
        let x = self.reshaped(x, shape)?;
        if self.kind() == B::SPACE_TO_BATCH_ND {
            self.push(SpaceToBatch { block, pad: edge }, &[x])?;
        } else {
            self.push(BatchToSpace { block, crop: edge }, &[x])?;
        }
        let _ = result;
        Ok(())
    }

    pub(super) fn resize(&mut self) -> Result<(), Stop> {
        let op = self.op();
        let (mode, align_corners, half_pixel_centers) = if self.kind() == B::RESIZE_BILINEAR {
            let o = self.options(op.builtin_options_as_resize_bilinear_options())?;
            (ResizeMode::Bilinear, o.align_corners(), o.half_pixel_centers())
        } else {
            let o = self.options(op.builtin_options_as_resize_nearest_neighbor_options())?;
            (ResizeMode::Nearest, o.align_corners(), o.half_pixel_centers())
        };
        let output = self.output(0)?.shape();
        let size = self.ints(1)?;
        if size != [i64::from(output.h), i64::from(output.w)] {
            return Err(self.broken(format!("size {size:?}, but the output is {output}")));
        }
        let x = self.source(0)?;
        self.push(Resize { mode, half_pixel_centers, align_corners, out_h: output.h, out_w: output.w }, &[x])
    }
}

/// The same permutation with fewer axes: those of size 1 go, and neighbours that stay together become one.
fn merge_axes(dims: &[u32], perm: &[usize]) -> (Vec<u32>, Vec<usize>) {
    let kept: Vec<usize> = perm.iter().copied().filter(|&p| dims[p] != 1).collect();
    let mut runs: Vec<Vec<usize>> = Vec::new();
    for p in kept {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|&last| (last + 1..p).all(|q| dims[q] == 1) && last < p) => {
                run.push(p);
            }
            _ => runs.push(vec![p]),
        }
    }
    let mut order: Vec<usize> = (0..runs.len()).collect();
    order.sort_by_key(|&r| runs[r][0]);
    let merged = order.iter().map(|&r| runs[r].iter().map(|&p| dims[p]).product()).collect();
    let perm = (0..runs.len()).map(|r| order.iter().position(|&o| o == r).unwrap_or(0)).collect();
    (merged, perm)
}

#[cfg(test)]
mod tests {
    use super::merge_axes;

    #[test]
    fn axes_that_stay_together_become_one() {
        assert_eq!(merge_axes(&[1, 4, 5, 2, 3], &[0, 1, 2, 4, 3]), (vec![20, 2, 3], vec![0, 2, 1]));
        assert_eq!(merge_axes(&[2, 3, 4], &[2, 0, 1]), (vec![6, 4], vec![1, 0]));
        assert_eq!(merge_axes(&[1, 1], &[1, 0]), (vec![], vec![]));
        assert_eq!(merge_axes(&[2, 1, 3], &[2, 1, 0]), (vec![2, 3], vec![1, 0]));
    }
}
