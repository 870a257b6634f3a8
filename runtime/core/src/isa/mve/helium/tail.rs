//! Slices in blocks of eight values; what is left is copied to where there is room for a block.

use crate::isa::Source;

const BLOCK: usize = 8;

/// Calls `run` with a pointer to the first operand, to the result, and the number of blocks that both have.
pub(super) fn unary(a: Source<'_>, out: &mut [i8], run: impl Fn(*const i8, *mut i8, usize)) {
    let whole = out.len() / BLOCK;
    let (head, tail) = out.split_at_mut(whole * BLOCK);
    let mut last = [0; BLOCK];
    let n = tail.len();
    let start = match &a {
        Source::InPlace => head.as_ptr(),
        Source::From(a) => {
            let (start, rest) = a[..whole * BLOCK + n].split_at(whole * BLOCK);
            last[..n].copy_from_slice(rest);
            start.as_ptr()
        }
    };
    if whole > 0 {
        run(start, head.as_mut_ptr(), whole);
    }
    if n > 0 {
        if matches!(a, Source::InPlace) {
            last[..n].copy_from_slice(tail);
        }
        run(last.as_ptr(), last.as_mut_ptr(), 1);
        tail.copy_from_slice(&last[..n]);
    }
}

/// As [`unary`], with a second operand as long as the result, or one value.
pub(super) fn binary(
    a: Source<'_>,
    b: &[i8],
    out: &mut [i8],
    run: impl Fn(*const i8, *const i8, *mut i8, usize),
) {
    if let [b] = *b {
        let all = [b; BLOCK];
        return unary(a, out, |a, out, blocks| {
            for i in 0..blocks {
                run(a.wrapping_add(i * BLOCK), all.as_ptr(), out.wrapping_add(i * BLOCK), 1);
            }
        });
    }
    let whole = out.len() / BLOCK * BLOCK;
    let (b, rest) = b[..out.len()].split_at(whole);
    let (head, tail) = out.split_at_mut(whole);
    let mut last = [0; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    let (a, a_rest) = match a {
        Source::InPlace => (Source::InPlace, Source::InPlace),
        Source::From(a) => (Source::From(&a[..whole]), Source::From(&a[whole..])),
    };
    unary(a, head, |a, out, blocks| run(a, b.as_ptr(), out, blocks));
    unary(a_rest, tail, |a, out, blocks| run(a, last.as_ptr(), out, blocks));
}
