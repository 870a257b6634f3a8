//! Tensors whose elements are known when the model is imported.

use super::fail::Fail;
use dunlin::shape::MAX_ELEMENTS;
use std::rc::Rc;
use tract_onnx::pb::tensor_proto::DataType;

/// Most dimensions a tensor may have; ONNX sets no limit, its operators use up to eight.
const MAX_RANK: usize = 16;

/// Most elements of a constant that is computed from a smaller one: the file then says nothing about its size.
const MAX_COMPUTED: usize = 1 << 22;

/// Element type of a tensor in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elem {
    F32,
    F16,
    F64,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    Bool,
}

impl Elem {
    /// The type with number `code` in the file.
    pub(super) fn from_code(code: i32) -> Result<Self, Fail> {
        let Ok(data_type) = DataType::try_from(code) else {
            return Err(Fail::malformed(format!("element type {code} does not exist")));
        };
        Ok(match data_type {
            DataType::Float => Self::F32,
            DataType::Float16 => Self::F16,
            DataType::Double => Self::F64,
            DataType::Int8 => Self::I8,
            DataType::Uint8 => Self::U8,
            DataType::Int16 => Self::I16,
            DataType::Uint16 => Self::U16,
            DataType::Int32 => Self::I32,
            DataType::Uint32 => Self::U32,
            DataType::Int64 => Self::I64,
            DataType::Uint64 => Self::U64,
            DataType::Bool => Self::Bool,
            other => {
                let reason = format!("has elements of type {}", other.as_str_name());
                return Err(Fail::unsupported(
                    reason,
                    "float, float16, double, bool and int8 to int64 are read",
                ));
            }
        })
    }

    /// Whether elements are real numbers.
    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::F64)
    }

    /// Smallest and largest value of an integer type.
    pub(super) fn range(self) -> (i64, i64) {
        match self {
            Self::I8 => (i8::MIN.into(), i8::MAX.into()),
            Self::U8 => (0, u8::MAX.into()),
            Self::I16 => (i16::MIN.into(), i16::MAX.into()),
            Self::U16 => (0, u16::MAX.into()),
            Self::I32 => (i32::MIN.into(), i32::MAX.into()),
            Self::U32 => (0, u32::MAX.into()),
            Self::Bool => (0, 1),
            Self::U64 => (0, i64::MAX),
            Self::I64 | Self::F32 | Self::F16 | Self::F64 => (i64::MIN, i64::MAX),
        }
    }

    /// Bytes of one element.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }
}

/// Elements, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Elements {
    /// Float types; float16 is widened, double rounded.
    Float(Vec<f32>),
    /// Integer types and booleans.
    Int(Vec<i64>),
}

/// A tensor with known elements.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    /// Sizes, slowest first; their product is the number of elements.
    pub(super) dims: Vec<usize>,
    /// Element type in the file.
    pub(super) elem: Elem,
    /// The elements.
    pub(super) data: Elements,
    /// Where the elements are dequantised: the integers. Lost where they are rearranged.
    pub(super) grid: Option<Rc<Grid>>,
}

/// The integers behind dequantised elements.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Grid {
    /// Their type.
    pub(super) elem: Elem,
    /// One scale, or one for each index along `axis`.
    pub(super) scales: Vec<f32>,
    /// The axis along which scales differ.
    pub(super) axis: usize,
    /// One zero point, or as many as scales.
    pub(super) zeros: Vec<i64>,
    /// The integers, in the order of the elements.
    pub(super) ints: Vec<i64>,
}

/// Number of elements of `dims`.
///
/// # Errors
/// More than [`MAX_ELEMENTS`].
pub(super) fn count(dims: &[usize]) -> Result<usize, Fail> {
    if dims.len() > MAX_RANK {
        return Err(Fail::malformed(format!("{} dimensions; at most {MAX_RANK} are read", dims.len())));
    }
    if dims.contains(&0) {
        return Ok(0);
    }
    dims.iter()
        .try_fold(1usize, |total, d| total.checked_mul(*d).filter(|t| *t <= MAX_ELEMENTS as usize))
        .ok_or_else(|| Fail::malformed(format!("shape {dims:?} has more than {MAX_ELEMENTS} elements")))
}

