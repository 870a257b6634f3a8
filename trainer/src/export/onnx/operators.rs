//! One arm per operator.

use super::OnnxError;
use super::unary::{times, unary};
use super::writer::{Writer, float, int, ints, name_of, permute, rank4, text};
use crate::graph::{Node, ValueId};
use crate::ops::*;
use dunlin::shape::{Shape, Window};
use tract_onnx::pb::AttributeProto;
use tract_onnx::pb::tensor_proto::DataType;

/// The NHWC axis that is in each place of NCHW.
const IN_NCHW: [usize; 4] = [0, 3, 1, 2];
/// The place in NCHW of each NHWC axis.
const FROM_NHWC: [i64; 4] = [0, 2, 3, 1];

/// Writes a node; false where ONNX has no form for it.
pub(super) fn node(w: &mut Writer<'_>, n: &Node) -> Result<bool, OnnxError> {
    let name = name_of(&n.name);
    let out = |i: usize| name_of(&w.graph.value(n.outputs[i]).name);
    let (y, x) = (out(0), n.inputs.first().map(|v| w.get(*v)).unwrap_or_default());
    let second = n.inputs.get(1).map(|v| w.get(*v)).unwrap_or_default();
    match &n.op {
        Op::Conv2d(o) => {
            let mut attributes = window(&o.window);
            attributes.push(int("group", 1));
            weighted(w, n, "Conv", [0, 3, 1, 2], 0, o.fused, attributes)?;
        }
        Op::DepthwiseConv2d(o) => {
            let mut attributes = window(&o.window);
            attributes.push(int("group", i64::from(w.graph.shape(n.inputs[0]).c)));
            weighted(w, n, "Conv", [3, 0, 1, 2], 0, o.fused, attributes)?;
        }
        Op::TransposeConv2d(o) => {
            weighted(w, n, "ConvTranspose", [3, 0, 1, 2], 1, o.fused, window(&o.window))?;
        }
        // `[out, in]` counts as `1, 1, out, in`.
        Op::Dense(o) => weighted(w, n, "Conv", [2, 3, 0, 1], 0, o.fused, Vec::new())?,
        Op::MaxPool(o) => {
            let linear = Writer::before_activation(o.fused, &y);
            w.node("MaxPool", &[&x], &[&linear], pool(&o.window));
            w.activation(o.fused, &linear, &y);
        }
        Op::MaxPoolIndices(o) => {
            let positions = out(1);
            w.node("MaxPool", &[&x], &[&y, &positions], pool(&o.window));
            w.set(n.outputs[1], positions);
        }
        Op::MaxUnpool(o) => {
            let s = w.graph.shape(n.outputs[0]);
            let shape = format!("{y}.shape");
            w.longs(&shape, &nchw(s));
            w.node("MaxUnpool", &[&x, &second, &shape], &[&y], pool(&o.window));
        }
        Op::AvgPool(o) => {
            let mut attributes = pool(&o.window);
            attributes.push(int("count_include_pad", 0));
            let linear = Writer::before_activation(o.fused, &y);
            w.node("AveragePool", &[&x], &[&linear], attributes);
            w.activation(o.fused, &linear, &y);
        }
        Op::Add(Add { fused }) => pair(w, "Add", [&x, &second], *fused, &y),
        Op::Sub(Sub { fused }) => pair(w, "Sub", [&x, &second], *fused, &y),
        Op::Mul(Mul { fused }) => pair(w, "Mul", [&x, &second], *fused, &y),
        Op::Div(Div { fused }) => pair(w, "Div", [&x, &second], *fused, &y),
        Op::MinMax(o) => {
            let op = if o.largest { "Max" } else { "Min" };
            w.node(op, &[&x, &second], &[&y], Vec::new());
        }
        Op::SquaredDifference(_) => {
            let difference = format!("{y}.difference");
            w.node("Sub", &[&x, &second], &[&difference], Vec::new());
            w.node("Mul", &[&difference, &difference], &[&y], Vec::new());
        }
        Op::PRelu(_) => {
            let slopes = format!("{name}.alpha");
            let (dims, data) = w.permuted(n.params[0], [0, 3, 1, 2]);
            w.floats(&slopes, &dims, &data);
            w.node("PRelu", &[&x, &slopes], &[&y], Vec::new());
        }
        Op::Concat(o) => {
            let axis = match o.axis {
                Axis::N => 0,
                Axis::C => 1,
                Axis::H => 2,
                Axis::W => 3,
            };
            let inputs: Vec<String> = n.inputs.iter().map(|v| w.get(*v)).collect();
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            w.node("Concat", &inputs, &[&y], vec![int("axis", axis)]);
        }
        Op::Pad(o) => {
            let mode = match o.mode {
                PadMode::Constant => "constant",
                PadMode::Reflect => "reflect",
                PadMode::Symmetric => return Ok(false),
            };
            let [pads, value] = ["pads", "value"].map(|s| format!("{y}.{s}"));
            let (before, after) = o.edges();
            let all = IN_NCHW.map(|a| before[a]).into_iter().chain(IN_NCHW.map(|a| after[a]));
            w.longs(&pads, &all.map(i64::from).collect::<Vec<_>>());
            let attributes = vec![text("mode", mode)];
            if o.mode == PadMode::Constant {
                w.floats(&value, &[], &[o.value]);
                w.node("Pad", &[&x, &pads, &value], &[&y], attributes);
            } else {
                w.node("Pad", &[&x, &pads], &[&y], attributes);
            }
        }
        Op::Reshape(o) => reshape(w, n.inputs[0], &x, o.shape, &y),
        Op::Slice(o) => {
            let [starts, ends, axes] = ["starts", "ends", "axes"].map(|s| format!("{y}.{s}"));
            let begin = o.begin.map(i64::from);
            let end: [i64; 3] = std::array::from_fn(|i| begin[i] + i64::from(o.size[i]));
            w.longs(&starts, &begin);
            w.longs(&ends, &end);
            w.longs(&axes, &[2, 3, 1]);
            w.node("Slice", &[&x, &starts, &ends, &axes], &[&y], Vec::new());
        }
        Op::StridedSlice(o) => {
            let names = ["starts", "ends", "axes", "steps"].map(|s| format!("{y}.{s}"));
            let begin = IN_NCHW.map(|a| i64::from(o.begin[a]));
            let step = IN_NCHW.map(|a| i64::from(o.step[a]));
            // One past the last element; before the first one, "past" is below any index.
            let end = std::array::from_fn(|i| {
                let end = begin[i] + i64::from(o.size[IN_NCHW[i]] - 1) * step[i] + step[i].signum();
                if end < 0 { i64::MIN } else { end }
            });
            for (name, data) in names.iter().zip([begin, end, [0, 1, 2, 3], step]) {
                w.longs(name, &data);
            }
            let [starts, ends, axes, steps] = &names;
            w.node("Slice", &[&x, starts, ends, axes, steps], &[&y], Vec::new());
        }
        Op::Transpose(o) => {
            let order = IN_NCHW.map(|a| FROM_NHWC[o.perm[a]]);
            w.transpose(&x, &y, order);
        }
        Op::Tile(_) => {
            let [from, to] = [n.inputs[0], n.outputs[0]].map(|v| nchw(w.graph.shape(v)));
            let repeats = format!("{y}.repeats");
            w.longs(&repeats, &std::array::from_fn::<i64, 4, _>(|i| to[i] / from[i].max(1)));
            w.node("Tile", &[&x, &repeats], &[&y], Vec::new());
        }
        Op::Reduce(o) => {
            let axes: Vec<i64> = (0..4).filter(|&a| o.axes[a]).map(|a| FROM_NHWC[a]).collect();
            let attributes = vec![ints("axes", axes.clone()), int("keepdims", 1)];
            match o.function {
                ReduceFn::Mean => w.node("ReduceMean", &[&x], &[&y], attributes),
                ReduceFn::Max => w.node("ReduceMax", &[&x], &[&y], attributes),
                ReduceFn::Min => w.node("ReduceMin", &[&x], &[&y], attributes),
                ReduceFn::Sum => {
                    // The one reduction whose axes are an input in operator set 13.
                    let name = format!("{y}.axes");
                    w.longs(&name, &axes);
                    w.node("ReduceSum", &[&x, &name], &[&y], vec![int("keepdims", 1)]);
                }
            }
        }
        Op::LogSoftmax(_) => w.node("LogSoftmax", &[&x], &[&y], vec![int("axis", 1)]),
        Op::Resize(o) => {
            let to = w.graph.shape(n.outputs[0]);
            resize(w, o, to, &x, &y);
        }
        Op::Softmax(o) => {
            let scaled = if o.beta == 1.0 { x } else { times(w, &x, &format!("{y}.scaled"), o.beta) };
            w.node("Softmax", &[&scaled], &[&y], vec![int("axis", 1)]);
        }
        Op::BatchNorm(o) => {
            let names = ["gamma", "beta", "mean", "variance"].map(|s| format!("{name}.{s}"));
            for (name, id) in names.iter().zip(&n.params) {
                let p = w.graph.param(*id);
                w.floats(name, &p.dims, &p.data);
            }
            let [gamma, beta, mean, variance] = names;
            let inputs = [x.as_str(), &gamma, &beta, &mean, &variance];
            w.node("BatchNormalization", &inputs, &[&y], vec![float("epsilon", o.epsilon)]);
        }
        Op::LayerNorm(o) => {
            let [gamma, beta] = ["gamma", "beta"].map(|s| format!("{name}.{s}"));
            for (name, id) in [&gamma, &beta].into_iter().zip(&n.params) {
                let p = w.graph.param(*id);
                w.floats(name, &p.dims, &p.data);
            }
            let [before, after] = ["nhwc", "normalised"].map(|s| format!("{y}.{s}"));
            w.transpose(&x, &before, [0, 2, 3, 1]);
            let attributes = vec![int("axis", -1), float("epsilon", o.epsilon)];
            w.node("LayerNormalization", &[&before, &gamma, &beta], &[&after], attributes);
            w.transpose(&after, &y, [0, 3, 1, 2]);
        }
        Op::Unary(o) => unary(w, o.function, &x, &y),
        Op::ArgMax(_) => w.node("ArgMax", &[&x], &[&y], vec![int("axis", 1), int("keepdims", 1)]),
        Op::Constant(_) => {
            let (dims, data) = w.permuted(n.params[0], [0, 3, 1, 2]);
            w.floats(&y, &dims, &data);
        }
        Op::Identity(_) | Op::Dropout(_) | Op::Requantize(_) => w.node("Identity", &[&x], &[&y], Vec::new()),
        _ => return Ok(false),
    }
    w.set(n.outputs[0], y);
    Ok(true)
}

