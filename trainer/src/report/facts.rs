//! What there is to know of a `.dun` file: its nodes, tensors, lifetimes and totals. The field names are the
//! keys of `dunlin inspect --json`.

use super::cost;
use dunlin::format::{DType, Header, Metadata, Node, Place};
use dunlin::shape::Shape;
use dunlin::{AlignedVec, Model, ParseError, Storage};
use serde::Serialize;
use std::collections::BTreeSet;

/// A whole model.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    /// Name of the network.
    pub name: String,
    /// How it was made.
    pub recipe: String,
    /// Licence of the data that it was trained on.
    pub data_licence: String,
    /// Class names by label.
    pub labels: Vec<String>,
    /// Scaling of the first input.
    pub scaling: ScalingFacts,
    /// Version of the format.
    pub format_version: u16,
    /// Ids of the input tensors.
    pub inputs: Vec<u16>,
    /// Ids of the output tensors.
    pub outputs: Vec<u16>,
    /// Bounds of the bounded dimensions.
    pub dims: Vec<u32>,
    /// Nodes in the order in which they run.
    pub nodes: Vec<NodeFacts>,
    /// Tensors by id.
    pub tensors: Vec<TensorFacts>,
    /// Sums.
    pub totals: Totals,
    /// Const generics of the smallest `Storage` that holds the model.
    pub storage: StorageFacts,
}

/// `real = (raw * factor - mean[c]) / std[c]`.
#[derive(Clone, Debug, Serialize)]
pub struct ScalingFacts {
    /// Factor of the raw value.
    pub factor: f32,
    /// Mean per channel.
    pub mean: [f32; 4],
    /// Standard deviation per channel.
    pub std: [f32; 4],
}

/// A node.
#[derive(Clone, Debug, Serialize)]
pub struct NodeFacts {
    /// Its place in the order.
    pub index: usize,
    /// Operator.
    pub op: &'static str,
    /// Ids of the tensors read.
    pub inputs: Vec<u16>,
    /// Ids of the tensors written.
    pub outputs: Vec<u16>,
    /// Shape of the first input, NHWC.
    pub input_shape: [u32; 4],
    /// Shape of the first output, NHWC.
    pub output_shape: [u32; 4],
    /// Window, for operators that have one.
    pub window: Option<WindowFacts>,
    /// True where only the label of the largest channel is stored.
    pub fused_argmax: bool,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of weights.
    pub weight_bytes: u64,
    /// Offset of a layer's weights in the data section; the same for nodes that share them.
    pub weights_at: Option<u32>,
    /// Bytes of working memory in the arena.
    pub scratch_bytes: u32,
    /// Offset of the working memory in the arena.
    pub scratch_offset: u32,
}

/// A sliding window.
#[derive(Clone, Debug, Serialize)]
pub struct WindowFacts {
    /// Rows and columns.
    pub kernel: [u16; 2],
    /// Rows and columns between two positions.
    pub stride: [u16; 2],
    /// Rows and columns between two taps.
    pub dilation: [u16; 2],
    /// Padding: top, bottom, left, right.
    pub pad: [u16; 4],
}

impl std::fmt::Display for WindowFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.kernel[0], self.kernel[1])?;
        let [sh, sw] = self.stride;
        match () {
            () if sh != sw => write!(f, " /{sh}x{sw}")?,
            () if sh != 1 => write!(f, " /{sh}")?,
            () => {}
        }
        let [dh, dw] = self.dilation;
        match () {
            () if dh != dw => write!(f, " dil {dh}x{dw}")?,
            () if dh != 1 => write!(f, " dil {dh}")?,
            () => {}
        }
        let [top, bottom, left, right] = self.pad;
        match () {
            () if self.pad == [0; 4] => Ok(()),
            () if self.pad == [top; 4] => write!(f, " pad {top}"),
            () => write!(f, " pad {top},{bottom},{left},{right}"),
        }
    }
}

/// A tensor.
#[derive(Clone, Debug, Serialize)]
pub struct TensorFacts {
    /// Id.
    pub index: usize,
    /// Element type: `i8`, `u8`, `i16`, `i32`, `f32`.
    pub dtype: &'static str,
    /// Shape, NHWC.
    pub shape: [u32; 4],
    /// Bytes at its bound.
    pub bytes: u32,
    /// `arena`, `state` or `data`.
    pub memory: &'static str,
    /// Offset in that memory.
    pub offset: u32,
    /// Real value of one step.
    pub scale: f32,
    /// Integer that stands for zero.
    pub zero_point: i16,
    /// When it is first needed: 0 is before node 0, `i + 1` is node `i`.
    pub first: usize,
    /// When it is last needed; one more than the number of nodes for outputs and what persists.
    pub last: usize,
}

