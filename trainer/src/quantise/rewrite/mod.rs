//! Rewrites of an integer program that change no output byte: one file each.
//!
//! They run between lowering and planning, on the integers that the device would use, so that they serve imported
//! networks, whose integers are given, as well as trained ones.

mod clamps;
mod constants;
mod dead_channels;
#[cfg(test)]
mod drawn;
mod links;
mod pads;
mod ranges;
mod reshapes;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod unplanned;

use super::QGraph;
use constants::Constants;
pub use dead_channels::Folded;

/// Choices of the rewrites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RewriteOptions {
    /// Keep channels that do not depend on the input or that nobody reads.
    pub keep_dead_channels: bool,
}

/// What the rewrites did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Dead channels.
    pub dead: Folded,
    /// Paddings that convolutions and pools now do themselves.
    pub pads: usize,
    /// Activations that became the range of the operator before them.
    pub clamps: usize,
    /// Reshapes that changed nothing.
    pub reshapes: usize,
}

/// Runs all rewrites; [`QGraph::rewritten`] says what they did. A program that the runtime refuses stays as it is.
pub fn rewrite(program: &mut QGraph, options: RewriteOptions) {
    let Some(constants) = Constants::of(program) else { return };
    let reshapes = reshapes::drop(program);
    let clamps = clamps::fuse(program, &constants);
    let pads = pads::fuse(program);
    if reshapes + clamps + pads > 0 {
        links::drop_unused_tensors(program);
        constants.repack(program);
    }
    let dead = if options.keep_dead_channels { Folded::default() } else { dead_channels::fold(program) };
    program.rewritten = Rewritten { dead, pads, clamps, reshapes };
}