/// An operator on two tensors, and its activation.
fn pair(w: &mut Writer<'_>, op: &str, operands: [&str; 2], fused: Activation, y: &str) {
    let linear = Writer::before_activation(fused, y);
    w.node(op, &operands, &[&linear], Vec::new());
    w.activation(fused, &linear, y);
}

/// A convolution of any kind: parameters, the operator, its activation. `order` puts the weights' axes into those
/// of ONNX, whose output channels are then `axis`.
fn weighted(
    w: &mut Writer<'_>,
    n: &Node,
    op: &str,
    order: [usize; 4],
    axis: i64,
    fused: Activation,
    attributes: Vec<AttributeProto>,
) -> Result<(), OnnxError> {
    let name = name_of(&n.name);
    let x = w.get(n.inputs[0]);
    let y = name_of(&w.graph.value(n.outputs[0]).name);
    let [weight, bias] = ["weight", "bias"].map(|s| format!("{name}.{s}"));
    let mut inputs = vec![x.clone(), weight.clone()];
    let integers = w.numbers.map(|numbers| numbers.weights(w.graph, n)).transpose()?.flatten();
    if let Some(q) = &integers {
        let dims = rank4(&w.graph.param(n.params[0]).dims);
        let (dims, data) = permute(&dims, &q.weights, order);
        let bytes = data.iter().map(|&v| v as u8).collect();
        let zero = q.zero_point as i8;
        grid(w, &weight, (DataType::Int8, zero), &dims, bytes, &q.scales, axis);
    } else {
        let (dims, data) = w.permuted(n.params[0], order);
        w.floats(&weight, &dims, &data);
    }
    if let Some(id) = n.params.get(1) {
        match &integers {
            Some(q) => {
                let bytes = q.biases.iter().flat_map(|v| v.to_le_bytes()).collect();
                grid(w, &bias, (DataType::Int32, 0), &[q.biases.len()], bytes, &q.bias_scales, 0);
            }
            None => {
                let p = w.graph.param(*id);
                w.floats(&bias, &p.dims, &p.data);
            }
        }
        inputs.push(bias);
    }
    let linear = Writer::before_activation(fused, &y);
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    w.node(op, &inputs, &[&linear], attributes);
    w.activation(fused, &linear, &y);
    Ok(())
}

