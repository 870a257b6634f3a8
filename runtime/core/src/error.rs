//! Errors: `Copy` enums that name the node, tensor or byte, what was found and what was expected.

use crate::shape::Shape;
use core::fmt;

/// Why a file was refused by [`Model::parse`](crate::Model::parse).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ParseError {
    /// The bytes do not start at a 16-byte boundary, which in-place weights need.
    Misaligned {
        /// Address modulo 16.
        remainder: u8,
    },
    /// The file ends before a part that its header promises.
    Truncated {
        /// Bytes that are needed.
        needed: u32,
        /// Bytes that are there.
        found: u32,
    },
    /// The file does not begin with the magic of the format.
    Magic {
        /// First four bytes, little endian.
        found: u32,
    },
    /// The file is of a format version that this runtime does not read.
    Version {
        /// Version of the file.
        found: u16,
        /// Newest version that this runtime reads.
        supported: u16,
    },
    /// The file is packed for another core.
    Target {
        /// Target number of the file.
        found: u8,
    },
    /// The checksum does not match: the file was damaged.
    Checksum {
        /// Checksum of the bytes that are there.
        computed: u32,
        /// Checksum written in the header.
        expected: u32,
    },
    /// A header field has a value that no encoder writes.
    Header {
        /// Byte offset of the field.
        offset: u32,
        /// Its value.
        found: u32,
    },
    /// The program or the metadata could not be decoded.
    Decode {
        /// Byte offset in the file at which decoding stopped.
        offset: u32,
        /// The part that could not be decoded.
        part: Part,
    },
    /// The program has more entries than the caller's [`Storage`](crate::Storage) holds.
    Capacity {
        /// The table that is too small.
        part: Part,
        /// Entries that the program has.
        needed: u32,
        /// Entries that the storage holds.
        capacity: u32,
    },
    /// A tensor is not valid by itself.
    Tensor {
        /// Tensor index.
        tensor: u16,
        /// What is wrong with it.
        fault: TensorFault,
    },
    /// A node is not valid.
    Node {
        /// Node index.
        node: u16,
        /// What is wrong with it.
        fault: NodeFault,
    },
    /// Two tensors that are alive at the same time share bytes.
    Overlap {
        /// One tensor.
        first: u16,
        /// The other tensor.
        second: u16,
    },
}

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Part {
    /// Bounded dimensions.
    Dims,
    /// Tensors.
    Tensors,
    /// Tensor lists of the nodes.
    Ids,
    /// Inputs and outputs of the network.
    Interface,
    /// Nodes.
    Nodes,
    /// Metadata.
    Metadata,
}

/// What is wrong with a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TensorFault {
    /// A size is zero or the tensor is larger than [`MAX_ELEMENTS`](crate::shape::MAX_ELEMENTS).
    Shape(Shape),
    /// The scale is not positive and finite.
    Scale(f32),
    /// The zero point is outside of the tensor's type.
    ZeroPoint(i16),
    /// The bytes are not aligned to the element size.
    Alignment(u32),
    /// The bytes end beyond their region (arena, state or data).
    Bounds {
        /// First byte after the tensor.
        end: u32,
        /// Size of the region.
        region: u32,
    },
    /// A bounded dimension that does not exist, or is used on a tensor that is not a set of rows, or
    /// whose bound is not the tensor's number of rows.
    Rows(u8),
    /// An interface tensor is listed twice, an input is a constant, or a list of indices is persistent or an output.
    Interface,
    /// An output of the network that nothing writes.
    NeverWritten,
}

