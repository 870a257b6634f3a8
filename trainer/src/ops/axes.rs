//! Axes of the graph (NHWC) on tensors of the executor (CNHW), for operators that move elements.

use super::OpError;
use burn::tensor::kind::Basic;
use burn::tensor::{Device, Int, Tensor, TensorData};
use dunlin::shape::Shape;

/// Names of the axes, as errors print them.
const NAMES: [&str; 4] = ["n", "h", "w", "c"];

/// Sizes of a shape in the order of its axes.
pub(super) fn sizes(s: Shape) -> [u32; 4] {
    [s.n, s.h, s.w, s.c]
}

/// The shape of these sizes.
pub(super) fn shape([n, h, w, c]: [u32; 4]) -> Shape {
    Shape { n, h, w, c }
}

/// Where the executor keeps axis `axis` of the graph.
pub(super) fn dim(axis: usize) -> usize {
    (axis + 1) % 4
}

/// What the executor keeps in dimension `dim`.
pub(super) fn axis(dim: usize) -> usize {
    (dim + 3) % 4
}

/// An attribute that does not fit an axis.
pub(super) fn on_axis(axis: usize, x: Shape, what: impl std::fmt::Display) -> OpError {
    OpError::Attribute(format!("{what} on axis {} of input {x}", NAMES[axis]))
}

/// Applies one expression to the tensor inside, whatever it holds.
macro_rules! either {
    ($data:expr, |$x:ident| $body:expr) => {
        match $data {
            Data::Float($x) => Data::Float($body),
            Data::Int($x) => Data::Int($body),
        }
    };
}
pub(super) use either;

/// The elements along dimension `dim` with these indices, in their order. Differentiable.
pub(super) fn select<K: Basic>(x: Tensor<4, K>, dim: usize, indices: &[usize]) -> Tensor<4, K> {
    let in_order = indices.windows(2).all(|pair| pair[1] == pair[0] + 1);
    match indices.first() {
        Some(&first) if in_order && indices.len() == x.dims()[dim] && first == 0 => x,
        Some(&first) if in_order => x.narrow(dim, first, indices.len()),
        _ => {
            let device = x.device();
            x.select(dim, positions(indices, &device))
        }
    }
}

fn positions(indices: &[usize], device: &Device) -> Tensor<1, Int> {
    let data: Vec<i64> = indices.iter().map(|&i| i as i64).collect();
    Tensor::from_data(TensorData::new(data, [indices.len()]), device)
}

/// The tensor as `[n, h, w, c]` and back.
pub(super) fn to_nhwc<K: Basic>(x: Tensor<4, K>) -> Tensor<4, K> {
    x.permute([1, 2, 3, 0])
}

/// The inverse of [`to_nhwc`].
pub(super) fn from_nhwc<K: Basic>(x: Tensor<4, K>) -> Tensor<4, K> {
    x.permute([3, 0, 1, 2])
}
