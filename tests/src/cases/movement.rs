//! Operators that change where elements stand.

use super::element::{Element, numbers, shape, size, small};
use super::{Draft, Feature, Fill, Operand};
use crate::draw::Draw;
use crate::oracle;
use dunlin::format::DType;
use dunlin::ops::{
    Axis, BatchToSpace, BlockOrder, DepthToSpace, Gather, Mirror, MirrorPad, Op, SpaceToBatch, SpaceToDepth,
    StridedSlice, Tile, Transpose,
};
use dunlin::quant::QParams;
use dunlin::shape::{Pad, Shape};

/// The axes of a tensor.
const AXES: [Axis; 4] = [Axis::N, Axis::H, Axis::W, Axis::C];

pub(super) fn transpose(draw: &mut Draw<'_>) -> Draft {
    let from = small(draw);
    let mut perm = [0u8, 1, 2, 3];
    (0..4usize).for_each(|i| perm.swap(i, draw.range(i as i64, 3) as usize));
    let to = perm.map(|axis| from[usize::from(axis)]);
    let op = Op::Transpose(Transpose { perm });
    Element::any(draw)
        .moved(op, shape(from), shape(to), 0, move |x| oracle::transpose(x, perm.map(usize::from)))
}

pub(super) fn strided_slice(draw: &mut Draw<'_>) -> Draft {
    let from = small(draw);
    let step: [i32; 4] = from.map(|_| draw.pick(&[1, 1, 2, -1, 3, -2]));
    let begin = from.map(|size| draw.size(0, size - 1));
    let to = [0, 1, 2, 3].map(|a| {
        let room = if step[a] > 0 { from[a] - 1 - begin[a] } else { begin[a] };
        1 + draw.size(0, room / step[a].unsigned_abs())
    });
    let op = Op::StridedSlice(StridedSlice { begin, step });
    let (to_size, begin, step) = (size(shape(to)), begin.map(|b| b as usize), step.map(i64::from));
    Element::any(draw)
        .moved(op, shape(from), shape(to), 0, move |x| oracle::strided_slice(x, begin, step, to_size))
        .feature(Feature::Backwards, step.iter().zip(to).any(|(&s, size)| s < 0 && size > 1))
}

pub(super) fn mirror_pad(draw: &mut Draw<'_>) -> Draft {
    let from = small(draw);
    let mirror = draw.pick(&[Mirror::Reflect, Mirror::Symmetric]);
    let symmetric = mirror == Mirror::Symmetric;
    let mut border = || from.map(|size| draw.size(0, size - u32::from(!symmetric)) as u16);
    let (before, after) = (border(), border());
    let to = [0, 1, 2, 3].map(|a| from[a] + u32::from(before[a]) + u32::from(after[a]));
    let op = Op::MirrorPad(MirrorPad { before, after, mirror });
    let (before, after) = (before.map(usize::from), after.map(usize::from));
    Element::any(draw)
        .moved(op, shape(from), shape(to), 0, move |x| oracle::mirror_pad(x, before, after, symmetric))
}

pub(super) fn gather(draw: &mut Draw<'_>) -> Draft {
    let from = small(draw);
    let axis = draw.range(0, 3) as usize;
    let indices = shape([draw.size(1, 2), 1, draw.size(1, 3), draw.size(1, 2)]);
    let mut to = from;
    to[axis] = indices.elements() as u32;
    let element = Element::any(draw);
    let stray = draw.chance(50);
    let fill = if stray { Fill::AroundIndices(from[axis]) } else { Fill::Indices(from[axis]) };
    let second = Operand { dtype: DType::I32, fill, ..Operand::int8(indices, QParams::UNIT) };
    let op = Op::Gather(Gather { axis: AXES[axis] });
    let from = shape(from);
    let inputs = vec![element.operand(from), second];
    Draft::new(op, inputs, vec![element.operand(shape(to))], move |bytes, _| {
        let indices = Element { dtype: DType::I32, quant: QParams::UNIT }.values(&bytes[1]);
        vec![element.taken(&bytes[0], &oracle::gather(&numbers(from), axis, &indices), 0)]
    })
    .feature(Feature::StrayIndex, stray)
}

