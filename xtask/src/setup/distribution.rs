//! The distribution's own Rust, which has the source of its standard library.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Toolchain, apt};
use crate::paths::program;

/// Not the proxies of rustup, which are earlier in most people's `PATH`.
pub(crate) const CARGO: &str = "/usr/bin/cargo";
/// As [`CARGO`].
pub(crate) const RUSTC: &str = "/usr/bin/rustc";
/// As [`CARGO`].
pub(crate) const CLIPPY: &str = "/usr/bin/cargo-clippy";
/// Debian 12 has a current Rust under these names (bookworm-security).
const PACKAGES: [&str; 5] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy", "rust-web-llvm"];
/// The oldest release that compiles the project.
const OLDEST: (u32, u32) = (1, 95);

pub(super) fn find_or_install() -> Result<Toolchain, String> {
    if let Err(reason) = usable() {
        eprintln!("distribution's Rust: {reason}");
        apt::install(&PACKAGES)?;
        usable()?;
    }
    Ok(Toolchain::Distribution { linker: linker()? })
}

fn usable() -> Result<(), String> {
    for tool in [CARGO, RUSTC] {
        if !Path::new(tool).is_file() {
            return Err(format!("{tool} is not there"));
        }
    }
    let output =
        Command::new(RUSTC).args(["--version"]).output().map_err(|error| format!("{RUSTC}: {error}"))?;
    let version = String::from_utf8_lossy(&output.stdout).into_owned();
    if release(&version).is_none_or(|found| found < OLDEST) {
        let (major, minor) = OLDEST;
        return Err(format!("{RUSTC} is {}, {major}.{minor} or newer is needed", version.trim()));
    }
    let sysroot = Command::new(RUSTC)
        .args(["--print", "sysroot"])
        .output()
        .map_err(|error| format!("{RUSTC}: {error}"))?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim());
    let source = sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml");
    if !source.is_file() {
        return Err(format!("the source of its standard library is missing: {}", source.display()));
    }
    linker().map(|_| ())
}

/// Major and minor number in the output of `rustc --version`.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split_whitespace().nth(1)?.split('.').map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// The distribution's `rust-lld`, else that of rustup's toolchain.
fn linker() -> Result<PathBuf, String> {
    let of_rustup = || {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(rustc).args(["--print", "target-libdir"]).output().ok()?;
        let library = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        Some(library.parent()?.join("bin/rust-lld")).filter(|path| path.is_file())
    };
    program("rust-lld").or_else(of_rustup).ok_or_else(|| "rust-lld was not found".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_from_the_version_line() {
        assert_eq!(
            release("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)"),
            Some((1, 96))
        );
        assert_eq!(release("rustc 1.63.0"), Some((1, 63)));
        assert_eq!(release("something else"), None);
        assert!(release("rustc 1.63.0") < Some(OLDEST));
    }
}
