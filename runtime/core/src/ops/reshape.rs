//! Another shape of the same elements.

use super::{Io, Operands, Operator};
use crate::error::NodeFault;
use crate::isa::Isa;
use serde::{Deserialize, Serialize};

/// The same elements in the same order with another shape; free where the planner shares the memory.
///
/// Scale and zero point may differ: the integers are copied as they are, which reads them with the output's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reshape {}

impl Operator for Reshape {
    const IN_PLACE: bool = true;

    fn check(&self, cx: &Operands<'_>) -> Result<(), NodeFault> {
        cx.arity(1, 1)?;
        cx.fixed_rows()?;
        let (input, shape) = (cx.input(0), cx.output(0).shape);
        if shape.checked_elements() != input.shape.checked_elements() {
            return Err(NodeFault::InputShape(input.shape));
        }
        cx.expect(0, input.dtype, shape).map(|_| ())
    }

    fn run<I: Isa>(&self, io: &mut Io<'_, '_>) -> Option<()> {
        let views = io.views()?;
        let [y, _] = views.outputs;
        if !views.in_place {
            y.copy_from_slice(views.inputs[0]);
        }
        Some(())
    }
}
