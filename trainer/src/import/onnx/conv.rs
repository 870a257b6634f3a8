//! Convolution and transpose convolution.

use super::concat::join;
use super::constant::{Constant, count};
use super::fail::Fail;
use super::importer::{Held, Importer, Item, Kind, too_many};
use super::layout::Layout;
use super::node::Node;
use super::qdq;
use super::select::{Run, cut_held};
use super::window::{self, AutoPad, Axis};
use crate::graph::ValueId;
use crate::ops::{self, Activation};

/// A bias must have an element for each of `out` channels.
fn check_bias(bias: Option<&Constant>, out: usize) -> Result<(), Fail> {
    match bias {
        Some(c) if c.len() != out => {
            Err(Fail::malformed(format!("the bias has {} elements for {out} channels", c.len())))
        }
        _ => Ok(()),
    }
}

/// The parameters of a weighted layer: `count` of the output channels from `start` on.
fn params(weights: Vec<f32>, bias: Option<&Constant>, start: usize, count: usize) -> Vec<Vec<f32>> {
    let bias = bias.map(|b| b.to_floats().into_iter().skip(start).take(count).collect());
    std::iter::once(weights).chain(bias).collect()
}

/// Weights `[out, in / groups, kernel…]` with a kernel of `space` axes, as `[out, in / groups, kernel_h, kernel_w]`.
fn two_axes(weight: &Constant) -> Result<(Constant, Vec<usize>), Fail> {
    let (outer, kernel) = weight.dims.split_at(weight.dims.len().min(2));
    let square = match kernel {
        [x] => vec![1, *x],
        [y, x] => vec![*y, *x],
        _ => {
            return Err(Fail::unsupported(
                format!("its kernel has {} axes", kernel.len()),
                "one or two axes of space can be imported",
            ));
        }
    };
    Ok((weight.clone().with_dims([outer, &square].concat())?, kernel.to_vec()))
}

/// The groups that `channels` fall into.
fn groups(node: &Node<'_>, channels: usize) -> Result<usize, Fail> {
    let groups = node.int_or("group", 1)?;
    let valid = usize::try_from(groups).ok().filter(|g| *g > 0 && channels.is_multiple_of(*g));
    valid.ok_or_else(|| Fail::malformed(format!("{channels} channels in {groups} groups")))
}

pub(super) fn conv(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(2, 3)?;
    let weight = im.constant(node, 1)?;
    let bias = im.constant_if_given(node, 2)?;
    let x = im.held(node, 0)?;
    Ok(vec![Item::Held(convolved(im, node, x, &weight, bias.as_deref())?)])
}

/// The convolution that the attributes of `node` describe.
pub(super) fn convolved(
    im: &mut Importer,
    node: &Node<'_>,
    x: Held,
    weight: &Constant,
    bias: Option<&Constant>,
) -> Result<Held, Fail> {
    let x = im.channels_last(x)?;
    let (channels, space) = image(&x)?;
    let groups = groups(node, channels)?;
    let grid = weight.grid.clone();
    let (weight, kernel) = two_axes(weight)?;
    let axes = window::read(node, Some(&kernel), &space)?;
    let out = weight.dims.first().copied().unwrap_or(0);
    let fits = weight.dims.get(1) == Some(&(channels / groups)) && out > 0 && out % groups == 0;
    if !fits {
        let dims = &weight.dims;
        return Err(Fail::malformed(format!("weights {dims:?} for {channels} channels in {groups} groups")));
    }
    check_bias(bias, out)?;
    let window = window::window(&axes)?;
    let mut dims = x.dims.clone();
    resize(&mut dims, out, &axes, &space, false)?;
    let layout = Layout::channels_last(&dims).ok_or_else(|| too_many(&dims))?;
    let bias_given = bias.is_some();
    let conv = |out: usize| ops::Conv2d {
        out_channels: out as u32,
        window,
        bias: bias_given,
        fused: Activation::None,
    };
    let id = if groups == 1 {
        // [out, in, h, w] to [out, h, w, in].
        let weights = weight.permute(&[0, 2, 3, 1]).to_floats();
        im.push("", conv(out), &[x.id], params(weights, bias, 0, out))?
    } else if groups == channels {
        let multiplier = (out / channels) as u32;
        let op = ops::DepthwiseConv2d { multiplier, window, bias: bias_given, fused: Activation::None };
        // [out, 1, h, w] to [1, h, w, out].
        let weights = weight.permute(&[1, 2, 3, 0]).to_floats();
        im.push("", op, &[x.id], params(weights, bias, 0, out))?
    } else {
        let (each_in, each_out) = (channels / groups, out / groups);
        let weights = weight.permute(&[0, 2, 3, 1]).to_floats();
        let mut parts = Vec::new();
        for (g, weights) in weights.chunks_exact(weights.len() / groups).enumerate() {
            let part = channel_range(im, x.clone(), g * each_in, each_in)?;
            let params = params(weights.to_vec(), bias, g * each_out, each_out);
            let id = im.push(&format!("group{g}"), conv(each_out), &[part.id], params)?;
            qdq::pin_params(im, grid.as_deref(), 0, bias, g * each_out)?;
            parts.push(group(id, &dims, each_out, x.kind)?);
        }
        return join(im, parts, 1, dims);
    };
    qdq::pin_params(im, grid.as_deref(), 0, bias, 0)?;
    Ok(Held { id, dims, layout, kind: Kind::Real })
}