/// Integers with a scale per slice of `axis`, and the node that makes `name` of them.
fn grid(
    w: &mut Writer<'_>,
    name: &str,
    (dtype, zero_point): (DataType, i8),
    dims: &[usize],
    bytes: Vec<u8>,
    scales: &[f32],
    axis: i64,
) {
    let [integers, scale, zero] = ["quantized", "scale", "zero_point"].map(|s| format!("{name}.{s}"));
    let size = if dtype == DataType::Int32 { 4 } else { 1 };
    w.raw(&integers, dtype, dims, bytes);
    w.floats(&scale, &[scales.len()], scales);
    w.raw(&zero, dtype, &[scales.len()], vec![zero_point as u8; size * scales.len()]);
    w.node("DequantizeLinear", &[&integers, &scale, &zero], &[name], vec![int("axis", axis)]);
}

fn reshape(w: &mut Writer<'_>, from: ValueId, x: &str, to: Shape, y: &str) {
    let s = w.graph.shape(from);
    let shape = format!("{y}.shape");
    // Where either all pixels or all channels are one, NHWC and NCHW are the same order.
    let same = |s: Shape| s.pixels() == s.n as usize || s.c == 1;
    if same(s) && same(to) {
        w.longs(&shape, &nchw(to));
        w.node("Reshape", &[x, &shape], &[y], Vec::new());
        return;
    }
    let [before, after] = ["nhwc", "reshaped"].map(|s| format!("{y}.{s}"));
    w.transpose(x, &before, [0, 2, 3, 1]);
    w.longs(&shape, &[to.n, to.h, to.w, to.c].map(i64::from));
    w.node("Reshape", &[&before, &shape], &[&after], Vec::new());
    w.transpose(&after, y, [0, 3, 1, 2]);
}

