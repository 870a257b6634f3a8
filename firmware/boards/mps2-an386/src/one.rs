//! Image with one model for QEMU's mps2-an386.
#![no_std]
#![no_main]

use dunlin_emulator::board::MPS2_AN386 as BOARD;

dunlin_qemu::one!(BOARD, interrupts = 32);