/// The result of one group of channels.
fn group(id: ValueId, dims: &[usize], channels: usize, kind: Kind) -> Result<Item, Fail> {
    let mut dims = dims.to_vec();
    set(&mut dims, 1, channels);
    let layout = Layout::channels_last(&dims).ok_or_else(|| too_many(&dims))?;
    Ok(Item::Held(Held { id, dims, layout, kind }))
}

/// `count` channels of `x` from `start` on.
fn channel_range(im: &mut Importer, x: Held, start: usize, count: usize) -> Result<Held, Fail> {
    let whole = |d: &usize| Run { start: 0, step: 1, count: *d };
    let mut runs: Vec<Run> = x.dims.iter().map(whole).collect();
    if let Some(run) = runs.get_mut(1) {
        *run = Run { start, step: 1, count };
    }
    cut_held(im, x, &runs)
}

/// Channels and sizes of space of an image or sequence.
pub(super) fn image(x: &Held) -> Result<(usize, Vec<usize>), Fail> {
    match x.dims.as_slice() {
        [_, channels, space @ ..] if !space.is_empty() => Ok((*channels, space.to_vec())),
        dims => Err(Fail::malformed(format!("a tensor of shape {dims:?} has no axis of space"))),
    }
}

fn set(dims: &mut [usize], i: usize, size: usize) {
    if let Some(d) = dims.get_mut(i) {
        *d = size;
    }
}

/// Sizes after a window: `out` channels, and each axis of space.
pub(super) fn resize(
    dims: &mut [usize],
    out: usize,
    axes: &[Axis],
    space: &[usize],
    ceil: bool,
) -> Result<(), Fail> {
    set(dims, 1, out);
    for (i, (axis, size)) in axes.iter().zip(space).enumerate() {
        let output = axis.output(*size, ceil).filter(|o| *o > 0);
        let output = output.ok_or_else(|| {
            Fail::malformed(format!("a window of {} does not fit into {size}", axis.extent()))
        })?;
        set(dims, i + 2, output);
    }
    count(dims).map(|_| ())
}

pub(super) fn conv_transpose(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(2, 3)?;
    let weight = im.constant(node, 1)?;
    let x = im.held(node, 0)?;
    let x = im.channels_last(x)?;
    let (channels, space) = image(&x)?;
    let groups = groups(node, channels)?;
    let grid = weight.grid.clone();
    let (weight, kernel) = two_axes(&weight)?;
    let axes = window::read(node, Some(&kernel), &space)?;
    if weight.dims.first() != Some(&channels) {
        return Err(Fail::malformed(format!("weights {:?} for {channels} channels", weight.dims)));
    }
    let each_out = weight.dims.get(1).copied().unwrap_or(0);
    let out = each_out.saturating_mul(groups);
    let bias = im.constant_if_given(node, 2)?;
    check_bias(bias.as_deref(), out)?;
    let crops = crops(node, &axes, &space)?;
    let mut dims = x.dims.clone();
    set(&mut dims, 1, out);
    let mut grown = axes.clone();
    let mut extra = Vec::new();
    for (i, ((axis, size), crop)) in grown.iter_mut().zip(&space).zip(&crops).enumerate() {
        // A dilated kernel has zeros between its taps. What is cut off behind and added behind again was never cut off.
        let kernel = axis.extent();
        let full = (size - 1).saturating_mul(axis.stride).saturating_add(kernel).saturating_add(crop.more);
        let output = full.checked_sub(crop.before.saturating_add(crop.after)).filter(|o| *o > 0);
        let output =
            output.ok_or_else(|| Fail::malformed(format!("the padding leaves nothing of {full}")))?;
        set(&mut dims, i + 2, output);
        let kept = crop.more.min(crop.after);
        extra.push(u16::try_from(crop.more - kept).map_err(|_| {
            Fail::unsupported(format!("adds {} elements behind its output", crop.more), "at most 65,535")
        })?);
        *axis = Axis { kernel, stride: axis.stride, dilation: 1, pad: (crop.before, crop.after - kept) };
    }
    let extra = match extra.as_slice() {
        [columns] => [0, *columns],
        [rows, columns, ..] => [*rows, *columns],
        [] => [0, 0],
    };
    count(&dims)?;
    let window = window::window(&grown)?;
    let kernel = (usize::from(window.kernel_h), usize::from(window.kernel_w));
    count(&[channels, each_out, kernel.0, kernel.1])?;
    let steps = match axes.as_slice() {
        [x] => (1, x.dilation),
        [y, x, ..] => (y.dilation, x.dilation),
        [] => (1, 1),
    };
    // [in, out, h, w] to [out, h, w, in].
    let ohwi = spread(&weight.permute(&[1, 2, 3, 0]), kernel, steps);
    let layout = Layout::channels_last(&dims).ok_or_else(|| too_many(&dims))?;
    let bias = bias.as_deref();
    let op = ops::TransposeConv2d {
        out_channels: each_out as u32,
        window,
        bias: bias.is_some(),
        bilinear: false,
        fused: Activation::None,
        extra,
    };
    if groups == 1 {
        let id = im.push("", op, &[x.id], params(ohwi.to_floats(), bias, 0, out))?;
        qdq::pin_params(im, grid.as_deref(), 1, bias, 0)?;
        return Ok(vec![Item::Held(Held { id, dims, layout, kind: Kind::Real })]);
    }
    let each_in = channels / groups;
    let rows = ohwi.to_floats();
    let mut parts = Vec::new();
    for g in 0..groups {
        let part = channel_range(im, x.clone(), g * each_in, each_in)?;
        let inputs = rows.chunks(channels).flat_map(|row| row.iter().skip(g * each_in).take(each_in));
        let params = params(inputs.copied().collect(), bias, g * each_out, each_out);
        let id = im.push(&format!("group{g}"), op.clone(), &[part.id], params)?;
        parts.push(group(id, &dims, each_out, x.kind)?);
    }
    Ok(vec![Item::Held(join(im, parts, 1, dims)?)])
}

