//! A tensor of the file: type, shape, quantisation and data, checked against each other.

use crate::import::ImportError;
use dunlin::shape::{MAX_ELEMENTS, Shape};
use tract_tflite::tflite::{self, TensorType};

/// Largest number of axes that a TensorFlow Lite tensor has in practice; more is a damaged file.
const MAX_RANK: usize = 8;

/// A tensor of the file.
#[derive(Clone, Debug)]
pub(super) struct TensorInfo<'f> {
    pub(super) name: String,
    pub(super) dims: Vec<u32>,
    pub(super) dtype: TensorType,
    /// Empty where the tensor is not quantised.
    pub(super) scales: Vec<f32>,
    /// As many as there are scales.
    pub(super) zeros: Vec<i64>,
    /// Constant content.
    pub(super) data: Option<&'f [u8]>,
    pub(super) variable: bool,
}

/// Bits of an element; `None` for types that no tensor of a network on a device has.
fn bits(dtype: TensorType) -> Option<u64> {
    Some(match dtype {
        TensorType::INT4 => 4,
        TensorType::INT8 | TensorType::UINT8 | TensorType::BOOL => 8,
        TensorType::INT16 | TensorType::UINT16 | TensorType::FLOAT16 => 16,
        TensorType::INT32 | TensorType::UINT32 | TensorType::FLOAT32 => 32,
        TensorType::INT64 | TensorType::UINT64 | TensorType::FLOAT64 => 64,
        _ => return None,
    })
}

/// Reads and checks tensor `index`.
pub(super) fn read<'f>(
    model: &tflite::Model<'f>,
    index: usize,
    tensor: &tflite::Tensor<'f>,
) -> Result<TensorInfo<'f>, ImportError> {
    let name = match tensor.name() {
        Some(name) if !name.is_empty() => name.to_string(),
        _ => format!("tensor{index}"),
    };
    let bad = |problem: String| Err(ImportError::malformed(format!("tensor {index} (`{name}`)"), problem));
    let mut dims = Vec::new();
    for dim in tensor.shape().into_iter().flatten() {
        match u32::try_from(dim) {
            Ok(dim) => dims.push(dim),
            Err(_) => return bad(format!("size {dim} is negative; give the model a fixed shape")),
        }
    }
    if dims.len() > MAX_RANK {
        return bad(format!("{} axes, at most {MAX_RANK} are read", dims.len()));
    }
    let elements = dims.iter().fold(1u64, |n, &d| n.saturating_mul(u64::from(d)));
    if elements > u64::from(MAX_ELEMENTS) {
        return bad(format!("shape {dims:?} has more than {MAX_ELEMENTS} elements"));
    }
    let dtype = tensor.type_();
    let buffer = tensor.buffer() as usize;
    let data = match model.buffers() {
        Some(b) if buffer < b.len() => b.get(buffer).data().map(|v| v.bytes()).filter(|v| !v.is_empty()),
        _ if buffer == 0 => None,
        _ => return bad(format!("buffer {buffer} does not exist")),
    };
    if let (Some(data), Some(bits)) = (data, bits(dtype)) {
        let needed = (elements * bits).div_ceil(8);
        if data.len() as u64 != needed {
            return bad(format!("{} bytes of data for shape {dims:?}, which needs {needed}", data.len()));
        }
    }
    let (scales, zeros) = match tensor.quantization() {
        None => (Vec::new(), Vec::new()),
        Some(quant) => match quantisation(&quant, dtype, &dims, data.is_some()) {
            Ok(pair) => pair,
            Err(problem) => return bad(problem),
        },
    };
    Ok(TensorInfo { name, dims, dtype, scales, zeros, data, variable: tensor.is_variable() })
}

