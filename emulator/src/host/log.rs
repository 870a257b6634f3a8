//! Log lines of the image: `defmt` frames, formatted with the strings in its ELF file.

use std::fmt;
use std::path::Path;

use defmt_decoder::{DecodeError, Table};
use serde::Serialize;

use super::EmulateError;

/// One line of the image's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// `error`, `warn`, `info`, `debug`, `trace`, or `print` for output without a level.
    pub level: String,
    /// The text.
    pub text: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level.as_str() {
            "print" => f.write_str(&self.text),
            level => write!(f, "{level}: {}", self.text),
        }
    }
}

/// Formats the frames in `stream`, which the image at `path` with bytes `elf` wrote.
pub(super) fn decode(path: &Path, elf: &[u8], stream: &[u8]) -> Result<Vec<LogLine>, EmulateError> {
    let bad = |reason: String| EmulateError::BadImage { path: path.to_owned(), reason };
    let table = Table::parse(elf).map_err(|error| bad(format!("defmt data: {error:#}")))?;
    let table = table.ok_or_else(|| bad("it has no defmt data".to_owned()))?;
    let mut decoder = table.new_stream_decoder();
    decoder.received(stream);
    let mut lines = Vec::new();
    loop {
        match decoder.decode() {
            Ok(frame) => lines.push(LogLine {
                level: frame.level().map_or("print", |level| level.as_str()).to_owned(),
                text: frame.display_message().to_string(),
            }),
            Err(DecodeError::UnexpectedEof) => return Ok(lines),
            Err(DecodeError::Malformed) => {
                lines.push(LogLine {
                    level: "warn".to_owned(),
                    text: "(a frame that cannot be decoded)".to_owned(),
                });
                if !table.encoding().can_recover() {
                    return Ok(lines);
                }
            }
        }
    }
}
