//! Rows by index.

use super::rows::{entries, present, select_rows};
use super::{Context, DType, Data, DimId, OpError, Operator, two};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// The rows of input 0 that the list of indices, input 1, names, in its order: `[1,1,n,c]` and `[1,1,e,1]` give
/// `[1,1,e,c]`. An entry that names no row gives zeros.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GatherRows;

impl Operator for GatherRows {
    fn name(&self) -> &'static str {
        "gather_rows"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let (x, list) = two(inputs)?;
        super::rows::check(x)?;
        super::rows::check_list(list)?;
        Ok(vec![Shape::rows(list.w, x.c)])
    }

    fn input_types(&self, _inputs: usize) -> Vec<DType> {
        vec![DType::Float, DType::Rows]
    }

    fn output_rows(&self, inputs: &[Option<DimId>]) -> Option<Option<DimId>> {
        inputs.get(1).copied()
    }

    fn named_rows(&self, inputs: &[(Shape, Option<DimId>)]) -> Option<(u32, Option<DimId>)> {
        inputs.first().map(|(shape, dim)| (shape.w, *dim))
    }

    fn mixes_samples(&self, _inputs: &[Shape]) -> bool {
        true
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        let list = entries(&inputs[1]);
        let [c, _, _, rows] = x.dims();
        if rows == 0 {
            return vec![Data::Float(Tensor::zeros([c, 1, 1, list.len()], &x.device()))];
        }
        let (all, mask) = present(&list, rows, &x);
        let y = select_rows(x, &list, rows);
        vec![Data::Float(if all { y } else { y * mask })]
    }
}
