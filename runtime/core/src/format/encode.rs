//! Writing `.dun` files. The encoder parses what it has written before it returns it: a file that a device
//! would refuse cannot leave the host.

use super::checksum;
use super::{ALIGN, Blob, HEADER_LEN, Header, Ids, Metadata, Node, Place, Scaling, Scratch, Tensor};
use crate::arena::AlignedVec;
use crate::error::ParseError;
use crate::isa::Target;
use crate::model::{Model, Storage};
use crate::ops::Op;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Nodes, tensors and ids that the host's own check has room for; larger programs are refused.
const HOST_NODES: usize = 4096;

/// The data section while it is written: aligned constants, equal ones stored once.
#[derive(Clone, Debug, Default)]
pub struct DataSection {
    bytes: Vec<u8>,
    blobs: Vec<(u32, usize)>,
}

impl DataSection {
    /// An empty section.
    pub fn new() -> Self {
        Self::default()
    }

    /// The section of a file whose constants begin at `starts`. Each reaches to the next: what pads it counts as its own.
    fn from_parts(bytes: &[u8], mut starts: Vec<u32>) -> Self {
        starts.sort_unstable();
        starts.dedup();
        let ends = starts.iter().skip(1).copied().chain([bytes.len() as u32]);
        let blobs = starts.iter().zip(ends).map(|(&at, end)| (at, end.saturating_sub(at) as usize)).collect();
        Self { bytes: bytes.to_vec(), blobs }
    }

    /// Adds a constant of any plain type, or finds an equal one.
    pub fn push<T: bytemuck::NoUninit>(&mut self, values: &[T]) -> Blob {
        let new: &[u8] = bytemuck::cast_slice(values);
        let known = self.blobs.iter().find(|&&(at, len)| &self.bytes[at as usize..][..len] == new);
        if let Some(&(at, _)) = known {
            return Blob(at);
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(new);
        self.blobs.push((at, new.len()));
        Blob(at)
    }

    /// The bytes of a constant that [`DataSection::push`] gave.
    ///
    /// # Panics
    /// The place is that of no constant.
    pub fn get(&self, blob: Blob) -> &[u8] {
        let known = self.blobs.iter().find(|&&(at, _)| at == blob.0);
        let &(at, len) = known.expect("the place of a constant");
        &self.bytes[at as usize..][..len]
    }

    /// All bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True where nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// A node before its tensor lists are joined into one table.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSpec {
    /// Operator and attributes.
    pub op: Op,
    /// Tensors read.
    pub inputs: Vec<u16>,
    /// Tensors written.
    pub outputs: Vec<u16>,
    /// Working memory, as large as [`scratch_bytes`](crate::scratch_bytes) says.
    pub scratch: Scratch,
}

/// Metadata with owned strings.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedMetadata {
    /// Name of the network.
    pub name: String,
    /// How it was made.
    pub recipe: String,
    /// Licence of the data it was trained on.
    pub data_licence: String,
    /// Class labels.
    pub labels: Vec<String>,
    /// Scaling of the first input.
    pub scaling: Scaling,
}

impl Default for OwnedMetadata {
    fn default() -> Self {
        let empty = String::new;
        Self {
            name: empty(),
            recipe: empty(),
            data_licence: empty(),
            labels: Vec::new(),
            scaling: Scaling::NONE,
        }
    }
}

impl From<Metadata<'_>> for OwnedMetadata {
    fn from(m: Metadata<'_>) -> Self {
        Self {
            name: m.name.to_string(),
            recipe: m.recipe.to_string(),
            data_licence: m.data_licence.to_string(),
            labels: m.labels.lines().map(ToString::to_string).collect(),
            scaling: m.scaling,
        }
    }
}

/// Everything that goes into a file.
#[derive(Clone, Debug)]
pub struct ProgramSpec {
    /// Bounds of the bounded dimensions.
    pub dims: Vec<u32>,
    /// Tensors with their planned places.
    pub tensors: Vec<Tensor>,
    /// Nodes in the order in which they run.
    pub nodes: Vec<NodeSpec>,
    /// Input tensors of the network.
    pub inputs: Vec<u16>,
    /// Output tensors of the network.
    pub outputs: Vec<u16>,
    /// Core that the constants are packed for.
    pub target: Target,
    /// Bytes of arena.
    pub arena_len: u32,
    /// Bytes of persistent tensors.
    pub state_len: u32,
    /// Constants.
    pub data: DataSection,
    /// What a person wants to know.
    pub metadata: OwnedMetadata,
}

impl ProgramSpec {
    /// The program of a decoded model, places and working memory as they are.
    pub fn from_model(model: &Model<'_>) -> Self {
        let t = model.tables();
        let list = |ids| model.ids(ids).to_vec();
        let nodes = t.nodes.iter().map(|n| NodeSpec {
            op: n.op,
            inputs: list(n.inputs),
            outputs: list(n.outputs),
            scratch: n.scratch,
        });
        let mut nodes: Vec<NodeSpec> = nodes.collect();
        let constants = t.tensors.iter().filter_map(|tensor| match tensor.place {
            Place::Data(at) => Some(at),
            Place::Arena(_) | Place::State(_) => None,
        });
        let mut starts: Vec<u32> = constants.collect();
        starts.extend(nodes.iter_mut().flat_map(|n| n.op.blobs()).map(|blob| blob.0));
        Self {
            dims: t.dims.to_vec(),
            tensors: t.tensors.to_vec(),
            nodes,
            inputs: t.inputs.to_vec(),
            outputs: t.outputs.to_vec(),
            target: t.target,
            arena_len: t.arena_len,
            state_len: t.state_len,
            data: DataSection::from_parts(t.data, starts),
            metadata: model.metadata().map(OwnedMetadata::from).unwrap_or_default(),
        }
    }
}

