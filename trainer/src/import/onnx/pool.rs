//! Pools over space.

use super::conv::{image, resize};
use super::fail::Fail;
use super::importer::{Held, Importer, Item, too_many};
use super::layout::Layout;
use super::node::Node;
use super::window::{self, Axis};
use crate::ops::{self, Activation};
use dunlin::shape::Window;

/// Maximum and average pool.
pub(super) fn pool(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 1)?;
    let x = im.held(node, 0)?;
    Ok(vec![Item::Held(pooled(im, node, x)?)])
}

/// The pool that the attributes of `node` describe.
pub(super) fn pooled(im: &mut Importer, node: &Node<'_>, x: Held) -> Result<Held, Fail> {
    let maximum = node.op == "MaxPool";
    if maximum {
        node.ignore("storage_order");
        if node.output(1).is_some() {
            return Err(Fail::unsupported(
                "its second output, the positions of the maxima in the whole tensor, is used",
                "a maximum pool without positions can be imported",
            ));
        }
    }
    let x = im.channels_last(x)?;
    let (channels, space) = image(&x)?;
    let axes = window::read(node, None, &space)?;
    let ceil = node.flag("ceil_mode")?;
    let counts_padding = !maximum && node.flag("count_include_pad")?;
    let mut dims = x.dims.clone();
    resize(&mut dims, channels, &axes, &space, ceil)?;
    let layout = Layout::channels_last(&dims).ok_or_else(|| too_many(&dims))?;
    let axes: Vec<Axis> = axes
        .iter()
        .zip(&space)
        .map(|(axis, size)| if ceil { reaching(*axis, *size) } else { *axis })
        .collect();
    let mut window = window::window(&axes)?;
    let mut value = x.id;
    if counts_padding && !window.pad.is_none() {
        // Zeros that are counted are elements; what `ceil_mode` adds behind them is not counted.
        let named = window::window(&window::read(node, None, &space)?)?;
        let p = named.pad;
        value = im.pad(value, [0, p.top, p.left, 0], [0, p.bottom, p.right, 0], Some(0.0))?;
        window.pad.bottom -= named.pad.bottom;
        window.pad.right -= named.pad.right;
        (window.pad.top, window.pad.left) = (0, 0);
    }
    let id = if maximum {
        im.push("", ops::MaxPool { window, fused: Activation::None }, &[value], vec![])?
    } else {
        im.push("", ops::AvgPool { window, fused: Activation::None }, &[value], vec![])?
    };
    Ok(Held { id, dims, layout, kind: x.kind })
}

/// The axis with padding behind for the window that `ceil_mode` adds.
fn reaching(axis: Axis, size: usize) -> Axis {
    let Some(output) = axis.output(size, true) else { return axis };
    let reach = (output - 1) * axis.stride + axis.extent();
    let more = reach.saturating_sub(size + axis.pad.0 + axis.pad.1);
    Axis { pad: (axis.pad.0, axis.pad.1 + more), ..axis }
}

/// Pools over all of space.
pub(super) fn global(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(1, 1)?;
    let x = im.held(node, 0)?;
    Ok(vec![Item::Held(overall(im, x, node.op == "GlobalMaxPool")?)])
}

/// The maximum or mean over all of space.
pub(super) fn overall(im: &mut Importer, x: Held, maximum: bool) -> Result<Held, Fail> {
    let x = im.channels_last(x)?;
    image(&x)?;
    let dims: Vec<usize> = x.dims.iter().enumerate().map(|(i, d)| if i < 2 { *d } else { 1 }).collect();
    let shape = im.graph.shape(x.id);
    let narrow = |v: u32| {
        u16::try_from(v)
            .map_err(|_| Fail::unsupported(format!("pools over {v} elements of an axis"), "at most 65,535"))
    };
    let window = Window { kernel_h: narrow(shape.h)?, kernel_w: narrow(shape.w)?, ..Window::square(1, 1) };
    let id = if maximum {
        im.push("", ops::MaxPool { window, fused: Activation::None }, &[x.id], vec![])?
    } else {
        im.push("", ops::AvgPool { window, fused: Activation::None }, &[x.id], vec![])?
    };
    let layout = Layout::channels_last(&dims).ok_or_else(|| too_many(&dims))?;
    Ok(Held { id, dims, layout, kind: x.kind })
}
