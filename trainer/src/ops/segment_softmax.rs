//! Softmax over rows that share an index.

use super::rows::{add_rows, constant, entries, listed, present, select_rows};
use super::{Context, DType, Data, DimId, OpError, Operator};
use burn::tensor::Tensor;
use dunlin::shape::Shape;
use serde::{Deserialize, Serialize};

/// Softmax of each channel over all rows with the same entry in the list of indices, input 1: the attention of a node
/// over its edges (Veličković et al. 2018). A row whose entry names no segment is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentSoftmax {
    /// Number of segments, or its bound.
    pub segments: u32,
    /// Bounded dimension that gives the number of segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dim: Option<DimId>,
}

impl Operator for SegmentSoftmax {
    fn name(&self) -> &'static str {
        "segment_softmax"
    }

    fn infer(&self, inputs: &[Shape]) -> Result<Vec<Shape>, OpError> {
        let x = listed(inputs)?;
        Ok(vec![x])
    }

    fn input_types(&self, _inputs: usize) -> Vec<DType> {
        vec![DType::Float, DType::Rows]
    }

    fn output_rows(&self, inputs: &[Option<DimId>]) -> Option<Option<DimId>> {
        inputs.first().copied()
    }

    fn named_rows(&self, _inputs: &[(Shape, Option<DimId>)]) -> Option<(u32, Option<DimId>)> {
        Some((self.segments, self.dim))
    }

    fn mixes_samples(&self, _inputs: &[Shape]) -> bool {
        true
    }

    fn forward(&self, ctx: &mut Context<'_>, inputs: &[Data], _params: &[Tensor<4>]) -> Vec<Data> {
        let x = inputs[0].float();
        let list = entries(&inputs[1]);
        let segments = self.dim.map_or(self.segments as usize, |dim| ctx.counts[dim.0]);
        let [c, _, _, width] = x.dims();
        if segments == 0 || width == 0 {
            return vec![Data::Float(x.zeros_like())];
        }
        // The largest value of each segment, to which no gradient flows: it cancels.
        let values: Vec<f32> = x.clone().into_data().try_into_vec().expect("activations are f32");
        let mut largest = vec![f32::NEG_INFINITY; c * segments];
        for (at, &value) in values.iter().enumerate() {
            if list[at % width] < segments {
                let slot = &mut largest[at / width * segments + list[at % width]];
                *slot = slot.max(value);
            }
        }
        let shift = values.iter().enumerate().map(|(at, &value)| match list[at % width] < segments {
            true => largest[at / width * segments + list[at % width]],
            false => value,
        });
        let shift = constant(shift.collect(), [c, 1, 1, width], &x);
        let (_, mask) = present(&list, segments, &x);
        let exp = (x - shift).exp() * mask;
        let sums = add_rows(exp.clone(), &list, segments);
        // A segment without rows is never looked at, but the first may be, for a row of no segment.
        let below = select_rows(sums, &list, segments).clamp_min(f32::MIN_POSITIVE);
        vec![Data::Float(exp / below)]
    }
}
