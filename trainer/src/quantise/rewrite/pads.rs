//! Padding that the next operator can do itself.
//!
//! Padding of a convolution counts as the input's zero point, that of a maximum pool never wins. So a padding of height
//! and width with the zero point is part of the convolutions that read it, and one with a value that no element is
//! below is part of the maximum pools that read it. The padded copy is never made. An average pool does not count its
//! padding, so there the copy stays.

use super::constants::Constants;
use super::links::{is_private, producer, readers};
use super::ranges::clamp_of;
use crate::quantise::QGraph;
use dunlin::format::DType;
use dunlin::ops::{Op, Pad};
use dunlin::shape::Window;

/// Fuses every padding that can be; how many there were.
pub(super) fn fuse(program: &mut QGraph) -> usize {
    let (mut fused, mut n) = (0, 0);
    while n < program.nodes.len() {
        match without(program, n) {
            // The runtime knows of more reasons against it: a window may not lie in the padding alone, say.
            Some(better) if Constants::of(&better).is_some() => {
                *program = better;
                fused += 1;
            }
            _ => n += 1,
        }
    }
    fused
}

/// The program without node `n`, where that is a padding that all of its readers can do.
fn without(program: &QGraph, n: usize) -> Option<QGraph> {
    let node = &program.nodes[n];
    let Op::Pad(pad) = node.op else { return None };
    let (x, y) = (node.inputs[0], node.outputs[0]);
    let readers = readers(program, y);
    let inside = pad.before[0] == 0 && pad.after[0] == 0 && pad.before[3] == 0 && pad.after[3] == 0;
    let int8 = program.tensors[usize::from(y)].dtype == DType::I8;
    if !inside || !int8 || readers.is_empty() || !is_private(program, y) {
        return None;
    }
    let is_zero = i16::from(pad.value) == program.tensors[usize::from(y)].quant.zero_point;
    let lowest = producer(program, x).and_then(|p| clamp_of(&program.nodes[p].op)).map_or(i8::MIN, |c| c.min);
    let mut better = program.clone();
    for r in readers {
        let reader = &mut better.nodes[r];
        let window = match &mut reader.op {
            // A product of matrices is faster than a convolution that pads.
            Op::Conv2d(o) if is_zero && !o.window.is_pointwise() => &mut o.window,
            Op::DepthwiseConv2d(o) if is_zero => &mut o.window,
            Op::MaxPool2d(o) if pad.value <= lowest => &mut o.window,
            _ => return None,
        };
        *window = padded(window, &pad)?;
        reader.inputs.iter_mut().filter(|id| **id == y).for_each(|id| *id = x);
    }
    better.nodes.remove(n);
    Some(better)
}

/// The window with more padding around it; `None` where that exceeds 16 bits.
fn padded(window: &Window, pad: &Pad) -> Option<Window> {
    let p = window.pad;
    Some(window.padded(dunlin::shape::Pad {
        top: p.top.checked_add(pad.before[1])?,
        bottom: p.bottom.checked_add(pad.after[1])?,
        left: p.left.checked_add(pad.before[2])?,
        right: p.right.checked_add(pad.after[2])?,
    }))
}
