//! Host side of Dunlin.
