//! Tensors of the file.

use super::constant::{Constant, Elem, Elements, count, sizes};
use super::fail::Fail;
use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::DataLocation;

/// Reads a tensor of the file.
pub(super) fn read(tensor: &TensorProto) -> Result<Constant, Fail> {
    let external = tensor.data_location == Some(DataLocation::External as i32);
    if external || !tensor.external_data.is_empty() {
        return Err(Fail::unsupported(
            "keeps its elements in another file (external data)",
            "save the model as one file",
        ));
    }
    if tensor.segment.is_some() {
        return Err(Fail::unsupported("is stored in segments", "save it as one tensor"));
    }
    let elem = Elem::from_code(tensor.data_type)?;
    let dims = sizes(&tensor.dims)?;
    let count = count(&dims)?;
    let data = if tensor.raw_data.is_empty() { typed(tensor, elem)? } else { raw(tensor, elem, count)? };
    let found = data.len();
    if found != count {
        return Err(Fail::malformed(format!("shape {dims:?} asks for {count} elements, {found} are stored")));
    }
    Ok(Constant::new(dims, elem, data))
}

fn typed(t: &TensorProto, elem: Elem) -> Result<Elements, Fail> {
    let ints = |v: &[i32]| Elements::Int(v.iter().map(|x| i64::from(*x)).collect());
    let data = match elem {
        Elem::F32 => Elements::Float(t.float_data.clone()),
        Elem::F64 => Elements::Float(t.double_data.iter().map(|x| *x as f32).collect()),
        // The low 16 bits of each hold one number.
        Elem::F16 => Elements::Float(t.int32_data.iter().map(|x| widen(*x as u16)).collect()),
        Elem::I64 => Elements::Int(t.int64_data.clone()),
        Elem::U32 | Elem::U64 => Elements::Int(t.uint64_data.iter().map(|x| saturate(*x)).collect()),
        _ => ints(&t.int32_data),
    };
    if let Elements::Int(values) = &data {
        let (low, high) = elem.range();
        if let Some(x) = values.iter().find(|x| **x < low || **x > high) {
            return Err(Fail::malformed(format!("element {x} does not fit into its type {elem:?}")));
        }
    }
    Ok(data)
}

fn raw(t: &TensorProto, elem: Elem, count: usize) -> Result<Elements, Fail> {
    let bytes = t.raw_data.as_slice();
    let expected = count * elem.bytes();
    if bytes.len() != expected {
        let found = bytes.len();
        return Err(Fail::malformed(format!("{count} elements take {expected} bytes, {found} are stored")));
    }
    // Little-endian by the specification.
    Ok(match elem {
        Elem::F32 => Elements::Float(each(bytes, f32::from_le_bytes)),
        Elem::F64 => Elements::Float(each(bytes, |b| f64::from_le_bytes(b) as f32)),
        Elem::F16 => Elements::Float(each(bytes, |b| widen(u16::from_le_bytes(b)))),
        Elem::I8 => Elements::Int(each(bytes, |b| i8::from_le_bytes(b).into())),
        Elem::U8 => Elements::Int(each(bytes, |b| u8::from_le_bytes(b).into())),
        Elem::Bool => Elements::Int(each(bytes, |b: [u8; 1]| i64::from(b != [0]))),
        Elem::I16 => Elements::Int(each(bytes, |b| i16::from_le_bytes(b).into())),
        Elem::U16 => Elements::Int(each(bytes, |b| u16::from_le_bytes(b).into())),
        Elem::I32 => Elements::Int(each(bytes, |b| i32::from_le_bytes(b).into())),
        Elem::U32 => Elements::Int(each(bytes, |b| u32::from_le_bytes(b).into())),
        Elem::I64 => Elements::Int(each(bytes, i64::from_le_bytes)),
        Elem::U64 => Elements::Int(each(bytes, |b| saturate(u64::from_le_bytes(b)))),
    })
}

fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.chunks_exact(N).filter_map(|c| c.try_into().ok()).map(read).collect()
}

fn saturate(x: u64) -> i64 {
    i64::try_from(x).unwrap_or(i64::MAX)
}

/// The number with IEEE 754 binary16 bits `bits`, exactly.
fn widen(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f32::from(bits & 0x3ff);
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::pb::tensor_proto::DataType;

    #[test]
    fn half_precision_is_widened_exactly() {
        for (bits, value) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x0001, 5.960_464_5e-8), (0x7bff, 65504.0), (0, 0.0)]
        {
            assert_eq!(widen(bits), value);
        }
        assert!(widen(0x7e00).is_nan() && widen(0xfc00) == f32::NEG_INFINITY);
    }

    #[test]
    fn a_tensor_of_the_wrong_length_is_refused() {
        let tensor = |raw_data: Vec<u8>, float_data: Vec<f32>, dims: Vec<i64>| TensorProto {
            data_type: DataType::Float as i32,
            raw_data,
            float_data,
            dims,
            ..TensorProto::default()
        };
        assert!(read(&tensor(vec![0; 8], vec![], vec![2])).is_ok());
        assert!(read(&tensor(vec![0; 7], vec![], vec![2])).is_err());
        assert!(read(&tensor(vec![], vec![1.0], vec![2])).is_err());
        assert!(read(&tensor(vec![], vec![], vec![1 << 40, 1 << 40])).is_err());
        assert!(read(&tensor(vec![], vec![], vec![-1])).is_err());
    }
}
