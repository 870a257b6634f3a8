//! Products of matrices that are both values.

use super::{Context, Data, OpError, Operator, two};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// `a · b` of the matrices in the last two axes: `[n, h, m, k]` times `[n, h, k, c]`, either stored transposed. Of `n`
/// and `h` each operand has the size of the result or 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BatchMatMul {
    /// The matrices of `a` are stored transposed.
    pub transpose_a: bool,
    /// The matrices of `b` are stored transposed.
    pub transpose_b: bool,
}

impl Operator for BatchMatMul {
    fn name(&self) -> &'static str {
        "batch_matmul"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let (a, b) = two(inputs)?;
        let turned = |s: Shape, turn: bool| if turn { (s.c, s.w) } else { (s.w, s.c) };
        let ((m, k), (depth, c)) = (turned(a, self.transpose_a), turned(b, self.transpose_b));
        let joined = |x: u32, y: u32| if x == y || y == 1 { Some(x) } else { (x == 1).then_some(y) };
        let batch = joined(a.n, b.n).zip(joined(a.h, b.h)).filter(|_| k == depth);
        let Some((n, h)) = batch else {
            return Err(OpError::Shape { what: "second factor, for the first", expected: a, found: b });
        };
        Ok(vec![Shape::new(n, h, m, c)])
    }

    fn macs(&self, inputs: &[Shape]) -> u64 {
        let k = if self.transpose_a { inputs[0].w } else { inputs[0].c };
        let output = self.infer(inputs).map_or(0, |shapes| shapes[0].elements() as u64);
        output * u64::from(k)
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let matrices = |i: usize, turn: bool| {
            let nhwc = inputs[i].float().permute([1, 2, 3, 0]);
            if turn { nhwc.swap_dims(2, 3) } else { nhwc }
        };
        let (mut a, mut b) = (matrices(0, self.transpose_a), matrices(1, self.transpose_b));
        for axis in [0, 1] {
            let (x, y) = (a.dims()[axis], b.dims()[axis]);
            if x < y {
                a = a.repeat_dim(axis, y);
            } else if y < x {
                b = b.repeat_dim(axis, x);
            }
        }
        vec![Data::Float(a.matmul(b).permute([3, 0, 1, 2]))]
    }
}
