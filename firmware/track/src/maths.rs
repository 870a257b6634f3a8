//! The functions of real numbers that the tracker calls, on every target the same: `libm`, in software, so that host and
//! board have equal bits. Never method syntax, which on the host means another function.

/// Square root.
pub fn sqrt(x: f32) -> f32 {
    libm::sqrtf(x)
}

/// Natural logarithm.
pub fn ln(x: f32) -> f32 {
    libm::logf(x)
}

/// The middle of `values`, of an even number the mean of the two in the middle; 0 of none. Sorts them.
pub fn median(values: &mut [f32]) -> f32 {
    values.sort_unstable_by(f32::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[half],
        _ => 0.5 * (values[half - 1] + values[half]),
    }
}

/// `x` limited to `lo ..= hi`; a NaN becomes `lo`.
pub fn clip(x: f32, lo: f32, hi: f32) -> f32 {
    if x > hi {
        hi
    } else if x > lo {
        x
    } else {
        lo
    }
}
