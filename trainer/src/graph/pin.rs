//! Quantisation that an imported model brings along: kept bit for bit by lowering.

use dunlin::format::DType;
use dunlin::quant::QParams;
use serde::{Deserialize, Serialize};

/// Whose rules a pinned value follows where the schemes of TensorFlow Lite differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scheme {
    /// int8 and 16x8 (the quantisation specification of 2019 and after), also ONNX.
    #[default]
    Int8,
    /// The older uint8 scheme. Values are held as int8: `q − 128` with a zero point less 128.
    Uint8,
}

/// Type, scale and zero point of a value, as the imported file gives them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pin {
    /// Element type of the tensor.
    pub dtype: DType,
    /// Scale and zero point; [`QParams::UNIT`] where the type has none.
    pub quant: QParams,
    /// Rules where the schemes differ.
    #[serde(default)]
    pub scheme: Scheme,
}

impl Pin {
    /// An int8 value.
    pub fn int8(scale: f32, zero_point: i16) -> Self {
        Self { dtype: DType::I8, quant: QParams { scale, zero_point }, scheme: Scheme::Int8 }
    }

    /// A value without scale: real numbers at an edge, indices.
    pub fn plain(dtype: DType) -> Self {
        Self { dtype, quant: QParams::UNIT, scheme: Scheme::Int8 }
    }
}

/// Integers of a parameter, as the imported file gives them: `real = scale[channel] · (int − zero_point)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PinnedParam {
    /// One scale, or one per output channel.
    pub scales: Vec<f32>,
    /// Zero point of the weights: 0 outside of the uint8 scheme.
    pub zero_point: i16,
    /// Bits of an integer in the file. A bias of 32 bits makes the sums of 16-bit activations wrap there.
    pub bits: u8,
    /// The integers, in the order of [`super::Param::data`].
    pub ints: Vec<i64>,
}