/// That a constant of shape `dims` may be computed from constants of `source` elements.
pub(super) fn check_computed(dims: &[usize], source: usize) -> Result<(), Fail> {
    let count = count(dims)?;
    if count > source.max(MAX_COMPUTED) {
        return Err(Fail::malformed(format!(
            "a constant of shape {dims:?} has more than {MAX_COMPUTED} elements"
        )));
    }
    Ok(())
}

/// Sizes as the file stores them.
pub(super) fn sizes(dims: &[i64]) -> Result<Vec<usize>, Fail> {
    let sizes: Result<Vec<usize>, _> = dims.iter().map(|d| usize::try_from(*d)).collect();
    let sizes = sizes.map_err(|_| Fail::malformed(format!("shape {dims:?} has a negative size")))?;
    count(&sizes)?;
    Ok(sizes)
}

impl Constant {
    /// Elements of which there are as many as `dims` says.
    pub(super) fn new(dims: Vec<usize>, elem: Elem, data: Elements) -> Self {
        Self { dims, elem, data, grid: None }
    }

    /// Real numbers.
    pub(super) fn floats(dims: Vec<usize>, data: Vec<f32>) -> Self {
        Self::new(dims, Elem::F32, Elements::Float(data))
    }

    /// Integers of type int64.
    pub(super) fn ints(dims: Vec<usize>, data: Vec<i64>) -> Self {
        Self::new(dims, Elem::I64, Elements::Int(data))
    }

    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    /// The elements as real numbers.
    pub(super) fn to_floats(&self) -> Vec<f32> {
        match &self.data {
            Elements::Float(v) => v.clone(),
            Elements::Int(v) => v.iter().map(|x| *x as f32).collect(),
        }
    }

    /// The elements as doubles; integers beyond 2^53 are rounded.
    pub(super) fn to_doubles(&self) -> Vec<f64> {
        match &self.data {
            Elements::Float(v) => v.iter().map(|x| f64::from(*x)).collect(),
            Elements::Int(v) => v.iter().map(|x| *x as f64).collect(),
        }
    }

    /// The elements of an integer tensor.
    pub(super) fn as_ints(&self) -> Result<&[i64], Fail> {
        match &self.data {
            Elements::Int(v) => Ok(v),
            Elements::Float(_) => Err(Fail::malformed("integers are expected, real numbers found")),
        }
    }

    /// The only element, as a real number.
    pub(super) fn scalar(&self) -> Result<f32, Fail> {
        match (self.len(), &self.data) {
            (1, Elements::Float(v)) => Ok(v.first().copied().unwrap_or_default()),
            (1, Elements::Int(v)) => Ok(v.first().copied().unwrap_or_default() as f32),
            (n, _) => Err(Fail::malformed(format!("one element is expected, {n} found"))),
        }
    }

    /// Where all elements are the same real number: that number.
    pub(super) fn uniform(&self) -> Option<f32> {
        let values = self.to_floats();
        let first = *values.first()?;
        values.iter().all(|v| *v == first).then_some(first)
    }

    /// The same elements under another shape of as many elements.
    pub(super) fn with_dims(mut self, dims: Vec<usize>) -> Result<Self, Fail> {
        if count(&dims)? != self.len() {
            let from = &self.dims;
            return Err(Fail::malformed(format!("{from:?} cannot be reshaped to {dims:?}")));
        }
        self.dims = dims;
        // One axis with as many scales may be another now; a vector stays one.
        if self.dims.len() != 1 {
            self.grid = None;
        }
        Ok(self)
    }

    /// Elements at `positions` (each below `len`), as a tensor of shape `dims`.
    pub(super) fn pick(&self, dims: Vec<usize>, positions: impl Iterator<Item = usize>) -> Self {
        let data = match &self.data {
            Elements::Float(v) => {
                Elements::Float(positions.map(|p| v.get(p).copied().unwrap_or_default()).collect())
            }
            Elements::Int(v) => {
                Elements::Int(positions.map(|p| v.get(p).copied().unwrap_or_default()).collect())
            }
        };
        Self::new(dims, self.elem, data)
    }

    /// Replaces the elements at `positions` by those of `other`, in order.
    pub(super) fn scatter(&mut self, other: &Self, positions: impl Iterator<Item = usize>) {
        match (&mut self.data, &other.data) {
            (Elements::Float(to), Elements::Float(from)) => put(to, from, positions),
            (Elements::Int(to), Elements::Int(from)) => put(to, from, positions),
            _ => {}
        }
    }

