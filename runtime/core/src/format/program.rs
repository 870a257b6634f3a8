//! Tables of the program: tensors, nodes, tensor lists, and the metadata.

use crate::error::{ParseError, Part};
use crate::ops::Op;
use crate::quant::QParams;
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// Element type of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DType {
    /// Quantised activation.
    I8,
    /// Label or pooling position.
    U8,
    /// Wide activation or index.
    I16,
    /// Integer.
    I32,
    /// Real value at the edge of the network.
    F32,
    /// Index of a row.
    U16,
}

impl DType {
    /// Bytes of one element; also its alignment.
    pub const fn size(self) -> u32 {
        match self {
            Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::F32 => 4,
        }
    }

    /// Whether `zero` can be a zero point of this type.
    pub(crate) const fn holds(self, zero: i16) -> bool {
        match self {
            Self::I8 => zero >= -128 && zero <= 127,
            Self::U8 => zero >= 0 && zero <= 255,
            Self::I16 => zero == 0 || zero == i16::MIN,
            Self::I32 | Self::F32 | Self::U16 => zero == 0,
        }
    }
}

/// Where the bytes of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Place {
    /// At this offset of the arena; alive from the node that writes it to the last that reads it.
    Arena(u32),
    /// At this offset of the state memory; keeps its value from run to run.
    State(u32),
    /// At this offset of the data section; never written.
    Data(u32),
}

/// A tensor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tensor {
    /// Element type.
    pub dtype: DType,
    /// Size; where rows are bounded, `w` is the bound.
    pub shape: Shape,
    /// Scale and zero point; [`QParams::UNIT`] for labels and floats.
    pub quant: QParams,
    /// Where the bytes are.
    pub place: Place,
    /// Bounded dimension that gives the number of rows (`w`) of this run.
    pub rows: Option<u8>,
}

impl Tensor {
    /// Bytes of the tensor at its bound. The shape has been checked by the parser.
    pub const fn bytes(&self) -> u32 {
        self.shape.elements() as u32 * self.dtype.size()
    }
}

/// A constant in the data section; its length follows from the operator's attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Blob(
    /// Offset in the data section, a multiple of [`ALIGN`](super::ALIGN).
    pub u32,
);

/// A list of tensors: a range of the id table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ids {
    /// First entry.
    pub first: u16,
    /// Number of entries.
    pub len: u8,
}

/// Working memory of one node in the arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Scratch {
    /// Offset in the arena, a multiple of [`ALIGN`](super::ALIGN).
    pub offset: u32,
    /// Bytes reserved.
    pub len: u32,
}

/// One step of the program.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Node {
    /// Operator and attributes.
    pub op: Op,
    /// Tensors read.
    pub inputs: Ids,
    /// Tensors written.
    pub outputs: Ids,
    /// Working memory.
    pub scratch: Scratch,
}

/// How raw input values become real ones: `real = (value * factor - mean[c]) / std[c]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// Factor applied to the raw value; 1/255 for pixels.
    pub factor: f32,
    /// Mean per channel; the last entry serves all further channels.
    pub mean: [f32; 4],
    /// Standard deviation per channel; the last entry serves all further channels.
    pub std: [f32; 4],
}

impl Scaling {
    /// Values are taken as they are.
    pub const NONE: Self = Self { factor: 1.0, mean: [0.0; 4], std: [1.0; 4] };

    /// The real value of `raw` in channel `c`.
    pub fn real(&self, raw: f32, c: usize) -> f32 {
        let c = c.min(3);
        (raw * self.factor - self.mean[c]) / self.std[c]
    }
}

/// What a person wants to know of a model; decoded only when asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metadata<'a> {
    /// Name of the network.
    pub name: &'a str,
    /// How it was made.
    pub recipe: &'a str,
    /// Licence of the data it was trained on.
    pub data_licence: &'a str,
    /// Class labels, one a line; empty where there are none.
    pub labels: &'a str,
    /// Scaling of the first input.
    pub scaling: Scaling,
}

impl<'a> Metadata<'a> {
    /// Name of class `index`, where the file has one.
    pub fn label(&self, index: usize) -> Option<&'a str> {
        self.labels.lines().nth(index)
    }
}

/// Storage with the alignment of the data section.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(crate) struct Aligned<T: ?Sized>(pub(crate) T);

/// Takes one value after another from the bytes of a part, and knows where it stands.
pub(crate) struct Decoder<'m> {
    rest: &'m [u8],
    start: u32,
    len: u32,
}

impl<'m> Decoder<'m> {
    /// A decoder of the bytes at `start` of the file; the header has been checked.
    pub(crate) fn new(file: &'m [u8], (start, len): (u32, u32)) -> Self {
        let rest = file.get(start as usize..(start + len) as usize).unwrap_or(&[]);
        Self { rest, start, len }
    }

    /// The next value.
    pub(crate) fn take<T: Deserialize<'m>>(&mut self, part: Part) -> Result<T, ParseError> {
        match postcard::take_from_bytes(self.rest) {
            Ok((value, rest)) => {
                self.rest = rest;
                Ok(value)
            }
            Err(_) => Err(self.error(part)),
        }
    }

    /// Ends decoding: nothing may be left.
    pub(crate) fn finish(self, part: Part) -> Result<(), ParseError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error(part)) }
    }

    fn error(&self, part: Part) -> ParseError {
        ParseError::Decode { offset: self.start + self.len - self.rest.len() as u32, part }
    }
}
