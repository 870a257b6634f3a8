//! Which axis of an ONNX tensor lies where in the graph.
//!
//! ONNX counts axes from the slowest (`N, C, H, W`), the graph has four, channels fastest. An importer that wrote every
//! tensor in the order of ONNX would transpose before and after each convolution. Here a tensor keeps its ONNX sizes and,
//! beside them, a [`Layout`]: for each axis of the graph the axis of ONNX that it holds. A transposition in the file then
//! changes the layout and no byte; a reshape that only splits, joins or drops axes lying side by side does too.
//!
//! Axes of size 1 lie nowhere and everywhere, so they are left out. `inner` may be finer than the sizes of the tensor: the
//! flattened `[N, C·H·W]` of a channels-last image keeps `inner = [N, C, H, W]`, and the matrix behind it has its rows
//! permuted on the host.

use dunlin::shape::Shape;

/// Where the axes of a tensor lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Sizes that the graph's axes hold: those of the tensor, or finer (each size of the tensor is the product of a run).
    pub(super) inner: Vec<usize>,
    /// For the graph's axes N, H, W, C the axis of `inner` that it holds; `None` has size 1. Every axis of `inner` of another
    /// size than 1 is held once, no other axis is.
    pub(super) place: [Option<usize>; 4],
}

/// What a reshape asks of the memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reshaped {
    /// The graph's value can stand as it is, seen so.
    Relabelled(Layout),
    /// The graph's value is to be reshaped to the shape of this layout: the order of elements stays.
    Regrouped(Layout),
    /// The elements are not in the order that the new shape needs: they are to be transposed to this layout first.
    Scattered(Layout),
    /// More than four axes of sizes other than 1.
    TooMany,
}

impl Layout {
    /// ONNX's order, right-aligned; `None` with more than four axes of sizes other than 1.
    pub(super) fn logical(dims: &[usize]) -> Option<Self> {
        Self::in_order(dims, &wide(dims))
    }

    /// `N` samples, then space, then channels, for `[N, C, …]` with up to two axes of space.
    pub(super) fn channels_last(dims: &[usize]) -> Option<Self> {
        let axes: &[Option<usize>; 4] = match dims.len() {
            2 => &[None, None, Some(0), Some(1)],
            3 => &[Some(0), None, Some(2), Some(1)],
            4 => &[Some(0), Some(2), Some(3), Some(1)],
            _ => return None,
        };
        let place = axes.map(|a| a.filter(|a| dims.get(*a).is_some_and(|d| *d != 1)));
        Some(Self { inner: dims.to_vec(), place })
    }

    /// `axes` (all those of sizes other than 1) in this order of memory, right-aligned.
    pub(super) fn in_order(dims: &[usize], axes: &[usize]) -> Option<Self> {
        let mut place = [None; 4];
        let lead = 4usize.checked_sub(axes.len())?;
        for (slot, axis) in place.iter_mut().skip(lead).zip(axes) {
            *slot = Some(*axis);
        }
        Some(Self { inner: dims.to_vec(), place })
    }

    /// Shape of the graph's value.
    pub(super) fn shape(&self) -> Shape {
        let [n, h, w, c] = self.sizes().map(|s| u32::try_from(s).unwrap_or(u32::MAX));
        Shape { n, h, w, c }
    }

    /// Sizes along N, H, W, C.
    pub(super) fn sizes(&self) -> [usize; 4] {
        self.place.map(|a| a.and_then(|a| self.inner.get(a)).copied().unwrap_or(1))
    }

    /// Axes of `inner` in the order of memory.
    pub(super) fn order(&self) -> Vec<usize> {
        self.place.iter().flatten().copied().collect()
    }

    /// The graph's axis that holds axis `axis` of `inner`.
    pub(super) fn slot(&self, axis: usize) -> Option<usize> {
        self.place.iter().position(|a| *a == Some(axis))
    }

    /// Whether elements lie in ONNX's order.
    pub(super) fn is_logical(&self) -> bool {
        self.order().is_sorted()
    }

    /// The permutation that turns a value in this layout into one in `target`, of the same axes: axis `i` of the result is
    /// axis `permutation[i]` of the value. `None` where the axes differ.
    pub(super) fn permutation(&self, target: &Self) -> Option<[usize; 4]> {
        let mut free = (0..4).filter(|g| self.place.get(*g).is_some_and(Option::is_none));
        let mut permutation = [0; 4];
        for (to, axis) in permutation.iter_mut().zip(target.place) {
            *to = match axis {
                Some(axis) => self.slot(axis)?,
                None => free.next()?,
            };
        }
        Some(permutation)
    }

