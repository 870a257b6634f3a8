//! The network in int8, through a session.

use crate::features::{EDGE_FEATURES, NODE_FEATURES};
use crate::tracker::Network;
use dunlin::format::{DType, Tensor};
use dunlin::quant::QParams;
use dunlin::{Session, SessionError};

/// A session of a model with the interface of the tracker: the inputs `nodes` and `edges`, i8, and the lists `from` and
/// `to`; bounded dimensions nodes and edges, in this order; the outputs edge logits and node logits, i8.
pub struct Int8<'s, 'a, 'm> {
    session: &'s mut Session<'a, 'm>,
    scales: [QParams; 4],
}

/// Why a session cannot serve a tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Int8Error {
    /// The model has other inputs, outputs or bounded dimensions.
    Interface,
    /// It has room for fewer nodes or edges than the tracker.
    Bounds {
        /// Nodes and edges of the model.
        model: [u32; 2],
        /// Nodes and edges of the tracker.
        tracker: [u32; 2],
    },
}

impl core::fmt::Display for Int8Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Interface => f.write_str(
                "the model is no tracker: it needs the inputs nodes, edges, from and to and the outputs edge and node logits",
            ),
            Self::Bounds { model, tracker } => write!(
                f,
                "the model has room for {} nodes and {} edges, the tracker has up to {} and {}",
                model[0], model[1], tracker[0], tracker[1]
            ),
        }
    }
}

impl core::error::Error for Int8Error {}

/// Whether a tensor has rows of `c` elements of this type, as many as bounded dimension `dim` says.
fn is_rows(t: &Tensor, dtype: DType, c: usize, dim: u8) -> bool {
    t.dtype == dtype && t.shape.c as usize == c && t.rows == Some(dim)
}

impl<'s, 'a, 'm> Int8<'s, 'a, 'm> {
    /// Checks that the model of `session` serves a tracker of up to `nodes` nodes and `edges` edges.
    ///
    /// # Errors
    /// Another interface, or less room.
    pub fn new(session: &'s mut Session<'a, 'm>, nodes: u32, edges: u32) -> Result<Self, Int8Error> {
        let model = session.model();
        let (mut inputs, mut outputs) = (model.inputs(), model.outputs());
        let exact = inputs.len() == 4 && outputs.len() == 2;
        let mut input = |dtype, c, dim| inputs.next().filter(|t| is_rows(t, dtype, c, dim));
        let i = [
            input(DType::I8, NODE_FEATURES, 0),
            input(DType::I8, EDGE_FEATURES, 1),
            input(DType::U16, 1, 1),
            input(DType::U16, 1, 1),
        ];
        let mut output = |dim| outputs.next().filter(|t| is_rows(t, DType::I8, 1, dim));
        let o = [output(1), output(0)];
        let ([Some(x), Some(e), Some(_), Some(_)], [Some(edge), Some(node)], &[node_bound, edge_bound], true) =
            (i, o, model.dims(), exact)
        else {
            return Err(Int8Error::Interface);
        };
        if node_bound < nodes || edge_bound < edges {
            return Err(Int8Error::Bounds { model: [node_bound, edge_bound], tracker: [nodes, edges] });
        }
        Ok(Self { scales: [x.quant, e.quant, edge.quant, node.quant], session })
    }

    fn write(&mut self, input: usize, at: usize, row: &[f32]) {
        let scale = self.scales[input];
        if let Ok(values) = self.session.input_mut::<i8>(input) {
            let start = at * row.len();
            if let Some(values) = values.get_mut(start..start + row.len()) {
                values.iter_mut().zip(row).for_each(|(q, &v)| *q = scale.quantize(v));
            }
        }
    }

    fn read(&self, output: usize, at: usize) -> f32 {
        let value = self.session.output::<i8>(output).ok().and_then(|values| values.get(at).copied());
        self.scales[2 + output].dequantize(value.unwrap_or(i8::MIN))
    }
}

impl Network for Int8<'_, '_, '_> {
    fn begin(&mut self, nodes: usize, edges: usize) {
        for (dim, count) in [nodes, edges].into_iter().enumerate() {
            // The tracker's capacities are within the bounds.
            let done: Result<(), SessionError> = self.session.set_len(dim, count as u32);
            debug_assert!(done.is_ok());
        }
    }

    fn node(&mut self, at: usize, features: &[f32; NODE_FEATURES]) {
        self.write(0, at, features);
    }

    fn edge(&mut self, at: usize, features: &[f32; EDGE_FEATURES]) {
        self.write(1, at, features);
    }

    fn run(&mut self, from: &[u16], to: &[u16]) {
        for (input, list) in [(2, from), (3, to)] {
            // The tracker gives as many entries as edges, each below the number of nodes.
            let done = self.session.set_indices(input, list);
            debug_assert!(done.is_ok());
        }
        self.session.run();
    }

    fn edge_logit(&self, at: usize) -> f32 {
        self.read(0, at)
    }

    fn node_logit(&self, at: usize) -> f32 {
        self.read(1, at)
    }
}
