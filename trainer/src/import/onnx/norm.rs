//! Normalisations.

use super::binary::{self, BinaryFn};
use super::constant::Constant;
use super::conv::image;
use super::fail::Fail;
use super::importer::{Held, Importer, Item};
use super::layout::Layout;
use super::node::Node;
use super::reduce;
use super::shape::axis;
use super::unary;
use crate::ops::{self, ReduceFn, UnaryFn};

/// Batch normalisation with stored statistics.
pub(super) fn batch(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(5, 5)?;
    node.ignore("momentum");
    if node.flag("training_mode")? || node.int_or("is_test", 1)? == 0 {
        return Err(Fail::unsupported("is in training mode", "export the model for inference"));
    }
    if node.int_or("spatial", 1)? == 0 {
        return Err(Fail::unsupported("has statistics for each pixel", "`spatial` 1 can be imported"));
    }
    let epsilon = node.float_or("epsilon", 1e-5)?;
    if !(epsilon >= 0.0 && epsilon.is_finite()) {
        return Err(Fail::malformed(format!("`epsilon` is {epsilon}")));
    }
    let x = im.held(node, 0)?;
    let x = im.channels_last(x)?;
    let channels = x.dims.get(1).copied().unwrap_or(1);
    let mut params = Vec::new();
    for i in 1..5 {
        let c = im.constant(node, i)?;
        if c.len() != channels {
            return Err(Fail::malformed(format!(
                "input {i} has {} elements for {channels} channels",
                c.len()
            )));
        }
        params.push(c.to_floats());
    }
    let id = im.push("", ops::BatchNorm { epsilon }, &[x.id], params)?;
    Ok(vec![Item::Held(x.with_id(id))])
}

/// Instance normalisation: every channel of every sample by its own mean and variance over space.
pub(super) fn instance(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(3, 3)?;
    let epsilon = node.float_or("epsilon", 1e-5)?;
    let x = im.held(node, 0)?;
    let x = im.channels_last(x)?;
    let (channels, space) = image(&x)?;
    let axes: Vec<usize> = (2..2 + space.len()).collect();
    let mut vector = vec![channels];
    vector.resize(1 + space.len(), 1);
    let scale = (*im.constant(node, 1)?).clone().with_dims(vector.clone())?;
    let shift = (*im.constant(node, 2)?).clone().with_dims(vector)?;
    let (y, _, _) = normalised(im, x, &axes, epsilon, Some(scale), Some(shift))?;
    Ok(vec![Item::Held(y)])
}

/// Layer normalisation over the last axes.
pub(super) fn layer(im: &mut Importer, node: &Node<'_>) -> Result<Vec<Item>, Fail> {
    node.check_inputs(2, 3)?;
    node.ignore("stash_type");
    let epsilon = node.float_or("epsilon", 1e-5)?;
    let x = im.held(node, 0)?;
    let x = im.plain(x)?;
    let rank = x.dims.len();
    let first = axis(node.int_or("axis", -1)?, rank)?;
    let axes: Vec<usize> = (first..rank).collect();
    let scale = (*im.constant(node, 1)?).clone();
    let shift = im.constant_if_given(node, 2)?.map(|c| (*c).clone());
    let needs_statistics = node.output(1).or(node.output(2)).is_some();
    if axes.len() == 1
        && !needs_statistics
        && let Some(x) = last_as_channels(im, &x)?
    {
        let channels = scale.len();
        let shift = shift.map_or_else(|| vec![0.0; channels], |c| c.to_floats());
        if x.dims.last() != Some(&channels) || shift.len() != channels {
            return Err(Fail::malformed(format!(
                "{channels} scales and {} shifts for {:?}",
                shift.len(),
                x.dims
            )));
        }
        let id = im.push("", ops::LayerNorm { epsilon }, &[x.id], vec![scale.to_floats(), shift])?;
        return Ok(vec![Item::Held(x.with_id(id))]);
    }
    let (y, mean, deviation) = normalised(im, x, &axes, epsilon, Some(scale), shift)?;
    Ok(vec![Item::Held(y), Item::Held(mean), Item::Held(deviation)])
}

/// `x` with its last axis in the place of the channels, where it can be and has several elements.
fn last_as_channels(im: &mut Importer, x: &Held) -> Result<Option<Held>, Fail> {
    match (x.dims.last(), Layout::logical(&x.dims)) {
        (Some(2..), Some(layout)) => im.place(x.clone(), &layout).map(Some),
        _ => Ok(None),
    }
}

/// `(x − mean) / sqrt(variance + epsilon) · scale + shift` with mean and variance over `axes`; also the mean and the
/// reciprocal of the deviation.
fn normalised(
    im: &mut Importer,
    x: Held,
    axes: &[usize],
    epsilon: f32,
    scale: Option<Constant>,
    shift: Option<Constant>,
) -> Result<(Held, Held, Held), Fail> {
    let mean = reduce::apply(im, "mean", ReduceFn::Mean, &x, axes)?;
    let centred = binary::held(im, "centred", BinaryFn::Sub, &x, &mean)?;
    let squared = unary::apply(im, "squared", UnaryFn::Square, &centred)?;
    let variance = reduce::apply(im, "variance", ReduceFn::Mean, &squared, axes)?;
    let epsilon = Item::constant(Constant::floats(vec![], vec![epsilon]));
    let raised = binary::apply(im, "raised", BinaryFn::Add, Item::Held(variance), epsilon)?;
    let inverse = unary::apply(im, "rsqrt", UnaryFn::Rsqrt, &raised)?;
    let mut y = binary::held(im, "scaled", BinaryFn::Mul, &centred, &inverse)?;
    if let Some(scale) = scale {
        y = binary::apply(im, "gamma", BinaryFn::Mul, Item::Held(y), Item::constant(scale))?;
    }
    if let Some(shift) = shift {
        y = binary::apply(im, "", BinaryFn::Add, Item::Held(y), Item::constant(shift))?;
    }
    Ok((y, mean, inverse))
}
