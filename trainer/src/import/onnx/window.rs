//! Sliding windows: kernel, strides, dilations and padding of convolutions and pools.

use super::fail::Fail;
use super::node::Node;
use dunlin::shape::{Pad, Window};

/// One axis of a window. Axes of space are one or two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) dilation: usize,
    /// Padding before and after.
    pub(super) pad: (usize, usize),
}

/// How the file gives the padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AutoPad {
    Explicit,
    SameUpper,
    SameLower,
    Valid,
}

impl Axis {
    /// Elements that the window covers.
    pub(super) fn extent(&self) -> usize {
        (self.kernel - 1) * self.dilation + 1
    }

    /// Positions of the window over `input` elements; with `ceil` also one that begins inside of the input and reaches
    /// over the end.
    pub(super) fn output(&self, input: usize, ceil: bool) -> Option<usize> {
        let padded = input + self.pad.0 + self.pad.1;
        let room = padded.checked_sub(self.extent())?;
        let output = if ceil { room.div_ceil(self.stride) } else { room / self.stride } + 1;
        // The last window must not begin in the padding behind the input.
        let beyond = ceil && (output - 1) * self.stride >= input + self.pad.0;
        Some(output - usize::from(beyond))
    }
}

/// Largest kernel, stride, dilation or padding: attributes of the runtime have 16 bits.
const MAX: i64 = u16::MAX as i64;

/// Reads `auto_pad`.
pub(super) fn auto_pad(node: &Node<'_>) -> Result<AutoPad, Fail> {
    Ok(match node.string_or("auto_pad", "NOTSET")? {
        "NOTSET" | "" => AutoPad::Explicit,
        "SAME_UPPER" => AutoPad::SameUpper,
        "SAME_LOWER" => AutoPad::SameLower,
        "VALID" => AutoPad::Valid,
        other => return Err(Fail::malformed(format!("`auto_pad` is `{other}`"))),
    })
}

/// `values` or as many times `default`, each in `low` to 65,535.
fn list(values: Option<&[i64]>, n: usize, default: i64, low: i64, what: &str) -> Result<Vec<usize>, Fail> {
    let Some(values) = values else { return Ok(vec![default as usize; n]) };
    if values.len() != n {
        return Err(Fail::malformed(format!("`{what}` has {} numbers, {n} are expected", values.len())));
    }
    values
        .iter()
        .map(|v| {
            if *v < 0 && low == 0 {
                return Err(Fail::unsupported(
                    format!("`{what}` {v} is negative"),
                    "cut the input with Slice first",
                ));
            }
            let valid = usize::try_from(*v).ok().filter(|_| (low..=MAX).contains(v));
            valid.ok_or_else(|| Fail::malformed(format!("`{what}` {v} is not in {low} to {MAX}")))
        })
        .collect()
}

/// The window of `node` over space of sizes `space`; `kernel` is that of the weights, where there are any.
pub(super) fn read(node: &Node<'_>, kernel: Option<&[usize]>, space: &[usize]) -> Result<Vec<Axis>, Fail> {
    let n = space.len();
    let named = node.ints("kernel_shape")?;
    let kernel: Vec<usize> = match (named, kernel) {
        (Some(k), weights) => {
            let k = list(Some(k), n, 1, 1, "kernel_shape")?;
            if weights.is_some_and(|w| w != k) {
                return Err(Fail::malformed(format!(
                    "`kernel_shape` is {k:?}, the weights have {:?}",
                    weights.unwrap_or_default()
                )));
            }
            k
        }
        (None, Some(w)) => w.to_vec(),
        (None, None) => return Err(Fail::malformed("`kernel_shape` is missing")),
    };
    if kernel.len() != n || kernel.iter().any(|k| *k == 0 || *k > MAX as usize) {
        return Err(Fail::malformed(format!("kernel {kernel:?} over {n} axes of space")));
    }
    let strides = list(node.ints("strides")?, n, 1, 1, "strides")?;
    let dilations = list(node.ints("dilations")?, n, 1, 1, "dilations")?;
    let auto = auto_pad(node)?;
    let pads = list(node.ints("pads")?, 2 * n, 0, 0, "pads")?;
    let axes = kernel.iter().zip(strides.iter().zip(&dilations)).zip(space).enumerate();
    Ok(axes
        .map(|(i, ((kernel, (stride, dilation)), size))| {
            let axis = Axis { kernel: *kernel, stride: *stride, dilation: *dilation, pad: (0, 0) };
            let output = size.div_ceil(*stride);
            let total = ((output - 1) * stride + axis.extent()).saturating_sub(*size);
            let given = |i: usize| pads.get(i).copied().unwrap_or(0);
            let pad = match auto {
                AutoPad::Explicit => (given(i), given(i + n)),
                AutoPad::SameUpper => (total / 2, total - total / 2),
                AutoPad::SameLower => (total - total / 2, total / 2),
                AutoPad::Valid => (0, 0),
            };
            Axis { pad, ..axis }
        })
        .collect())
}

/// A graph's window of one or two axes; one axis is that of the columns.
pub(super) fn window(axes: &[Axis]) -> Result<Window, Fail> {
    const ONE: Axis = Axis { kernel: 1, stride: 1, dilation: 1, pad: (0, 0) };
    let (rows, columns) = match axes {
        [x] => (ONE, *x),
        [y, x] => (*y, *x),
        _ => {
            return Err(Fail::unsupported(
                format!("its window has {} axes", axes.len()),
                "one or two axes of space can be imported",
            ));
        }
    };
    let narrow = |v: usize| {
        u16::try_from(v)
            .map_err(|_| Fail::unsupported(format!("a window's size or padding is {v}"), "at most 65,535"))
    };
    Ok(Window {
        kernel_h: narrow(rows.kernel)?,
        kernel_w: narrow(columns.kernel)?,
        stride_h: narrow(rows.stride)?,
        stride_w: narrow(columns.stride)?,
        dilation_h: narrow(rows.dilation)?,
        dilation_w: narrow(columns.dilation)?,
        pad: Pad {
            top: narrow(rows.pad.0)?,
            bottom: narrow(rows.pad.1)?,
            left: narrow(columns.pad.0)?,
            right: narrow(columns.pad.1)?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_would_begin_in_the_padding_does_not_count() {
        let axis = |kernel, stride, pad| Axis { kernel, stride, dilation: 1, pad };
        assert_eq!(axis(3, 2, (0, 0)).output(4, true), Some(2));
        assert_eq!(axis(3, 2, (0, 0)).output(4, false), Some(1));
        assert_eq!(axis(1, 2, (0, 0)).output(2, true), Some(1));
        assert_eq!(axis(5, 1, (0, 0)).output(4, true), None);
    }
}
