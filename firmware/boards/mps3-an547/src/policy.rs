//! Image that closes control loops on the Cortex-M55 of QEMU's mps3-an547.
#![no_std]
#![no_main]

use dunlin_emulator::board::MPS3_AN547 as BOARD;

dunlin_qemu::control!(BOARD);
