//! Resource variables: persistent tensors of the graph.

use super::build::Stop;
use super::call::Call;
use super::file::Part;
use crate::graph::ValueId;
use tract_tflite::tflite::BuiltinOperator as B;

impl Call<'_, '_, '_> {
    pub(super) fn var_handle(&mut self) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_var_handle_options())?;
        let name = format!("{}/{}", o.container().unwrap_or(""), o.shared_name().unwrap_or(""));
        let id = self.output_id(0)?;
        self.builder.handles.insert(id, name);
        Ok(())
    }

    fn variable(&self) -> Result<String, Stop> {
        let id = self.required(0)?;
        let name = self.builder.handles.get(&id).cloned();
        name.ok_or_else(|| Stop::refused("a variable whose handle is not made by VAR_HANDLE", ""))
    }

    /// The persistent tensor of a variable, made where it is first seen, with the shape and pin of tensor `id`.
    fn state(&mut self, variable: &str, id: usize) -> Result<ValueId, Stop> {
        let tensor = self.tensor(id);
        if tensor.elements() == 0 {
            return Err(Stop::refused(
                format!("variable `{variable}` has no elements"),
                "give it a fixed shape",
            ));
        }
        let (shape, pin) = (tensor.shape(), self.builder.pin(id));
        let name = self.builder.unique(variable.rsplit('/').next().unwrap_or(variable));
        let state = self.builder.graph.add_state(&name, shape)?;
        self.builder.graph.values[state.0].pin = pin;
        self.builder.variables.insert(variable.to_string(), (state, state));
        Ok(state)
    }

    pub(super) fn read_variable(&mut self) -> Result<(), Stop> {
        let variable = self.variable()?;
        let id = self.output_id(0)?;
        let now = match self.builder.variables.get(&variable) {
            Some((_, now)) => *now,
            None => self.state(&variable, id)?,
        };
        let now = self.moved(now, 0)?;
        self.give(0, now)
    }

    pub(super) fn assign_variable(&mut self) -> Result<(), Stop> {
        let variable = self.variable()?;
        let id = self.required(1)?;
        let value = self.value(1)?;
        if !self.builder.variables.contains_key(&variable) {
            self.state(&variable, id)?;
        }
        let Some((start, _)) = self.builder.variables.get(&variable).copied() else { return Ok(()) };
        let shape = self.builder.graph.shape(start);
        let value = self.reshaped(value, shape)?;
        self.builder.variables.insert(variable, (start, value));
        Ok(())
    }

    /// A subgraph that runs once, before the first run: accepted where all it does is to set variables to zero.
    pub(super) fn call_once(&mut self) -> Result<(), Stop> {
        let o = self.options(self.op().builtin_options_as_call_once_options())?;
        let index =
            usize::try_from(o.init_subgraph_index()).map_err(|_| self.broken("a negative subgraph"))?;
        let part = Part::read(self.builder.model, index)?;
        for (kind, name, op) in &part.ops {
            match *kind {
                B::VAR_HANDLE => {}
                B::ASSIGN_VARIABLE => {
                    let id = op.inputs().filter(|v| v.len() > 1).and_then(|v| usize::try_from(v.get(1)).ok());
                    let tensor = id.and_then(|id| part.tensors.get(id));
                    let zero = tensor.and_then(|t| t.zeros.first().copied()).unwrap_or(0);
                    let is_zero = tensor.is_some_and(|t| match (t.ints(), t.floats()) {
                        (Some(ints), _) => ints.iter().all(|v| *v == zero),
                        (_, Some(floats)) => floats.iter().all(|v| *v == 0.0),
                        _ => false,
                    });
                    if !is_zero {
                        return Err(Stop::refused(
                            "it sets a variable to something other than zero",
                            "variables that start at zero",
                        ));
                    }
                }
                _ => {
                    return Err(Stop::refused(
                        format!("its subgraph runs {name}"),
                        "a subgraph of VAR_HANDLE and ASSIGN_VARIABLE",
                    ));
                }
            }
        }
        Ok(())
    }
}
