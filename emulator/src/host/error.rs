//! What can go wrong outside of the emulated program.

use std::path::PathBuf;
use std::process::ExitStatus;

use super::LineError;

/// Why an emulation gave no results.
#[derive(Debug, thiserror::Error)]
pub enum EmulateError {
    /// No image for the board.
    #[error("{board}: no firmware image: {reason}; build it with `{command}`")]
    NoImage {
        /// The board.
        board: String,
        /// Where it was looked for.
        reason: String,
        /// What to run.
        command: String,
    },
    /// The image is not a usable ELF file with `defmt` data.
    #[error("{}: {reason}; build it again with `cargo xtask firmware`", path.display())]
    BadImage {
        /// The image.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The plugin, or the program that runs models under it, is missing.
    #[error("no cycle meter: {reason}; build it with `cargo xtask {task}`")]
    NoPlugin {
        /// What is wrong.
        reason: String,
        /// What builds it.
        task: &'static str,
    },
    /// QEMU could not be started.
    #[error(
        "{program} cannot be started: {source}; install it with `cargo xtask setup` or `apt-get install qemu-system-arm`"
    )]
    NoQemu {
        /// The program.
        program: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of the emulation could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// QEMU was killed.
    #[error(
        "{board}: no end after {seconds} s, QEMU was killed (a locked-up core never ends); last log line: {last}"
    )]
    TimeLimit {
        /// The board.
        board: String,
        /// The limit.
        seconds: f64,
        /// The last line that the image logged.
        last: String,
    },
    /// The image, or QEMU itself, ended with an error.
    #[error("{board}: QEMU ended with {status}\n{output}")]
    Crashed {
        /// The board.
        board: String,
        /// How it ended.
        status: ExitStatus,
        /// Log lines and what QEMU wrote to its error stream.
        output: String,
    },
    /// The image does not take what it was given.
    #[error("{board}: {reason}")]
    Refused {
        /// The board.
        board: String,
        /// Why not.
        reason: String,
    },
    /// The conversation over the serial line failed.
    #[error("{board}: {source}")]
    Line {
        /// The board.
        board: String,
        /// How.
        source: LineError,
    },
    /// The result file is not what the image must write.
    #[error("{board}: result file: {reason}")]
    BadResults {
        /// The board.
        board: String,
        /// What was found and expected.
        reason: String,
    },
}
