//! What must hold of a graph: types, shapes, order, parameters.

use super::{Graph, GraphError, State, ValueId, stored};
use crate::ops::Op;
use dunlin::shape::Shape;

impl Graph {
    pub(super) fn check_inputs(
        &self,
        name: &str,
        op: &Op,
        inputs: &[ValueId],
    ) -> Result<Vec<Shape>, GraphError> {
        let types = match inputs.first().and_then(|v| self.values.get(v.0)) {
            Some(first) if op.operator().any_type() => vec![first.dtype; inputs.len()],
            _ => op.operator().input_types(inputs.len()),
        };
        let mut shapes = Vec::with_capacity(inputs.len());
        for (index, id) in inputs.iter().enumerate() {
            let value = self
                .values
                .get(id.0)
                .ok_or_else(|| GraphError::Order { node: name.to_string(), value: id.0 })?;
            if let Some(&expected) = types.get(index)
                && expected != value.dtype
            {
                return Err(GraphError::Type {
                    node: name.to_string(),
                    index,
                    value: value.name.clone(),
                    expected,
                    found: value.dtype,
                });
            }
            shapes.push(value.shape);
        }
        Ok(shapes)
    }

    /// Checks everything that [`Graph::push`] checks on a graph that a pass has edited.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn validate(&self) -> Result<(), GraphError> {
        if self.outputs.is_empty() {
            return Err(GraphError::NoOutput(self.name.clone()));
        }
        let mut written = vec![false; self.values.len()];
        for id in self.inputs.iter().chain(self.states.iter().map(|s| &s.read)) {
            written[id.0] = true;
        }
        for node in &self.nodes {
            if let Some(v) = node.inputs.iter().find(|v| !written.get(v.0).copied().unwrap_or(false)) {
                return Err(GraphError::Order { node: node.name.clone(), value: v.0 });
            }
            let shapes = self.check_inputs(&node.name, &node.op, &node.inputs)?;
            let inferred = infer(&node.name, &node.op, &shapes)?;
            self.check_rows(&node.name, &node.op, &node.inputs)?;
            for (id, shape) in node.outputs.iter().zip(&inferred) {
                let value = self.value(*id);
                if value.shape != *shape {
                    return Err(stored(&value.name, shape, value.shape));
                }
                written[id.0] = true;
            }
            let specs = node.op.operator().params(&shapes);
            if specs.len() != node.params.len() {
                return Err(stored(&node.name, specs.len(), node.params.len()));
            }
            for (id, spec) in node.params.iter().zip(&specs) {
                let param = self.param(*id);
                if param.dims != spec.dims || param.data.len() != spec.dims.iter().product::<usize>() {
                    return Err(stored(
                        &param.name,
                        format!("{:?}", spec.dims),
                        format!("{:?} with {} elements", param.dims, param.data.len()),
                    ));
                }
            }
        }
        let ends = self.outputs.iter().chain(self.states.iter().map(|s| &s.write));
        if let Some(v) = ends.into_iter().find(|v| !written.get(v.0).copied().unwrap_or(false)) {
            return Err(GraphError::Order { node: "output".into(), value: v.0 });
        }
        for State { read, write } in &self.states {
            if self.shape(*read) != self.shape(*write) {
                return Err(stored(&self.value(*read).name, self.shape(*read), self.shape(*write)));
            }
        }
        Ok(())
    }
}

pub(super) fn infer(name: &str, op: &Op, shapes: &[Shape]) -> Result<Vec<Shape>, GraphError> {
    let operator = op.operator();
    operator.infer(shapes).map_err(|source| GraphError::Op {
        node: name.to_string(),
        op: operator.name(),
        source,
    })
}
