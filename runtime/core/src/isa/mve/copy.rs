//! Copies of equally spaced pieces.

/// Copies `count` pieces of `len` bytes, `from_pitch` apart in `from`, to pieces `pitch` apart in `to`.
pub(super) fn copy_pieces(
    from: &[i8],
    from_pitch: usize,
    len: usize,
    count: usize,
    to: &mut [i8],
    pitch: usize,
) {
    for i in 0..count {
        to[i * pitch..][..len].copy_from_slice(&from[i * from_pitch..][..len]);
    }
}

/// Fills `count` pieces of `len` bytes, `pitch` apart.
pub(super) fn fill_pieces(value: i8, len: usize, count: usize, to: &mut [i8], pitch: usize) {
    for i in 0..count {
        to[i * pitch..][..len].fill(value);
    }
}
