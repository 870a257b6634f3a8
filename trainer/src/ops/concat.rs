//! Concatenation.

use super::axes::dim;
use super::{Context, Data, OpError, Operator};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// An axis of an NHWC tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Axis {
    /// Rows.
    H,
    /// Columns.
    W,
    /// Channels.
    C,
    /// Samples.
    N,
}

impl Axis {
    /// Size of `shape` along this axis.
    pub fn of(self, shape: Shape) -> u32 {
        match self {
            Axis::H => shape.h,
            Axis::W => shape.w,
            Axis::C => shape.c,
            Axis::N => shape.n,
        }
    }

    /// `shape` with this axis set to `size`.
    pub fn with(self, shape: Shape, size: u32) -> Shape {
        match self {
            Axis::H => Shape { h: size, ..shape },
            Axis::W => Shape { w: size, ..shape },
            Axis::C => Shape { c: size, ..shape },
            Axis::N => Shape { n: size, ..shape },
        }
    }

    /// Its place among the axes, 0 to 3.
    pub fn index(self) -> usize {
        match self {
            Axis::N => 0,
            Axis::H => 1,
            Axis::W => 2,
            Axis::C => 3,
        }
    }
}

/// Puts its inputs one after the other along `axis`; all other sizes agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Concat {
    /// The axis.
    pub axis: Axis,
}

impl Operator for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let [first, ..] = inputs else {
            return Err(OpError::InputCount { expected: "at least 1", found: 0 });
        };
        let mut size = 0u32;
        for x in inputs {
            let expected = self.axis.with(*first, self.axis.of(*x));
            if *x != expected {
                return Err(OpError::Shape { what: "input to concatenate", expected, found: *x });
            }
            size = size
                .checked_add(self.axis.of(*x))
                .ok_or_else(|| OpError::Attribute("the concatenated axis exceeds 32 bits".into()))?;
        }
        Ok(vec![self.axis.with(*first, size)])
    }

    fn any_type(&self) -> bool {
        true
    }

    fn mixes_samples(&self, _inputs: &[Shape]) -> bool {
        self.axis == Axis::N
    }

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let dim = dim(self.axis.index());
        vec![match &inputs[0] {
            Data::Float(_) => Data::Float(Tensor::cat(inputs.iter().map(Data::float).collect(), dim)),
            Data::Int(_) => Data::Int(Tensor::cat(inputs.iter().map(Data::int).collect(), dim)),
        }]
    }
}