fn resize(w: &mut Writer<'_>, o: &Resize, to: Shape, x: &str, y: &str) {
    let sizes = format!("{y}.sizes");
    w.longs(&sizes, &nchw(to));
    let coordinates = match (o.half_pixel_centers, o.align_corners) {
        (true, _) => "half_pixel",
        (_, true) => "align_corners",
        _ => "asymmetric",
    };
    let mut attributes = vec![text("coordinate_transformation_mode", coordinates)];
    match o.mode {
        ResizeMode::Bilinear => attributes.push(text("mode", "linear")),
        ResizeMode::Nearest => {
            attributes.push(text("mode", "nearest"));
            // Dunlin's nearest rounds down from the pixel's edge, which is half up from its centre.
            let down = coordinates == "asymmetric";
            attributes.push(text("nearest_mode", if down { "floor" } else { "round_prefer_ceil" }));
        }
    }
    w.node("Resize", &[x, "", "", &sizes], &[y], attributes);
}

/// Kernel, stride, dilation and padding.
fn window(v: &Window) -> Vec<AttributeProto> {
    let mut attributes = pool(v);
    attributes.push(ints("dilations", [v.dilation_h, v.dilation_w].map(i64::from)));
    attributes
}

fn pool(v: &Window) -> Vec<AttributeProto> {
    let p = v.pad;
    vec![
        ints("kernel_shape", [v.kernel_h, v.kernel_w].map(i64::from)),
        ints("strides", [v.stride_h, v.stride_w].map(i64::from)),
        ints("pads", [p.top, p.left, p.bottom, p.right].map(i64::from)),
    ]
}

fn nchw(s: Shape) -> [i64; 4] {
    [s.n, s.c, s.h, s.w].map(i64::from)
}
