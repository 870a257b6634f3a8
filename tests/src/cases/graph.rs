//! Operators of graphs.

use super::element::Element;
use super::{Draft, Feature, Fill, Operand, quant, requant};
use crate::draw::Draw;
use crate::oracle::{self, Grid, Together};
use dunlin::fixed::softmax_table;
use dunlin::format::{DType, DataSection};
use dunlin::ops::{Aggregation, GatherRows, Op, ScatterReduce, SegmentSoftmax};
use dunlin::quant::QParams;
use dunlin::shape::Shape;

/// The bounded dimension of the edges, and that of the nodes.
const EDGES: u8 = 0;
const NODES: u8 = 1;

/// How many rows a set has, and whether that is a bound.
#[derive(Clone, Copy)]
struct Set {
    rows: u32,
    dim: Option<u8>,
}

impl Set {
    fn count(self, counts: &[u32], bounded: bool) -> usize {
        let dim = self.dim.filter(|_| bounded);
        dim.map_or(self.rows, |dim| counts[usize::from(dim)]) as usize
    }

    fn of(self, operand: Operand) -> Operand {
        Operand { rows: self.dim, ..operand }
    }

    /// A list with an entry for each row of this set, of rows of `target`.
    fn list(self, target: Set) -> Operand {
        let fill = Fill::Rows(target.rows, target.dim);
        let list =
            Operand { dtype: DType::U16, fill, ..Operand::int8(Shape::rows(self.rows, 1), QParams::UNIT) };
        self.of(list)
    }
}

/// Edges, nodes and the bounds of what is bounded: none, or both dimensions.
fn sets(draw: &mut Draw<'_>) -> (Set, Set, Vec<u32>) {
    let (edges, nodes) = (draw.size(1, 40), draw.size(1, 12));
    if draw.chance(30) {
        return (Set { rows: edges, dim: None }, Set { rows: nodes, dim: None }, Vec::new());
    }
    let mut bounded = |dim| draw.chance(80).then_some(dim);
    let (on_edges, on_nodes) = (bounded(EDGES), bounded(NODES));
    (Set { rows: edges, dim: on_edges }, Set { rows: nodes, dim: on_nodes }, vec![edges, nodes])
}

fn list(bytes: &[u8]) -> Vec<i64> {
    Element { dtype: DType::U16, quant: QParams::UNIT }.values(bytes)
}

pub(super) fn gather_rows(draw: &mut Draw<'_>) -> Draft {
    let (edges, nodes, dims) = sets(draw);
    let element =
        Element::of(draw, &[DType::I8, DType::I8, DType::I8, DType::U8, DType::I16, DType::I32, DType::F32]);
    let parts: Vec<(bool, u32)> = (0..draw.size(1, 4)).map(|_| (draw.chance(60), draw.size(1, 9))).collect();
    let gathered = parts.iter().enumerate().map(|(i, (by_index, _))| u16::from(*by_index) << i).sum();
    let mut inputs: Vec<Operand> = Vec::new();
    for &(by_index, c) in &parts {
        let set = if by_index { nodes } else { edges };
        inputs.push(set.of(element.operand(Shape::rows(set.rows, c))));
    }
    let lists = parts.iter().filter(|(by_index, _)| *by_index).count();
    inputs.extend((0..lists).map(|_| edges.list(nodes)));
    let channels = parts.iter().map(|(_, c)| c).sum();
    let output = edges.of(element.operand(Shape::rows(edges.rows, channels)));
    let bounded = !dims.is_empty();
    let joined = lists > 0 && lists < parts.len();
    let op = Op::GatherRows(GatherRows { gathered });
    Draft::new(op, inputs, vec![output], move |bytes, counts| {
        let mut next = parts.len();
        let of = |(i, &(by_index, c)): (usize, &(bool, u32))| {
            let set = if by_index { nodes } else { edges };
            let numbers = |size| Grid::build(size, |[_, _, w, k]| ((i * 64 + w) * 16 + k) as i64);
            let part = numbers([1, 1, set.count(counts, bounded), c as usize]);
            let list = by_index.then(|| {
                next += 1;
                list(&bytes[next - 1])
            });
            (part, list)
        };
        let parts: Vec<_> = parts.iter().enumerate().map(of).collect();
        let size = element.dtype.size() as usize;
        let value = |number: Option<i64>| match number {
            None => element.bytes(i64::from(element.quant.zero_point)),
            Some(number) => {
                let (i, w, k) = ((number / 1024) as usize, number / 16 % 64, number % 16);
                let at = (w as usize * parts[i].0.size[3] + k as usize) * size;
                bytes[i][at..at + size].to_vec()
            }
        };
        let rows = edges.count(counts, bounded);
        vec![oracle::gather_rows(&parts, rows).into_iter().flat_map(value).collect()]
    })
    .with_dims(dims)
    .feature(Feature::Joined, joined)
}

