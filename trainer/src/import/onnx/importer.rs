//! The state of an import: what each name of the file stands for, and the graph built so far.

use super::constant::{Constant, Elem, Elements};
use super::fail::Fail;
use super::layout::{Layout, Reshaped, wide};
use super::model::Names;
use super::node::Node;
use crate::graph::{Graph, ParamId, ValueId};
use crate::ops::{self, DType, Op};
use dunlin::shape::Shape;
use std::collections::HashMap;
use std::rc::Rc;

/// What a name of the file stands for.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// Elements known now.
    Constant(Rc<Constant>),
    /// A value of the graph.
    Held(Held),
    /// Output of a node that cannot be imported.
    Unknown,
}

/// A tensor of the file that is a value of the graph.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The value.
    pub(super) id: ValueId,
    /// ONNX sizes.
    pub(super) dims: Vec<usize>,
    /// Where its axes lie.
    pub(super) layout: Layout,
    /// What its elements mean.
    pub(super) kind: Kind,
}

/// What the elements of a tensor mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Real numbers.
    Real,
    /// Integers that stand for the real numbers `scale · (q − zero)`; the graph's value holds the real numbers.
    Quantised {
        /// Type of the integers.
        elem: Elem,
        /// Real number per step.
        scale: f32,
        /// The integer of the real number 0.
        zero: i64,
    },
    /// Indices.
    Integer,
}

impl Item {
    /// ONNX sizes; `None` where unknown.
    pub(super) fn dims(&self) -> Option<&[usize]> {
        match self {
            Self::Constant(c) => Some(&c.dims),
            Self::Held(h) => Some(&h.dims),
            Self::Unknown => None,
        }
    }

    /// A constant.
    pub(super) fn constant(c: Constant) -> Self {
        Self::Constant(Rc::new(c))
    }
}

impl Held {
    /// Whether every axis of the graph holds one axis of the tensor.
    pub(super) fn is_plain(&self) -> bool {
        self.layout.inner == self.dims
    }

    /// Another value with the same sizes, layout and meaning.
    pub(super) fn with_id(&self, id: ValueId) -> Self {
        Self { id, ..self.clone() }
    }

    /// The same value with another meaning of its axes.
    pub(super) fn seen(&self, dims: Vec<usize>, layout: Layout) -> Self {
        Self { dims, layout, ..self.clone() }
    }

    /// The same value as a tensor of a higher rank with leading sizes of 1.
    pub(super) fn lifted(&self, rank: usize) -> Self {
        let lead = rank.saturating_sub(self.dims.len());
        let pad = |dims: &[usize]| [vec![1; lead], dims.to_vec()].concat();
        let layout = Layout {
            inner: pad(&self.layout.inner),
            place: self.layout.place.map(|axis| axis.map(|axis| axis + lead)),
        };
        Self { id: self.id, dims: pad(&self.dims), layout, kind: self.kind }
    }
}

/// The state of an import.
pub(super) struct Importer {
    /// The graph built so far.
    pub(super) graph: Graph,
    items: HashMap<String, Item>,
    names: Names,
    /// Name of the node at work: prefix of the names of what it becomes.
    node: String,
    /// How often each name of the file is read, by nodes or as an output.
    reads: HashMap<String, usize>,
    /// Values that exist in another arrangement: value, permutation, shape.
    moved: HashMap<(ValueId, [usize; 4], Shape), ValueId>,
    /// Values that are a reshape of another.
    sources: HashMap<ValueId, ValueId>,
}

impl Importer {
    pub(super) fn new(name: &str) -> Self {
        Self {
            graph: Graph::new(name),
            items: HashMap::new(),
            names: Names::default(),
            node: String::new(),
            reads: HashMap::new(),
            moved: HashMap::new(),
            sources: HashMap::new(),
        }
    }

    /// Says which node is at work.
    pub(super) fn begin(&mut self, node: &str) {
        self.node = node.to_string();
    }

    /// Counts one more reader of `name`.
    pub(super) fn count_read(&mut self, name: &str) {
        *self.reads.entry(name.to_string()).or_default() += 1;
    }

    /// Whether `name` has one reader, and every other name of the same value of the graph has at most one, too.
    pub(super) fn is_private(&self, name: &str) -> bool {
        let Some(Item::Held(held)) = self.items.get(name) else { return false };
        let same = |item: &Item| matches!(item, Item::Held(h) if h.id == held.id);
        let names = self.items.iter().filter(|(_, item)| same(item)).map(|(name, _)| name);
        names.into_iter().all(|n| self.reads.get(n).copied().unwrap_or(0) <= 1)
    }

    /// Lets `name` stand for `item`.
    pub(super) fn define(&mut self, name: &str, item: Item) {
        self.items.insert(name.to_string(), item);
    }

    /// What `name` stands for.
    pub(super) fn lookup(&self, name: &str) -> Option<&Item> {
        self.items.get(name)
    }

