//! Convolutions, fully connected layers, products of matrices.

use super::build::Stop;
use super::call::Call;
use crate::graph::{PinnedParam, ValueId};
use crate::ops::{
    Activation, Axis, BatchMatMul, Concat, Conv2d, Dense, DepthwiseConv2d, Slice, TransposeConv2d,
};
use dunlin::shape::{Pad, Shape, Window};

impl Call<'_, '_, '_> {
    /// Ids of weights and, where there is one, bias.
    fn layer(&self, weights: usize, bias: usize) -> Result<Vec<usize>, Stop> {
        let weights = self.required(weights)?;
        if !self.builder.is_constant(weights) {
            return Err(Stop::refused(
                "its weights are computed while the model runs",
                "make them constants",
            ));
        }
        let mut ids = vec![weights];
        if let Some(bias) = self.input_id(bias) {
            if !self.builder.is_constant(bias) {
                return Err(Stop::refused("its bias is computed while the model runs", "make it a constant"));
            }
            ids.push(bias);
        }
        Ok(ids)
    }

    fn weight_dims<const N: usize>(&self, id: usize) -> Result<[u32; N], Stop> {
        let dims = &self.tensor(id).dims;
        match <[u32; N]>::try_from(dims.as_slice()) {
            Ok(dims) if dims.iter().all(|d| *d > 0) => Ok(dims),
            _ => Err(self.broken(format!("weights of shape {dims:?}, expected {N} axes"))),
        }
    }

    pub(super) fn conv(&mut self) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_conv_2_doptions())?;
        let params = self.layer(1, 2)?;
        let [out, kh, kw, depth] = self.weight_dims::<4>(params[0])?;
        let x = self.value(0)?;
        self.integers_only(x)?;
        let shape = self.builder.graph.shape(x);
        let (stride, dilation) =
            ((o.stride_h(), o.stride_w()), (o.dilation_h_factor(), o.dilation_w_factor()));
        let window = self.window((kh, kw), stride, dilation, o.padding(), shape)?;
        let fused = self.activation(o.fused_activation_function())?;
        if !shape.c.is_multiple_of(depth) || !out.is_multiple_of(shape.c / depth) {
            return Err(self.broken(format!("weights for {depth} channels on an input with {}", shape.c)));
        }
        let conv = Conv2d { out_channels: out, window, bias: params.len() > 1, fused };
        if shape.c == depth {
            self.push(conv, &[x])?;
            return self.set_layer(&params);
        }
        self.grouped(x, conv, &params, shape.c / depth)
    }

    /// A grouped convolution: one convolution for each group of channels.
    fn grouped(&mut self, x: ValueId, conv: Conv2d, params: &[usize], groups: u32) -> Result<(), Stop> {
        let (shape, pin) = (self.builder.graph.shape(x), self.builder.graph.value(x).pin);
        let (depth, out) = (shape.c / groups, conv.out_channels / groups);
        let output_pin = self.builder.pin(self.output_id(0)?);
        let constants = params.iter().map(|id| self.builder.constant(*id)).collect::<Result<Vec<_>, _>>()?;
        let mut parts = Vec::new();
        for group in 0..groups {
            let name = format!("{}.group{group}", self.name);
            let slice = Slice { begin: [0, 0, group * depth], size: [shape.h, shape.w, depth] };
            let part = self.add(&format!("{name}.input"), slice, &[x], pin)?;
            let part = self.add(&name, Conv2d { out_channels: out, ..conv.clone() }, &[part], output_pin)?;
            let node = self.builder.graph.nodes.len() - 1;
            for (slot, (data, pinned)) in
                self.builder.graph.nodes[node].params.clone().into_iter().zip(&constants)
            {
                let size = data.len() / groups as usize;
                let range = group as usize * size..(group as usize + 1) * size;
                let quantised = self.builder.is_quantised();
                let param = &mut self.builder.graph.params[slot.0];
                if param.data.len() != size {
                    return Err(Stop::refused("weights that do not divide by the groups", ""));
                }
                param.data = data[range.clone()].to_vec();
                param.pin = pinned.as_ref().filter(|_| quantised).map(|p| {
                    let per_channel = p.scales.len() > 1;
                    let first = group as usize * out as usize;
                    let scales = if per_channel {
                        p.scales[first..first + out as usize].to_vec()
                    } else {
                        p.scales.clone()
                    };
                    PinnedParam { scales, ints: p.ints[range].to_vec(), ..*p }
                });
            }
            parts.push(part);
        }
        self.push(Concat { axis: Axis::C }, &parts)
    }

    pub(super) fn depthwise(&mut self) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_depthwise_conv_2_doptions())?;
        let params = self.layer(1, 2)?;
        let [one, kh, kw, out] = self.weight_dims::<4>(params[0])?;
        let x = self.value(0)?;
        self.integers_only(x)?;
        let shape = self.builder.graph.shape(x);
        if one != 1 || !out.is_multiple_of(shape.c) {
            return Err(
                self.broken(format!("depthwise weights for {out} channels on an input with {}", shape.c))
            );
        }
        let (stride, dilation) =
            ((o.stride_h(), o.stride_w()), (o.dilation_h_factor(), o.dilation_w_factor()));
        let window = self.window((kh, kw), stride, dilation, o.padding(), shape)?;
        let fused = self.activation(o.fused_activation_function())?;
        let bias = params.len() > 1;
        self.push(DepthwiseConv2d { multiplier: out / shape.c, window, bias, fused }, &[x])?;
        self.set_layer(&params)
    }

    pub(super) fn transpose_conv(&mut self) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_transpose_conv_options())?;
        let params = self.layer(1, 3)?;
        let [out, kh, kw, depth] = self.weight_dims::<4>(params[0])?;
        let size = self.ints(0)?;
        let x = self.value(2)?;
        self.integers_only(x)?;
        let input = self.builder.graph.shape(x);
        let output = self.output(0)?.shape();
        if size.len() != 4
            || depth != input.c
            || size[1] != i64::from(output.h)
            || size[2] != i64::from(output.w)
        {
            return Err(
                self.broken(format!("output size {size:?} and weights for {depth} channels do not fit"))
            );
        }
        let window = self.window((kh, kw), (o.stride_h(), o.stride_w()), (1, 1), o.padding(), output)?;
        let fused = self.activation(o.fused_activation_function())?;
        let (bottom, below) =
            self.cut(input.h, output.h, window.kernel_h, window.stride_h, window.pad.top)?;
        let (right, beside) =
            self.cut(input.w, output.w, window.kernel_w, window.stride_w, window.pad.left)?;
        let window = Window { pad: Pad { bottom, right, ..window.pad }, ..window };
        let op = TransposeConv2d {
            out_channels: out,
            window,
            bias: params.len() > 1,
            bilinear: false,
            fused,
            extra: [below, beside],
        };
        self.push(op, &[x])?;
        self.set_layer(&params)
    }

    /// Rows that are cut off at the end of a transpose convolution, or that are added beyond its reach.
    fn cut(
        &self,
        input: u32,
        output: u32,
        kernel: u16,
        stride: u16,
        before: u16,
    ) -> Result<(u16, u16), Stop> {
        let full = (i64::from(input) - 1) * i64::from(stride) + i64::from(kernel) - i64::from(before);
        let after = full - i64::from(output);
        let narrow = |v: i64| u16::try_from(v).map_err(|_| self.broken("its output size is out of range"));
        if after >= 0 { Ok((narrow(after)?, 0)) } else { Ok((0, narrow(-after)?)) }
    }

    pub(super) fn fully_connected(&mut self) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_fully_connected_options())?;
        if o.weights_format().0 != 0 {
            return Err(Stop::refused(
                "its weights are shuffled for one processor",
                "convert without that option",
            ));
        }
        let fused = self.activation(o.fused_activation_function())?;
        let weights = self.required(1)?;
        if !self.builder.is_constant(weights) {
            return self.product_of_activations(fused);
        }
        let params = self.layer(1, 2)?;
        let [out, depth] = self.weight_dims::<2>(params[0])?;
        let x = self.value(0)?;
        self.integers_only(x)?;
        let shape = self.builder.graph.shape(x);
        let elements = shape.elements() as u32;
        if !elements.is_multiple_of(depth) {
            return Err(self.broken(format!("weights for {depth} features on an input of {shape}")));
        }
        let x = if shape.c == depth { x } else { self.reshaped(x, Shape::rows(elements / depth, depth))? };
        self.push(Dense { out_features: out, bias: params.len() > 1, fused }, &[x])?;
        self.set_layer(&params)
    }

    /// A fully connected layer whose weights are computed: a product of matrices.
    fn product_of_activations(&mut self, fused: Activation) -> Result<(), Stop> {
        let bias = self.input_id(2);
        if bias.is_some() || fused != Activation::None {
            return Err(Stop::refused(
                "weights that are computed while the model runs, with bias or activation",
                "BATCH_MATMUL and ADD",
            ));
        }
        let (x, w) = (self.value(0)?, self.value(1)?);
        self.integers_only(x)?;
        let depth = self.builder.graph.shape(w).c;
        let shape = self.builder.graph.shape(x);
        let x = self.reshaped(x, Shape::rows(shape.elements() as u32 / depth.max(1), depth))?;
        self.push(BatchMatMul { transpose_a: false, transpose_b: true }, &[x, w])
    }

    pub(super) fn batch_matmul(&mut self) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_batch_mat_mul_options())?;
        let (x, y) = (self.value(0)?, self.value(1)?);
        self.integers_only(x)?;
        self.push(BatchMatMul { transpose_a: o.adj_x(), transpose_b: o.adj_y() }, &[x, y])
    }

    /// Parameters of the weighted node that gives output 0, which may have a reshape behind it.
    pub(super) fn set_layer(&mut self, ids: &[usize]) -> Result<(), Stop> {
        let graph = &self.builder.graph;
        let Some(node) = graph.nodes.iter().rposition(|n| !n.params.is_empty()) else { return Ok(()) };
        let params = graph.nodes[node].params.clone();
        self.set_params_of(&params, ids)
    }
}
