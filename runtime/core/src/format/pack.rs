//! A planned program for one core: weights and channel constants in the order in which its kernels read them.

use super::{Blob, DataSection, Place, ProgramSpec};
use crate::isa::Target;
use crate::ops::Operands;
use alloc::vec::Vec;

/// `spec`, whose constants are portable, with the constants of every layer that `target` packs in its own layout.
///
/// The working memory of the nodes must have been planned for the target's instruction set.
pub fn pack(spec: &ProgramSpec, target: Target) -> ProgramSpec {
    let old = &spec.data;
    let mut packed = ProgramSpec { target, data: DataSection::new(), ..spec.clone() };
    let data = &mut packed.data;
    let copy = |data: &mut DataSection, blob: Blob| data.push(old.get(blob));
    for node in &mut packed.nodes {
        let cx = Operands {
            tensors: &spec.tensors,
            inputs: &node.inputs,
            outputs: &node.outputs,
            data: old.as_slice(),
            target: Target::Portable,
        };
        let parts = node.op.packable(&cx).and_then(|(filter, layer, zeros)| {
            let p = filter.reduction(&cx, &layer, zeros[0], zeros[1]).ok()?;
            if p.weight_zero == 0 { target.pack(&layer, &p) } else { None }
        });
        let blobs: Vec<&mut Blob> = node.op.blobs();
        match parts {
            Some(parts) => {
                let places = [data.push(&parts.weights), data.push(&parts.constants)];
                // The constants of a channel lie together: bias, multiplier and shift are one blob.
                for (i, blob) in blobs.into_iter().enumerate() {
                    *blob = places[i.min(1)];
                }
            }
            None => blobs.into_iter().for_each(|blob| *blob = copy(data, *blob)),
        }
    }
    for tensor in &mut packed.tensors {
        if let Place::Data(at) = tensor.place {
            tensor.place = Place::Data(copy(data, Blob(at)).0);
        }
    }
    packed
}
