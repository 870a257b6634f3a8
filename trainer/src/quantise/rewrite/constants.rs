//! The constants of an integer program: reading them, and writing those that are left into a new data section.

use super::unplanned;
use crate::quantise::QGraph;
use dunlin::format::{Blob, DataSection, Header, encode};
use dunlin::ops::{Filter, Op, WideFilter};

/// The data section of a program that the runtime accepts.
pub(super) struct Constants {
    bytes: Vec<u8>,
    /// Where some constant starts, ascending.
    starts: Vec<u32>,
}

impl Constants {
    /// The constants of `program`; `None` where the runtime would refuse it, so that whoever holds constants knows
    /// that all shapes fit and all constants are as long as their operators say.
    pub(super) fn of(program: &QGraph) -> Option<Self> {
        let file = encode(&unplanned::spec(program)?).ok()?;
        let (start, len) = Header::parse(file.as_slice()).ok()?.data;
        let bytes = file.as_slice().get(start as usize..(start + len) as usize)?.to_vec();
        let mut starts: Vec<u32> = program.tensors.iter().filter_map(|t| t.constant).map(|b| b.0).collect();
        for node in &program.nodes {
            let mut op = node.op;
            starts.extend(blobs(&mut op).into_iter().map(|b| b.0));
        }
        starts.sort_unstable();
        starts.dedup();
        Some(Self { bytes, starts })
    }

    /// `len` bytes of a constant.
    pub(super) fn bytes(&self, blob: Blob, len: usize) -> &[u8] {
        &self.bytes[blob.0 as usize..][..len]
    }

    /// `len` weights or shifts.
    pub(super) fn int8(&self, blob: Blob, len: usize) -> Vec<i8> {
        self.bytes(blob, len).iter().map(|&b| b as i8).collect()
    }

    /// `len` biases or multipliers.
    pub(super) fn int32(&self, blob: Blob, len: usize) -> Vec<i32> {
        self.bytes(blob, 4 * len).as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b)).collect()
    }

    /// A constant with whatever follows it up to the next.
    fn whole(&self, blob: Blob) -> &[u8] {
        let next = self.starts.partition_point(|&start| start <= blob.0);
        let end = self.starts.get(next).map_or(self.bytes.len(), |&end| end as usize);
        &self.bytes[blob.0 as usize..end]
    }

    /// Writes a new data section with the constants that `program`, made of the one of these constants, still has.
    pub(super) fn repack(&self, program: &mut QGraph) {
        let mut data = DataSection::new();
        for node in &mut program.nodes {
            node.op = self.copied(&node.op, &mut data);
        }
        for tensor in &mut program.tensors {
            let bytes = tensor.bytes() as usize;
            if let Some(blob) = &mut tensor.constant {
                *blob = data.push(self.bytes(*blob, bytes));
            }
        }
        program.data = data;
    }

    /// The operator with its constants, unchanged, in another data section.
    pub(super) fn copied(&self, op: &Op, data: &mut DataSection) -> Op {
        let mut op = *op;
        for blob in blobs(&mut op) {
            *blob = data.push(self.whole(*blob));
        }
        op
    }
}

/// The constants of an operator.
fn blobs(op: &mut Op) -> Vec<&mut Blob> {
    match op {
        Op::Conv2d(o) => of_filter(&mut o.filter),
        Op::DepthwiseConv2d(o) => of_filter(&mut o.filter),
        Op::TransposeConv2d(o) => of_filter(&mut o.filter),
        Op::Dense(o) => of_filter(&mut o.filter),
        Op::Conv2d16x8(o) => of_wide_filter(&mut o.filter),
        Op::DepthwiseConv2d16x8(o) => of_wide_filter(&mut o.filter),
        Op::TransposeConv2d16x8(o) => of_wide_filter(&mut o.filter),
        Op::Dense16x8(o) => of_wide_filter(&mut o.filter),
        Op::Lstm(dunlin::ops::Lstm { cell }) | Op::Lstm16x8(dunlin::ops::Lstm16x8 { cell }) => {
            vec![&mut cell.weights, &mut cell.recurrent, &mut cell.bias, &mut cell.factors, &mut cell.sigmoid]
        }
        Op::Svdf(o) => vec![&mut o.features, &mut o.time, &mut o.bias],
        Op::ResizeNearest(o) => vec![&mut o.rows, &mut o.columns],
        Op::Softmax(o) => vec![&mut o.exp],
        Op::Softmax16(o) => vec![&mut o.exp, &mut o.reciprocal],
        Op::SoftmaxTo16(o) => vec![&mut o.exp],
        Op::LogSoftmax(o) => vec![&mut o.exp, &mut o.difference],
        Op::Lut(o) => vec![&mut o.table],
        Op::Lut16(o) => vec![&mut o.table],
        Op::Logistic16(o) => vec![&mut o.table],
        Op::Tanh16(o) => vec![&mut o.table],
        // Named one by one, so that an operator with constants cannot be forgotten here.
        Op::MaxPool2d(_)
        | Op::MaxPool2dWithIndices(_)
        | Op::MaxUnpool2d(_)
        | Op::AveragePool2d(_)
        | Op::Add(_)
        | Op::Mul(_)
        | Op::Concat(_)
        | Op::Pad(_)
        | Op::Reshape(_)
        | Op::Slice(_)
        | Op::ResizeBilinear(_)
        | Op::ArgMax(_)
        | Op::Requantize(_)
        | Op::Quantize(_)
        | Op::Dequantize(_)
        | Op::Sub(_)
        | Op::Div(_)
        | Op::MinMax(_)
        | Op::SquaredDifference(_)
        | Op::PRelu(_)
        | Op::Add16(_)
        | Op::Sub16(_)
        | Op::Mul16(_)
        | Op::Convert(_)
        | Op::MaxPool2d16(_)
        | Op::AveragePool2d16(_)
        | Op::Rectify16(_)
        | Op::BatchMatMul(_)
        | Op::BatchMatMul16(_)
        | Op::Transpose(_)
        | Op::StridedSlice(_)
        | Op::MirrorPad(_)
        | Op::Gather(_)
        | Op::Tile(_)
        | Op::DepthToSpace(_)
        | Op::SpaceToDepth(_)
        | Op::SpaceToBatch(_)
        | Op::BatchToSpace(_)
        | Op::ReduceSum(_)
        | Op::ReduceExtreme(_)
        | Op::ArgExtreme(_)
        | Op::L2Normalize(_)
        | Op::Rsqrt16(_)
        | Op::ResizeBilinearF32(_)
        | Op::ResizeBilinear16(_) => Vec::new(),
    }
}

fn of_filter(filter: &mut Filter) -> Vec<&mut Blob> {
    vec![&mut filter.weights, &mut filter.bias, &mut filter.multiplier, &mut filter.shift]
}

fn of_wide_filter(filter: &mut WideFilter) -> Vec<&mut Blob> {
    vec![&mut filter.weights, &mut filter.bias, &mut filter.multiplier, &mut filter.shift]
}