/// What is wrong with a node.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum NodeFault {
    /// The list of inputs or outputs reaches outside of the id table.
    Ids,
    /// A tensor index that does not exist.
    UnknownTensor(u16),
    /// Wrong number of inputs.
    Inputs {
        /// Inputs given.
        found: u8,
        /// Inputs that the operator takes.
        expected: u8,
    },
    /// Wrong number of outputs.
    Outputs {
        /// Outputs given.
        found: u8,
        /// Outputs that the operator has.
        expected: u8,
    },
    /// An input is read before anything has written it.
    ReadBeforeWrite(u16),
    /// An output is a constant, an input of the network, or already written by another node.
    WrittenTwice(u16),
    /// A list of indices is written by a node, is persistent, points to the rows of two sets or to more than 65,535, or
    /// is read as something else.
    Indices(u16),
    /// A tensor that the operator updates from run to run is not persistent, or is another operand as well.
    State(u16),
    /// The type of a tensor is not one that the operator takes.
    DType(u16),
    /// The operator's output has another shape than the file says.
    OutputShape {
        /// Shape in the file.
        found: Shape,
        /// Shape that the operator computes.
        expected: Shape,
    },
    /// Input shapes do not fit the operator or each other.
    InputShape(Shape),
    /// The window does not fit the input, or has a zero size, stride or dilation.
    Window,
    /// An attribute is out of range.
    Attribute,
    /// A constant is outside of the data section or not aligned.
    Constant {
        /// Offset in the data section.
        offset: u32,
        /// Length in bytes.
        len: u32,
    },
    /// A multiplier or shift is outside of its range.
    Requant {
        /// Index of the channel.
        channel: u32,
    },
    /// A pooling position in the file is not inside its window, or a row or column outside the input.
    Index {
        /// Position in its table.
        at: u32,
        /// Its value.
        found: u32,
    },
    /// The reduction is so long that the 32-bit accumulator could overflow.
    Reduction {
        /// Products summed.
        found: u32,
        /// Products that cannot overflow.
        limit: u32,
    },
    /// Tensors that must share scale and zero point do not.
    Quantisation(u16),
    /// Bounded rows where the operator cannot have them.
    Rows(u16),
    /// The scratch memory is outside of the arena, misaligned, too small or overlaps a live tensor.
    Scratch {
        /// Bytes that the file reserves.
        found: u32,
        /// Bytes that the operator needs on this core.
        needed: u32,
    },
}

/// Why a session could not be made or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SessionError {
    /// The arena is too small.
    Arena {
        /// Bytes that are missing.
        missing: u32,
        /// Bytes that the model needs.
        needed: u32,
    },
    /// The memory for persistent tensors is too small.
    State {
        /// Bytes that are missing.
        missing: u32,
        /// Bytes that the model needs.
        needed: u32,
    },
    /// Arena or state do not start at a 16-byte boundary.
    Misaligned {
        /// Address modulo 16.
        remainder: u8,
    },
    /// There is no such input, output or bounded dimension.
    NoSuch {
        /// Index asked for.
        index: u32,
        /// How many there are.
        count: u32,
    },
    /// The tensor holds another element type.
    WrongType {
        /// Type of the tensor.
        found: crate::format::DType,
    },
    /// The core, the build or the file's layout rules the instruction set out.
    Isa {
        /// Name of the instruction set asked for.
        wanted: &'static str,
    },
    /// The count of a bounded dimension exceeds its bound.
    Count {
        /// Count asked for.
        count: u32,
        /// Bound in the file.
        bound: u32,
    },
    /// The input is a list of indices, which only [`Session::set_indices`](crate::Session::set_indices) may write.
    IndexList,
    /// The input is no list of indices.
    NoIndexList {
        /// Type of the tensor.
        found: crate::format::DType,
    },
    /// Another number of entries of a list, or of bytes of another input, than it has in this run.
    Length {
        /// Entries or bytes given.
        found: u32,
        /// Entries or bytes of the input.
        expected: u32,
    },
    /// An index of a list names a row that is not there in this run.
    Index {
        /// Position in the list.
        at: u32,
        /// The index.
        index: u16,
        /// Number of rows that it could name.
        rows: u32,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Misaligned { remainder } => {
                write!(f, "the model starts {remainder} bytes past a 16-byte boundary; align it to 16")
            }
            Self::Truncated { needed, found } => {
                write!(f, "the file has {found} bytes but its header promises {needed}; it was cut off")
            }
            Self::Magic { found } => {
                write!(f, "not a .dun file: it begins with {found:#010x}, expected \"DUNL\"")
            }
            Self::Version { found, supported } => write!(
                f,
                "format version {found}, this runtime reads up to {supported}; update dunlin or export again"
            ),
            Self::Target { found } => match crate::format::Target::from_number(found) {
                Some(target) => write!(
                    f,
                    "packed for {}, which this build does not run; export for this core, or a portable file",
                    target.name()
                ),
                None => {
                    write!(f, "packed for target {found}, which is unknown; update dunlin or export again")
                }
            },
            Self::Checksum { computed, expected } => write!(
                f,
                "checksum is {computed:#010x}, the header says {expected:#010x}; the file is damaged"
            ),
            Self::Header { offset, found } => {
                write!(f, "header byte {offset}: {found} is not a value of this format")
            }
            Self::Decode { offset, part } => write!(f, "{part:?} cannot be decoded at byte {offset}"),
            Self::Capacity { part, needed, capacity } => {
                write!(f, "the model has {needed} {part:?}, the storage holds {capacity}")
            }
            Self::Tensor { tensor, fault } => write!(f, "tensor {tensor}: {fault}"),
            Self::Node { node, fault } => write!(f, "node {node}: {fault}"),
            Self::Overlap { first, second } => {
                write!(f, "tensors {first} and {second} are alive at the same time and share memory")
            }
        }
    }
}