/// Sums over a model.
#[derive(Clone, Debug, Serialize)]
pub struct Totals {
    /// Bytes of the file.
    pub file_bytes: u32,
    /// Bytes of the node table.
    pub program_bytes: u32,
    /// Bytes of names, recipe and labels.
    pub metadata_bytes: u32,
    /// Bytes of weights, biases, multipliers, shifts and tables.
    pub data_bytes: u32,
    /// Bytes of weights alone; those that several nodes share count once.
    pub weight_bytes: u64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of arena.
    pub arena_bytes: usize,
    /// Bytes of persistent tensors.
    pub state_bytes: usize,
    /// Most bytes of the arena that are in use at one time: no plan can be smaller.
    pub largest_live_bytes: u64,
    /// Node at which that is.
    pub largest_live_node: usize,
}

/// Const generics of a `Storage`.
#[derive(Clone, Debug, Serialize)]
pub struct StorageFacts {
    /// `NODES`.
    pub nodes: usize,
    /// `TENSORS`.
    pub tensors: usize,
    /// `IDS`.
    pub ids: usize,
}

fn array(s: Shape) -> [u32; 4] {
    [s.n, s.h, s.w, s.c]
}

fn dtype_name(d: DType) -> &'static str {
    match d {
        DType::I8 => "i8",
        DType::U8 => "u8",
        DType::I16 => "i16",
        DType::I32 => "i32",
        DType::F32 => "f32",
        DType::U16 => "u16",
    }
}

fn node_facts(model: &Model<'_>, index: usize, node: &Node) -> NodeFacts {
    let (inputs, outputs) = (model.ids(node.inputs), model.ids(node.outputs));
    let tensor = |list: &[u16], i: usize| list.get(i).map(|&id| model.tensors()[usize::from(id)]);
    let (input, output) = (tensor(inputs, cost::weighted_input(&node.op)), tensor(outputs, 0));
    let both = input.zip(output);
    NodeFacts {
        index,
        op: node.op.name(),
        inputs: inputs.to_vec(),
        outputs: outputs.to_vec(),
        input_shape: input.map_or([0; 4], |t| array(t.shape)),
        output_shape: output.map_or([0; 4], |t| array(t.shape)),
        window: cost::window(&node.op).map(|w| WindowFacts {
            kernel: [w.kernel_h, w.kernel_w],
            stride: [w.stride_h, w.stride_w],
            dilation: [w.dilation_h, w.dilation_w],
            pad: [w.pad.top, w.pad.bottom, w.pad.left, w.pad.right],
        }),
        fused_argmax: cost::fused_argmax(&node.op),
        macs: dunlin_emulator::meter::macs(model, node),
        weight_bytes: both.map_or(0, |(i, o)| cost::weights(&node.op, &i, &o)),
        weights_at: cost::weights_at(&node.op),
        scratch_bytes: node.scratch.len,
        scratch_offset: node.scratch.offset,
    }
}

/// Bytes of all weights; those that several nodes share count once.
fn weight_bytes(nodes: &[NodeFacts]) -> u64 {
    let mut seen = BTreeSet::new();
    let new = |node: &&NodeFacts| node.weights_at.is_none_or(|at| seen.insert(at));
    nodes.iter().filter(new).map(|n| n.weight_bytes).sum()
}

/// First and last time at which each tensor is needed.
fn lives(model: &Model<'_>) -> Vec<(usize, usize)> {
    let end = model.nodes().len() + 1;
    let tables = model.tables();
    let mut lives: Vec<Option<(usize, usize)>> = model
        .tensors()
        .iter()
        .map(|t| if matches!(t.place, Place::Arena(_)) { None } else { Some((0, end)) })
        .collect();
    for &id in tables.inputs {
        lives[usize::from(id)].get_or_insert((0, 0));
    }
    for (i, node) in model.nodes().iter().enumerate() {
        for &id in model.ids(node.inputs).iter().chain(model.ids(node.outputs)) {
            let life = lives[usize::from(id)].get_or_insert((i + 1, i + 1));
            life.1 = life.1.max(i + 1);
        }
    }
    for &id in tables.outputs {
        lives[usize::from(id)].get_or_insert((end, end)).1 = end;
    }
    lives.into_iter().map(|life| life.unwrap_or((0, 0))).collect()
}