pub(super) fn tile(draw: &mut Draw<'_>) -> Draft {
    let from = [draw.size(1, 2), draw.size(1, 3), draw.size(1, 3), draw.size(1, 4)];
    let to = from.map(|size| size * draw.pick(&[1, 1, 2, 3]));
    let to_size = size(shape(to));
    Element::any(draw)
        .moved(Op::Tile(Tile {}), shape(from), shape(to), 0, move |x| oracle::tile(x, to_size))
        .feature(Feature::Broadcast, (0..4).any(|a| from[a] == 1 && to[a] > 1))
}

/// A small image and its shape with the channels of each pixel spread over a block.
fn deep_and_wide(draw: &mut Draw<'_>) -> (Shape, Shape, u16) {
    let block = draw.pick(&[2, 1, 3]);
    let [n, h, w, c] = [draw.size(1, 2), draw.size(1, 3), draw.size(1, 3), draw.size(1, 3)];
    let deep = Shape::new(n, h, w, c * block * block);
    (deep, Shape::new(n, h * block, w * block, c), block as u16)
}

pub(super) fn depth_to_space(draw: &mut Draw<'_>) -> Draft {
    let (deep, wide, block) = deep_and_wide(draw);
    let order = draw.pick(&[BlockOrder::ChannelInnermost, BlockOrder::ChannelOutermost]);
    let op = Op::DepthToSpace(DepthToSpace { block, order });
    Element::any(draw).moved(op, deep, wide, 0, move |x| {
        oracle::depth_to_space(x, usize::from(block), order == BlockOrder::ChannelOutermost)
    })
}

pub(super) fn space_to_depth(draw: &mut Draw<'_>) -> Draft {
    let (deep, wide, block) = deep_and_wide(draw);
    let op = Op::SpaceToDepth(SpaceToDepth { block });
    Element::any(draw).moved(op, wide, deep, 0, move |x| oracle::space_to_depth(x, usize::from(block)))
}

/// Samples of blocks and the image that they are cut from, with its edges: top, bottom, left, right.
struct Blocks {
    samples: Shape,
    image: Shape,
    block: [u16; 2],
    pad: Pad,
}

impl Blocks {
    fn draw(draw: &mut Draw<'_>) -> Self {
        let block = [draw.pick(&[2, 1, 3]), draw.pick(&[2, 1, 3])];
        let (n, c) = (draw.size(1, 2), draw.size(1, 4));
        let [h, w] = block.map(|b| b * draw.size(1, 3));
        let mut edges = |size: u32| {
            let before = draw.size(0, (size - 1).min(3));
            (before, draw.size(0, (size - 1 - before).min(3)))
        };
        let ((top, bottom), (left, right)) = (edges(h), edges(w));
        let narrow = |v: u32| v as u16;
        Self {
            samples: Shape::new(n * block[0] * block[1], h / block[0], w / block[1], c),
            image: Shape::new(n, h - top - bottom, w - left - right, c),
            block: block.map(narrow),
            pad: Pad { top: narrow(top), bottom: narrow(bottom), left: narrow(left), right: narrow(right) },
        }
    }

    fn edges(&self) -> [usize; 4] {
        let Pad { top, bottom, left, right } = self.pad;
        [top, bottom, left, right].map(usize::from)
    }
}

pub(super) fn space_to_batch(draw: &mut Draw<'_>) -> Draft {
    let blocks = Blocks::draw(draw);
    let element = Element::any(draw);
    let op = Op::SpaceToBatch(SpaceToBatch { block: blocks.block, pad: blocks.pad });
    let zero = i64::from(element.quant.zero_point);
    let (block, edges) = (blocks.block.map(usize::from), blocks.edges());
    element
        .moved(op, blocks.image, blocks.samples, zero, move |x| oracle::space_to_batch(x, block, edges, -1))
        .feature(Feature::Padded, edges != [0; 4])
}

pub(super) fn batch_to_space(draw: &mut Draw<'_>) -> Draft {
    let blocks = Blocks::draw(draw);
    let op = Op::BatchToSpace(BatchToSpace { block: blocks.block, crop: blocks.pad });
    let (block, edges) = (blocks.block.map(usize::from), blocks.edges());
    Element::any(draw)
        .moved(op, blocks.samples, blocks.image, 0, move |x| oracle::batch_to_space(x, block, edges))
}
