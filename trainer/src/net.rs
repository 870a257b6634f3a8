//! The builder that the zoo uses: names nodes and resolves padding, so that a network reads like its paper.

use crate::graph::{DimId, Graph, GraphError, NodeId, ValueId};
use crate::ops::*;
use dunlin::ops::Aggregation;
use dunlin::shape::{Pad, Padding, Shape, Window};

/// Builds a [`Graph`] layer by layer. Every method returns the value that it made.
#[derive(Debug)]
pub struct Net {
    graph: Graph,
}

/// Epsilon of every batch normalisation of the zoo.
pub const BATCH_NORM_EPSILON: f32 = 1e-3;

/// Epsilon of every layer normalisation of the zoo.
pub const LAYER_NORM_EPSILON: f32 = 1e-5;

impl Net {
    /// An empty network.
    pub fn new(name: &str) -> Self {
        Self { graph: Graph::new(name) }
    }

    /// The graph built so far.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Shape of a value.
    pub fn shape(&self, x: ValueId) -> Shape {
        self.graph.shape(x)
    }

    /// An input.
    ///
    /// # Errors
    /// See [`Graph::add_input`].
    pub fn input(&mut self, name: &str, shape: Shape) -> Result<ValueId, GraphError> {
        self.graph.add_input(name, shape)
    }

