//! Image that closes control loops on the Cortex-M4 of QEMU's mps2-an386.
#![no_std]
#![no_main]

use dunlin_emulator::board::MPS2_AN386 as BOARD;

dunlin_qemu::control!(BOARD);
