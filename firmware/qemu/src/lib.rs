//! What every QEMU board needs: result file over semihosting, timer, painted stack, fault handlers.
//!
//! A board is one crate of a memory map and one line, [`image!`]. Everything that a board could do differently is
//! a row of `dunlin_emulator::board`.
#![no_std]
#![warn(missing_docs)]

mod fault;
mod results;
mod stack;
mod timer;
#[cfg(feature = "policy")]
mod uart;

use core::mem::MaybeUninit;

use defmt_semihosting as _;

use dunlin_app::Platform;
use dunlin_emulator::board::{ArenaPlace, Board};
use dunlin_emulator::job::{JobError, JobFile};
use dunlin_emulator::record::Span;

#[doc(hidden)]
pub use cortex_m_rt;
#[doc(hidden)]
pub use dunlin_app::Storage;
#[cfg(feature = "policy")]
#[doc(hidden)]
pub use dunlin_app::control::Memory as ControlMemory;
#[cfg(feature = "track")]
#[doc(hidden)]
pub use dunlin_app::tracking::Memory;

/// Defines `main` of a generic image for the board in the constant that is named.
#[macro_export]
macro_rules! image {
    ($board:ident) => {
        const ARENA: usize = match $board.arena {
            ::dunlin_emulator::board::ArenaPlace::Static(bytes) => bytes,
            ::dunlin_emulator::board::ArenaPlace::AfterJob => 0,
        };

        #[$crate::cortex_m_rt::entry]
        fn main() -> ! {
            static mut STORAGE: $crate::Storage<{ $board.nodes }, { $board.tensors }, { $board.ids }> =
                $crate::Storage::new();
            static mut ARENA_BYTES: $crate::Aligned<ARENA> = $crate::Aligned::ZERO;
            $crate::serve(&$board, STORAGE, ARENA_BYTES.bytes())
        }
    };
}

/// Defines `main` of an image that tracks for the board in the constant that is named, whose arena lies after the job.
#[cfg(feature = "track")]
#[macro_export]
macro_rules! track {
    ($board:ident) => {
        #[$crate::cortex_m_rt::entry]
        fn main() -> ! {
            static mut STORAGE: $crate::Storage<{ $board.nodes }, { $board.tensors }, { $board.ids }> =
                $crate::Storage::new();
            static mut MEMORY: $crate::Memory = $crate::Memory::new();
            $crate::serve_tracking(&$board, STORAGE, MEMORY)
        }
    };
}

/// Defines `main` of an image that closes control loops for the board in the constant that is named, whose arena lies after
/// the job.
#[cfg(feature = "policy")]
#[macro_export]
macro_rules! control {
    ($board:ident) => {
        #[$crate::cortex_m_rt::entry]
        fn main() -> ! {
            static mut STORAGE: $crate::Storage<{ $board.nodes }, { $board.tensors }, { $board.ids }> =
                $crate::Storage::new();
            static mut MEMORY: $crate::ControlMemory = $crate::ControlMemory::new();
            $crate::serve_control(&$board, STORAGE, MEMORY)
        }
    };
}

/// Defines `main` of an image with one model for the board in the constant that is named.
#[macro_export]
macro_rules! one {
    ($board:ident, interrupts = $interrupts:literal) => {
        unsafe extern "C" {
            fn DefaultHandler();
        }

        /// The table of interrupts: as many as this board has, not as many as the architecture may have.
        #[unsafe(link_section = ".vector_table.interrupts")]
        #[unsafe(no_mangle)]
        pub static __INTERRUPTS: [unsafe extern "C" fn(); $interrupts] = [DefaultHandler; $interrupts];

        #[$crate::cortex_m_rt::entry]
        fn main() -> ! {
            static mut ARENA: ::dunlin_one::Arena = ::dunlin_one::Arena::new();
            static mut STATE: ::dunlin_one::State = ::dunlin_one::State::new();
            $crate::start_timer();
            ::dunlin_one::run(ARENA, STATE, |work| $crate::timed(&$board, work));
            $crate::leave()
        }
    };
}

/// Starts the clock that [`timed`] reads.
pub fn start_timer() {
    timer::start();
}

/// Instructions that `work` takes, but for some ten, where the timer of `board` has a whole number of them in four ticks.
#[inline(always)]
pub fn timed(board: &Board, work: impl FnOnce()) -> u32 {
    let start = timer::next_tick();
    work();
    let span = timer::since(start);
    span.ticks as u32 * (4_000_000_000 / u64::from(board.timer_hz)) as u32 / 4
        - span.spins * dunlin_emulator::record::SPIN_INSTRUCTIONS as u32
}

/// Ends QEMU with success.
pub fn leave() -> ! {
    semihosting::process::exit(0)
}

/// Bytes at a 16-byte boundary, as an arena must be.
#[repr(C, align(16))]
pub struct Aligned<const N: usize>([u8; N]);

impl<const N: usize> Aligned<N> {
    /// All zero.
    pub const ZERO: Self = Self([0; N]);

    /// The bytes.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// One of the instructions at which `tests/cyclemeter` begins or ends a count.
macro_rules! marker {
    ($word:literal) => {
        // SAFETY: the instruction copies a register to itself. Without `nomem` the compiler moves no memory access
        // across it.
        unsafe { core::arch::asm!(concat!(".inst.n ", $word), options(nostack, preserves_flags)) }
    };
}

struct Qemu {
    results: results::ResultFile,
}

impl Platform for Qemu {
    type Results = results::ResultFile;

