//! Finding images and what they weigh.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use object::{Object as _, ObjectSection as _, ObjectSymbol as _, SectionFlags, elf};

use super::EmulateError;
use crate::board::{Board, CONTROLLING, TRACKING};

/// The image for `board`: `$DUNLIN_FIRMWARE/<board>.elf` if that variable is set; else, in a checkout, the one that
/// `cargo xtask firmware` builds (fast when nothing has changed).
///
/// # Errors
/// [`EmulateError::NoImage`] with the command that makes the image.
pub fn find_image(board: &Board) -> Result<PathBuf, EmulateError> {
    find(board, None)
}

/// The image of `board` that tracks: as [`find_image`], called `<board>-track.elf`.
///
/// # Errors
/// As [`find_image`]; also for a board that is not one of [`TRACKING`].
pub fn find_tracking_image(board: &Board) -> Result<PathBuf, EmulateError> {
    find_service(board, &TRACKING, "track", "tracks")
}

/// The image of `board` that closes control loops: as [`find_image`], called `<board>-policy.elf`.
///
/// # Errors
/// As [`find_image`]; also for a board that is not one of [`CONTROLLING`].
pub fn find_policy_image(board: &Board) -> Result<PathBuf, EmulateError> {
    find_service(board, &CONTROLLING, "policy", "closes control loops")
}

fn find_service(board: &Board, boards: &[Board], service: &str, does: &str) -> Result<PathBuf, EmulateError> {
    if boards.contains(board) {
        return find(board, Some(service));
    }
    let names: Vec<&str> = boards.iter().map(|board| board.name).collect();
    let reason = format!("only {} have one that {does}", names.join(" and "));
    Err(EmulateError::NoImage {
        board: board.name.to_owned(),
        reason,
        command: "cargo xtask firmware".to_owned(),
    })
}

fn find(board: &Board, service: Option<&str>) -> Result<PathBuf, EmulateError> {
    let (mut name, mut option) = (board.name.to_owned(), None);
    if let Some(service) = service {
        name += &format!("-{service}");
        option = Some(format!("--{service}"));
    }
    let mut arguments = vec!["xtask", "firmware", "--board", board.name];
    arguments.extend(option.as_deref());
    let command = format!("cargo {}", arguments.join(" "));
    let missing = |reason: String| EmulateError::NoImage {
        board: board.name.to_owned(),
        reason,
        command: command.clone(),
    };
    if let Some(folder) = std::env::var_os("DUNLIN_FIRMWARE") {
        let path = Path::new(&folder).join(format!("{name}.elf"));
        return if path.is_file() {
            Ok(path)
        } else {
            Err(missing(format!("{} is not there (DUNLIN_FIRMWARE names the folder)", path.display())))
        };
    }
    // Once per process and board: the sources do not change under a running program, and cargo takes a moment.
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(path) = built.get(&name) {
        return Ok(path.clone());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if !root.join("firmware/Cargo.toml").is_file() {
        return Err(missing(
            "DUNLIN_FIRMWARE is not set and this program is outside of its checkout".to_owned(),
        ));
    }
    let output = Command::new("cargo")
        .args(arguments)
        .current_dir(&root)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| missing(format!("cargo cannot be started: {error}")))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    match printed.lines().last().map(PathBuf::from) {
        Some(path) if output.status.success() && path.is_file() => {
            built.insert(name, path.clone());
            Ok(path)
        }
        _ => Err(missing(format!("the build in {} failed ({})", root.display(), output.status))),
    }
}

/// Whether the set-up has said (`DUNLIN_EMULATION=0`) that nothing can be emulated here. Tests then count what they
/// leave out; everything else goes on and fails with the reason.
pub fn emulation_is_off() -> bool {
    std::env::var("DUNLIN_EMULATION").is_ok_and(|value| value == "0")
}

/// Says on standard error that `what` is not emulated, and why: for tests, which must not skip in silence.
///
/// # Panics
/// It may not be left out: `CI=true`, `DUNLIN_REQUIRE_BOARDS=1`, or images named by `DUNLIN_FIRMWARE`.
pub fn leave_out(what: &str, reason: &str) {
    let set = |name: &str| std::env::var(name).is_ok_and(|v| v == "1" || v == "true");
    let notice = format!("LEFT OUT: {what} not emulated: {reason}");
    let required = set("CI") || set("DUNLIN_REQUIRE_BOARDS") || std::env::var_os("DUNLIN_FIRMWARE").is_some();
    assert!(!required, "{notice}");
    // The test harness does not capture what is written here directly.
    let _ = writeln!(std::io::stderr(), "{notice}");
}

/// What was emulated, or `None` where nothing can be emulated here: then [`leave_out`] says so. For tests.
///
/// # Panics
/// As [`leave_out`], and for any other error.
pub fn unless_left_out<T>(what: &str, result: Result<T, EmulateError>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(
            error @ (EmulateError::NoImage { .. }
            | EmulateError::NoQemu { .. }
            | EmulateError::NoPlugin { .. }),
        ) => {
            leave_out(what, &error.to_string());
            None
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

/// Bytes of flash that the image takes: code, constants, vectors and the initial values of statics.
///
/// # Errors
/// The file cannot be read or is not an ELF file.
pub fn flash_bytes(image: &Path) -> Result<u64, EmulateError> {
    read(image, |file| {
        file.sections()
            .filter(|section| match section.flags() {
                SectionFlags::Elf { sh_flags } => sh_flags & u64::from(elf::SHF_ALLOC) != 0,
                _ => false,
            })
            // What has no bytes in the file is zeroed at start and takes no flash.
            .filter_map(|section| section.file_range())
            .map(|(_, size)| size)
            .sum()
    })
}

/// Bytes of flash that models of `dunlin::model!` take in the image: the constants, and the tables that a parser
/// would decode. The list of kernels is code, as is what runs them.
///
/// # Errors
/// As [`flash_bytes`].
pub fn model_bytes(image: &Path) -> Result<[u64; 2], EmulateError> {
    let sizes = |file: &object::File<'_>, wanted: &dyn Fn(&str) -> bool| {
        let symbols = file.symbols().filter(|symbol| symbol.name().is_ok_and(wanted));
        symbols.map(|symbol| symbol.size()).sum()
    };
    let tables =
        |name: &str| name.contains("DUNLIN_") && !name.contains("_DATA") && !name.contains("_KERNELS");
    read(image, |file| [sizes(file, &|name| name.contains("DUNLIN_DATA")), sizes(file, &tables)])
}

fn read<T>(image: &Path, result: impl FnOnce(&object::File<'_>) -> T) -> Result<T, EmulateError> {
    let bytes =
        std::fs::read(image).map_err(|source| EmulateError::File { path: image.to_owned(), source })?;
    let file = object::File::parse(bytes.as_slice())
        .map_err(|error| EmulateError::BadImage { path: image.to_owned(), reason: error.to_string() })?;
    Ok(result(&file))
}