impl fmt::Display for TensorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Shape(s) => write!(f, "shape {s} has a zero size or too many elements"),
            Self::Scale(s) => write!(f, "scale {s} is not positive and finite"),
            Self::ZeroPoint(z) => write!(f, "zero point {z} is outside of the type"),
            Self::Alignment(o) => write!(f, "offset {o} is not aligned to the element"),
            Self::Bounds { end, region } => write!(f, "ends at byte {end} of a region of {region}"),
            Self::Rows(d) => write!(f, "bounded dimension {d} does not fit this tensor"),
            Self::Interface => f.write_str(
                "is listed twice as input or output, is a constant input, or a list of indices in its place",
            ),
            Self::NeverWritten => f.write_str("is an output that no node writes"),
        }
    }
}

impl fmt::Display for NodeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Ids => f.write_str("its list of tensors reaches outside of the id table"),
            Self::UnknownTensor(t) => write!(f, "tensor {t} does not exist"),
            Self::Inputs { found, expected } => write!(f, "has {found} inputs, expected {expected}"),
            Self::Outputs { found, expected } => write!(f, "has {found} outputs, expected {expected}"),
            Self::ReadBeforeWrite(t) => write!(f, "reads tensor {t} before it is written"),
            Self::WrittenTwice(t) => write!(f, "writes tensor {t}, which is not its to write"),
            Self::State(t) => {
                write!(f, "tensor {t} is a state of the operator: it must be persistent and listed once")
            }
            Self::Indices(t) => {
                write!(
                    f,
                    "list of indices {t} is written, persistent, read as something else or points to two sets or too \
                     many rows"
                )
            }
            Self::DType(t) => write!(f, "tensor {t} has a type that the operator does not take"),
            Self::OutputShape { found, expected } => {
                write!(f, "output shape is {found}, the operator gives {expected}")
            }
            Self::InputShape(s) => write!(f, "input shape {s} does not fit the operator"),
            Self::Window => f.write_str("the window does not fit the input"),
            Self::Attribute => f.write_str("an attribute is out of range"),
            Self::Constant { offset, len } => {
                write!(f, "constant of {len} bytes at {offset} is outside of the data section or unaligned")
            }
            Self::Requant { channel } => {
                write!(f, "multiplier or shift of channel {channel} is out of range")
            }
            Self::Index { at, found } => write!(f, "table entry {at} is {found}, outside of the input"),
            Self::Reduction { found, limit } => {
                write!(f, "sums {found} products, more than {limit} could overflow 32 bits")
            }
            Self::Quantisation(t) => {
                write!(f, "tensor {t} must have the scale and zero point of its neighbour")
            }
            Self::Rows(t) => write!(f, "tensor {t} has bounded rows where the operator allows none"),
            Self::Scratch { found, needed } => {
                write!(f, "reserves {found} bytes of scratch, needs {needed} that nothing else uses")
            }
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Arena { missing, needed } => {
                write!(f, "the arena is {missing} bytes too small; the model needs {needed}")
            }
            Self::State { missing, needed } => {
                write!(f, "the state memory is {missing} bytes too small; the model needs {needed}")
            }
            Self::Misaligned { remainder } => {
                write!(f, "memory starts {remainder} bytes past a 16-byte boundary; align it to 16")
            }
            Self::NoSuch { index, count } => write!(f, "index {index} asked for, there are {count}"),
            Self::WrongType { found } => write!(f, "the tensor holds {found:?}"),
            Self::Isa { wanted } => {
                write!(f, "the instruction set {wanted} is not there, or the file is packed for another")
            }
            Self::Count { count, bound } => write!(f, "count {count} exceeds the bound {bound}"),
            Self::IndexList => f.write_str("the input is a list of indices; give it with `set_indices`"),
            Self::NoIndexList { found } => write!(f, "the input holds {found:?}, not indices"),
            Self::Length { found, expected } => {
                write!(
                    f,
                    "{found} entries or bytes given, the input has {expected} in this run; set the counts first"
                )
            }
            Self::Index { at, index, rows } => {
                write!(f, "entry {at} of the list is {index}, there are {rows} rows in this run")
            }
        }
    }
}

impl core::error::Error for ParseError {}
impl core::error::Error for SessionError {}
