//! Operators that move or compare elements of any type.

use super::{Draft, Operand, quant};
use crate::draw::Draw;
use crate::oracle::Grid;
use dunlin::format::DType;
use dunlin::ops::Op;
use dunlin::quant::QParams;
use dunlin::shape::Shape;

/// Type and quantisation of the elements of a tensor.
#[derive(Clone, Copy)]
pub(super) struct Element {
    pub(super) dtype: DType,
    pub(super) quant: QParams,
}

impl Element {
    /// One of these types; scale and zero point where the type has them.
    pub(super) fn of(draw: &mut Draw<'_>, types: &[DType]) -> Self {
        let dtype = draw.pick(types);
        let quant = match dtype {
            DType::I8 => quant(draw),
            DType::I16 => QParams { zero_point: 0, ..quant(draw) },
            DType::U8 | DType::I32 | DType::F32 | DType::U16 => QParams::UNIT,
        };
        Self { dtype, quant }
    }

    /// Any type, i8 most often.
    pub(super) fn any(draw: &mut Draw<'_>) -> Self {
        Self::of(draw, &[DType::I8, DType::I8, DType::I8, DType::U8, DType::I16, DType::I32, DType::F32])
    }

    /// A tensor of such elements.
    pub(super) fn operand(self, shape: Shape) -> Operand {
        Operand { dtype: self.dtype, ..Operand::int8(shape, self.quant) }
    }

    /// A number as bytes.
    pub(super) fn bytes(self, value: i64) -> Vec<u8> {
        match self.dtype {
            DType::I8 | DType::U8 => vec![value as u8],
            DType::I16 => i16::try_from(value).expect("a value of i16").to_le_bytes().to_vec(),
            DType::U16 => u16::try_from(value).expect("a value of u16").to_le_bytes().to_vec(),
            DType::I32 => i32::try_from(value).expect("a value of i32").to_le_bytes().to_vec(),
            DType::F32 => (value as f32).to_le_bytes().to_vec(),
        }
    }

    /// The integers in `bytes`.
    pub(super) fn values(self, bytes: &[u8]) -> Vec<i64> {
        let value = |b: &[u8]| match *b {
            [b] if self.dtype == DType::U8 => i64::from(b),
            [b] => i64::from(b as i8),
            [a, b] if self.dtype == DType::U16 => i64::from(u16::from_le_bytes([a, b])),
            [a, b] => i64::from(i16::from_le_bytes([a, b])),
            [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
            _ => panic!("{:?} has no such size", self.dtype),
        };
        bytes.chunks_exact(self.dtype.size() as usize).map(value).collect()
    }

    /// A draft of an operator that moves elements: the oracle moves their numbers. -1 stands for `padding`.
    pub(super) fn moved(
        self,
        op: Op,
        from: Shape,
        to: Shape,
        padding: i64,
        oracle: impl Fn(&Grid) -> Grid + 'static,
    ) -> Draft {
        Draft::new(op, vec![self.operand(from)], vec![self.operand(to)], move |bytes, _| {
            vec![self.taken(&bytes[0], &oracle(&numbers(from)), padding)]
        })
    }

    /// The elements of `bytes` with these numbers.
    pub(super) fn taken(self, bytes: &[u8], numbers: &Grid, padding: i64) -> Vec<u8> {
        let elements: Vec<&[u8]> = bytes.chunks_exact(self.dtype.size() as usize).collect();
        let element = |&number: &i64| match usize::try_from(number) {
            Ok(number) => elements[number].to_vec(),
            Err(_) => self.bytes(padding),
        };
        numbers.data.iter().flat_map(element).collect()
    }
}

/// Sizes as the oracle takes them.
pub(super) fn size(s: Shape) -> [usize; 4] {
    [s.n, s.h, s.w, s.c].map(|d| d as usize)
}

/// The shape of these sizes.
pub(super) fn shape([n, h, w, c]: [u32; 4]) -> Shape {
    Shape { n, h, w, c }
}

/// A small shape with every axis.
pub(super) fn small(draw: &mut Draw<'_>) -> [u32; 4] {
    [draw.size(1, 3), draw.size(1, 5), draw.size(1, 5), draw.size(1, 6)]
}

/// The elements of a shape, numbered in their order.
pub(super) fn numbers(s: Shape) -> Grid {
    let mut next = -1;
    Grid::build(size(s), |_| {
        next += 1;
        next
    })
}
