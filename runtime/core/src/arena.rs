//! Memory of a run: aligned storage, and the disjoint views that one node gets.

use crate::format::{Aligned, Place};
use core::ops::Range;

/// Arena of `N` bytes with the alignment that a session needs.
///
/// ```
/// static ARENA: dunlin_core::Arena<1024> = dunlin_core::Arena::new();
/// # let _ = &ARENA;
/// ```
pub struct Arena<const N: usize>(Aligned<[u8; N]>);

impl<const N: usize> Arena<N> {
    /// An arena of zeros.
    pub const fn new() -> Self {
        Self(Aligned([0; N]))
    }

    /// The bytes, starting at a 16-byte boundary.
    pub const fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.0.0
    }
}

impl<const N: usize> Default for Arena<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes with the alignment that [`Model::parse`](crate::Model::parse) needs, for `static` models.
#[derive(Clone, Copy)]
pub struct AlignedBytes<const N: usize>(Aligned<[u8; N]>);

impl<const N: usize> AlignedBytes<N> {
    /// `bytes` at a 16-byte boundary.
    pub const fn new(bytes: [u8; N]) -> Self {
        Self(Aligned(bytes))
    }

    /// The bytes.
    pub const fn as_slice(&self) -> &[u8] {
        &self.0.0
    }
}

/// A copy of `bytes` at a 16-byte boundary, for files read into a `Vec`.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug)]
pub struct AlignedVec {
    blocks: alloc::vec::Vec<Block>,
    len: usize,
}

#[cfg(feature = "alloc")]
#[derive(Clone, Copy, Debug, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(C, align(16))]
struct Block([u8; 16]);

#[cfg(feature = "alloc")]
impl AlignedVec {
    /// `len` zero bytes.
    pub fn zeroed(len: usize) -> Self {
        Self { blocks: alloc::vec![Block([0; 16]); len.div_ceil(16)], len }
    }

    /// A copy of `bytes`.
    pub fn from_slice(bytes: &[u8]) -> Self {
        let mut aligned = Self::zeroed(bytes.len());
        aligned.as_mut_slice().copy_from_slice(bytes);
        aligned
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.blocks)[..self.len]
    }

    /// The bytes, mutable.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.blocks)[..self.len]
    }
}

/// A region of memory: where it begins and how many bytes of it this run uses.
#[derive(Clone, Copy)]
pub(crate) struct Region {
    pub(crate) place: Place,
    pub(crate) len: usize,
}

impl Region {
    pub(crate) const EMPTY: Self = Self { place: Place::Data(0), len: 0 };

    fn range(start: u32, len: usize) -> Range<usize> {
        start as usize..start as usize + len
    }

    /// Where the region is in the arena. Nothing is at 0: an empty range amidst another counts as overlapping.
    fn in_arena(&self) -> Range<usize> {
        match self.place {
            Place::Arena(start) if self.len > 0 => Self::range(start, self.len),
            _ => 0..0,
        }
    }

    fn in_state(&self) -> Range<usize> {
        match self.place {
            Place::State(start) if self.len > 0 => Self::range(start, self.len),
            _ => 0..0,
        }
    }
}

/// The three memories of a run.
pub(crate) struct Memory<'s> {
    pub(crate) arena: &'s mut [u8],
    pub(crate) state: &'s mut [u8],
    pub(crate) data: &'s [u8],
}

/// What one node may touch.
pub(crate) struct Views<'s> {
    pub(crate) inputs: [&'s [u8]; 2],
    /// Persistent tensors that the node reads and writes.
    pub(crate) states: [&'s mut [u8]; 2],
    pub(crate) outputs: [&'s mut [u8]; 2],
    pub(crate) scratch: &'s mut [u8],
    /// The first input is the first output; `inputs[0]` is then empty.
    pub(crate) in_place: bool,
}

impl<'s> Memory<'s> {
    /// Write access to one region; `None` for constants.
    pub(crate) fn write(self, region: Region) -> Option<&'s mut [u8]> {
        match region.place {
            Place::Arena(start) => self.arena.get_mut(Region::range(start, region.len)),
            Place::State(start) => self.state.get_mut(Region::range(start, region.len)),
            Place::Data(_) => None,
        }
    }

    /// The regions of one node as slices that provably do not overlap.
    ///
    /// `None` where they do, which the parser has excluded.
    pub(crate) fn views(
        &mut self,
        inputs: [Region; 2],
        states: [Region; 2],
        outputs: [Region; 2],
        scratch: Region,
    ) -> Option<Views<'_>> {
        let [mut a, mut b] = inputs;
        let in_place = a.place == outputs[0].place && a.len > 0;
        let same = b.len > 0 && b.place == a.place && b.len == a.len;
        if in_place {
            a = Region::EMPTY;
        }
        if same {
            b = Region::EMPTY;
        }
        let [o, p] = outputs;
        let [a0, b0, o0, p0, s0, _] =
            disjoint(self.arena, [a, b, o, p, scratch, Region::EMPTY].each_ref().map(Region::in_arena))?;
        let persistent = [a, b, o, p, states[0], states[1]];
        let [a1, b1, o1, p1, s1, t1] = if persistent.iter().any(|r| matches!(r.place, Place::State(_))) {
            disjoint(self.state, persistent.each_ref().map(Region::in_state))?
        } else {
            // Most nodes have no state.
            [(); 6].map(|()| nothing())
        };
        let data = self.data;
        let a = readable(a, a0, a1, data)?;
        let b = if same { a } else { readable(b, b0, b1, data)? };
        Some(Views {
            inputs: [a, b],
            states: [s1, t1],
            outputs: [writable(outputs[0], o0, o1), writable(outputs[1], p0, p1)],
            scratch: s0,
            in_place,
        })
    }
}

