//! Cargo calls, for the host and for other targets; nothing above knows which toolchain serves them.

use std::process::Command;

use crate::paths;
use crate::setup::{AARCH64, ARMV7, DISTRIBUTION_CARGO, DISTRIBUTION_RUSTC, Toolchain};

/// Settings of the cargo that runs `xtask`, which would change what its children build.
const INHERITED: [&str; 8] = [
    "CARGO",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "RUSTC",
    "RUSTDOC",
    "RUSTC_WORKSPACE_WRAPPER",
];

/// Cargo for the host, in the checkout, with the shared build directory.
pub(crate) fn host_cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    clean(&mut command);
    command.current_dir(paths::root()).env("CARGO_TARGET_DIR", paths::target());
    command
}

fn clean(command: &mut Command) {
    for name in INHERITED {
        command.env_remove(name);
    }
}

/// Cross builds with one toolchain.
pub(crate) struct Cross<'a> {
    toolchain: &'a Toolchain,
}

impl<'a> Cross<'a> {
    pub(crate) fn new(toolchain: &'a Toolchain) -> Self {
        Self { toolchain }
    }

    /// `cargo SUBCOMMAND` for `target`: linker, standard library and emulating runner are taken care of. The caller
    /// sets the working directory and adds arguments.
    pub(crate) fn cargo(&self, subcommand: &str, target: &str) -> Command {
        let mut command = match self.toolchain {
            Toolchain::Rustup => Command::new("cargo"),
            Toolchain::Distribution { .. } => Command::new(DISTRIBUTION_CARGO),
        };
        clean(&mut command);
        // Flags of the caller would replace those of the board's configuration.
        command.env_remove("RUSTFLAGS");
        command.arg(subcommand).args(["--target", target]);
        let setting =
            |name: &str| format!("CARGO_TARGET_{}_{name}", target.replace(['-', '.'], "_").to_uppercase());
        let linux = linux(target);
        if let Some((gcc, qemu, library)) = linux {
            command.env(setting("LINKER"), gcc);
            command.env(setting("RUNNER"), format!("{qemu} -L {library}"));
        }
        if let Toolchain::Distribution { linker } = self.toolchain {
            command.env("RUSTC", DISTRIBUTION_RUSTC).env("RUSTC_BOOTSTRAP", "1");
            command.env_remove("RUSTUP_TOOLCHAIN");
            if linux.is_some() {
                command.arg("-Zbuild-std=std,panic_unwind,test");
            } else {
                command.arg("-Zbuild-std=core,alloc").env(setting("LINKER"), linker);
            }
        }
        command.env("CARGO_TARGET_DIR", paths::cross(self.toolchain.name()));
        command
    }
}

/// Linker, emulator and library folder of a Linux target.
fn linux(target: &str) -> Option<(&'static str, &'static str, &'static str)> {
    match target {
        // A core with every extension, so that the kernels of each tier run.
        AARCH64 => Some(("aarch64-linux-gnu-gcc", "qemu-aarch64 -cpu max", "/usr/aarch64-linux-gnu")),
        ARMV7 => Some(("arm-linux-gnueabihf-gcc", "qemu-arm", "/usr/arm-linux-gnueabihf")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::path::PathBuf;

    use super::*;

    fn environment(command: &Command) -> HashMap<String, Option<String>> {
        let text = |value: &std::ffi::OsStr| value.to_string_lossy().into_owned();
        command.get_envs().map(|(name, value)| (text(name), value.map(text))).collect()
    }

    #[test]
    fn the_distribution_builds_the_library_and_never_meets_rustup() {
        let toolchain = Toolchain::Distribution { linker: PathBuf::from("/lld") };
        let command = Cross::new(&toolchain).cargo("build", "thumbv8m.main-none-eabihf");
        let environment = environment(&command);
        assert_eq!(command.get_program(), "/usr/bin/cargo");
        assert_eq!(environment["RUSTC"].as_deref(), Some("/usr/bin/rustc"));
        assert_eq!(environment["RUSTUP_TOOLCHAIN"], None);
        assert_eq!(environment["CARGO_ENCODED_RUSTFLAGS"], None);
        assert_eq!(environment["CARGO_TARGET_THUMBV8M_MAIN_NONE_EABIHF_LINKER"].as_deref(), Some("/lld"));
        assert!(command.get_args().any(|argument| argument == "-Zbuild-std=core,alloc"));
    }

    #[test]
    fn linux_targets_are_linked_by_gcc_and_run_by_qemu() {
        let command = Cross::new(&Toolchain::Rustup).cargo("test", AARCH64);
        let environment = environment(&command);
        let setting =
            |name: &str| environment[&format!("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_{name}")].clone();
        assert_eq!(setting("LINKER").as_deref(), Some("aarch64-linux-gnu-gcc"));
        assert_eq!(setting("RUNNER").as_deref(), Some("qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu"));
        assert!(!command.get_args().any(|argument| argument.to_string_lossy().starts_with("-Z")));
    }
}