    /// Axes in another order: axis `i` of the result is axis `order[i]`, a permutation.
    pub(super) fn permute(&self, order: &[usize]) -> Self {
        let strides = strides(&self.dims);
        let dims: Vec<usize> = order.iter().map(|a| self.dims.get(*a).copied().unwrap_or(1)).collect();
        let steps: Vec<usize> = order.iter().map(|a| strides.get(*a).copied().unwrap_or(0)).collect();
        let positions = Positions::new(&dims, &steps);
        self.pick(dims, positions)
    }

    /// Repeated to shape `dims` by the broadcasting rule of ONNX.
    pub(super) fn broadcast(&self, dims: &[usize]) -> Result<Self, Fail> {
        check_computed(dims, self.len())?;
        let steps = broadcast_steps(&self.dims, dims)?;
        Ok(self.pick(dims.to_vec(), Positions::new(dims, &steps)))
    }
}

impl Elements {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Float(v) => v.len(),
            Self::Int(v) => v.len(),
        }
    }
}

fn put<T: Copy>(to: &mut [T], from: &[T], positions: impl Iterator<Item = usize>) {
    for (value, position) in from.iter().zip(positions) {
        if let Some(slot) = to.get_mut(position) {
            *slot = *value;
        }
    }
}

/// Distance of neighbours along each axis.
pub(super) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for i in (0..dims.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * dims[i + 1];
    }
    strides
}

/// Steps through a tensor of shape `from` that walk shape `to`: 0 where it repeats.
fn broadcast_steps(from: &[usize], to: &[usize]) -> Result<Vec<usize>, Fail> {
    let fail = || Fail::malformed(format!("{from:?} cannot be broadcast to {to:?}"));
    let lead = to.len().checked_sub(from.len()).ok_or_else(fail)?;
    let mut steps = vec![0; lead];
    for ((size, stride), target) in from.iter().zip(strides(from)).zip(to.iter().skip(lead)) {
        match (*size, *target) {
            (1, _) => steps.push(0),
            (a, b) if a == b => steps.push(stride),
            _ => return Err(fail()),
        }
    }
    Ok(steps)
}

/// Shape of two operands after broadcasting.
pub(super) fn broadcast_dims(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Fail> {
    let rank = a.len().max(b.len());
    let size = |d: &[usize], i: usize| (i + d.len()).checked_sub(rank).and_then(|i| d.get(i)).copied();
    let dims: Result<Vec<usize>, Fail> = (0..rank)
        .map(|i| match (size(a, i).unwrap_or(1), size(b, i).unwrap_or(1)) {
            (x, y) if x == y || y == 1 => Ok(x),
            (1, y) => Ok(y),
            _ => Err(Fail::malformed(format!("{a:?} and {b:?} cannot be broadcast to one shape"))),
        })
        .collect();
    let dims = dims?;
    count(&dims)?;
    Ok(dims)
}

/// Positions of a walk over `dims` in row-major order, `steps` apart along each axis.
pub(super) struct Positions {
    dims: Vec<usize>,
    steps: Vec<usize>,
    index: Vec<usize>,
    at: usize,
    left: usize,
}

impl Positions {
    pub(super) fn new(dims: &[usize], steps: &[usize]) -> Self {
        let left = dims.iter().product();
        Self { dims: dims.to_vec(), steps: steps.to_vec(), index: vec![0; dims.len()], at: 0, left }
    }
}

impl Iterator for Positions {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let here = self.at;
        for ((index, size), step) in self.index.iter_mut().zip(&self.dims).zip(&self.steps).rev() {
            *index += 1;
            self.at += step;
            if *index < *size {
                break;
            }
            self.at -= step * *size;
            *index = 0;
        }
        Some(here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_permuted_and_broadcast() {
        let c = Constant::ints(vec![2, 3], vec![0, 1, 2, 3, 4, 5]);
        assert_eq!(c.permute(&[1, 0]), Constant::ints(vec![3, 2], vec![0, 3, 1, 4, 2, 5]));
        let row = Constant::ints(vec![3], vec![7, 8, 9]);
        assert_eq!(row.broadcast(&[2, 3]).unwrap(), Constant::ints(vec![2, 3], vec![7, 8, 9, 7, 8, 9]));
        assert!(row.broadcast(&[3, 2]).is_err());
        assert_eq!(broadcast_dims(&[3, 1], &[2, 1, 4]).unwrap(), [2, 3, 4]);
        assert!(broadcast_dims(&[3], &[4]).is_err());
    }
}