impl Facts {
    /// The facts of the `.dun` file in `bytes`, at any alignment.
    ///
    /// # Errors
    /// The runtime refuses the file.
    pub fn read(bytes: &[u8]) -> Result<Self, ParseError> {
        let file = AlignedVec::from_slice(bytes);
        let header = Header::parse(file.as_slice())?;
        let mut storage = Box::new(Storage::<4096, 8192, 16384>::new());
        Ok(Self::new(&Model::parse(file.as_slice(), &mut storage)?, &header))
    }

    /// The facts of `model`, which was parsed from a file with this header.
    fn new(model: &Model<'_>, header: &Header) -> Self {
        let lives = lives(model);
        let tensors: Vec<TensorFacts> = model
            .tensors()
            .iter()
            .zip(&lives)
            .enumerate()
            .map(|(index, (t, &(first, last)))| {
                let (memory, offset) = match t.place {
                    Place::Arena(at) => ("arena", at),
                    Place::State(at) => ("state", at),
                    Place::Data(at) => ("data", at),
                };
                TensorFacts {
                    index,
                    dtype: dtype_name(t.dtype),
                    shape: array(t.shape),
                    bytes: t.bytes(),
                    memory,
                    offset,
                    scale: t.quant.scale,
                    zero_point: t.quant.zero_point,
                    first,
                    last,
                }
            })
            .collect();
        let nodes: Vec<NodeFacts> =
            model.nodes().iter().enumerate().map(|(i, n)| node_facts(model, i, n)).collect();
        let (largest_live_node, largest_live_bytes) = (0..nodes.len())
            .map(|i| (i, occupied(&nodes, &tensors, i + 1)))
            .max_by_key(|&(i, bytes)| (bytes, std::cmp::Reverse(i)))
            .unwrap_or((0, 0));
        let empty = Metadata {
            name: "",
            recipe: "",
            data_licence: "",
            labels: "",
            scaling: dunlin::format::Scaling::NONE,
        };
        let meta = model.metadata().unwrap_or(empty);
        let tables = model.tables();
        Self {
            name: meta.name.into(),
            recipe: meta.recipe.into(),
            data_licence: meta.data_licence.into(),
            labels: meta.labels.lines().map(Into::into).collect(),
            scaling: ScalingFacts {
                factor: meta.scaling.factor,
                mean: meta.scaling.mean,
                std: meta.scaling.std,
            },
            format_version: dunlin::format::VERSION,
            inputs: tables.inputs.to_vec(),
            outputs: tables.outputs.to_vec(),
            dims: model.dims().to_vec(),
            totals: Totals {
                file_bytes: header.file_len,
                program_bytes: header.program.1,
                metadata_bytes: header.metadata.1,
                data_bytes: header.data.1,
                weight_bytes: weight_bytes(&nodes),
                macs: nodes.iter().map(|n| n.macs).sum(),
                arena_bytes: model.arena_bytes(),
                state_bytes: model.state_bytes(),
                largest_live_bytes,
                largest_live_node,
            },
            storage: StorageFacts { nodes: nodes.len(), tensors: tensors.len(), ids: tables.ids.len() },
            nodes,
            tensors,
        }
    }

    /// Where the arena is in use at `time` (0 before the first node, `i + 1` at node `i`): the tensor or, with
    /// `None`, the node's working memory, and its bytes.
    pub fn in_use(&self, time: usize) -> Vec<(Option<usize>, std::ops::Range<u64>)> {
        in_use(&self.nodes, &self.tensors, time)
    }
}

fn in_use(
    nodes: &[NodeFacts],
    tensors: &[TensorFacts],
    time: usize,
) -> Vec<(Option<usize>, std::ops::Range<u64>)> {
    let range = |start: u32, len: u32| u64::from(start)..u64::from(start) + u64::from(len);
    let alive = |t: &&TensorFacts| t.memory == "arena" && t.first <= time && time <= t.last;
    let mut used: Vec<_> =
        tensors.iter().filter(alive).map(|t| (Some(t.index), range(t.offset, t.bytes))).collect();
    if let Some(node) = time.checked_sub(1).and_then(|i| nodes.get(i))
        && node.scratch_bytes > 0
    {
        used.push((None, range(node.scratch_offset, node.scratch_bytes)));
    }
    used
}

/// Bytes of the arena in use at `time`; a tensor that takes another's place counts once.
fn occupied(nodes: &[NodeFacts], tensors: &[TensorFacts], time: usize) -> u64 {
    let mut ranges: Vec<_> = in_use(nodes, tensors, time).into_iter().map(|(_, r)| r).collect();
    ranges.sort_by_key(|r| r.start);
    let mut end = 0;
    let mut total = 0;
    for r in ranges {
        total += r.end.saturating_sub(r.start.max(end));
        end = end.max(r.end);
    }
    total
}
