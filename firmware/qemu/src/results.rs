//! The result file, written through semihosting.

use dunlin_emulator::record::{FILE_NAME, Sink};
use semihosting::fs::File;
use semihosting::io::Write as _;

/// An open result file. Failing to write it ends the image, since nothing else could be reported.
pub(crate) struct ResultFile(File);

impl ResultFile {
    pub(crate) fn create() -> Self {
        match File::create(FILE_NAME) {
            Ok(file) => Self(file),
            Err(_) => crate::fault::fail("the result file cannot be created in QEMU's working directory"),
        }
    }
}

impl Sink for ResultFile {
    fn write(&mut self, bytes: &[u8]) {
        if self.0.write_all(bytes).is_err() {
            crate::fault::fail("the result file cannot be written: is the disk full?")
        }
    }
}