pub(super) fn scatter_reduce(draw: &mut Draw<'_>) -> Draft {
    let (edges, nodes, dims) = sets(draw);
    let channels = draw.size(1, 40);
    let (aggregation, together) = draw.pick(&[
        (Aggregation::Sum, Together::Sum),
        (Aggregation::Mean, Together::Mean),
        (Aggregation::Max, Together::Max),
    ]);
    let input = quant(draw);
    let output = if together == Together::Max { input } else { quant(draw) };
    let bits = if together == Together::Mean { 7 } else { 9 };
    let (factor, oracle_factor, feature) = requant(draw, bits);
    let op = Op::ScatterReduce(ScatterReduce { aggregation, factor });
    let inputs = vec![edges.of(Operand::int8(Shape::rows(edges.rows, channels), input)), edges.list(nodes)];
    let outputs = vec![nodes.of(Operand::int8(Shape::rows(nodes.rows, channels), output))];
    let zeros = [input, output].map(|q| i64::from(q.zero_point));
    let bounded = !dims.is_empty();
    let mut draft = Draft::new(op, inputs, outputs, move |bytes, counts| {
        let size = [1, 1, edges.count(counts, bounded), channels as usize];
        let x = Grid::from_i8(size, &bytes[0]);
        let rows = nodes.count(counts, bounded);
        vec![oracle::scatter_reduce(&x, &list(&bytes[1]), rows, together, zeros, oracle_factor).to_bytes()]
    })
    .with_dims(dims)
    .feature(Feature::Isolated, nodes.rows > edges.rows);
    draft.features.extend(feature.filter(|_| together != Together::Max));
    draft
}

pub(super) fn segment_softmax(draw: &mut Draw<'_>) -> Draft {
    let (edges, nodes, dims) = sets(draw);
    let shape = Shape::rows(edges.rows, draw.size(1, 6));
    let mut input = quant(draw);
    input.scale = draw.pick(&[0.05, 0.2, 1.0 / 256.0, 1.0, 4.0, 31.0, 1e-6]);
    let scale = f64::from(input.scale);
    let mut data = DataSection::new();
    let exp = data.push(&softmax_table(scale, 1.0).expect("the scales above are positive"));
    let op = Op::SegmentSoftmax(SegmentSoftmax { exp, segments: nodes.rows, dim: nodes.dim });
    let output = QParams { scale: 1.0 / 256.0, zero_point: -128 };
    let inputs = vec![edges.of(Operand::int8(shape, input)), edges.list(nodes)];
    let bounded = !dims.is_empty();
    Draft::new(op, inputs, vec![edges.of(Operand::int8(shape, output))], move |bytes, counts| {
        let x = Grid::from_i8([1, 1, edges.count(counts, bounded), shape.c as usize], &bytes[0]);
        let segments = nodes.count(counts, bounded);
        vec![oracle::segment_softmax(&x, &list(&bytes[1]), segments, scale).to_bytes()]
    })
    .with_data(data)
    .with_dims(dims)
}
