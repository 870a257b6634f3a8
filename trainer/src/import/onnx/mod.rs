//! ONNX, operator sets 7 to 25, to [`Graph`].
//!
//! Nodes come from the protobuf and not from tract's own graph, in which recurrent layers are already loops. Every size is
//! known when the model is imported: symbolic sizes are 1 or given as an option, and what only computes shapes is computed
//! here.
//!
//! # Layout
//! The graph is NHWC, ONNX is NCHW. An input of rank 4 is an image `h, w, c` of the graph (pixels as a camera gives them),
//! also where the file first transposes such an image to NCHW; an input of rank 3 that goes to convolutions or pools is a
//! sequence `1, w, c`, time on `w`; every other input has the order of ONNX, its sizes other than 1 right-aligned. An
//! output of rank 4 stays as the network leaves it, which is NHWC behind operators on images; one of a lower rank has the
//! order of ONNX. [`Port`] says how each lies, and converts.

mod binary;
mod concat;
mod constant;
mod conv;
mod emit;
mod fail;
mod importer;
mod layout;
mod lookup;
mod matmul;
mod model;
mod node;
mod norm;
mod pad;
mod pool;
mod port;
mod qdq;
mod qlinear;
mod recurrent;
mod reduce;
mod reference;
mod resize;
mod select;
mod shape;
mod table;
mod tensor;
mod unary;
mod window;

pub use port::Port;
pub use reference::{Array, reference};

use super::{ImportError, UnsupportedNode};
use crate::graph::Graph;
use crate::passes::fuse_activations;
use constant::Elem;
use fail::Fail;
use importer::{Held, Importer, Item, Kind};
use layout::Layout;
use node::Node;
use std::collections::{BTreeMap, HashMap};
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Size;
use tract_onnx::pb::type_proto::Value as Type;
use tract_onnx::pb::{GraphProto, ValueInfoProto};

/// What a file leaves open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Name of the graph; that in the file where empty.
    pub name: String,
    /// Sizes of symbolic dimensions. The batch, which is the first size of an input or has a name that says so, is 1
    /// without being named here.
    pub sizes: BTreeMap<String, usize>,
    /// Shapes of inputs, in the order of ONNX, instead of those in the file.
    pub shapes: BTreeMap<String, Vec<usize>>,
}

/// An imported model.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The network.
    pub graph: Graph,
    /// Its inputs, in the order of the graph.
    pub inputs: Vec<Port>,
    /// Its outputs, in the order of the graph.
    pub outputs: Vec<Port>,
}

/// Imports a model.
///
/// # Errors
/// [`ImportError::Malformed`] for a file that is not ONNX, [`ImportError::Unsupported`] with every node that cannot be
/// imported, [`ImportError::Option`] where a size must be given.
pub fn import(bytes: &[u8], options: &Options) -> Result<Imported, ImportError> {
    let model = model::decode(bytes)?;
    let opset = model::opset(&model)?;
    let file = model.graph.as_ref().ok_or_else(|| ImportError::malformed("file", "it has no graph"))?;
    let nodes = model::nodes(file, opset)?;
    let name = if options.name.is_empty() { &file.name } else { &options.name };
    let mut im = Importer::new(if name.is_empty() { "model" } else { name });
    for node in &nodes {
        (0..node.inputs()).filter_map(|i| node.input(i)).for_each(|name| im.count_read(name));
    }
    file.output.iter().for_each(|output| im.count_read(&output.name));
    let mut unsupported = Vec::new();
    constants(&mut im, file, &mut unsupported)?;
    let inputs = inputs(&mut im, file, &nodes, options, &mut unsupported)?;
    for node in &nodes {
        run(&mut im, node, file, &mut unsupported)?;
    }
    let outputs = outputs(&mut im, file, &mut unsupported)?;
    if !unsupported.is_empty() {
        return Err(ImportError::Unsupported(unsupported));
    }
    qdq::spread_pins(&mut im);
    finish(im.graph, inputs, outputs)
}

/// Keeps a node that cannot be imported for the report; a malformed file ends the import.
fn note<T>(
    result: Result<T, Fail>,
    place: &str,
    op: &str,
    unsupported: &mut Vec<UnsupportedNode>,
) -> Result<Option<T>, ImportError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Fail::Unsupported { reason, instead }) => {
            unsupported.push(UnsupportedNode { node: place.into(), op: op.into(), reason, instead });
            Ok(None)
        }
        Err(Fail::Malformed(problem)) => Err(ImportError::malformed(format!("{op} `{place}`"), problem)),
    }
}

