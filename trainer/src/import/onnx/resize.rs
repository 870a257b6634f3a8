//! Resampling of images.

use super::constant::count;
use super::fail::Fail;
use super::importer::{Held, Importer, Item, too_many};
use super::layout::Layout;
use super::node::Node;
use super::shape::axis;
use crate::ops::{self, ResizeMode};

/// Where an output pixel lies in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coordinates {
    HalfPixel,
    AlignCorners,
    Asymmetric,
    /// Half pixels, but 0 where the output has one.
    PytorchHalfPixel,
    HalfPixelSymmetric,
}

/// One axis of the image.
#[derive(Clone, Copy, Debug)]
struct Axis {
    input: usize,
    output: usize,
    /// Output pixels per input pixel, as the file gives it.
    scale: f32,
}

impl Axis {
    /// The coordinate of output pixel `at`, as the standard computes it.
    fn original(&self, at: usize, rule: Coordinates) -> f32 {
        let (x, input, output) = (at as f32, self.input as f32, self.output as f32);
        match rule {
            Coordinates::HalfPixel => (x + 0.5) / self.scale - 0.5,
            Coordinates::PytorchHalfPixel if self.output > 1 => (x + 0.5) / self.scale - 0.5,
            Coordinates::PytorchHalfPixel => 0.0,
            Coordinates::Asymmetric => x / self.scale,
            // The length that the scale gives, which need not be whole.
            Coordinates::AlignCorners if self.output > 1 => x * (input - 1.0) / (self.scale * input - 1.0),
            Coordinates::AlignCorners => 0.0,
            Coordinates::HalfPixelSymmetric => {
                let adjustment = output / (self.scale * input);
                let centre = input / 2.0;
                centre * (1.0 - adjustment) + (x + 0.5) / self.scale - 0.5
            }
        }
    }

    /// Whether the scale is the quotient of the sizes.
    fn is_whole(&self) -> bool {
        let exact = self.output as f32 / self.input as f32;
        (self.scale - exact).abs() <= exact * 1e-5
    }
}

pub(super) fn upsample(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    let scales = if node.opset < 9 {
        node.check_inputs(1, 1)?;
        node.floats("scales")?.map(<[f32]>::to_vec)
    } else {
        node.check_inputs(2, 2)?;
        Some(im.constant(node, 1)?.to_floats())
    };
    let scales = scales.ok_or_else(|| Fail::malformed("the scales are missing"))?;
    let x = im.held(node, 0)?;
    let mode = node.string_or("mode", "nearest")?;
    resampled(im, x, Some(scales), None, mode, Coordinates::Asymmetric, "floor")
}

