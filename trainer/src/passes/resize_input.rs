//! Another size of the input picture.

use crate::graph::{Graph, GraphError};
use crate::ops::Op;
use dunlin::shape::{Padding, Shape, Window};

/// `graph` for pictures of `h x w`: every node is inserted anew, with the same parameters.
///
/// A window whose padding was that of TensorFlow's `SAME` for the old size gets that of the new size, and a pool
/// over the whole picture stays one.
///
/// # Errors
/// More than one input, a size for which a window does not fit or a parameter would change its size, an operator
/// that has the size of its output as an attribute and does not fit the new one.
pub fn resize_input(graph: &Graph, h: u32, w: u32) -> Result<Graph, GraphError> {
    let mut new =
        Graph { dims: graph.dims.clone(), meta: graph.meta.clone(), ..Graph::new(graph.name.clone()) };
    let mut map = vec![None; graph.values.len()];
    for id in &graph.inputs {
        let value = graph.value(*id);
        map[id.0] = Some(new.add_input(&value.name, value.shape.with_hw(h, w))?);
    }
    for node in &graph.nodes {
        let read = node
            .inputs
            .iter()
            .map(|v| map[v.0].ok_or_else(|| GraphError::Order { node: node.name.clone(), value: v.0 }));
        let read = read.collect::<Result<Vec<_>, _>>()?;
        let mut op = node.op.clone();
        if let (Some(window), Some(from)) = (window_mut(&mut op), node.inputs.first()) {
            *window = fitted(*window, graph.shape(*from), new.shape(read[0]));
        }
        let first = new.params.len();
        let written = new.push(&node.name, op, &read)?;
        for (at, id) in node.params.iter().enumerate() {
            let (old, param) = (graph.param(*id), &mut new.params[first + at]);
            if old.dims != param.dims {
                return Err(GraphError::Stored {
                    name: old.name.clone(),
                    expected: format!("{:?} for pictures of {h}x{w}", param.dims),
                    found: format!("{:?}", old.dims),
                });
            }
            *param = old.clone();
        }
        for (old, new) in node.outputs.iter().zip(written) {
            map[old.0] = Some(new);
        }
    }
    for id in &graph.outputs {
        new.add_output(map[id.0].ok_or_else(|| GraphError::Order { node: "output".into(), value: id.0 })?);
    }
    new.validate()?;
    Ok(new)
}

fn window_mut(op: &mut Op) -> Option<&mut Window> {
    match op {
        Op::Conv2d(o) => Some(&mut o.window),
        Op::DepthwiseConv2d(o) => Some(&mut o.window),
        Op::MaxPool(o) => Some(&mut o.window),
        Op::MaxPoolIndices(o) => Some(&mut o.window),
        Op::AvgPool(o) => Some(&mut o.window),
        _ => None,
    }
}

/// `window` over `old` as the same layer has it over `new`.
fn fitted(window: Window, old: Shape, new: Shape) -> Window {
    let whole = (u32::from(window.kernel_h), u32::from(window.kernel_w)) == (old.h, old.w);
    if whole && window.pad.is_none() && old.pixels() > 1 {
        return Window { kernel_h: new.h as u16, kernel_w: new.w as u16, ..window };
    }
    if window.resolve(Padding::Same, old.h, old.w) == Some(window) {
        return window.resolve(Padding::Same, new.h, new.w).unwrap_or(window);
    }
    window
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::testing::{filled, inputs, outputs};
    use crate::zoo::mobilenet;

    #[test]
    fn another_size_is_the_network_as_it_would_have_been_built() {
        let (small, large) = (mobilenet::graph(64, 96, 3).unwrap(), mobilenet::graph(128, 128, 3).unwrap());
        let (small, large) = (filled(small, 3), filled(large, 3));
        let resized = resize_input(&large, 64, 96).unwrap();
        assert_eq!(resized, small);
        let x = inputs(&small, 1);
        assert_eq!(outputs(&resized, &x), outputs(&small, &x));
        assert_eq!(resize_input(&resized, 128, 128).unwrap(), large);
    }
}
