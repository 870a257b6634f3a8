//! Quantised models: QuantizeLinear and DequantizeLinear around operators (QDQ), and operators on integers (QLinear…).
//!
//! A tensor of integers that stand for real numbers is one value of the graph, which holds the real numbers and is pinned to
//! the file's type, scale and zero point. Quantising pins a value, dequantising is nothing at all. Unsigned integers are held
//! as int8, 128 less, with a zero point 128 less.

use super::constant::{Constant, Elem, Elements, Grid};
use super::fail::Fail;
use super::importer::{Held, Importer, Item, Kind};
use super::node::Node;
use super::shape::axis;
use crate::graph::{Pin, PinnedParam, Scheme};
use crate::ops::{self, Op};
use dunlin::format::DType;
use dunlin::quant::QParams;
use std::collections::HashMap;
use std::rc::Rc;

/// Scale and zero point of a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    elem: Elem,
    scale: f32,
    zero: i64,
}

impl Step {
    fn kind(self) -> Kind {
        Kind::Quantised { elem: self.elem, scale: self.scale, zero: self.zero }
    }

    fn pin(self) -> Result<Pin, Fail> {
        let (dtype, zero) = match self.elem {
            Elem::I8 => (DType::I8, self.zero),
            Elem::U8 => (DType::I8, self.zero - 128),
            Elem::I16 => (DType::I16, self.zero),
            other => {
                return Err(Fail::unsupported(
                    format!("quantises to {other:?}"),
                    "int8, uint8 and int16 activations can be imported",
                ));
            }
        };
        let zero_point = i16::try_from(zero).map_err(|_| Fail::malformed(format!("zero point {zero}")))?;
        Ok(Pin { dtype, quant: QParams { scale: self.scale, zero_point }, scheme: Scheme::Int8 })
    }
}

/// A scale must be a positive number.
pub(super) fn check_scales(scales: &[f32]) -> Result<(), Fail> {
    match scales.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
        Some(s) => Err(Fail::malformed(format!("a scale is {s}; it must be a positive number"))),
        None if scales.is_empty() => Err(Fail::malformed("the scale is empty")),
        None => Ok(()),
    }
}

/// Scale and zero point, inputs `i` and `i + 1`, of a whole tensor; `elem` is the type where no zero point is given.
pub(super) fn step(im: &Importer, node: &Node<'_>, i: usize, elem: Elem) -> Result<Step, Fail> {
    let scales = im.constant(node, i)?.to_floats();
    check_scales(&scales)?;
    let zero = im.constant_if_given(node, i + 1)?;
    let first = |c: &Constant| c.as_ints().map(|v| v.first().copied().unwrap_or(0));
    let all = zero.as_deref().map_or(Ok(&[][..]), Constant::as_ints)?;
    let [scale] = *scales.as_slice() else {
        return Err(Fail::unsupported(
            format!("has {} scales for one computed tensor", scales.len()),
            "one scale for the whole tensor can be imported; weights may have one for each output channel",
        ));
    };
    if all.len() > 1 {
        return Err(Fail::malformed(format!("{} zero points for one scale", all.len())));
    }
    let elem = zero.as_ref().map_or(elem, |z| z.elem);
    Ok(Step { elem, scale, zero: zero.as_deref().map_or(Ok(0), first)? })
}

/// Attributes of quantisation that have only one meaning here.
fn check_attributes(node: &Node<'_>) -> Result<(), Fail> {
    node.ignore("saturate");
    node.ignore("precision");
    if node.int_or("block_size", 0)? != 0 {
        return Err(Fail::unsupported(
            "has a scale for each block of an axis",
            "one scale for a tensor, or for each output channel of weights, can be imported",
        ));
    }
    Ok(())
}

pub(super) fn quantize(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(2, 3)?;
    check_attributes(node)?;
    let elem = match node.int_or("output_dtype", 0)? {
        0 => Elem::U8,
        code => Elem::from_code(i32::try_from(code).unwrap_or(0))?,
    };
    let x = im.item(node, 0)?;
    if let Item::Constant(c) = &x {
        return Ok(vec![Item::constant(quantised(im, node, c, elem)?)]);
    }
    node.ignore("axis");
    let step = step(im, node, 1, elem)?;
    let alone = node.input(0).is_some_and(|name| im.is_private(name));
    let held = im.hold(x)?;
    Ok(vec![Item::Held(pinned(im, held, step, alone)?)])
}

/// Scales, zero points, and for each element of a constant which of them is its own.
type Spread = (Vec<f32>, Vec<i64>, Vec<usize>);

