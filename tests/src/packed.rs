//! A model file for one core, without the planner.

use dunlin::format::{ProgramSpec, Scratch, encode, pack};
use dunlin::{AlignedVec, Model, Storage, Target};

/// The file for `target`: its constants packed, and the working memory of nodes that it likes larger behind the arena.
///
/// # Errors
/// The runtime refuses the file, before or after.
pub fn packed(bytes: &[u8], target: Target) -> Result<AlignedVec, String> {
    let file = AlignedVec::from_slice(bytes);
    let mut tables = Box::new(Storage::<1024, 2048, 4096>::new());
    let model = Model::parse(file.as_slice(), &mut tables).map_err(|e| e.to_string())?;
    let mut spec = ProgramSpec::from_model(&model);
    let offset = spec.arena_len.next_multiple_of(16);
    for node in &mut spec.nodes {
        let bytes =
            |&isa| dunlin::scratch_bytes(&node.op, &spec.tensors, &node.inputs, &node.outputs, isa) as u32;
        let needed = target.planned().iter().map(bytes).max().unwrap_or(0);
        if needed > node.scratch.len {
            node.scratch = Scratch { offset, len: needed };
            spec.arena_len = spec.arena_len.max(offset + needed);
        }
    }
    encode(&pack(&spec, target)).map_err(|e| e.to_string())
}
