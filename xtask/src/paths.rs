//! Where things are.

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

/// The checkout.
pub(crate) fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap_or(root)
}

/// The build directory that every cargo call of `xtask` uses; outside of the checkout unless told otherwise.
pub(crate) fn target() -> PathBuf {
    target_from(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
}

fn target_from(variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    if let Some(chosen) = variable("DUNLIN_TARGET_DIR").or_else(|| variable("CARGO_TARGET_DIR")) {
        return root().join(chosen);
    }
    let home = || Some(PathBuf::from(variable("HOME").or_else(|| variable("USERPROFILE"))?).join(".cache"));
    let cache = variable("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    cache.unwrap_or_else(std::env::temp_dir).join("dunlin/target")
}

/// Tells checkouts apart that share a build directory.
fn checkout() -> String {
    let mut hasher = DefaultHasher::new();
    root().hash(&mut hasher);
    format!("{:08x}", hasher.finish() as u32)
}

/// Cargo's directory for cross builds with the toolchain called `toolchain`.
pub(crate) fn cross(toolchain: &str) -> PathBuf {
    target().join("cross").join(format!("{}-{toolchain}", checkout()))
}

/// Where the images of this checkout are put, as `<board>.elf`.
pub(crate) fn images() -> PathBuf {
    target().join("firmware").join(checkout())
}

/// Where the plugin that counts instructions is put.
pub(crate) fn plugin() -> PathBuf {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    images().join(format!("{DLL_PREFIX}dunlin_cyclemeter{DLL_SUFFIX}"))
}

/// The program that runs models on AArch64 under the plugin.
pub(crate) fn metered() -> PathBuf {
    images().join("metered-aarch64")
}

/// Finds `program` in `PATH`.
pub(crate) fn program(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target_with(variables: &[(&str, &str)]) -> PathBuf {
        target_from(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_most_specific_variable_names_the_build_directory() {
        let all = [
            ("DUNLIN_TARGET_DIR", "/d"),
            ("CARGO_TARGET_DIR", "/c"),
            ("XDG_CACHE_HOME", "/x"),
            ("HOME", "/h"),
        ];
        assert_eq!(target_with(&all), Path::new("/d"));
        assert_eq!(target_with(&all[1..]), Path::new("/c"));
        assert_eq!(target_with(&all[2..]), Path::new("/x/dunlin/target"));
        assert_eq!(target_with(&all[3..]), Path::new("/h/.cache/dunlin/target"));
    }

    #[test]
    fn a_relative_build_directory_is_relative_to_the_checkout() {
        assert_eq!(target_with(&[("CARGO_TARGET_DIR", "build")]), root().join("build"));
    }
}
