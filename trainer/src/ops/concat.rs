//! Concatenation.

use super::{Context, Data, OpError, Operator};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// An axis of an NHWC tensor that is not the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Axis {
    /// Rows.
    H,
    /// Columns.
    W,
    /// Channels.
    C,
}

impl Axis {
    /// Size of `shape` along this axis.
    pub fn of(self, shape: Shape) -> u32 {
        match self {
            Axis::H => shape.h,
            Axis::W => shape.w,
            Axis::C => shape.c,
        }
    }

    /// `shape` with this axis set to `size`.
    pub fn with(self, shape: Shape, size: u32) -> Shape {
        match self {
            Axis::H => Shape { h: size, ..shape },
            Axis::W => Shape { w: size, ..shape },
            Axis::C => Shape { c: size, ..shape },
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

    fn forward(&self, _ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let dim = match self.axis {
            Axis::C => 0,
            Axis::H => 2,
            Axis::W => 3,
        };
        vec![Data::Float(Tensor::cat(inputs.iter().map(Data::float).collect(), dim))]
    }
}