/// Scales and zero points of a tensor, or what is wrong with them.
fn quantisation(
    quant: &tflite::QuantizationParameters<'_>,
    dtype: TensorType,
    dims: &[u32],
    constant: bool,
) -> Result<(Vec<f32>, Vec<i64>), String> {
    let mut scales: Vec<f32> = quant.scale().into_iter().flatten().collect();
    let mut zeros: Vec<i64> = quant.zero_point().into_iter().flatten().collect();
    if zeros.is_empty() {
        zeros = vec![0; scales.len()];
    }
    if zeros.len() != scales.len() {
        return Err(format!("{} scales but {} zero points", scales.len(), zeros.len()));
    }
    if let Some(scale) = scales.iter().find(|s| !(s.is_finite() && **s >= 0.0)) {
        return Err(format!("scale {scale} is not a positive number"));
    }
    if !constant && scales.contains(&0.0) {
        return Err("scale 0 of an activation".into());
    }
    // A scale of zero stands on channels without weights; the smallest number there is makes them vanish too.
    scales.iter_mut().for_each(|s| *s = s.max(f32::MIN_POSITIVE));
    let range = match dtype {
        TensorType::UINT8 => 0..=255,
        TensorType::INT8 | TensorType::INT4 => -128..=127,
        TensorType::INT16 => -32768..=32767,
        _ => i64::from(i32::MIN)..=i64::from(i32::MAX),
    };
    if let Some(zero) = zeros.iter().find(|z| !range.contains(*z)) {
        return Err(format!("zero point {zero} is outside of its type"));
    }
    if scales.len() > 1 {
        // Published files give biases the axis of their weights, so the axis itself says little.
        if !dims.iter().any(|&d| d as usize == scales.len()) {
            return Err(format!("{} scales for shape {dims:?}", scales.len()));
        }
    }
    Ok((scales, zeros))
}

impl TensorInfo<'_> {
    /// Number of elements.
    pub(super) fn elements(&self) -> usize {
        self.dims.iter().map(|&d| d as usize).product()
    }

    /// Bits of an element of an integer tensor.
    pub(super) fn bits(&self) -> u8 {
        bits(self.dtype).unwrap_or(0) as u8
    }

    /// The shape of the graph's value: leading ones, and leading axes beyond four joined.
    pub(super) fn shape(&self) -> Shape {
        rank4(&self.dims)
    }

    /// The axis of the graph's value that stands for axis `axis` (negative from the end) of the tensor.
    pub(super) fn axis(&self, axis: i64) -> Option<usize> {
        let rank = self.dims.len() as i64;
        let axis = if axis < 0 { axis + rank } else { axis };
        ((0..rank).contains(&axis) && rank <= 4).then(|| (axis + 4 - rank) as usize)
    }

    /// Integers of a constant of any integer type, widened.
    pub(super) fn ints(&self) -> Option<Vec<i64>> {
        let data = self.data?;
        fn each<const N: usize>(data: &[u8], f: impl Fn([u8; N]) -> i64) -> Vec<i64> {
            data.as_chunks::<N>().0.iter().map(|b| f(*b)).collect()
        }
        Some(match self.dtype {
            TensorType::INT8 => data.iter().map(|&b| i64::from(b as i8)).collect(),
            TensorType::UINT8 | TensorType::BOOL => data.iter().map(|&b| i64::from(b)).collect(),
            TensorType::INT16 => each::<2>(data, |b| i64::from(i16::from_le_bytes(b))),
            TensorType::INT32 => each::<4>(data, |b| i64::from(i32::from_le_bytes(b))),
            TensorType::INT64 => each::<8>(data, i64::from_le_bytes),
            // Two values a byte, the lower half first.
            TensorType::INT4 => {
                let halves = |&b: &u8| [((b << 4) as i8) >> 4, (b as i8) >> 4];
                data.iter().flat_map(halves).map(i64::from).take(self.elements()).collect()
            }
            _ => return None,
        })
    }

    /// Real numbers of a floating-point constant, widened.
    pub(super) fn floats(&self) -> Option<Vec<f32>> {
        let data = self.data?;
        Some(match self.dtype {
            TensorType::FLOAT32 => data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            TensorType::FLOAT16 => {
                data.as_chunks::<2>().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect()
            }
            _ => return None,
        })
    }

    /// Whether the tensor has scale and zero point.
    pub(super) fn is_quantised(&self) -> bool {
        !self.scales.is_empty()
            && matches!(
                self.dtype,
                TensorType::INT8 | TensorType::UINT8 | TensorType::INT16 | TensorType::INT4
            )
    }
}

/// Leading ones up to four axes; leading axes beyond four are joined into the first.
pub(super) fn rank4(dims: &[u32]) -> Shape {
    let (lead, rest) = dims.split_at(dims.len().saturating_sub(4));
    let mut sizes = [1u32; 4];
    sizes[4 - rest.len()..].copy_from_slice(rest);
    sizes[0] = lead.iter().fold(sizes[0], |n, &d| n.saturating_mul(d));
    Shape::new(sizes[0], sizes[1], sizes[2], sizes[3])
}
