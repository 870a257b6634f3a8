//! Set-up: finds what the project needs, installs what is missing, says what that leaves out.

mod apt;
mod distribution;
mod rustup;

use std::path::PathBuf;

use crate::paths::program;

pub(crate) use distribution::{
    CARGO as DISTRIBUTION_CARGO, CLIPPY as DISTRIBUTION_CLIPPY, RUSTC as DISTRIBUTION_RUSTC,
};

/// Rust targets of the firmware and of the single-board computers.
pub(crate) const THUMB: [&str; 3] =
    ["thumbv6m-none-eabi", "thumbv7em-none-eabihf", "thumbv8m.main-none-eabihf"];
/// A 64-bit Raspberry Pi.
pub(crate) const AARCH64: &str = "aarch64-unknown-linux-gnu";
/// A 32-bit Raspberry Pi.
pub(crate) const ARMV7: &str = "armv7-unknown-linux-gnueabihf";

/// Programs that are not Rust: name, Debian packages, what is left out without it.
const PROGRAMS: [(&str, &[&str], &str); 5] = [
    ("qemu-system-arm", &["qemu-system-arm"], "emulated boards"),
    ("qemu-aarch64", &["qemu-user"], "tests of aarch64"),
    ("aarch64-linux-gnu-gcc", &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"], "tests of aarch64"),
    ("qemu-arm", &["qemu-user"], "tests of armv7"),
    ("arm-linux-gnueabihf-gcc", &["gcc-arm-linux-gnueabihf", "libc6-dev-armhf-cross"], "tests of armv7"),
];

/// Where the cross compilers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// The toolchain that runs `xtask`, with targets that rustup installed.
    Rustup,
    /// The distribution's cargo and rustc, which build the standard library from its source.
    Distribution {
        /// `rust-lld`.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// Name in reports and in the build directory.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Rustup => "rustup",
            Self::Distribution { .. } => "distribution",
        }
    }

    /// The first toolchain that has all targets, after installing them; else what to do, for a person.
    pub(crate) fn find_or_install() -> Result<Self, String> {
        let chosen = std::env::var("DUNLIN_TOOLCHAIN").unwrap_or_default();
        match chosen.as_str() {
            "rustup" => rustup::find_or_install(),
            "distribution" => distribution::find_or_install(),
            "" => rustup::find_or_install().or_else(|first| {
                eprintln!("no targets from rustup: {first}");
                distribution::find_or_install().map_err(|second| format!("{second}\n(rustup: {first})"))
            }),
            other => Err(format!("DUNLIN_TOOLCHAIN is {other}; expected rustup or distribution")),
        }
    }
}

/// What this machine can do after set-up.
pub(crate) struct Setup {
    /// The cross compilers, or why there are none.
    pub(crate) toolchain: Result<Toolchain, String>,
    /// Program, what is left out without it, why it could not be installed.
    missing: Vec<(&'static str, &'static str, String)>,
}

impl Setup {
    /// Finds everything and installs what is missing, saying so.
    pub(crate) fn find_or_install() -> Self {
        let absent = || PROGRAMS.iter().filter(|(name, ..)| program(name).is_none());
        let packages: Vec<&str> = absent().flat_map(|(_, packages, _)| packages.iter().copied()).collect();
        let all_at_once = if packages.is_empty() { Ok(()) } else { apt::install(&packages) };
        let mut missing = Vec::new();
        for (name, packages, purpose) in absent() {
            // A package that this system does not have must not keep the others away.
            let alone = all_at_once.clone().or_else(|_| apt::install(packages));
            if program(name).is_none() {
                let reason = alone.err().unwrap_or_else(|| "not in PATH after its installation".to_owned());
                missing.push((*name, *purpose, reason));
            }
        }
        Self { toolchain: Toolchain::find_or_install(), missing }
    }

    /// Whether `purpose` of [`PROGRAMS`] can be served; else the reason.
    pub(crate) fn can(&self, purpose: &str) -> Result<&Toolchain, String> {
        let toolchain = self.toolchain.as_ref().map_err(|error| format!("no cross compiler: {error}"))?;
        match self.missing.iter().find(|(_, of, _)| *of == purpose) {
            Some((program, _, reason)) => Err(format!("{program} is missing: {reason}")),
            None => Ok(toolchain),
        }
    }

    /// One line for each thing found or missing.
    pub(crate) fn report(&self) -> Result<(), String> {
        match &self.toolchain {
            Ok(toolchain) => println!("cross compilers: {toolchain:?}"),
            Err(error) => println!("cross compilers: none: {error}"),
        }
        for (name, _, purpose) in &PROGRAMS {
            match program(name) {
                Some(path) => println!("{name}: {}", path.display()),
                None => println!("{name}: missing, which leaves out: {purpose}"),
            }
        }
        let mut reasons: Vec<&str> = self.missing.iter().map(|(.., reason)| reason.as_str()).collect();
        reasons.extend(self.toolchain.as_ref().err().map(String::as_str));
        reasons.dedup();
        if reasons.is_empty() {
            Ok(())
        } else {
            Err(format!("set-up is incomplete:\n{}", reasons.join("\n")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_leaves_out_only_its_own_purpose() {
        let setup = Setup {
            toolchain: Ok(Toolchain::Rustup),
            missing: vec![("qemu-arm", "tests of armv7", "run apt-get install qemu-user".to_owned())],
        };
        assert!(setup.can("emulated boards").is_ok());
        let reason = setup.can("tests of armv7").unwrap_err();
        assert!(reason.contains("qemu-arm") && reason.contains("apt-get install qemu-user"), "{reason}");
    }

    #[test]
    fn without_a_cross_compiler_nothing_is_emulated() {
        let setup = Setup { toolchain: Err("run this".to_owned()), missing: Vec::new() };
        for (.., purpose) in PROGRAMS {
            assert!(setup.can(purpose).unwrap_err().contains("run this"));
        }
    }
}
