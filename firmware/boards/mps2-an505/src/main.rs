//! Generic image for the Cortex-M33 of QEMU's mps2-an505.
#![no_std]
#![no_main]

use dunlin_emulator::board::MPS2_AN505 as BOARD;

dunlin_qemu::image!(BOARD);
