//! Elements picked by indices that the network computes or is given.

use super::concat::join;
use super::fail::Fail;
use super::importer::{Held, Importer, Item, Kind};
use super::shape::reshaped_held;

/// The elements of `x` along axis `a` at `indices`; sizes of the result are `dims`.
pub(super) fn gather(
    im: &mut Importer,
    x: Item,
    a: usize,
    indices: Item,
    dims: Vec<usize>,
) -> Result<Vec<Item>, Fail> {
    let indices = im.hold(indices)?;
    if indices.kind != Kind::Integer {
        return Err(Fail::malformed("the indices are no integers"));
    }
    let indices = im.logical(indices)?;
    let count = indices.dims.iter().product();
    let x = im.hold(x)?;
    let x = im.plain(x)?;
    // Along an axis of one element every index is 0.
    let Some(slot) = x.layout.slot(a) else {
        let parts = vec![Item::Held(x.clone()); count];
        let mut joined = x.dims.clone();
        if let Some(d) = joined.get_mut(a) {
            *d = count;
        }
        let held = join(im, parts, a, joined)?;
        return Ok(vec![Item::Held(reshaped_held(im, held, dims)?)]);
    };
    let id = im.gather(x.id, indices.id, slot)?;
    let mut gathered = x.dims.clone();
    if let Some(d) = gathered.get_mut(a) {
        *d = count;
    }
    let layout = x.layout.restricted(&gathered);
    let held = Held { id, dims: gathered, layout, kind: x.kind };
    Ok(vec![Item::Held(reshaped_held(im, held, dims)?)])
}
