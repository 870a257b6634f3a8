//! Padding.

use super::Draft;
use super::element::{Element, shape};
use crate::draw::Draw;
use crate::oracle;
use dunlin::ops::{Op, Pad};

pub(super) fn draft(draw: &mut Draw<'_>) -> Draft {
    let from = [draw.size(1, 2), draw.size(1, 4), draw.size(1, 4), draw.size(1, 5)];
    let mut border =
        || [0, 1, 2, 3].map(|axis| if axis == 0 { draw.size(0, 1) } else { draw.size(0, 3) } as u16);
    let (before, after) = (border(), border());
    let element = Element::any(draw);
    let value = draw.pick(&[element.quant.zero_point as i8, i8::MIN, i8::MAX, 5]);
    let grown = [0, 1, 2, 3].map(|a| from[a] + u32::from(before[a]) + u32::from(after[a]));
    let op = Op::Pad(Pad { before, after, value });
    element.moved(op, shape(from), shape(grown), i64::from(value), move |x| {
        oracle::pad(x, before.map(usize::from), after.map(usize::from), -1)
    })
}
