//! A `.dun` file on this machine.

use dunlin::{AlignedVec, Model, ParseError, Storage, Target};
use dunlin_trainer::export;
use dunlin_trainer::plan::PlanOptions;
use dunlin_trainer::report::facts::Facts;
use miette::{Result, miette};
use std::path::{Path, PathBuf};

/// Room for the largest program that the encoder writes.
pub(super) type HostStorage = Storage<4096, 8192, 16384>;

/// The bytes of a model, aligned.
pub(super) struct DunFile {
    /// Where it was read.
    pub(super) path: PathBuf,
    bytes: AlignedVec,
}

impl DunFile {
    /// Reads a file; the content is looked at by [`DunFile::parse`].
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| {
            miette!(
                help = "name a .dun file, as `dunlin train` and `dunlin quantize` write it",
                "{}: {e}",
                path.display()
            )
        })?;
        Ok(Self { path: path.into(), bytes: AlignedVec::from_slice(&bytes) })
    }

    /// The file planned and packed for `target`.
    pub(super) fn packed(&self, target: Target) -> Result<Self> {
        let options = PlanOptions { target, ..PlanOptions::default() };
        let (_, bytes) = export::for_core(self.bytes(), &options, None)
            .map_err(|e| miette!("{}: {e}", self.path.display()))?;
        Ok(Self { path: self.path.clone(), bytes })
    }

    /// The bytes of the file.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// Tables for [`DunFile::parse`].
    pub(super) fn storage() -> Box<HostStorage> {
        Box::new(HostStorage::new())
    }

    /// Proves the file and gives the model.
    pub(super) fn parse<'m>(&'m self, storage: &'m mut HostStorage) -> Result<Model<'m>> {
        Model::parse(self.bytes(), storage).map_err(|e| self.refuse(e))
    }

    /// All that is known of the model.
    pub(super) fn facts(&self) -> Result<Facts> {
        Facts::read(self.bytes()).map_err(|e| self.refuse(e))
    }

    fn refuse(&self, error: ParseError) -> miette::Report {
        let help = match error {
            ParseError::Truncated { .. } | ParseError::Checksum { .. } => {
                "copy the file again, or make it again with `dunlin quantize`"
            }
            ParseError::Magic { .. } => "name a .dun file, as `dunlin train` and `dunlin quantize` write it",
            ParseError::Version { .. } => "use the version of dunlin that wrote it, or a later one",
            _ => "make it again with `dunlin quantize`; if this version wrote it, that is a bug to report",
        };
        miette!(help = help, "{}: {error}", self.path.display())
    }
}