/// What is cut off the full output of a transpose convolution, or added behind it.
#[derive(Clone, Copy, Debug, Default)]
struct Crop {
    before: usize,
    after: usize,
    more: usize,
}

fn crops(node: &Node<'_>, axes: &[Axis], space: &[usize]) -> Result<Vec<Crop>, Fail> {
    let n = axes.len();
    let numbers = |name: &str| -> Result<Option<Vec<usize>>, Fail> {
        let Some(values) = node.ints(name)? else { return Ok(None) };
        let values = super::constant::sizes(values)?;
        // Some exporters give the whole shape.
        match values.len() {
            len if len == n => Ok(Some(values)),
            len if len == n + 2 => Ok(Some(values.into_iter().skip(2).collect())),
            len => Err(Fail::malformed(format!("`{name}` has {len} numbers for {n} axes"))),
        }
    };
    let more = numbers("output_padding")?.unwrap_or_else(|| vec![0; n]);
    let wanted = numbers("output_shape")?;
    let auto = window::auto_pad(node)?;
    let same = matches!(auto, AutoPad::SameUpper | AutoPad::SameLower);
    let mut crops = Vec::new();
    for (i, ((axis, size), more)) in axes.iter().zip(space).zip(more).enumerate() {
        let target = match &wanted {
            Some(shape) => shape.get(i).copied(),
            None => same.then(|| size.saturating_mul(axis.stride)),
        };
        let full = (size - 1).saturating_mul(axis.stride).saturating_add(axis.extent()).saturating_add(more);
        crops.push(match target {
            None => Crop { before: axis.pad.0, after: axis.pad.1, more },
            Some(target) => {
                let total = full.saturating_sub(target);
                let half = total / 2;
                let (before, after) =
                    if auto == AutoPad::SameUpper { (half, total - half) } else { (total - half, half) };
                Crop { before, after, more: more.saturating_add(target.saturating_sub(full)) }
            }
        });
    }
    Ok(crops)
}

/// Weights OHWI in a kernel of `size`, `steps` apart, zeros elsewhere.
fn spread(weight: &Constant, size: (usize, usize), steps: (usize, usize)) -> Constant {
    let &[out, h, w, inputs] = weight.dims.as_slice() else { return weight.clone() };
    if (h, w) == size {
        return weight.clone();
    }
    let mut data = vec![0.0; out * size.0 * size.1 * inputs];
    let values = weight.to_floats();
    for (i, row) in values.chunks(inputs.max(1)).enumerate() {
        let (o, y, x) = (i / (h * w), i / w % h, i % w);
        let at = ((o * size.0 + y * steps.0) * size.1 + x * steps.1) * inputs;
        if let Some(target) = data.get_mut(at..at + inputs) {
            target.copy_from_slice(row);
        }
    }
    Constant::floats(vec![out, size.0, size.1, inputs], data)
}
