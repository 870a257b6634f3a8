//! Constants, changes of type, and persistent tensors.

use super::{Lowering, factor, table, unsupported};
use crate::graph::{Node, State};
use crate::ops::RequantizeRule;
use crate::quantise::QuantiseError;
use dunlin::format::{Blob, DType};
use dunlin::ops as int8;
use dunlin::quant::Requant;

impl Lowering<'_> {
    /// A tensor in the data section.
    pub(super) fn constant(&mut self, node: &Node) -> Result<(), QuantiseError> {
        let id = usize::from(self.tensor(node.outputs[0])?);
        let param = self.graph.param(node.params[0]);
        let (dtype, quant) = (self.program.tensors[id].dtype, self.program.tensors[id].quant);
        if param.data.iter().any(|v| !v.is_finite()) {
            return Err(QuantiseError::NotFinite { node: node.name.clone(), param: param.name.clone() });
        }
        let ints = |lo: f32, hi: f32| -> Vec<i64> {
            match &param.pin {
                Some(pin) => pin.ints.clone(),
                None => {
                    let steps = |v: &f32| (v / quant.scale).round() + f32::from(quant.zero_point);
                    param.data.iter().map(|v| steps(v).clamp(lo, hi) as i64).collect()
                }
            }
        };
        let data = &mut self.program.data;
        let blob: Blob = match dtype {
            DType::I8 => data.push(&ints(-128.0, 127.0).iter().map(|&v| v as i8).collect::<Vec<_>>()),
            DType::U8 => data.push(&ints(0.0, 255.0).iter().map(|&v| v as u8).collect::<Vec<_>>()),
            DType::I16 => data.push(&ints(-32768.0, 32767.0).iter().map(|&v| v as i16).collect::<Vec<_>>()),
            DType::I32 => data
                .push(&ints(i32::MIN as f32, i32::MAX as f32).iter().map(|&v| v as i32).collect::<Vec<_>>()),
            DType::F32 => data.push(&param.data),
            DType::U16 => data.push(&ints(0.0, 65535.0).iter().map(|&v| v as u16).collect::<Vec<_>>()),
        };
        self.program.tensors[id].constant = Some(blob);
        Ok(())
    }

    /// A change of type or scale by the operator that the two types need.
    pub(super) fn requantize(&mut self, node: &Node, rule: RequantizeRule) -> Result<(), QuantiseError> {
        let (from, to) = (self.tensor(node.inputs[0])?, self.tensor(node.outputs[0])?);
        let tensor = |id: u16| &self.program.tensors[usize::from(id)];
        let (a, b) = (tensor(from), tensor(to));
        let op = match (a.dtype, b.dtype) {
            (a_type, b_type) if a_type == b_type && a.quant == b.quant => int8::Op::Reshape(int8::Reshape {}),
            (DType::I8, DType::I8) if rule == RequantizeRule::Float => {
                let table = table::rescaled(a.quant, b.quant);
                int8::Op::Lut(int8::Lut { table: self.program.data.push(&table) })
            }
            (DType::I8, DType::I8) => {
                let scale = factor(node, 0, f64::from(a.quant.scale) / f64::from(b.quant.scale))?;
                int8::Op::Requantize(int8::Requantize { scale })
            }
            (DType::F32, DType::I8) => int8::Op::Quantize(int8::Quantize {}),
            (DType::I8, DType::F32) => int8::Op::Dequantize(int8::Dequantize {}),
            (DType::F32, DType::F32) => {
                return Err(unsupported(node, "real numbers have no scale to change"));
            }
            (DType::F32, _) | (_, DType::F32) => {
                int8::Op::Convert(int8::Convert { scale: Requant::ZERO, truncate: false })
            }
            _ => {
                let scale = factor(node, 0, f64::from(a.quant.scale) / f64::from(b.quant.scale))?;
                int8::Op::Convert(int8::Convert { scale, truncate: false })
            }
        };
        self.push(&node.name, op, vec![from], vec![to]);
        Ok(())
    }

    /// Gives every persistent tensor its content for the next run, after all nodes have read the old one.
    pub(super) fn states(&mut self) -> Result<(), QuantiseError> {
        let graph = self.graph;
        let mut pending = Vec::new();
        for state in &graph.states {
            // An operator that updates its state in place has written it already.
            if state.read != state.write && self.tensor(state.read)? != self.tensor(state.write)? {
                pending.push(*state);
            }
        }
        while !pending.is_empty() {
            // A state that another one still takes its content from is overwritten later.
            let reads = |s: &State| pending.iter().any(|other| other.write == s.read);
            let Some(at) = pending.iter().position(|s| !reads(s)) else {
                return Err(QuantiseError::Unsupported {
                    node: graph.value(pending[0].read).name.clone(),
                    op: "state",
                    reason:
                        "persistent tensors exchange their contents in a ring; copy one through an operator"
                            .into(),
                });
            };
            let state = pending.remove(at);
            let (from, to) = (self.tensor(state.write)?, self.tensor(state.read)?);
            let name = format!("{}.next", graph.value(state.read).name);
            let (a, b) = (&self.program.tensors[usize::from(from)], &self.program.tensors[usize::from(to)]);
            if a.dtype != b.dtype || a.quant != b.quant {
                return Err(QuantiseError::Unsupported {
                    node: name,
                    op: "state",
                    reason: "a persistent tensor and what is assigned to it have different scales".into(),
                });
            }
            self.push(&name, int8::Op::Reshape(int8::Reshape {}), vec![from], vec![to]);
        }
        Ok(())
    }
}