    /// The layout of the same memory after a transposition in the file: axis `i` of the result is axis `order[i]`.
    pub(super) fn transposed(&self, order: &[usize]) -> Self {
        let inner = order.iter().map(|a| self.inner.get(*a).copied().unwrap_or(1)).collect();
        let place = self.place.map(|axis| axis.and_then(|axis| order.iter().position(|a| *a == axis)));
        Self { inner, place }
    }

    /// Where a tensor of sizes `dims`, which has axes of size other than 1 that this layout does not hold, would lie so that
    /// the axes that it does hold stay. `None` with more than four such axes.
    pub(super) fn extended(&self, dims: &[usize]) -> Option<Self> {
        let mut place = self.place.map(|a| a.filter(|a| dims.get(*a).is_some_and(|d| *d != 1)));
        let images = Self::channels_last(dims).filter(|l| agrees(&place, &l.place));
        if let Some(layout) = images {
            return Some(layout);
        }
        if let Some(layout) = Self::logical(dims).filter(|l| agrees(&place, &l.place)) {
            return Some(layout);
        }
        for axis in wide(dims) {
            if !place.contains(&Some(axis)) {
                let free = |g: &usize| place.get(*g).is_some_and(Option::is_none);
                let with = |slot: usize| {
                    let mut trial = place;
                    trial[slot] = Some(axis);
                    trial
                };
                let sorted = |g: &usize| with(*g).iter().flatten().is_sorted();
                let slot = (0..4).rev().filter(free).find(sorted).or_else(|| (0..4).rev().find(free))?;
                place = with(slot);
            }
        }
        Some(Self { inner: dims.to_vec(), place })
    }

    /// This layout for a tensor in which some axes have size 1.
    pub(super) fn restricted(&self, dims: &[usize]) -> Self {
        let place = self.place.map(|a| a.filter(|a| dims.get(*a).is_some_and(|d| *d != 1)));
        Self { inner: dims.to_vec(), place }
    }

    /// What a reshape to `dims`, of as many elements, asks of the memory.
    pub(super) fn reshaped(&self, dims: &[usize]) -> Reshaped {
        let (from, to) = (wide(&self.inner), wide(dims));
        let sizes = |axes: &[usize], dims: &[usize]| -> Vec<usize> {
            axes.iter().filter_map(|a| dims.get(*a)).copied().collect()
        };
        if sizes(&from, &self.inner) == sizes(&to, dims) {
            let place = self.place.map(|a| {
                let nth = a.and_then(|a| from.iter().position(|f| *f == a));
                nth.and_then(|n| to.get(n)).copied()
            });
            return Reshaped::Relabelled(Self { inner: dims.to_vec(), place });
        }
        let Some(groups) = self.ordered_groups(dims) else { return Reshaped::TooMany };
        let needed: Vec<usize> = groups.iter().flat_map(|(old, _)| old.iter().copied()).collect();
        if needed == self.order() {
            let order: Vec<usize> = groups.iter().flat_map(|(_, new)| new.iter().copied()).collect();
            return Self::in_order(dims, &order).map_or(Reshaped::TooMany, Reshaped::Regrouped);
        }
        if groups.iter().all(|(_, new)| new.len() == 1) {
            return Reshaped::Relabelled(self.clone());
        }
        Self::in_order(&self.inner, &needed).map_or(Reshaped::TooMany, Reshaped::Scattered)
    }

    /// The layout of the same axes, as near to this one as can be, in which a reshape to `dims` keeps the order of memory.
    pub(super) fn gathered(&self, dims: &[usize]) -> Option<Self> {
        let groups = self.ordered_groups(dims)?;
        let needed: Vec<usize> = groups.iter().flat_map(|(old, _)| old.iter().copied()).collect();
        Self::in_order(&self.inner, &needed)
    }

    /// Runs of axes that become runs of axes of `dims`, in the order in which the first of each lies in memory.
    fn ordered_groups(&self, dims: &[usize]) -> Option<Vec<(Vec<usize>, Vec<usize>)>> {
        let mut groups = groups(&self.inner, &wide(&self.inner), dims, &wide(dims))?;
        let order = self.order();
        let position = |axis: &usize| order.iter().position(|a| a == axis);
        groups.sort_by_key(|(old, _)| old.iter().filter_map(position).min());
        Some(groups)
    }
}

/// Axes of sizes other than 1.
pub(super) fn wide(dims: &[usize]) -> Vec<usize> {
    (0..dims.len()).filter(|a| dims.get(*a).is_some_and(|d| *d != 1)).collect()
}

/// Whether every axis that `partial` places lies in the same slot in `whole`.
fn agrees(partial: &[Option<usize>; 4], whole: &[Option<usize>; 4]) -> bool {
    partial.iter().zip(whole).all(|(p, w)| p.is_none() || p == w)
}