/// The parts of `memory` at `ranges`, `None` where two of them overlap or one is not inside. Empty ones overlap nothing.
///
/// As `get_disjoint_mut`, but one small function for all: the regions of a node are few, and most are empty.
#[inline(never)]
fn disjoint(mut memory: &mut [u8], ranges: [Range<usize>; 6]) -> Option<[&mut [u8]; 6]> {
    // Indices of those that hold something, by their start.
    let (mut order, mut count) = ([0; 6], 0);
    for (i, range) in ranges.iter().enumerate().filter(|(_, range)| range.start < range.end) {
        let mut at = count;
        while at > 0 && ranges[order[at - 1]].start > range.start {
            order[at] = order[at - 1];
            at -= 1;
        }
        order[at] = i;
        count += 1;
    }
    let mut parts = [(); 6].map(|()| nothing());
    // Bytes of the memory before what is left of it.
    let mut before = 0;
    for &i in order.get(..count)? {
        let range = &ranges[i];
        // One that begins before `before` overlaps the one before it.
        let rest = memory.get_mut(range.start.checked_sub(before)?..)?;
        (parts[i], memory) = rest.split_at_mut_checked(range.end - range.start)?;
        before = range.end;
    }
    Some(parts)
}

/// No bytes, at an address that elements of every type may have.
fn nothing<'s>() -> &'s mut [u8] {
    bytemuck::cast_slice_mut::<u64, u8>(&mut [])
}

fn readable<'s>(
    region: Region,
    arena: &'s mut [u8],
    state: &'s mut [u8],
    data: &'s [u8],
) -> Option<&'s [u8]> {
    match region.place {
        Place::Arena(_) => Some(arena),
        Place::State(_) => Some(state),
        Place::Data(start) => data.get(Region::range(start, region.len)),
    }
}

fn writable<'s>(region: Region, arena: &'s mut [u8], state: &'s mut [u8]) -> &'s mut [u8] {
    if matches!(region.place, Place::State(_)) { state } else { arena }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_region_overlaps_nothing() {
        let mut bytes = [1, 2, 3, 4];
        let mut memory = Memory { arena: &mut bytes, state: &mut [], data: &[] };
        let region = |start, len| Region { place: Place::Arena(start), len };
        let scratch = region(1, 0);
        let none = [Region::EMPTY; 2];
        let views = memory.views([region(0, 2), Region::EMPTY], none, [region(2, 2), Region::EMPTY], scratch);
        let views = views.expect("the regions are apart");
        assert_eq!((views.inputs[0], &*views.outputs[0], views.scratch.len()), (&[1, 2][..], &[3, 4][..], 0));
    }

    #[test]
    fn parts_are_found_in_any_order_and_overlaps_refused() {
        let mut bytes = [0, 1, 2, 3, 4, 5, 6, 7];
        let none = 0..0;
        let mut of = |a, b, c| {
            let parts = disjoint(&mut bytes, [a, b, c, none.clone(), 5..5, none.clone()]);
            parts.map(|p| p.map(|p| p.to_vec()))
        };
        let found = of(5..7, 0..2, 2..5).expect("they are apart");
        assert_eq!(found[..3], [std::vec![5, 6], std::vec![0, 1], std::vec![2, 3, 4]]);
        assert!(found[3..].iter().all(std::vec::Vec::is_empty));
        for (a, b, c) in [(0..4, 1..2, 4..5), (1..3, 1..3, 4..5), (0..3, 2..5, 6..7), (0..9, 0..0, 0..0)] {
            assert!(of(a.clone(), b.clone(), c.clone()).is_none() && of(c, b, a).is_none());
        }
    }

    #[test]
    fn a_state_is_apart_from_every_other_operand() {
        let (mut arena, mut state) = ([1, 2], [3, 4, 5, 6]);
        let mut memory = Memory { arena: &mut arena, state: &mut state, data: &[] };
        let at = |start, len| Region { place: Place::State(start), len };
        let input = [Region { place: Place::Arena(0), len: 2 }, Region::EMPTY];
        let views = memory.views(input, [at(0, 1), at(1, 2)], [at(3, 1), Region::EMPTY], Region::EMPTY);
        let Views { inputs, states, outputs, .. } = views.expect("the regions are apart");
        assert_eq!(
            (inputs[0], &*states[0], &*states[1], &*outputs[0]),
            (&[1, 2][..], &[3][..], &[4, 5][..], &[6][..])
        );
        assert!(memory.views(input, [at(0, 2), at(1, 2)], [Region::EMPTY; 2], Region::EMPTY).is_none());
        assert!(
            memory
                .views(
                    [at(0, 1), Region::EMPTY],
                    [at(0, 1), Region::EMPTY],
                    [Region::EMPTY; 2],
                    Region::EMPTY
                )
                .is_none()
        );
    }
}
