//! NumPy's `.npy` files, versions 1 to 3 (`numpy.lib.format`): a magic, the version, the length of the header, the
//! header as a Python dictionary with `descr`, `fortran_order` and `shape`, then the elements.

use super::DataError;
use std::path::Path;

/// What the elements of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Floating point, or integers of more than eight bits.
    Real,
    /// Unsigned bytes: pixels, or the model's own type.
    U8,
    /// Signed bytes: the model's own type.
    I8,
}

/// The content of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes, slowest first.
    pub dims: Vec<usize>,
    /// Elements, row-major.
    pub data: Vec<f32>,
    /// What they were.
    pub kind: Kind,
}

/// Reads a file of little-endian numbers in C order; integers of more than 24 bits are rounded to f32.
///
/// # Errors
/// A file that cannot be read, is cut off, is in Fortran order, or holds something else than numbers.
pub fn read(path: &Path) -> Result<Array, DataError> {
    let bytes = std::fs::read(path).map_err(|source| DataError::Read { path: path.into(), source })?;
    parse(&bytes).map_err(|problem| DataError::content(path, problem))
}

fn parse(bytes: &[u8]) -> Result<Array, String> {
    const MAGIC: &[u8] = b"\x93NUMPY";
    let rest = bytes.strip_prefix(MAGIC).ok_or("not a .npy file: it must start with \\x93NUMPY")?;
    let (length, rest) = match rest {
        [1, _, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return Err("of a version that is not 1, 2 or 3, or cut off".into()),
    };
    let (header, data) = rest.split_at_checked(length).ok_or("cut off inside of its header")?;
    let header = String::from_utf8_lossy(header);
    let descr = field(&header, "descr").ok_or("its header names no type (`descr`)")?;
    let shape = field(&header, "shape").ok_or("its header names no shape")?;
    if field(&header, "fortran_order").is_none_or(|v| !v.starts_with("False")) {
        return Err("is in Fortran order; save it with numpy.ascontiguousarray".into());
    }
    let dims = sizes(shape).ok_or_else(|| format!("its header has the shape {shape}"))?;
    let name = descr.trim_start_matches(['\'', '"']).split(['\'', '"']).next().unwrap_or_default();
    let Some((kind, size, element)) = element(name) else {
        let types = "f4, f8, u1, i1, u2, i2, i4 or i8, little endian";
        return Err(format!("holds elements of type {name}, expected {types}"));
    };
    let count = dims.iter().try_fold(1usize, |a, &d| a.checked_mul(d));
    if count.and_then(|n| n.checked_mul(size)) != Some(data.len()) {
        return Err(format!("{} bytes of data for {dims:?} elements of {size} bytes", data.len()));
    }
    Ok(Array { dims, data: data.chunks_exact(size).map(element).collect(), kind })
}

/// The text after `'name':` in a header.
fn field<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    let at = [format!("'{name}'"), format!("\"{name}\"")]
        .iter()
        .find_map(|key| header.find(key.as_str()).map(|at| at + key.len()))?;
    Some(header[at..].trim_start().strip_prefix(':')?.trim_start())
}

/// The numbers of a tuple such as `(3, 4)`, `(5,)` or `()`.
fn sizes(text: &str) -> Option<Vec<usize>> {
    let inside = text.strip_prefix('(')?.split(')').next()?;
    let numbers = inside.split(',').map(str::trim).filter(|n| !n.is_empty());
    numbers.map(|n| n.parse().ok()).collect()
}

type Element = fn(&[u8]) -> f32;

/// Kind, bytes and reader of a type's elements.
fn element(name: &str) -> Option<(Kind, usize, Element)> {
    fn to<const N: usize>(b: &[u8]) -> [u8; N] {
        std::array::from_fn(|i| b[i])
    }
    let element: (Kind, usize, Element) = match name {
        "<f4" => (Kind::Real, 4, |b| f32::from_le_bytes(to(b))),
        "<f8" => (Kind::Real, 8, |b| f64::from_le_bytes(to(b)) as f32),
        "|u1" | "u1" => (Kind::U8, 1, |b| f32::from(b[0])),
        "|i1" | "i1" => (Kind::I8, 1, |b| f32::from(b[0] as i8)),
        "<u2" => (Kind::Real, 2, |b| f32::from(u16::from_le_bytes(to(b)))),
        "<i2" => (Kind::Real, 2, |b| f32::from(i16::from_le_bytes(to(b)))),
        "<i4" => (Kind::Real, 4, |b| i32::from_le_bytes(to(b)) as f32),
        "<i8" => (Kind::Real, 8, |b| i64::from_le_bytes(to(b)) as f32),
        _ => return None,
    };
    Some(element)
}
