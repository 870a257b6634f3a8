//! Inputs and outputs of an imported graph, and how they lie.

use super::super::ImportError;
use super::constant::Constant;
use super::importer::{Held, Kind};
use crate::graph::ValueId;

/// How an input or output of the file lies in the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Name in the file.
    pub name: String,
    /// The graph's value.
    pub value: ValueId,
    /// Sizes in the order of ONNX.
    pub dims: Vec<usize>,
    /// For the graph's axes N, H, W, C the axis of ONNX that it holds; `None` has size 1.
    pub axes: [Option<usize>; 4],
    /// Real number per step and integer of the real number 0, where the file has integers that stand for real numbers.
    pub quant: Option<(f32, i64)>,
    /// Smallest and largest of these integers.
    pub range: (i64, i64),
}

impl Port {
    /// Elements in the graph's order from those in the order of ONNX.
    ///
    /// # Errors
    /// Another number of elements than the port has.
    pub fn to_graph(&self, elements: &[f32]) -> Result<Vec<f32>, ImportError> {
        let c = self.tensor(self.dims.clone(), elements)?;
        Ok(c.permute(&self.order()).to_floats())
    }

    /// Elements in the order of ONNX from those in the graph's order.
    ///
    /// # Errors
    /// Another number of elements than the port has.
    pub fn to_onnx(&self, elements: &[f32]) -> Result<Vec<f32>, ImportError> {
        let order = self.order();
        let dims = order.iter().filter_map(|a| self.dims.get(*a)).copied().collect();
        let c = self.tensor(dims, elements)?;
        let back: Vec<usize> = (0..order.len()).filter_map(|a| order.iter().position(|o| *o == a)).collect();
        Ok(c.permute(&back).to_floats())
    }

    fn tensor(&self, dims: Vec<usize>, elements: &[f32]) -> Result<Constant, ImportError> {
        let expected: usize = dims.iter().product();
        if elements.len() != expected {
            let (name, found) = (&self.name, elements.len());
            return Err(ImportError::Option(format!("`{name}` has {expected} elements, {found} are given")));
        }
        Ok(Constant::floats(dims, elements.to_vec()))
    }

    /// Every axis of ONNX once, in the order of memory.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = self.axes.iter().flatten().copied().collect();
        order.extend((0..self.dims.len()).filter(|a| !self.axes.contains(&Some(*a))));
        order
    }

    pub(super) fn new(name: &str, held: &Held) -> Self {
        let (quant, range) = match held.kind {
            Kind::Quantised { elem, scale, zero } => (Some((scale, zero)), elem.range()),
            Kind::Real | Kind::Integer => (None, (0, 0)),
        };
        Self {
            name: name.into(),
            value: held.id,
            dims: held.dims.clone(),
            axes: held.layout.place,
            quant,
            range,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_go_to_the_graph_and_back() {
        let axes = [None, Some(2), Some(3), Some(1)];
        let dims = vec![1, 3, 2, 2];
        let port = Port { name: "x".into(), value: ValueId(0), dims, axes, quant: None, range: (0, 0) };
        let onnx: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let graph = port.to_graph(&onnx).unwrap();
        assert_eq!(graph[..6], [0.0, 4.0, 8.0, 1.0, 5.0, 9.0]);
        assert_eq!(port.to_onnx(&graph).unwrap(), onnx);
        assert!(port.to_graph(&onnx[1..]).is_err());
    }
}
