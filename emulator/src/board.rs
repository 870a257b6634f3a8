//! The table of emulated boards: one row each, read by the firmware, the driver and `xtask`.

/// Where the image keeps the arena of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArenaPlace {
    /// The rest of the job region, after the job file.
    AfterJob,
    /// A static buffer in the on-chip RAM, of this many bytes.
    Static(usize),
}

/// One emulated board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// The name of the QEMU machine, which is also the name of the crate under `firmware/boards/` and of the image.
    pub name: &'static str,
    /// The core, as a person calls it.
    pub core: &'static str,
    /// The instruction set whose kernels the image is built with, as the runtime names it.
    pub isa: &'static str,
    /// The Rust target triple of the image.
    pub target: &'static str,
    /// Address at which the loader places the job file; 16-byte aligned.
    pub job_address: u32,
    /// Bytes that the job region holds.
    pub job_bytes: u32,
    /// Where the arena lies.
    pub arena: ArenaPlace,
    /// Nodes of a model that the image can hold decoded.
    pub nodes: usize,
    /// Tensors of a model that the image can hold decoded.
    pub tensors: usize,
    /// Entries in the lists of all nodes' inputs and outputs that the image can hold decoded.
    pub ids: usize,
    /// Frequency of the timer, Hz. Under `-icount shift=0` one instruction takes 1 ns of virtual time.
    pub timer_hz: u32,
    /// A UART of CMSDK, which is QEMU's first serial line.
    pub uart: Option<Uart>,
}

/// A UART of a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uart {
    /// Address of its registers.
    pub address: u32,
    /// Numbers of its interrupts, those of receiver and sender.
    pub interrupts: [u16; 2],
}

impl Board {
    /// The largest arena that a job file of `job_file_bytes` leaves on this board.
    pub const fn arena_limit(&self, job_file_bytes: usize) -> usize {
        match self.arena {
            ArenaPlace::Static(bytes) => bytes,
            ArenaPlace::AfterJob => (self.job_bytes as usize).saturating_sub(job_file_bytes),
        }
    }
}

/// Cortex-M4F; 16 MB of PSRAM take job and arena.
pub const MPS2_AN386: Board = Board {
    name: "mps2-an386",
    core: "Cortex-M4F",
    isa: "dsp",
    target: "thumbv7em-none-eabihf",
    job_address: 0x2100_0000,
    job_bytes: 16 << 20,
    arena: ArenaPlace::AfterJob,
    nodes: 256,
    tensors: 512,
    ids: 1024,
    timer_hz: 25_000_000,
    uart: Some(Uart { address: 0x4000_4000, interrupts: [0, 1] }),
};

/// Cortex-M7; 16 MB of PSRAM take job and arena.
pub const MPS2_AN500: Board = Board {
    name: "mps2-an500",
    core: "Cortex-M7",
    isa: "dsp",
    target: "thumbv7em-none-eabihf",
    job_address: 0x6000_0000,
    job_bytes: 16 << 20,
    arena: ArenaPlace::AfterJob,
    nodes: 256,
    tensors: 512,
    ids: 1024,
    timer_hz: 25_000_000,
    uart: Some(Uart { address: 0x4000_4000, interrupts: [0, 1] }),
};

/// Cortex-M33, secure state; 16 MB of PSRAM take job and arena.
pub const MPS2_AN505: Board = Board {
    name: "mps2-an505",
    core: "Cortex-M33",
    isa: "dsp",
    target: "thumbv8m.main-none-eabihf",
    job_address: 0x8000_0000,
    job_bytes: 16 << 20,
    arena: ArenaPlace::AfterJob,
    nodes: 256,
    tensors: 512,
    ids: 1024,
    timer_hz: 20_000_000,
    uart: None,
};

/// Cortex-M55 with Helium; DDR takes job and arena (the board has 2 GB, of which the image uses 64 MB).
pub const MPS3_AN547: Board = Board {
    name: "mps3-an547",
    core: "Cortex-M55",
    isa: "mve",
    target: "thumbv8m.main-none-eabihf",
    job_address: 0x6000_0000,
    job_bytes: 64 << 20,
    arena: ArenaPlace::AfterJob,
    nodes: 256,
    tensors: 512,
    ids: 1024,
    timer_hz: 32_000_000,
    uart: Some(Uart { address: 0x5930_3000, interrupts: [33, 34] }),
};

/// Cortex-M0 (nRF51): 256 kB of flash, whose upper 88 kB take the job, and 16 kB of RAM.
pub const MICROBIT: Board = Board {
    name: "microbit",
    core: "Cortex-M0",
    isa: "scalar",
    target: "thumbv6m-none-eabi",
    job_address: 0x0002_a000,
    job_bytes: 88 << 10,
    arena: ArenaPlace::Static(10 << 10),
    nodes: 16,
    tensors: 24,
    ids: 48,
    timer_hz: 16_000_000,
    uart: None,
};

/// All boards, the largest core last but for the micro:bit.
pub const BOARDS: [Board; 5] = [MPS2_AN386, MPS2_AN500, MPS2_AN505, MPS3_AN547, MICROBIT];

/// The boards that have an image that tracks.
pub const TRACKING: [Board; 2] = [MPS2_AN386, MPS3_AN547];

/// The boards that have an image that closes control loops.
pub const CONTROLLING: [Board; 2] = [MPS2_AN386, MPS3_AN547];

/// The board called `name`, if there is one.
pub fn find(name: &str) -> Option<&'static Board> {
    BOARDS.iter().find(|board| board.name == name)
}
