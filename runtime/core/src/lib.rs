//! The integer runtime of Dunlin: `.dun` format, parser, executor and kernels.
#![cfg_attr(not(any(test, feature = "std")), no_std)]

pub mod shape;