/// How the scales of `node` lie on `c`.
fn spread(im: &Importer, node: &Node<'_>, c: &Constant) -> Result<Spread, Fail> {
    let scales = im.constant(node, 1)?.to_floats();
    check_scales(&scales)?;
    let zeros = match im.constant_if_given(node, 2)? {
        Some(z) => z.as_ints()?.to_vec(),
        None => vec![0; scales.len()],
    };
    if zeros.len() != scales.len() {
        return Err(Fail::malformed(format!("{} scales and {} zero points", scales.len(), zeros.len())));
    }
    let along = node.int_or("axis", 1)?;
    let channel = if scales.len() == 1 {
        vec![0; c.len()]
    } else {
        let a = axis(along, c.dims.len())?;
        let size = c.dims.get(a).copied().unwrap_or(0);
        if size != scales.len() {
            return Err(Fail::malformed(format!("{} scales for an axis of size {size}", scales.len())));
        }
        let inner: usize = c.dims.iter().skip(a + 1).product();
        (0..c.len()).map(|i| i / inner.max(1) % size.max(1)).collect()
    };
    Ok((scales, zeros, channel))
}

fn quantised(im: &Importer, node: &Node<'_>, c: &Constant, elem: Elem) -> Result<Constant, Fail> {
    let (scales, zeros, channel) = spread(im, node, c)?;
    let elem = im.constant_if_given(node, 2)?.map_or(elem, |z| z.elem);
    let (low, high) = elem.range();
    let at = |i: usize| (scales.get(i).copied().unwrap_or(1.0), zeros.get(i).copied().unwrap_or(0));
    let ints = c.to_floats().into_iter().zip(&channel).map(|(x, i)| {
        let (scale, zero) = at(*i);
        ((x / scale).round_ties_even() as i64).saturating_add(zero).clamp(low, high)
    });
    Ok(Constant::new(c.dims.clone(), elem, Elements::Int(ints.collect())))
}

pub(super) fn dequantize(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(2, 3)?;
    check_attributes(node)?;
    node.ignore("output_dtype");
    match im.item(node, 0)? {
        Item::Constant(c) => {
            let (scales, zeros, channel) = spread(im, node, &c)?;
            let ints = c.as_ints()?.to_vec();
            let at = |i: usize| (scales.get(i).copied().unwrap_or(1.0), zeros.get(i).copied().unwrap_or(0));
            let real = ints.iter().zip(&channel).map(|(q, i)| {
                let (scale, zero) = at(*i);
                scale * q.saturating_sub(zero) as f32
            });
            let mut real = Constant::floats(c.dims.clone(), real.collect());
            let along = if scales.len() == 1 { 0 } else { axis(node.int_or("axis", 1)?, c.dims.len())? };
            real.grid = Some(Rc::new(Grid { elem: c.elem, scales, axis: along, zeros, ints }));
            Ok(vec![Item::constant(real)])
        }
        other => {
            node.ignore("axis");
            let held = im.hold(other)?;
            let elem = if let Kind::Quantised { elem, .. } = held.kind { elem } else { Elem::I32 };
            let step = step(im, node, 1, elem)?;
            Ok(vec![Item::Held(real(held, step)?)])
        }
    }
}

/// The real numbers behind quantised ones.
pub(super) fn real(x: Held, step: Step) -> Result<Held, Fail> {
    match x.kind {
        kind if kind == step.kind() => Ok(Held { kind: Kind::Real, ..x }),
        Kind::Quantised { scale, zero, .. } => Err(Fail::unsupported(
            format!(
                "reads integers of scale {scale} and zero point {zero} as ones of {} and {}",
                step.scale, step.zero
            ),
            "quantise and dequantise with the same numbers",
        )),
        _ => Err(Fail::unsupported("dequantises what was not quantised", "")),
    }
}

/// `x` as integers: the value itself where nobody else reads it (`alone`), else a copy.
pub(super) fn pinned(im: &mut Importer, x: Held, step: Step, alone: bool) -> Result<Held, Fail> {
    if x.kind != Kind::Real {
        return Err(Fail::unsupported("quantises integers", ""));
    }
    let pin = step.pin()?;
    let kind = step.kind();
    let value = im.graph.value(x.id);
    if value.pin == Some(pin) {
        return Ok(Held { kind, ..x });
    }
    // What only moves elements has the scale of what it moves.
    let moves = im.graph.producer(x.id).map(|n| im.graph.node(n)).is_some_and(|node| {
        keeps_scale(&node.op) && node.inputs.iter().any(|v| im.graph.value(*v).pin != Some(pin))
    });
    if value.pin.is_none() && alone && !moves {
        im.graph.values[x.id.0].pin = Some(pin);
        return Ok(Held { kind, ..x });
    }
    let id = im.push("", ops::Requantize::default(), &[x.id], vec![])?;
    im.graph.values[id.0].pin = Some(pin);
    Ok(Held { id, kind, ..x })
}

/// Whether the output of an operator has scale and zero point of its input.
pub(super) fn keeps_scale(op: &Op) -> bool {
    matches!(
        op,
        Op::MaxPool(_)
            | Op::Reshape(_)
            | Op::Slice(_)
            | Op::StridedSlice(_)
            | Op::Concat(_)
            | Op::Pad(_)
            | Op::Identity(_)
            | Op::Transpose(_)
            | Op::Tile(_)
            | Op::Gather(_)
            | Op::DepthToSpace(_)
            | Op::SpaceToDepth(_)
    )
}