    /// Adds an input of the graph.
    pub(super) fn input(
        &mut self,
        name: &str,
        dims: Vec<usize>,
        layout: Layout,
        kind: Kind,
    ) -> Result<Held, Fail> {
        let name = self.names.unique(name);
        let dtype = if kind == Kind::Integer { DType::Int } else { DType::Float };
        let id = self.graph.add_typed_input(&name, layout.shape(), dtype)?;
        Ok(Held { id, dims, layout, kind })
    }

    /// Input `i` of `node`.
    pub(super) fn item(&self, node: &Node<'_>, i: usize) -> Result<Item, Fail> {
        let name = node.input(i).ok_or_else(|| Fail::malformed(format!("input {i} is missing")))?;
        let item = self.items.get(name).cloned();
        item.ok_or_else(|| Fail::malformed(format!("input {i}, `{name}`, does not exist")))
    }

    /// Input `i` of `node` as a value of the graph.
    pub(super) fn held(&mut self, node: &Node<'_>, i: usize) -> Result<Held, Fail> {
        let item = self.item(node, i)?;
        self.hold(item)
    }

    /// Input `i` of `node`, whose elements must be known.
    pub(super) fn constant(&self, node: &Node<'_>, i: usize) -> Result<Rc<Constant>, Fail> {
        match self.item(node, i)? {
            Item::Constant(c) => Ok(c),
            _ => {
                let name = node.input(i).unwrap_or_default();
                Err(Fail::unsupported(
                    format!("input {i}, `{name}`, is computed when the model runs"),
                    "store it in the file as an initializer",
                ))
            }
        }
    }

    /// As [`Importer::constant`]; `None` where the input is left out.
    pub(super) fn constant_if_given(&self, node: &Node<'_>, i: usize) -> Result<Option<Rc<Constant>>, Fail> {
        node.input(i).map(|_| self.constant(node, i)).transpose()
    }

    /// A value of the graph for `item`; known elements become a constant of the graph.
    pub(super) fn hold(&mut self, item: Item) -> Result<Held, Fail> {
        match item {
            Item::Held(held) => Ok(held),
            Item::Constant(c) => {
                let layout = Layout::logical(&c.dims).ok_or_else(|| too_many(&c.dims))?;
                self.hold_constant(&c, layout)
            }
            Item::Unknown => Err(Fail::unsupported("reads a node that cannot be imported", "")),
        }
    }

    /// A constant of the graph that lies as `layout` says.
    pub(super) fn hold_constant(&mut self, c: &Constant, layout: Layout) -> Result<Held, Fail> {
        let Elements::Float(_) = c.data else {
            return Err(Fail::unsupported(
                "reads integers where the graph needs real numbers",
                "cast them to float",
            ));
        };
        let data = arranged(c, &layout)?;
        let op = ops::Constant { shape: layout.shape() };
        let id = self.push("constant", op, &[], vec![data])?;
        Ok(Held { id, dims: c.dims.clone(), layout, kind: Kind::Real })
    }

    /// Inserts a node named after the one at work and `part`, with its parameters; returns its first output.
    pub(super) fn push(
        &mut self,
        part: &str,
        op: impl Into<Op>,
        inputs: &[ValueId],
        params: Vec<Vec<f32>>,
    ) -> Result<ValueId, Fail> {
        let outputs = self.push_all(part, op, inputs, params)?;
        outputs.first().copied().ok_or_else(|| Fail::unsupported("the operator has no output", ""))
    }

    /// As [`Importer::push`], with all outputs.
    pub(super) fn push_all(
        &mut self,
        part: &str,
        op: impl Into<Op>,
        inputs: &[ValueId],
        params: Vec<Vec<f32>>,
    ) -> Result<Vec<ValueId>, Fail> {
        let base = if part.is_empty() { self.node.clone() } else { format!("{}.{part}", self.node) };
        let name = self.names.unique(&base);
        let outputs = self.graph.push(&name, op, inputs)?;
        let ids = self.graph.nodes.last().map(|n| n.params.clone()).unwrap_or_default();
        if ids.len() != params.len() {
            let (has, given) = (ids.len(), params.len());
            return Err(Fail::malformed(format!("the operator has {has} parameters, {given} are given")));
        }
        for (id, data) in ids.into_iter().zip(params) {
            let param = &mut self.graph.params[id.0];
            if param.data.len() != data.len() {
                let (found, expected) = (data.len(), &param.dims);
                return Err(Fail::malformed(format!(
                    "`{}` has shape {expected:?}, {found} elements are given",
                    param.name
                )));
            }
            param.data = data;
        }
        Ok(outputs)
    }

    /// Parameters of the node inserted last.
    pub(super) fn last_params(&self) -> Vec<ParamId> {
        self.graph.nodes.last().map(|n| n.params.clone()).unwrap_or_default()
    }

    /// Gives the node inserted last these parameters, of the same shapes, instead of its own.
    pub(super) fn share_params(&mut self, ids: &[ParamId]) {
        let Some(node) = self.graph.nodes.last_mut() else { return };
        let own = std::mem::replace(&mut node.params, ids.to_vec());
        // Its own are the last that were made.
        let kept = self.graph.params.len().saturating_sub(own.len());
        self.graph.params.truncate(kept);
    }

