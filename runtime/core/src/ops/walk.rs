//! Operators that move elements: where each element of the output stands in the input.

use crate::format::DType;
use crate::shape::Shape;

/// Sizes of a shape in the order of its axes, NHWC.
pub(super) const fn sizes(s: &Shape) -> [u32; 4] {
    [s.n, s.h, s.w, s.c]
}

/// The shape of these sizes.
pub(super) const fn shape([n, h, w, c]: [u32; 4]) -> Shape {
    Shape { n, h, w, c }
}

/// Elements between neighbours along each axis of a tensor.
pub(super) const fn strides(s: &Shape) -> [usize; 4] {
    let row = s.w as usize * s.c as usize;
    [s.h as usize * row, row, s.c as usize, 1]
}

/// Fills `y` from `x`, elements of `size` bytes: the element of `y` at an index stands in `x` at the sum of
/// `from(axis, index on that axis)` over the four axes. Each `run` channels are neighbours in both tensors.
pub(super) fn rearrange(
    x: &[u8],
    y: &mut [u8],
    out: &Shape,
    size: usize,
    run: usize,
    from: impl Fn(usize, usize) -> usize,
) -> Option<()> {
    let bytes = run * size;
    let mut pieces = y.chunks_exact_mut(bytes);
    for n in 0..out.n as usize {
        let image = from(0, n);
        for h in 0..out.h as usize {
            let row = image + from(1, h);
            for w in 0..out.w as usize {
                let pixel = row + from(2, w);
                for c in (0..out.c as usize).step_by(run) {
                    let start = (pixel + from(3, c)) * size;
                    copy(x.get(start..start + bytes)?, pieces.next()?);
                }
            }
        }
    }
    Some(())
}

/// Copies a piece; one byte without a call.
fn copy(x: &[u8], y: &mut [u8]) {
    if let ([x], [y]) = (x, &mut *y) {
        *y = *x;
    } else {
        y.copy_from_slice(x);
    }
}

/// Sets every element of a tensor to `value`, a number of its type.
pub(super) fn fill(y: &mut [u8], dtype: DType, value: i16) {
    let mut each =
        |element: &[u8]| y.chunks_exact_mut(element.len()).for_each(|y| y.copy_from_slice(element));
    match dtype {
        DType::I8 | DType::U8 => y.fill(value as u8),
        DType::I16 | DType::U16 => each(&value.to_ne_bytes()),
        DType::I32 => each(&i32::from(value).to_ne_bytes()),
        DType::F32 => each(&f32::from(value).to_ne_bytes()),
    }
}