/// Smallest runs of old and new axes with equal products. `None` where the products never meet.
fn groups(
    old_dims: &[usize],
    old: &[usize],
    new_dims: &[usize],
    new: &[usize],
) -> Option<Vec<(Vec<usize>, Vec<usize>)>> {
    let mut groups = Vec::new();
    let (mut old, mut new) = (old.iter().copied().peekable(), new.iter().copied().peekable());
    while let (Some(a), Some(b)) = (old.next(), new.next()) {
        let (mut left, mut right) = (*old_dims.get(a)?, *new_dims.get(b)?);
        let (mut from, mut to) = (vec![a], vec![b]);
        while left != right {
            if left < right {
                let a = old.next()?;
                left = left.checked_mul(*old_dims.get(a)?)?;
                from.push(a);
            } else {
                let b = new.next()?;
                right = right.checked_mul(*new_dims.get(b)?)?;
                to.push(b);
            }
        }
        groups.push((from, to));
    }
    (old.peek().is_none() && new.peek().is_none()).then_some(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: Option<usize> = None;

    fn image() -> Layout {
        Layout::channels_last(&[1, 8, 6, 5]).unwrap()
    }

    #[test]
    fn images_lie_channels_last() {
        assert_eq!(image().place, [N, Some(2), Some(3), Some(1)]);
        assert_eq!(image().shape(), Shape::image(6, 5, 8));
        assert_eq!(Layout::logical(&[1, 8, 6, 5]).unwrap().shape(), Shape::image(8, 6, 5));
        assert_eq!(Layout::logical(&[2, 1, 3, 1, 4, 5]).unwrap().shape(), Shape::new(2, 3, 4, 5));
        assert_eq!(Layout::logical(&[2, 2, 2, 2, 2]), None);
    }

    #[test]
    fn joining_neighbours_keeps_the_order_of_memory() {
        // A vision transformer's patches: [1, C, H, W] to [1, C, H·W] and transposed to [1, H·W, C].
        let Reshaped::Regrouped(flat) = image().reshaped(&[1, 8, 30]) else { panic!() };
        assert_eq!(flat.shape(), Shape::rows(30, 8));
        let rows = flat.transposed(&[0, 2, 1]);
        assert_eq!((rows.shape(), rows.is_logical()), (Shape::rows(30, 8), true));
    }

    #[test]
    fn a_flattened_image_keeps_its_finer_axes() {
        assert_eq!(image().reshaped(&[1, 240]), Reshaped::Relabelled(image()));
        let Reshaped::Scattered(needed) = image().reshaped(&[1, 4, 60]) else { panic!() };
        assert!(needed.is_logical());
        let pooled = Layout::channels_last(&[1, 8, 1, 1]).unwrap();
        let Reshaped::Relabelled(vector) = pooled.reshaped(&[1, 8]) else { panic!() };
        assert_eq!(vector.place, [N, N, N, Some(1)]);
    }

    #[test]
    fn channels_are_split_in_place() {
        let Reshaped::Regrouped(split) = image().reshaped(&[1, 2, 4, 6, 5]) else { panic!() };
        assert_eq!(split.place, [Some(3), Some(4), Some(1), Some(2)]);
        let shuffled = split.transposed(&[0, 2, 1, 3, 4]);
        assert_eq!(shuffled.place, [Some(3), Some(4), Some(2), Some(1)]);
        assert_eq!(shuffled.reshaped(&[1, 8, 6, 5]), Reshaped::Relabelled(shuffled.clone()));
        // Joined again for good, one transposition of the two halves of the channels is needed, and space stays where it is.
        let needed = shuffled.gathered(&[1, 8, 6, 5]).unwrap();
        assert_eq!(needed.place, [Some(3), Some(4), Some(1), Some(2)]);
        assert_eq!(needed.reshaped(&[1, 8, 6, 5]), Reshaped::Regrouped(image()));
        assert_eq!(image().reshaped(&[1, 2, 2, 2, 6, 5]), Reshaped::TooMany);
    }

    #[test]
    fn a_permutation_moves_one_layout_to_another() {
        let logical = Layout::logical(&[1, 8, 6, 5]).unwrap();
        assert_eq!(image().permutation(&logical), Some([0, 3, 1, 2]));
        assert_eq!(logical.permutation(&image()), Some([0, 2, 3, 1]));
    }

    #[test]
    fn new_axes_go_where_an_image_has_them() {
        let plane = Layout::channels_last(&[1, 1, 6, 5]).unwrap();
        assert_eq!(plane.extended(&[1, 8, 6, 5]).unwrap(), image());
        let vector = Layout::logical(&[1, 7]).unwrap();
        assert_eq!(vector.extended(&[3, 7]).unwrap().shape(), Shape::rows(3, 7));
    }
}
