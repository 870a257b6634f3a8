//! Generic image for the Cortex-M0 of QEMU's microbit.
#![no_std]
#![no_main]

use dunlin_emulator::board::MICROBIT as BOARD;

dunlin_qemu::image!(BOARD);
