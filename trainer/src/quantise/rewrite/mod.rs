//! Rewrites of an integer program that change no output byte: one file each.
//!
//! They run between lowering and planning, on the integers that the device would use, so that they serve imported
//! networks, whose integers are given, as well as trained ones.

mod constants;
mod dead_channels;
#[cfg(test)]
mod testing;
mod unplanned;

use super::QGraph;
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
}

/// Runs all rewrites; [`QGraph::rewritten`] says what they did.
pub fn rewrite(program: &mut QGraph, options: RewriteOptions) {
    if !options.keep_dead_channels {
        program.rewritten.dead = dead_channels::fold(program);
    }
}
