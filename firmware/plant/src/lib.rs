//! Dynamics of controlled systems, without allocation: a host trains and measures a policy on them in f64, and a board runs
//! the very same code in f32 beside the policy.
//!
//! A system is generic over [`Real`], which says where its sines come from: of f64 from `libm`, so that every host computes
//! the same bits; of f32 from `micromath`, which is small and quick on a core and off by up to about 0.001.
#![no_std]
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod cart_pole;
mod real;

pub use cart_pole::CartPole;
pub use real::Real;