    fn results(&mut self) -> &mut Self::Results {
        &mut self.results
    }

    fn tick(&mut self) -> timer::Tick {
        timer::next_tick()
    }

    fn since(&mut self, start: timer::Tick) -> Span {
        timer::since(start)
    }

    fn measure(&mut self, work: impl FnOnce()) -> (Span, u32) {
        let mark = stack::paint();
        let start = timer::next_tick();
        Self::bracket(work);
        let span = timer::since(start);
        (span, stack::used_since(mark))
    }

    fn time(&mut self, work: impl FnOnce(&mut Self::Results)) -> Span {
        let results = &mut self.results;
        let start = timer::next_tick();
        Self::bracket(|| work(results));
        timer::since(start)
    }

    #[inline(always)]
    fn bracket(work: impl FnOnce()) {
        marker!("0x46db");
        work();
        marker!("0x46d2");
    }

    #[inline(always)]
    fn node_begins() {
        marker!("0x46c9");
    }

    #[inline(always)]
    fn node_ends() {
        marker!("0x46e4");
    }

    fn ticks() -> u32 {
        timer::ticks()
    }

    fn calibrate(&mut self) -> Span {
        timer::calibrate()
    }

    fn peak_stack(&mut self) -> u32 {
        stack::peak()
    }
}

/// Runs the job file at the board's address and leaves QEMU: with 0 if every record was written, also when a job
/// was refused, with 1 on a panic, a fault or a result file that cannot be written.
///
/// `arena` serves boards whose arena is static; on the others the session gets what the job file leaves of its region.
pub fn serve<const NODES: usize, const TENSORS: usize, const IDS: usize>(
    board: &Board,
    storage: &mut Storage<NODES, TENSORS, IDS>,
    arena: &mut [u8],
) -> ! {
    let (job, rest) = begin(board, JobFile::length);
    let arena = if arena.is_empty() { rest } else { arena };
    match JobFile::parse(job) {
        Ok(jobs) => dunlin_app::serve(
            &mut Qemu { results: results::ResultFile::create() },
            board,
            &jobs,
            storage,
            arena,
        ),
        Err(error) => fault::fail(error),
    }
    semihosting::process::exit(0)
}

/// Tracks through the job file at the board's address and leaves QEMU, as [`serve`] does.
#[cfg(feature = "track")]
pub fn serve_tracking<const NODES: usize, const TENSORS: usize, const IDS: usize>(
    board: &Board,
    storage: &mut Storage<NODES, TENSORS, IDS>,
    tracking: &mut Memory,
) -> ! {
    use dunlin_emulator::tracking::JobFile;

    let (job, arena) = begin(board, JobFile::length);
    match JobFile::parse(job) {
        Ok(job) => {
            let mut qemu = Qemu { results: results::ResultFile::create() };
            dunlin_app::tracking::serve(&mut qemu, board, &job, storage, tracking, arena);
        }
        Err(error) => fault::fail(error),
    }
    semihosting::process::exit(0)
}

/// Closes the control loop of the job file at the board's address and leaves QEMU, as [`serve`] does.
#[cfg(feature = "policy")]
pub fn serve_control<const NODES: usize, const TENSORS: usize, const IDS: usize>(
    board: &Board,
    storage: &mut Storage<NODES, TENSORS, IDS>,
    control: &mut ControlMemory,
) -> ! {
    use dunlin_emulator::policy::JobFile;

    let (job, arena) = begin(board, JobFile::length);
    match JobFile::parse(job) {
        Ok(job) => {
            let mut qemu = Qemu { results: results::ResultFile::create() };
            let Some(mut line) = board.uart.map(uart::Uart::new) else {
                fault::fail("the board has no serial line");
            };
            dunlin_app::control::serve(&mut qemu, board, &job, &mut line, storage, control, arena);
        }
        Err(error) => fault::fail(error),
    }
    semihosting::process::exit(0)
}

/// Paints the stack and starts the timer; then the job file at the board's address, whose length `length` reads, and what it leaves of
/// its region if that is RAM. Called once. Without a job it says so and leaves QEMU.
fn begin(board: &Board, length: fn(&[u8]) -> Result<usize, JobError>) -> (&'static [u8], &'static mut [u8]) {
    stack::paint_all();
    timer::start();
    // SAFETY: the board's table row gives RAM (or, on the micro:bit, flash that is only read) which the linker script
    // leaves out, so no Rust object lies there; QEMU has filled it before the core started.
    let region = unsafe {
        core::slice::from_raw_parts(board.job_address as usize as *const u8, board.job_bytes as usize)
    };
    let length = match length(region) {
        Ok(length) => length,
        Err(JobError::NoJob { .. }) => {
            defmt::println!(
                "{=str} ({=str}) is up and has no job: the loader device places one at {=u32:#x}",
                board.name,
                board.core,
                board.job_address
            );
            semihosting::process::exit(0)
        }
        Err(error) => fault::fail(error),
    };
    let rest = match board.arena {
        ArenaPlace::Static(_) => 0,
        ArenaPlace::AfterJob => board.job_bytes as usize - length,
    };
    // SAFETY: as above; the job file, which stays borrowed, ends where the rest begins, and `length` is a multiple
    // of 16.
    let rest = unsafe {
        core::slice::from_raw_parts_mut(
            (board.job_address as usize + length) as *mut MaybeUninit<u8> as *mut u8,
            rest,
        )
    };
    (&region[..length], rest)
}
