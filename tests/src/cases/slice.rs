//! A box cut out of a tensor.

use super::{Draft, Operand, quant};
use crate::draw::Draw;
use crate::oracle;
use dunlin::ops::{Op, Slice};
use dunlin::quant::QParams;
use dunlin::shape::Shape;

pub(super) fn draft(draw: &mut Draw<'_>) -> Draft {
    let shape = [draw.size(1, 3), draw.size(1, 5), draw.size(1, 5), draw.size(1, 6)];
    let size = shape.map(|s| draw.size(1, s));
    let begin = [0, 1, 2, 3].map(|a| draw.size(0, shape[a] - size[a]));
    let (from, to) =
        (Shape::new(shape[0], shape[1], shape[2], shape[3]), Shape::new(size[0], size[1], size[2], size[3]));
    let op = Op::Slice(Slice { begin });
    let (begin, size) = (begin.map(|b| b as usize), size.map(|s| s as usize));
    match draw.range(0, 3) {
        3 => {
            // Elements of four bytes, moved as they are: the oracle moves their indices.
            let (from, to) = (Operand::real(from), Operand::real(to));
            Draft::new(op, vec![from], vec![to], move |bytes, _| {
                let elements = bytes[0].chunks_exact(4).collect::<Vec<_>>();
                let mut next = 0;
                let indices = oracle::Grid::build(shape.map(|s| s as usize), |_| {
                    next += 1;
                    next - 1
                });
                let cut = oracle::slice(&indices, begin, size);
                vec![cut.data.iter().flat_map(|&i| elements[i as usize].to_vec()).collect()]
            })
        }
        2 => Draft::unary(op, Operand::uint8(from), Operand::uint8(to), move |x| {
            oracle::slice(&x, begin, size)
        }),
        _ => {
            let q: QParams = quant(draw);
            Draft::unary(op, Operand::int8(from, q), Operand::int8(to, q), move |x| {
                oracle::slice(&x, begin, size)
            })
        }
    }
}
