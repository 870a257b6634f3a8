//! Generic image for the Cortex-M7 of QEMU's mps2-an500.
#![no_std]
#![no_main]

use dunlin_emulator::board::MPS2_AN500 as BOARD;

dunlin_qemu::image!(BOARD);
