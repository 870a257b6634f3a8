//! What the operators of graphs share: sets of rows, and lists of indices that name them.

use super::{Data, OpError};
use burn::tensor::{Int, Tensor, TensorData};
use dunlin::shape::Shape;

/// Requires a set of rows.
pub(super) fn check(x: Shape) -> Result<(), OpError> {
    let expected = Shape::rows(x.w, x.c);
    if x == expected { Ok(()) } else { Err(OpError::Shape { what: "set of rows", expected, found: x }) }
}

/// Requires a list of indices.
pub(super) fn check_list(list: Shape) -> Result<(), OpError> {
    let expected = Shape::rows(list.w, 1);
    if list == expected {
        Ok(())
    } else {
        Err(OpError::Shape { what: "list of indices", expected, found: list })
    }
}

/// A set of rows and a list with an entry for each of them.
pub(super) fn listed(inputs: &[Shape]) -> Result<Shape, OpError> {
    let (x, list) = super::two(inputs)?;
    check(x)?;
    check_list(list)?;
    let expected = Shape::rows(x.w, 1);
    if list == expected {
        Ok(x)
    } else {
        Err(OpError::Shape { what: "list of indices", expected, found: list })
    }
}

/// The entries of a list; what is no index becomes one of no row.
pub(super) fn entries(list: &Data) -> Vec<usize> {
    let values = list.int().into_data().convert::<i64>();
    let values: Vec<i64> = values.try_into_vec().expect("converted to i64");
    values.into_iter().map(|v| usize::try_from(v).unwrap_or(usize::MAX)).collect()
}

/// Whether every entry names one of `rows` rows, and 1 for each that does, else 0, on the device of `like`.
pub(super) fn present(list: &[usize], rows: usize, like: &Tensor<4>) -> (bool, Tensor<4>) {
    let mask: Vec<f32> = list.iter().map(|&i| f32::from(i < rows)).collect();
    (list.iter().all(|&i| i < rows), constant(mask, [1, 1, 1, list.len()], like))
}

/// Numbers as a tensor beside `like`, to which no gradient flows.
pub(super) fn constant(values: Vec<f32>, dims: [usize; 4], like: &Tensor<4>) -> Tensor<4> {
    let plain = Tensor::from_data(TensorData::new(values, dims), &like.device().inner());
    if like.is_autodiff() { Tensor::from_inner(plain) } else { plain }
}

/// The list as positions of `rows` rows: an entry of no row becomes the first.
pub(super) fn positions(list: &[usize], rows: usize, like: &Tensor<4>) -> Tensor<1, Int> {
    let data: Vec<i64> = list.iter().map(|&i| if i < rows { i as i64 } else { 0 }).collect();
    let plain = Tensor::<1, Int>::from_data(TensorData::new(data, [list.len()]), &like.device().inner());
    if like.is_autodiff() { Tensor::from_inner(plain) } else { plain }
}

/// The rows of `x`, at least one, that `list` names.
pub(super) fn select_rows(x: Tensor<4>, list: &[usize], rows: usize) -> Tensor<4> {
    let at = positions(list, rows, &x);
    x.select(3, at)
}

/// The rows of `x`, `[c, 1, 1, list]`, added up by the entries of `list`, of which every one is below `rows`.
pub(super) fn add_rows(x: Tensor<4>, list: &[usize], rows: usize) -> Tensor<4> {
    use burn::tensor::IndexingUpdateOp;
    let [c, ..] = x.dims();
    let at = positions(list, rows, &x);
    Tensor::zeros([c, 1, 1, rows], &x.device()).select_assign(3, at, x, IndexingUpdateOp::Add)
}