/// Gives the outputs of operators that only move elements the pin of their input.
pub(super) fn spread_pins(im: &mut Importer) {
    for i in 0..im.graph.nodes.len() {
        let node = &im.graph.nodes[i];
        if !keeps_scale(&node.op) {
            continue;
        }
        let pins: Vec<Option<Pin>> = node.inputs.iter().map(|v| im.graph.value(*v).pin).collect();
        let outputs = node.outputs.clone();
        if let Some(Some(pin)) = pins.first()
            && pins.iter().all(|p| p.as_ref() == Some(pin))
        {
            for v in outputs {
                im.graph.values[v.0].pin.get_or_insert(*pin);
            }
        }
    }
}

/// Pins the parameters of the layer inserted last, whose weights are dequantised integers, output channels along axis
/// `along` in the file; `start` is the first of its channels among those of the bias.
pub(super) fn pin_params(
    im: &mut Importer,
    grid: Option<&Grid>,
    along: usize,
    bias: Option<&Constant>,
    start: usize,
) -> Result<(), Fail> {
    let Some(grid) = grid else { return Ok(()) };
    let Some(node) = im.graph.nodes.last() else { return Ok(()) };
    let innermost = matches!(node.op, Op::DepthwiseConv2d(_));
    let ids = node.params.clone();
    let &[weight, ..] = ids.as_slice() else { return Ok(()) };
    let out = im.graph.params.get(weight.0).map_or(1, |p| {
        let axis = if innermost { p.dims.last() } else { p.dims.first() };
        axis.copied().unwrap_or(1)
    });
    let scales: Vec<f32> = match grid.scales.as_slice() {
        [one] => vec![*one],
        many => many.iter().skip(start).take(out).copied().collect(),
    };
    let mut zeros = grid.zeros.clone();
    zeros.dedup();
    let (&[zero], true) =
        (zeros.as_slice(), scales.len() == 1 || (scales.len() == out && grid.axis == along))
    else {
        return Err(Fail::unsupported(
            "has weights with different zero points, or scales along another axis than the output channels",
            "one zero point, and one scale or one for each output channel, can be imported",
        ));
    };
    let shift = match grid.elem {
        Elem::I8 => 0,
        Elem::U8 => 128,
        other => {
            return Err(Fail::unsupported(
                format!("has weights of type {other:?}"),
                "int8 and uint8 weights can be imported",
            ));
        }
    };
    let zero = zero - shift;
    let param = &mut im.graph.params[weight.0];
    let each = (param.data.len() / out).max(1);
    let ints = param.data.iter().enumerate().map(|(i, x)| {
        let channel = if innermost { i % out } else { i / each };
        let scale = scales.get(channel).or(scales.first()).copied().unwrap_or(1.0);
        // The quotient is a whole number but for rounding of one product.
        ((x / scale).round() as i64 + zero).clamp(-128, 127)
    });
    let zero_point =
        i16::try_from(zero).map_err(|_| Fail::malformed(format!("zero point {zero} of the weights")))?;
    param.pin = Some(PinnedParam { ints: ints.collect(), scales, zero_point, bits: 8 });
    if let (Some(id), Some(grid)) = (ids.get(1), bias.and_then(|b| b.grid.as_deref())) {
        let scales = match grid.scales.as_slice() {
            [one] => vec![*one],
            many => many.iter().skip(start).take(out).copied().collect(),
        };
        let ints = grid.ints.iter().skip(start).take(out).copied().collect();
        im.graph.params[id.0].pin = Some(PinnedParam { ints, scales, zero_point: 0, bits: 32 });
    }
    Ok(())
}

/// Meaning of an input of integers: that of the operator that reads it first, else the integers themselves.
pub(super) fn input_kind(
    im: &Importer,
    nodes: &[Node<'_>],
    readers: &HashMap<&str, Vec<usize>>,
    name: &str,
    elem: Elem,
) -> Kind {
    let reader = readers.get(name).into_iter().flatten().filter_map(|i| nodes.get(*i)).find_map(|n| {
        let i = (0..n.inputs()).find(|i| n.input(*i) == Some(name))?;
        let reads = n.op == "DequantizeLinear" || n.op.starts_with("QLinear") || n.op == "QGemm";
        // Scale and zero point follow the tensor everywhere.
        reads.then(|| step(im, n, i + 1, elem).ok())?
    });
    reader.unwrap_or(Step { elem, scale: 1.0, zero: 0 }).kind()
}

/// Pins an input of integers.
pub(super) fn pin_input(im: &mut Importer, held: &Held) -> Result<(), Fail> {
    if let Kind::Quantised { elem, scale, zero } = held.kind {
        im.graph.values[held.id.0].pin = Some(Step { elem, scale, zero }.pin()?);
    }
    Ok(())
}
