//! SysTick as a clock of instructions: under `-icount shift=0` every instruction takes one virtual nanosecond.
//!
//! The counter has 24 bits and runs down; its exception counts the wraps. A tick is 15 to 50 instructions, too
//! coarse for small operators, so a measurement starts at a tick and counts the turns it waits for the next one at
//! the end; `dunlin_emulator::record::instructions` subtracts them.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m_rt::exception;
use dunlin_emulator::record::{CALIBRATION_INSTRUCTIONS, Span};

const PERIOD: u64 = 1 << 24;
const CONTROL: *mut u32 = 0xE000_E010 as *mut u32;
const RELOAD: *mut u32 = 0xE000_E014 as *mut u32;
const CURRENT: *mut u32 = 0xE000_E018 as *mut u32;
/// Enable, exception at zero, processor clock.
const RUN: u32 = 0b111;

static WRAPS: AtomicU32 = AtomicU32::new(0);

/// The tick that [`next_tick`] waited for, as it was read: wraps above, the counter below. Its number is computed when the
/// measurement is over, so that the arithmetic is not part of it.
pub type Tick = u64;

/// Ticks since the start of the counter.
fn number(tick: Tick) -> u64 {
    (tick >> 32) * PERIOD + (PERIOD - (tick & u64::from(u32::MAX)))
}

#[exception]
fn SysTick() {
    // The only writer: load and store need no exclusive access, which the Cortex-M0 lacks.
    WRAPS.store(WRAPS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// Starts the counter at zero.
pub(crate) fn start() {
    // SAFETY: SysTick belongs to this module.
    unsafe {
        RELOAD.write_volatile(PERIOD as u32 - 1);
        CURRENT.write_volatile(0);
        CONTROL.write_volatile(RUN);
    }
}

/// Waits until the counter changes; gives its new value and the turns that were waited.
#[inline(always)]
fn wait() -> (u32, u32) {
    // SAFETY: SysTick belongs to this module.
    let first = unsafe { CURRENT.read_volatile() };
    let (mut current, mut turns): (u32, u32);
    // SAFETY: reads a device register and three registers of the core.
    unsafe {
        core::arch::asm!(
            "2:",
            "ldr {current}, [{address}]",
            "adds {turns}, #1",
            "cmp {current}, {first}",
            "beq 2b",
            current = out(reg) current,
            turns = inout(reg) 0u32 => turns,
            address = in(reg) CURRENT,
            first = in(reg) first,
            options(nostack, readonly)
        );
    }
    (current, turns)
}

/// The value at wraps and counter, as [`Tick`] holds them.
#[inline(always)]
fn tick(wraps: u32, current: u32) -> Tick {
    u64::from(wraps) << 32 | u64::from(current)
}

/// Ticks since the start, modulo 2^32.
#[inline(always)]
pub(crate) fn ticks() -> u32 {
    loop {
        let wraps = WRAPS.load(Ordering::Relaxed);
        // SAFETY: SysTick belongs to this module.
        let current = unsafe { CURRENT.read_volatile() };
        // At zero, and where a wrap came between, the two do not belong together.
        if current != 0 && WRAPS.load(Ordering::Relaxed) == wraps {
            return wraps.wrapping_mul(PERIOD as u32).wrapping_add(PERIOD as u32 - current);
        }
    }
}

/// Waits for the next tick, so that what follows is measured from its beginning: all that can be is done before it.
#[inline(always)]
pub(crate) fn next_tick() -> Tick {
    // SAFETY: SysTick belongs to this module. Away from the end of a period nothing wraps while this waits.
    while unsafe { CURRENT.read_volatile() } < 8 {}
    let wraps = WRAPS.load(Ordering::Relaxed);
    let (current, _) = wait();
    tick(wraps, current)
}

/// What ran since `start`.
#[inline(always)]
pub(crate) fn since(start: Tick) -> Span {
    let (mut current, mut spins) = wait();
    // At zero the exception that counts the wrap may not have been taken yet.
    while current == 0 {
        let (next, turns) = wait();
        (current, spins) = (next, spins + turns);
    }
    let end = tick(WRAPS.load(Ordering::Relaxed), current);
    Span { ticks: number(end) - number(start), spins }
}

/// Times [`CALIBRATION_INSTRUCTIONS`] instructions, so that the host can tell whether the clock is what it believes. The
/// first and the last are markers, so that it can tell the same of a plugin.
pub(crate) fn calibrate() -> Span {
    // Far shorter than a wrap of the counter: its values are enough.
    let (start, _) = wait();
    // SAFETY: counts a register down.
    unsafe {
        core::arch::asm!(
            ".inst.n 0x46db",
            "2:",
            "subs {turns}, #1",
            "bne 2b",
            ".inst.n 0x46d2",
            turns = inout(reg) CALIBRATION_INSTRUCTIONS / 2 - 1 => _,
            options(nostack, nomem)
        );
    }
    let (end, spins) = wait();
    Span { ticks: u64::from(start.wrapping_sub(end)) % PERIOD, spins }
}