pub(super) fn resize(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    let x = im.held(node, 0)?;
    let mode = node.string_or("mode", "nearest")?;
    if node.opset < 11 {
        node.check_inputs(2, 2)?;
        let scales = im.constant(node, 1)?.to_floats();
        return resampled(im, x, Some(scales), None, mode, Coordinates::Asymmetric, "floor");
    }
    node.check_inputs(1, 4)?;
    for attribute in ["cubic_coeff_a", "extrapolation_value"] {
        node.ignore(attribute);
    }
    let rule = match node.string_or("coordinate_transformation_mode", "half_pixel")? {
        "half_pixel" => Coordinates::HalfPixel,
        "pytorch_half_pixel" => Coordinates::PytorchHalfPixel,
        "half_pixel_symmetric" => Coordinates::HalfPixelSymmetric,
        "align_corners" => Coordinates::AlignCorners,
        "asymmetric" => Coordinates::Asymmetric,
        other => {
            return Err(Fail::unsupported(
                format!("`coordinate_transformation_mode` is {other}"),
                "half_pixel, align_corners or asymmetric can be imported",
            ));
        }
    };
    if node.flag("antialias")? {
        return Err(Fail::unsupported("`antialias` is set", "pool first, or leave it out"));
    }
    if node.flag("exclude_outside")? {
        return Err(Fail::unsupported("`exclude_outside` is set", "leave it out"));
    }
    let nearest = node.string_or("nearest_mode", "round_prefer_floor")?;
    let policy = node.string_or("keep_aspect_ratio_policy", "stretch")?;
    let rank = x.dims.len();
    let axes: Vec<usize> = match node.ints("axes")? {
        Some(axes) => axes.iter().map(|a| axis(*a, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    let given = |i: usize| im.constant_if_given(node, i);
    let scales = given(2)?.filter(|c| c.len() > 0).map(|c| c.to_floats());
    let sizes = given(3)?.filter(|c| c.len() > 0).map(|c| c.as_ints().map(<[i64]>::to_vec)).transpose()?;
    let spread = |values: Vec<f32>, whole: &dyn Fn(usize) -> f32| -> Result<Vec<f32>, Fail> {
        if values.len() != axes.len() {
            return Err(Fail::malformed(format!("{} numbers for {} axes", values.len(), axes.len())));
        }
        let mut all: Vec<f32> = (0..rank).map(whole).collect();
        for (a, v) in axes.iter().zip(values) {
            if let Some(slot) = all.get_mut(*a) {
                *slot = v;
            }
        }
        Ok(all)
    };
    let scales = scales.map(|s| spread(s, &|_| 1.0)).transpose()?;
    let dims = x.dims.clone();
    let size = |a: usize| dims.get(a).copied().unwrap_or(1) as f32;
    let mut scales = scales;
    let mut wanted = None;
    if let Some(sizes) = sizes {
        let sizes = super::constant::sizes(&sizes)?;
        let numbers = spread(sizes.iter().map(|s| *s as f32).collect(), &size)?;
        let ratios = axes.iter().zip(&sizes).map(|(a, s)| *s as f32 / size(*a));
        let common = match policy {
            "stretch" => None,
            "not_larger" => Some(ratios.fold(f32::INFINITY, f32::min)),
            "not_smaller" => Some(ratios.fold(0.0, f32::max)),
            other => return Err(Fail::malformed(format!("`keep_aspect_ratio_policy` is `{other}`"))),
        };
        match common {
            None => wanted = Some(numbers.iter().map(|n| *n as usize).collect::<Vec<usize>>()),
            Some(scale) => {
                let new = |a: usize| if axes.contains(&a) { (size(a) * scale).round() } else { size(a) };
                wanted = Some((0..rank).map(|a| new(a) as usize).collect());
                scales = Some((0..rank).map(|a| if axes.contains(&a) { scale } else { 1.0 }).collect());
            }
        }
    }
    resampled(im, x, scales, wanted, mode, rule, nearest)
}

/// `x` resampled by `scales` (one for each axis) to `sizes`, at least one of which is given.
fn resampled(
    im: &mut Importer,
    x: Held,
    scales: Option<Vec<f32>>,
    sizes: Option<Vec<usize>>,
    mode: &str,
    rule: Coordinates,
    nearest: &str,
) -> Result<Vec<Item>, Fail> {
    let rank = x.dims.len();
    if let Some(s) = scales.iter().flatten().find(|s| !(s.is_finite() && **s > 0.0)) {
        return Err(Fail::malformed(format!("a scale is {s}")));
    }
    let dims = match (&sizes, &scales) {
        (Some(sizes), _) => sizes.clone(),
        (None, Some(scales)) => {
            x.dims.iter().zip(scales).map(|(d, s)| (*d as f64 * f64::from(*s)).floor() as usize).collect()
        }
        (None, None) => return Err(Fail::malformed("has neither scales nor sizes")),
    };
    if dims.len() != rank || scales.as_ref().is_some_and(|s| s.len() != rank) {
        return Err(Fail::malformed(format!("{} sizes for a tensor of rank {rank}", dims.len())));
    }
    if count(&dims)? == 0 {
        return Err(Fail::malformed(format!("the new size is {dims:?}")));
    }
    if dims == x.dims {
        return Ok(vec![Item::Held(x)]);
    }
    let x = im.channels_last(x)?;
    if dims.iter().zip(&x.dims).take(2).any(|(new, old)| new != old) {
        return Err(Fail::unsupported("resizes samples or channels", "axes of space can be imported"));
    }
    let axes: Vec<Axis> = (2..rank)
        .filter_map(|a| {
            let (input, output) = (*x.dims.get(a)?, *dims.get(a)?);
            let scale =
                scales.as_ref().and_then(|s| s.get(a)).copied().unwrap_or(output as f32 / input as f32);
            Some(Axis { input, output, scale })
        })
        .collect();
    let layout = Layout::channels_last(&dims).ok_or_else(|| too_many(&dims))?;
    let shape = layout.shape();
    let id = match mode {
        "nearest" => {
            let tables = axes.iter().map(|a| positions(*a, rule, nearest)).collect::<Result<Vec<_>, _>>()?;
            match own_rule(&axes, &tables) {
                Some((half_pixel_centers, align_corners)) => {
                    let op = ops::Resize {
                        mode: ResizeMode::Nearest,
                        half_pixel_centers,
                        align_corners,
                        out_h: shape.h,
                        out_w: shape.w,
                    };
                    im.push("", op, &[x.id], vec![])?
                }
                // Rows, then columns, by their numbers.
                None => {
                    let mut value = x.id;
                    for (i, table) in tables.iter().enumerate() {
                        let axis = axes.get(i);
                        let same = axis.is_some_and(|a| a.input == a.output)
                            && table.is_sorted_by(|a, b| b - a == 1);
                        if !same {
                            value = im.pick(value, table.clone(), i + 3 - tables.len())?;
                        }
                    }
                    value
                }
            }
        }
        "linear" | "bilinear" => {
            let (half_pixel_centers, align_corners) = bilinear(&axes, rule)?;
            let op = ops::Resize {
                mode: ResizeMode::Bilinear,
                half_pixel_centers,
                align_corners,
                out_h: shape.h,
                out_w: shape.w,
            };
            im.push("", op, &[x.id], vec![])?
        }
        other => {
            return Err(Fail::unsupported(format!("resizes by {other} interpolation"), "nearest or linear"));
        }
    };
    Ok(vec![Item::Held(Held { id, dims, layout, kind: x.kind })])
}

/// The rule of coordinates of the graph that is the same for these sizes.
fn bilinear(axes: &[Axis], rule: Coordinates) -> Result<(bool, bool), Fail> {
    let whole = axes.iter().all(Axis::is_whole);
    let refuse = |what: &str| {
        Fail::unsupported(
            format!("interpolates linearly with {what}"),
            "half_pixel, align_corners or asymmetric with sizes, or with scales that give whole sizes, can be imported",
        )
    };
    match rule {
        Coordinates::AlignCorners if whole => Ok((false, true)),
        Coordinates::Asymmetric if whole => Ok((false, false)),
        Coordinates::HalfPixel | Coordinates::HalfPixelSymmetric if whole => Ok((true, false)),
        Coordinates::PytorchHalfPixel if whole && axes.iter().all(|a| a.output > 1 || a.input == 1) => {
            Ok((true, false))
        }
        Coordinates::PytorchHalfPixel => Err(refuse("pytorch_half_pixel to one pixel")),
        _ => Err(refuse("scales that do not give whole sizes")),
    }
}

/// The flags of the graph's own rule of nearest neighbours that gives these tables.
fn own_rule(axes: &[Axis], tables: &[Vec<u32>]) -> Option<(bool, bool)> {
    [(false, false), (true, false), (false, true)].into_iter().find(|(half_pixel_centers, align_corners)| {
        axes.iter().zip(tables).all(|(axis, table)| {
            let (input, output) = (axis.input as u32, axis.output as u32);
            let op = ops::Resize {
                mode: ResizeMode::Nearest,
                half_pixel_centers: *half_pixel_centers,
                align_corners: *align_corners,
                out_h: output,
                out_w: output,
            };
            table.iter().zip(0..).all(|(position, at)| op.weights(input, output, at)[0].0 == *position)
        })
    })
}

/// Input position of each output position.
fn positions(axis: Axis, rule: Coordinates, nearest: &str) -> Result<Vec<u32>, Fail> {
    let round: fn(f32) -> f32 = match nearest {
        // Half down.
        "round_prefer_floor" => |x| (x - 0.5).ceil(),
        "round_prefer_ceil" => |x| (x + 0.5).floor(),
        "floor" => f32::floor,
        "ceil" => f32::ceil,
        other => return Err(Fail::malformed(format!("`nearest_mode` is `{other}`"))),
    };
    if axis.input > 1 << 16 || axis.output > 1 << 16 {
        return Err(Fail::unsupported("resizes an axis of more than 65,536 elements", ""));
    }
    let last = axis.input as f32 - 1.0;
    Ok((0..axis.output).map(|at| round(axis.original(at, rule)).clamp(0.0, last) as u32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_pixel_is_that_of_the_standard() {
        let axis = |input, output| Axis { input, output, scale: output as f32 / input as f32 };
        let half = |input, output| {
            positions(axis(input, output), Coordinates::HalfPixel, "round_prefer_floor").unwrap()
        };
        assert_eq!(half(2, 4), [0, 0, 1, 1]);
        assert_eq!(half(2, 7), [0, 0, 0, 0, 1, 1, 1]);
        assert_eq!(half(4, 3), [0, 1, 3]);
        let corners = positions(axis(4, 8), Coordinates::AlignCorners, "floor").unwrap();
        assert_eq!(corners, [0, 0, 0, 1, 1, 2, 2, 3]);
    }
}
