//! Removal of what no output needs.

use super::{Graph, ParamId, ValueId};

impl Graph {
    /// Removes nodes whose outputs nobody uses, then values and parameters that no node uses. Ids change;
    /// inputs stay.
    pub fn remove_dead(&mut self) {
        let mut live = vec![false; self.values.len()];
        for id in self.outputs.iter().chain(self.states.iter().map(|s| &s.write)) {
            live[id.0] = true;
        }
        let mut keep = vec![false; self.nodes.len()];
        for (i, node) in self.nodes.iter().enumerate().rev() {
            keep[i] = node.outputs.iter().any(|o| live[o.0]);
            if keep[i] {
                for v in node.inputs.iter().chain(&node.outputs) {
                    live[v.0] = true;
                }
            }
        }
        for id in self.inputs.iter().chain(self.states.iter().map(|s| &s.read)) {
            live[id.0] = true;
        }
        let mut kept = keep.iter();
        self.nodes.retain(|_| kept.next().copied().unwrap_or(false));
        let mut used = vec![false; self.params.len()];
        for p in self.nodes.iter().flat_map(|n| &n.params) {
            used[p.0] = true;
        }
        let value_map = compact(&mut self.values, &live);
        let param_map = compact(&mut self.params, &used);
        for node in &mut self.nodes {
            for v in node.inputs.iter_mut().chain(node.outputs.iter_mut()) {
                *v = ValueId(value_map[v.0]);
            }
            for p in &mut node.params {
                *p = ParamId(param_map[p.0]);
            }
        }
        let states = self.states.iter_mut().flat_map(|s| [&mut s.read, &mut s.write]);
        for v in self.inputs.iter_mut().chain(self.outputs.iter_mut()).chain(states) {
            *v = ValueId(value_map[v.0]);
        }
    }
}

/// Keeps the marked elements and returns the new index of each.
fn compact<T>(items: &mut Vec<T>, keep: &[bool]) -> Vec<usize> {
    let mut next = 0;
    let map = keep
        .iter()
        .map(|k| {
            let at = next;
            next += usize::from(*k);
            at
        })
        .collect();
    let mut kept = keep.iter();
    items.retain(|_| kept.next().copied().unwrap_or(false));
    map
}