fn constants(
    im: &mut Importer,
    file: &GraphProto,
    unsupported: &mut Vec<UnsupportedNode>,
) -> Result<(), ImportError> {
    for sparse in &file.sparse_initializer {
        let name = sparse.values.as_ref().map_or("", |v| v.name.as_str());
        let fail = Fail::unsupported("is stored sparse", "store it dense");
        note::<()>(Err(fail), name, "initializer", unsupported)?;
        im.define(name, Item::Unknown);
    }
    for tensor in &file.initializer {
        if im.lookup(&tensor.name).is_some() {
            return Err(ImportError::malformed(format!("initializer `{}`", tensor.name), "exists twice"));
        }
        let read = note(tensor::read(tensor), &tensor.name, "initializer", unsupported)?;
        im.define(&tensor.name, read.map_or(Item::Unknown, Item::constant));
    }
    Ok(())
}

fn inputs(
    im: &mut Importer,
    file: &GraphProto,
    nodes: &[Node<'_>],
    options: &Options,
    unsupported: &mut Vec<UnsupportedNode>,
) -> Result<Vec<Port>, ImportError> {
    let readers = model::readers(nodes);
    let mut ports = Vec::new();
    for input in &file.input {
        // Files of the first IR versions list their constants as inputs too.
        if let Some(item) = im.lookup(&input.name) {
            if matches!(item, Item::Held(_)) {
                return Err(ImportError::malformed(format!("input `{}`", input.name), "exists twice"));
            }
            continue;
        }
        let dims = shape_of(input, options)?;
        let made = input_value(im, input, nodes, &readers, dims);
        match note(made, &input.name, "input", unsupported)? {
            Some(held) => {
                ports.push(Port::new(&input.name, &held));
                im.define(&input.name, Item::Held(held));
            }
            None => im.define(&input.name, Item::Unknown),
        }
    }
    Ok(ports)
}

fn input_value(
    im: &mut Importer,
    input: &ValueInfoProto,
    nodes: &[Node<'_>],
    readers: &HashMap<&str, Vec<usize>>,
    dims: Vec<usize>,
) -> Result<Held, Fail> {
    constant::count(&dims)?;
    if dims.contains(&0) {
        return Err(Fail::unsupported(format!("its shape {dims:?} has no element"), ""));
    }
    let code = match input.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(Type::TensorType(t)) => t.elem_type,
        None => return Err(Fail::unsupported("is no tensor", "inputs must be tensors")),
    };
    let kind = match Elem::from_code(code)? {
        Elem::F32 | Elem::F16 | Elem::F64 => Kind::Real,
        elem @ (Elem::I8 | Elem::U8) => qdq::input_kind(im, nodes, readers, &input.name, elem),
        Elem::I32 | Elem::I64 => Kind::Integer,
        other => {
            return Err(Fail::unsupported(
                format!("has elements of type {other:?}"),
                "float, int8, uint8, int32 and int64 inputs can be imported",
            ));
        }
    };
    let images = table::feeds_images(nodes, readers, &input.name, dims.len());
    let layout = if images { Layout::channels_last(&dims) } else { Layout::logical(&dims) };
    let layout = layout.ok_or_else(|| importer::too_many(&dims))?;
    let held = im.input(&input.name, dims, layout, kind)?;
    qdq::pin_input(im, &held)?;
    Ok(held)
}

/// Sizes of an input; symbolic ones from the options.
fn shape_of(input: &ValueInfoProto, options: &Options) -> Result<Vec<usize>, ImportError> {
    let name = &input.name;
    if let Some(dims) = options.shapes.get(name) {
        return Ok(dims.clone());
    }
    let place = || format!("input `{name}`");
    let Some(Type::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
        return Ok(Vec::new());
    };
    let Some(shape) = &tensor.shape else {
        return Err(ImportError::Option(format!("{} has no shape: give one", place())));
    };
    let mut dims = Vec::new();
    for (i, dim) in shape.dim.iter().enumerate() {
        let symbol = match &dim.value {
            Some(Size::DimValue(size)) => {
                let size = usize::try_from(*size)
                    .map_err(|_| ImportError::malformed(place(), format!("size {i} is {size}")))?;
                dims.push(size);
                continue;
            }
            Some(Size::DimParam(symbol)) => symbol.as_str(),
            None => "",
        };
        let batch =
            i == 0 || ["n", "batch", "batch_size", "batchsize"].contains(&symbol.to_lowercase().as_str());
        dims.push(match options.sizes.get(symbol) {
            Some(size) => *size,
            None if batch => 1,
            None => {
                let what = if symbol.is_empty() { "open".to_string() } else { format!("`{symbol}`") };
                return Err(ImportError::Option(format!(
                    "size {i} of {} is {what}: say how large it is",
                    place()
                )));
            }
        });
    }
    Ok(dims)
}

/// Imports one node, or notes why that is not possible.
fn run(
    im: &mut Importer,
    node: &Node<'_>,
    file: &GraphProto,
    unsupported: &mut Vec<UnsupportedNode>,
) -> Result<(), ImportError> {
    im.begin(&node.name);
    let known = (0..node.inputs())
        .filter_map(|i| node.input(i))
        .all(|name| !matches!(im.lookup(name), None | Some(Item::Unknown)));
    let made = match table::importer(node) {
        Err(fail) => Err(fail),
        // What a node that cannot be imported leaves behind cannot be judged; its shape may be in the file.
        Ok(_) if !known => Ok(Vec::new()),
        Ok(import) => import(im, node).and_then(|items| {
            node.check_attributes()?;
            if let Some(extra) = (items.len()..node.outputs()).find_map(|i| node.output(i)) {
                return Err(Fail::unsupported(
                    format!("its output `{extra}` is not computed"),
                    "do not use it",
                ));
            }
            Ok(items)
        }),
    };
    let items = note(made, &node.name, &node.title(), unsupported)?.unwrap_or_default();
    let mut items = items.into_iter();
    for i in 0..node.outputs() {
        let item = items.next();
        if let Some(name) = node.output(i) {
            let item = item.unwrap_or_else(|| placeholder(im, file, name));
            im.define(name, item);
        }
    }
    Ok(())
}

/// Stands for a tensor that cannot be computed, so that the nodes behind it are checked as well.
fn placeholder(im: &mut Importer, file: &GraphProto, name: &str) -> Item {
    let dims = file.value_info.iter().find(|v| v.name == name).and_then(|v| {
        let Some(Type::TensorType(t)) = v.r#type.as_ref()?.value.as_ref() else { return None };
        Elem::from_code(t.elem_type).ok().filter(|e| e.is_float())?;
        let size = |value: &Option<Size>| match value {
            Some(Size::DimValue(d)) => usize::try_from(*d).ok().filter(|d| *d > 0),
            _ => Some(1),
        };
        t.shape.as_ref()?.dim.iter().map(|d| size(&d.value)).collect::<Option<Vec<_>>>()
    });
    let held = dims.and_then(|dims| {
        let layout =
            Layout::channels_last(&dims).filter(|_| dims.len() == 4).or_else(|| Layout::logical(&dims))?;
        im.input(name, dims, layout, Kind::Real).ok()
    });
    held.map_or(Item::Unknown, Item::Held)
}

fn outputs(
    im: &mut Importer,
    file: &GraphProto,
    unsupported: &mut Vec<UnsupportedNode>,
) -> Result<Vec<Port>, ImportError> {
    if file.output.is_empty() {
        return Err(ImportError::malformed("graph", "it has no output"));
    }
    let mut ports = Vec::new();
    for output in &file.output {
        let place = || format!("output `{}`", output.name);
        let Some(item) = im.lookup(&output.name).cloned() else {
            return Err(ImportError::malformed(place(), "nothing writes it"));
        };
        if matches!(item, Item::Unknown) && !unsupported.is_empty() {
            continue;
        }
        im.begin(&output.name);
        let made = output_value(im, item);
        if let Some(held) = note(made, &output.name, "output", unsupported)? {
            ports.push(Port::new(&output.name, &held));
        }
    }
    Ok(ports)
}

/// The value of an output, arranged as the module says.
fn output_value(im: &mut Importer, item: Item) -> Result<Held, Fail> {
    let held = im.hold(item)?;
    let images = Layout::channels_last(&held.dims)
        .filter(|l| held.dims.len() == 4 && held.is_plain() && l.order() == held.layout.order());
    match images {
        Some(layout) => im.place(held, &layout),
        None => im.logical(held),
    }
}

/// Marks the outputs, drops what none of them needs and looks up where the ports lie now.
fn finish(mut graph: Graph, mut inputs: Vec<Port>, mut outputs: Vec<Port>) -> Result<Imported, ImportError> {
    for port in &outputs {
        graph.add_output(port.value);
    }
    graph.remove_dead();
    // An activation between a layer and its quantisation belongs to the layer: what is between has no scale of its own.
    if graph.values.iter().any(|v| v.pin.is_some()) {
        fuse_activations(&mut graph);
    }
    for (port, value) in inputs.iter_mut().zip(&graph.inputs) {
        port.value = *value;
    }
    for (port, value) in outputs.iter_mut().zip(&graph.outputs) {
        port.value = *value;
    }
    graph.validate()?;
    Ok(Imported { graph, inputs, outputs })
}