    /// `held` with one axis of the graph for each axis of the tensor.
    pub(super) fn plain(&mut self, held: Held) -> Result<Held, Fail> {
        if held.is_plain() {
            return Ok(held);
        }
        let fine = Held { dims: held.layout.inner.clone(), ..held.clone() };
        let needed = fine.layout.gathered(&held.dims).ok_or_else(|| too_many(&held.dims))?;
        let fine = self.place(fine, &needed)?;
        let Reshaped::Regrouped(layout) = fine.layout.reshaped(&held.dims) else {
            return Err(too_many(&held.dims));
        };
        let id = self.reshape(fine.id, layout.shape())?;
        Ok(Held { id, layout, ..held })
    }

    /// `held`, plain, lying as `target` says: as it is, reshaped, or transposed.
    pub(super) fn place(&mut self, held: Held, target: &Layout) -> Result<Held, Fail> {
        let held = if held.layout.inner == target.inner { held } else { self.plain(held)? };
        let permutation = held.layout.permutation(target).ok_or_else(|| too_many(&held.dims))?;
        let id = if held.layout.order() == target.order() {
            self.reshape(held.id, target.shape())?
        } else {
            self.transpose(held.id, permutation, target.shape())?
        };
        Ok(Held { id, layout: target.clone(), ..held })
    }

    /// The value with another shape.
    pub(super) fn reshape(&mut self, value: ValueId, shape: Shape) -> Result<ValueId, Fail> {
        let source = self.sources.get(&value).copied().unwrap_or(value);
        if self.graph.shape(source) == shape {
            return Ok(source);
        }
        if self.graph.shape(value) == shape {
            return Ok(value);
        }
        let key = (source, [0, 1, 2, 3], shape);
        if let Some(id) = self.moved.get(&key) {
            return Ok(*id);
        }
        let id = self.push("reshape", ops::Reshape { shape }, &[source], vec![])?;
        self.sources.insert(id, source);
        self.moved.insert(key, id);
        Ok(id)
    }

    fn transpose(&mut self, value: ValueId, permutation: [usize; 4], shape: Shape) -> Result<ValueId, Fail> {
        let key = (value, permutation, shape);
        if let Some(id) = self.moved.get(&key) {
            return Ok(*id);
        }
        let id = self.permuted(value, permutation)?;
        self.moved.insert(key, id);
        Ok(id)
    }

    /// `held` as samples, space, channels.
    pub(super) fn channels_last(&mut self, held: Held) -> Result<Held, Fail> {
        let rank = held.dims.len();
        let Some(target) = Layout::channels_last(&held.dims) else {
            return Err(Fail::unsupported(
                format!("works on {} axes of space", rank.saturating_sub(2)),
                "one or two axes of space can be imported",
            ));
        };
        self.place(held, &target)
    }

    /// `held` in ONNX's order.
    pub(super) fn logical(&mut self, held: Held) -> Result<Held, Fail> {
        let held = self.plain(held)?;
        if held.layout.is_logical() {
            return Ok(held);
        }
        let target = Layout::logical(&held.dims).ok_or_else(|| too_many(&held.dims))?;
        self.place(held, &target)
    }

    /// `held`, plain, with `axis` on the channels; the others keep their order.
    pub(super) fn with_channels(&mut self, held: Held, axis: usize) -> Result<Held, Fail> {
        let held = self.plain(held)?;
        let [.., channels] = held.layout.place;
        let unit = held.dims.get(axis).is_some_and(|d| *d == 1);
        if channels == Some(axis) || (channels.is_none() && unit) {
            return Ok(held);
        }
        let mut order: Vec<usize> = held.layout.order().into_iter().filter(|a| *a != axis).collect();
        let mut place = [None; 4];
        if order.len() > 3 {
            return Err(too_many(&held.dims));
        }
        if !unit {
            place[3] = Some(axis);
        }
        for slot in (0..3).rev() {
            place[slot] = order.pop();
        }
        let target = Layout { inner: held.dims.clone(), place };
        self.place(held, &target)
    }
}

/// Elements of `c` as a graph's value in `layout` has them.
pub(super) fn arranged(c: &Constant, layout: &Layout) -> Result<Vec<f32>, Fail> {
    let mut order = layout.order();
    let missing = wide(&c.dims).iter().any(|a| !order.contains(a));
    if missing || layout.inner != c.dims {
        return Err(Fail::malformed(format!("a constant of shape {:?} does not fit", c.dims)));
    }
    order.extend((0..c.dims.len()).filter(|a| !order.contains(a)).collect::<Vec<_>>());
    Ok(c.permute(&order).to_floats())
}

/// More axes than the graph has.
pub(super) fn too_many(dims: &[usize]) -> Fail {
    Fail::unsupported(format!("needs a tensor of shape {dims:?}"), "four sizes other than 1 can be imported")
}
