//! What the tests of Dunlin share: the slow reference, one-operator cases, the parser's attackers.
//!
//! Nothing of this crate reaches a device. The tests themselves are under `tests/`, the fuzz targets under
//! `fuzz/` (a package of its own, for a nightly compiler).

pub mod attack;
pub mod cases;
pub mod disturbed;
pub mod draw;
pub mod golden;
pub mod host;
pub mod mutate;
pub mod oracle;
pub mod packed;
pub mod passing;
pub mod policies;
pub mod table;
pub mod walkers;