/// Why a program could not be written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EncodeError {
    /// More entries than the format's counters hold, or a file of more than 4 GiB.
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: usize,
        /// How much there may be.
        limit: usize,
    },
    /// A part could not be serialised.
    Serialize,
    /// The runtime refuses what was written.
    Refused(ParseError),
}

impl core::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooLarge { what, found, limit } => write!(f, "{found} {what}, the format holds {limit}"),
            Self::Serialize => f.write_str("a table could not be serialised"),
            Self::Refused(error) => write!(f, "the runtime refuses the model: {error}"),
        }
    }
}

impl core::error::Error for EncodeError {}

fn narrow<T: TryFrom<usize>>(what: &'static str, found: usize, limit: usize) -> Result<T, EncodeError> {
    let error = EncodeError::TooLarge { what, found, limit };
    if found > limit { Err(error) } else { T::try_from(found).map_err(|_| error) }
}

fn append<T: serde::Serialize>(bytes: &mut Vec<u8>, value: &T) -> Result<(), EncodeError> {
    bytes.extend_from_slice(&postcard::to_allocvec(value).map_err(|_| EncodeError::Serialize)?);
    Ok(())
}

/// The bytes of a `.dun` file, proved by parsing them.
///
/// # Errors
/// The program does not fit the format, or the runtime would refuse it.
pub fn encode(spec: &ProgramSpec) -> Result<AlignedVec, EncodeError> {
    let file = assemble(spec)?;
    let mut storage =
        alloc::boxed::Box::new(Storage::<HOST_NODES, { 2 * HOST_NODES }, { 4 * HOST_NODES }>::new());
    Model::parse(file.as_slice(), &mut storage).map_err(EncodeError::Refused)?;
    Ok(file)
}

fn assemble(spec: &ProgramSpec) -> Result<AlignedVec, EncodeError> {
    let mut program = Vec::new();
    let mut ids: Vec<u16> = Vec::new();
    let mut nodes = Vec::new();
    let mut list = |tensors: &[u16]| -> Result<Ids, EncodeError> {
        let range = Ids {
            first: narrow("tensor ids", ids.len(), usize::from(u16::MAX))?,
            len: narrow("tensors of one node", tensors.len(), 255)?,
        };
        ids.extend_from_slice(tensors);
        Ok(range)
    };
    for node in &spec.nodes {
        nodes.push(Node {
            op: node.op,
            inputs: list(&node.inputs)?,
            outputs: list(&node.outputs)?,
            scratch: node.scratch,
        });
    }
    spec.dims.iter().try_for_each(|x| append(&mut program, x))?;
    spec.tensors.iter().try_for_each(|x| append(&mut program, x))?;
    ids.iter().try_for_each(|x| append(&mut program, x))?;
    spec.inputs.iter().try_for_each(|x| append(&mut program, x))?;
    spec.outputs.iter().try_for_each(|x| append(&mut program, x))?;
    nodes.iter().try_for_each(|x| append(&mut program, x))?;
    let labels = spec.metadata.labels.iter().map(|l| l.replace('\n', " ")).collect::<Vec<_>>().join("\n");
    let mut metadata = Vec::new();
    let borrowed = Metadata {
        name: &spec.metadata.name,
        recipe: &spec.metadata.recipe,
        data_licence: &spec.metadata.data_licence,
        labels: &labels,
        scaling: spec.metadata.scaling,
    };
    append(&mut metadata, &borrowed)?;
    let metadata_at = HEADER_LEN + program.len();
    let data_at = (metadata_at + metadata.len()).next_multiple_of(ALIGN);
    let total = data_at + spec.data.bytes.len();
    let word = |n: usize| narrow::<u32>("bytes", n, u32::MAX as usize);
    let count = |what, n: usize| narrow::<u16>(what, n, usize::from(u16::MAX));
    let few = |what, n: usize, limit| narrow::<u8>(what, n, limit);
    let header = Header {
        target: spec.target,
        file_len: word(total)?,
        crc: 0,
        program: (HEADER_LEN as u32, word(program.len())?),
        metadata: (word(metadata_at)?, word(metadata.len())?),
        data: (word(data_at)?, word(spec.data.bytes.len())?),
        arena_len: spec.arena_len,
        state_len: spec.state_len,
        nodes: count("nodes", nodes.len())?,
        tensors: count("tensors", spec.tensors.len())?,
        ids: count("tensor ids", ids.len())?,
        dims: few("bounded dimensions", spec.dims.len(), crate::model::MAX_DIMS)?,
        inputs: few("inputs", spec.inputs.len(), crate::model::MAX_INTERFACE)?,
        outputs: few("outputs", spec.outputs.len(), crate::model::MAX_INTERFACE)?,
    };
    let mut file = AlignedVec::zeroed(total);
    let bytes = file.as_mut_slice();
    bytes[..HEADER_LEN].copy_from_slice(&header.to_bytes());
    bytes[HEADER_LEN..metadata_at].copy_from_slice(&program);
    bytes[metadata_at..metadata_at + metadata.len()].copy_from_slice(&metadata);
    bytes[data_at..].copy_from_slice(&spec.data.bytes);
    reseal(bytes);
    Ok(file)
}

/// Writes length and checksum of `file` into its header, so that tests reach what lies behind them.
pub fn reseal(file: &mut [u8]) {
    if file.len() < HEADER_LEN {
        return;
    }
    let len = u32::try_from(file.len()).unwrap_or(u32::MAX);
    file[8..12].copy_from_slice(&len.to_le_bytes());
    let crc = checksum(file);
    file[12..16].copy_from_slice(&crc.to_le_bytes());
}