    /// Any operator with one output of interest; the first is returned.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn push(&mut self, name: &str, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId, GraphError> {
        Ok(self.graph.push(name, op, inputs)?[0])
    }

    fn resolve(
        &self,
        name: &str,
        op: &'static str,
        x: ValueId,
        window: Window,
        padding: Padding,
    ) -> Result<Window, GraphError> {
        let s = self.graph.shape(x);
        window.resolve(padding, s.h, s.w).ok_or_else(|| GraphError::Op {
            node: name.to_string(),
            op,
            source: OpError::Window { kernel_h: window.kernel_h, kernel_w: window.kernel_w, input: s },
        })
    }

    /// Convolution with bias, `Same` padding.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn conv(&mut self, name: &str, x: ValueId, out: u32, window: Window) -> Result<ValueId, GraphError> {
        self.conv_padded(name, x, out, window, Padding::Same)
    }

    /// Convolution with bias, without padding.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn conv_valid(
        &mut self,
        name: &str,
        x: ValueId,
        out: u32,
        window: Window,
    ) -> Result<ValueId, GraphError> {
        self.conv_padded(name, x, out, window, Padding::Valid)
    }

    fn conv_padded(
        &mut self,
        name: &str,
        x: ValueId,
        out: u32,
        window: Window,
        padding: Padding,
    ) -> Result<ValueId, GraphError> {
        let window = self.resolve(name, "conv2d", x, window, padding)?;
        self.push(name, Conv2d { out_channels: out, window, bias: true, fused: Activation::None }, &[x])
    }

    /// Convolution without bias, batch normalisation, rectifier; `Same` padding.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn conv_bn_relu(
        &mut self,
        name: &str,
        x: ValueId,
        out: u32,
        window: Window,
    ) -> Result<ValueId, GraphError> {
        let x = self.conv_bn(name, x, out, window)?;
        self.relu(&format!("{name}.relu"), x)
    }

    /// [`Net::conv_bn_relu`] with the rectifier cut at 6.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn conv_bn_relu6(
        &mut self,
        name: &str,
        x: ValueId,
        out: u32,
        window: Window,
    ) -> Result<ValueId, GraphError> {
        let x = self.conv_bn(name, x, out, window)?;
        self.relu6(&format!("{name}.relu"), x)
    }

    fn conv_bn(&mut self, name: &str, x: ValueId, out: u32, window: Window) -> Result<ValueId, GraphError> {
        let window = self.resolve(name, "conv2d", x, window, Padding::Same)?;
        let op = Conv2d { out_channels: out, window, bias: false, fused: Activation::None };
        let x = self.push(name, op, &[x])?;
        self.batch_norm(name, x)
    }

    /// Depthwise convolution without bias, batch normalisation, rectifier; `Same` padding.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn depthwise_bn_relu(
        &mut self,
        name: &str,
        x: ValueId,
        window: Window,
    ) -> Result<ValueId, GraphError> {
        let x = self.depthwise_bn(name, x, window)?;
        self.relu(&format!("{name}.relu"), x)
    }

    /// [`Net::depthwise_bn_relu`] with the rectifier cut at 6.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn depthwise_bn_relu6(
        &mut self,
        name: &str,
        x: ValueId,
        window: Window,
    ) -> Result<ValueId, GraphError> {
        let x = self.depthwise_bn(name, x, window)?;
        self.relu6(&format!("{name}.relu"), x)
    }

    fn depthwise_bn(&mut self, name: &str, x: ValueId, window: Window) -> Result<ValueId, GraphError> {
        let window = self.resolve(name, "depthwise_conv2d", x, window, Padding::Same)?;
        let op = DepthwiseConv2d { multiplier: 1, window, bias: false, fused: Activation::None };
        let x = self.push(name, op, &[x])?;
        self.batch_norm(name, x)
    }

    fn batch_norm(&mut self, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
        self.push(&format!("{name}.bn"), BatchNorm { epsilon: BATCH_NORM_EPSILON }, &[x])
    }

    fn relu6(&mut self, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
        self.push(name, Unary { function: UnaryFn::Relu6 }, &[x])
    }

    /// Rectifier.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn relu(&mut self, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
        self.push(name, Unary { function: UnaryFn::Relu }, &[x])
    }

    /// Upsampling by `stride` with a transpose convolution of twice that kernel, bilinear at the start, cut to
    /// `h x w` (Long et al. 2015).
    ///
    /// # Errors
    /// A target that the stride cannot reach, and see [`Graph::push`].
    pub fn upsample(
        &mut self,
        name: &str,
        x: ValueId,
        stride: u16,
        (h, w): (u32, u32),
    ) -> Result<ValueId, GraphError> {
        let s = self.graph.shape(x);
        let kernel = 2 * stride;
        let refuse = || GraphError::Op {
            node: name.to_string(),
            op: "transpose_conv2d",
            source: OpError::Attribute(format!("stride {stride} cannot turn {s} into {h}x{w}")),
        };
        // Half a stride is cut on each side for the centred interpolation; what remains beyond the target
        // goes at the bottom and right.
        let cut = |input: u32, output: u32| -> Option<(u16, u16)> {
            let full = (input - 1) * u32::from(stride) + u32::from(kernel);
            let before = stride / 2;
            let after = full.checked_sub(output + u32::from(before))?;
            Some((before, u16::try_from(after).ok()?))
        };
        let (top, bottom) = cut(s.h, h).ok_or_else(refuse)?;
        let (left, right) = cut(s.w, w).ok_or_else(refuse)?;
        let window = Window::square(kernel, stride).padded(Pad { top, bottom, left, right });
        let op = TransposeConv2d {
            out_channels: s.c,
            window,
            bias: false,
            bilinear: true,
            fused: Activation::None,
            extra: [0; 2],
        };
        self.push(name, op, &[x])
    }

    /// Maximum pool of `size x size` with that stride; an odd rest is padded.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn max_pool(&mut self, name: &str, x: ValueId, size: u16) -> Result<ValueId, GraphError> {
        let window = self.resolve(name, "max_pool", x, Window::square(size, size), Padding::Same)?;
        self.push(name, MaxPool { window, fused: Activation::None }, &[x])
    }

    /// Maximum pool that also gives the positions of the maxima.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn max_pool_indices(
        &mut self,
        name: &str,
        x: ValueId,
        size: u16,
    ) -> Result<(ValueId, ValueId), GraphError> {
        let window = self.resolve(name, "max_pool_indices", x, Window::square(size, size), Padding::Same)?;
        let out = self.graph.push(name, MaxPoolIndices { window }, &[x])?;
        Ok((out[0], out[1]))
    }

    /// Undoes the pool that gave `positions`: its window and input size are looked up.
    ///
    /// # Errors
    /// `positions` that no pool gave, and see [`Graph::push`].
    pub fn max_unpool(&mut self, name: &str, x: ValueId, positions: ValueId) -> Result<ValueId, GraphError> {
        let pool = self.graph.producer(positions).map(|n| self.graph.node(n));
        let Some((Op::MaxPoolIndices(pool), source)) = pool.map(|n| (&n.op, n.inputs[0])) else {
            return Err(GraphError::Op {
                node: name.to_string(),
                op: "max_unpool",
                source: OpError::Attribute("the positions must come from a max pool with indices".into()),
            });
        };
        let s = self.graph.shape(source);
        let op = MaxUnpool { window: pool.window, out_h: s.h, out_w: s.w };
        self.push(name, op, &[x, positions])
    }

    /// Mean over height and width.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn global_avg_pool(&mut self, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
        let s = self.graph.shape(x);
        let window = Window { kernel_h: s.h as u16, kernel_w: s.w as u16, ..Window::square(1, 1) };
        self.push(name, AvgPool { window, fused: Activation::None }, &[x])
    }

    /// Fully connected layer with bias.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn dense(&mut self, name: &str, x: ValueId, out: u32) -> Result<ValueId, GraphError> {
        self.push(name, Dense { out_features: out, bias: true, fused: Activation::None }, &[x])
    }

    /// Fully connected layer without bias.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn linear(&mut self, name: &str, x: ValueId, out: u32) -> Result<ValueId, GraphError> {
        self.push(name, Dense { out_features: out, bias: false, fused: Activation::None }, &[x])
    }

    /// Fully connected layer with bias, rectifier.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn dense_relu(&mut self, name: &str, x: ValueId, out: u32) -> Result<ValueId, GraphError> {
        let x = self.dense(name, x, out)?;
        self.relu(&format!("{name}.relu"), x)
    }

    /// Fully connected layer without bias, batch normalisation, rectifier.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn dense_bn_relu(&mut self, name: &str, x: ValueId, out: u32) -> Result<ValueId, GraphError> {
        let x = self.linear(name, x, out)?;
        let x = self.batch_norm(name, x)?;
        self.relu(&format!("{name}.relu"), x)
    }

    /// The layer `like` once more, with the same weights.
    ///
    /// # Errors
    /// See [`Graph::push_like`].
    pub fn again(&mut self, name: &str, like: NodeId, x: &[ValueId]) -> Result<ValueId, GraphError> {
        Ok(self.graph.push_like(name, like, x)?[0])
    }

    /// The node that writes a value.
    pub fn node_of(&self, x: ValueId) -> Option<NodeId> {
        self.graph.producer(x)
    }

    /// Fills the weights (not biases) of the layer that writes `x` by another rule, made of inputs and outputs of a unit.
    pub fn initialise_by(&mut self, x: ValueId, rule: impl Fn(usize, usize) -> Init) {
        let weight = self.graph.producer(x).and_then(|n| self.graph.node(n).params.first().copied());
        if let Some(param) = weight.map(|id| &mut self.graph.params[id.0]) {
            let (out, inputs) = (param.dims[0], param.dims[1..].iter().product());
            param.init = rule(inputs, out);
        }
    }

    /// A size that is known only when the model runs.
    pub fn dim(&mut self, name: &str, max: u32) -> DimId {
        self.graph.add_dim(name, max)
    }

    /// An input with a row of `channels` for each of a bounded dimension.
    ///
    /// # Errors
    /// See [`Graph::add_rows_input`].
    pub fn rows(&mut self, name: &str, dim: DimId, channels: u32) -> Result<ValueId, GraphError> {
        self.graph.add_rows_input(name, dim, channels)
    }

    /// An input that lists a row index for each row of a bounded dimension.
    ///
    /// # Errors
    /// See [`Graph::add_index_input`].
    pub fn list(&mut self, name: &str, dim: DimId) -> Result<ValueId, GraphError> {
        self.graph.add_index_input(name, dim)
    }

    /// Long short-term memory of one step, whose hidden and cell state go on from run to run; the hidden state is returned.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn lstm(&mut self, name: &str, x: ValueId, units: u32) -> Result<ValueId, GraphError> {
        let states = [".hidden", ".cell"].map(|part| format!("{name}{part}"));
        let hidden = self.graph.add_state(&states[0], Shape::vector(units))?;
        let cell = self.graph.add_state(&states[1], Shape::vector(units))?;
        let op = Lstm { units, cell_clip: None, logistic_cell_gate: false };
        let outputs = self.graph.push(name, op, &[x, hidden, cell])?;
        self.graph.set_state(hidden, outputs[1])?;
        self.graph.set_state(cell, outputs[2])?;
        Ok(outputs[0])
    }

    /// An encoder layer of a Transformer over the rows of `x` (Vaswani et al. 2017), normalised after each sum: attention of
    /// `heads` heads to all rows, then a layer of `hidden` units and back for each row.
    ///
    /// # Errors
    /// Channels that are no multiple of `heads`, and see [`Graph::push`].
    pub fn encoder(
        &mut self,
        name: &str,
        x: ValueId,
        heads: u32,
        hidden: u32,
    ) -> Result<ValueId, GraphError> {
        let shape = self.shape(x);
        let part = |part: &str| format!("{name}.{part}");
        let by_head = Shape { n: 1, h: shape.w, w: heads, c: shape.c / heads };
        let swap = Transpose { perm: [0, 2, 1, 3] };
        let mut sides = Vec::new();
        for side in ["query", "key", "value"] {
            let y = self.dense(&part(side), x, shape.c)?;
            let y = self.push(&part(&format!("{side}.split")), Reshape { shape: by_head }, &[y])?;
            sides.push(self.push(&part(&format!("{side}.heads")), swap.clone(), &[y])?);
        }
        let by_key = BatchMatMul { transpose_b: true, ..BatchMatMul::default() };
        let scores = self.push(&part("scores"), by_key, &sides[..2])?;
        let beta = 1.0 / (by_head.c as f32).sqrt();
        let attention = self.push(&part("attention"), Softmax { beta }, &[scores])?;
        let y = self.push(&part("heard"), BatchMatMul::default(), &[attention, sides[2]])?;
        let y = self.push(&part("heard.heads"), swap, &[y])?;
        let y = self.push(&part("heard.joined"), Reshape { shape }, &[y])?;
        let y = self.dense(&part("output"), y, shape.c)?;
        let x = self.push(&part("sum1"), Add::default(), &[x, y])?;
        let x = self.push(&part("norm1"), LayerNorm { epsilon: LAYER_NORM_EPSILON }, &[x])?;
        let y = self.dense_relu(&part("wide"), x, hidden)?;
        let y = self.dense(&part("narrow"), y, shape.c)?;
        let x = self.push(&part("sum2"), Add::default(), &[x, y])?;
        self.push(&part("norm2"), LayerNorm { epsilon: LAYER_NORM_EPSILON }, &[x])
    }

    /// The rows of `x` that `list` names.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn gather(&mut self, name: &str, x: ValueId, list: ValueId) -> Result<ValueId, GraphError> {
        self.push(name, GatherRows, &[x, list])
    }

    /// The rows of `x` with one entry in `list` as one row of `dim`.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn scatter(
        &mut self,
        name: &str,
        aggregation: Aggregation,
        x: ValueId,
        (list, dim): (ValueId, DimId),
    ) -> Result<ValueId, GraphError> {
        let rows = self.graph.dims[dim.0].max;
        self.push(name, ScatterReduce { aggregation, rows, dim: Some(dim) }, &[x, list])
    }

    /// Channels side by side.
    ///
    /// # Errors
    /// See [`Graph::push`].
    pub fn join(&mut self, name: &str, x: &[ValueId]) -> Result<ValueId, GraphError> {
        self.push(name, Concat { axis: Axis::C }, x)
    }

    /// Marks the output and hands the graph over, its parameters still unfilled.
    ///
    /// # Errors
    /// See [`Graph::validate`].
    pub fn finish(mut self, output: ValueId) -> Result<Graph, GraphError> {
        self.graph.add_output(output);
        self.graph.validate()?;
        Ok(self.graph)
    }
}
