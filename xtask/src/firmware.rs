//! The images: one per board, built from `firmware/`.

use std::fs;
use std::path::{Path, PathBuf};

use dunlin_emulator::board::{self, BOARDS, Board, CONTROLLING, TRACKING};

use crate::cross::{Cross, host_cargo};
use crate::paths;
use crate::setup::{AARCH64, Setup, Toolchain};
use crate::steps::call;

/// Packages of the firmware that the host runs, too: what they are called, and how cargo selects them.
pub(crate) const ON_HOST: [(&str, &[&str]); 3] = [
    ("tracker", &["--package", "dunlin-track"]),
    ("plant", &["--package", "dunlin-plant"]),
    // Without the services, which log as only a board can.
    ("control loop", &["--package", "dunlin-app", "--no-default-features", "--features", "policy"]),
];

/// Builds the image of `board` and puts it where the emulator looks for it.
pub(crate) fn build(toolchain: &Toolchain, board: &Board) -> Result<PathBuf, String> {
    build_binary(toolchain, board, board.name, &[])
}

/// Services that have images of their own: the feature, which the image is called by, and the boards.
pub(crate) const SERVICES: [(&str, &[Board]); 2] = [("track", &TRACKING), ("policy", &CONTROLLING)];

/// The same of the image with a service.
pub(crate) fn build_service(toolchain: &Toolchain, board: &Board, service: &str) -> Result<PathBuf, String> {
    let name = format!("{}-{service}", board.name);
    build_binary(toolchain, board, &name, &["--features", service, "--bin", &name])
}

/// All images: those for any model, then those with a service.
pub(crate) fn build_all(toolchain: &Toolchain) -> Result<Vec<PathBuf>, String> {
    let any = BOARDS.iter().map(|board| build(toolchain, board));
    let services = SERVICES.iter().flat_map(|(service, boards)| {
        boards.iter().map(move |board| build_service(toolchain, board, service))
    });
    any.chain(services).collect()
}

fn build_binary(
    toolchain: &Toolchain,
    board: &Board,
    name: &str,
    options: &[&str],
) -> Result<PathBuf, String> {
    let folder = folder(board);
    let mut command = Cross::new(toolchain).cargo("build", board.target);
    // Cargo reads a board's flags from the configuration in its folder.
    call(command.arg("--release").args(options).current_dir(&folder).stdout(std::io::stderr()))?;
    let built = paths::cross(toolchain.name()).join(board.target).join("release").join(name);
    let image = paths::images().join(format!("{name}.elf"));
    let failed = |error| format!("{} cannot be copied to {}: {error}", built.display(), image.display());
    fs::create_dir_all(paths::images()).map_err(failed)?;
    fs::copy(&built, &image).map_err(failed)?;
    Ok(image)
}

/// Builds the plugin that counts instructions, for the host, and puts it beside the images.
pub(crate) fn plugin() -> Result<PathBuf, String> {
    let target = paths::cross("host").join("cyclemeter");
    let mut command = host_cargo();
    command.args(["build", "--release", "--locked", "--target-dir"]).arg(&target);
    call(command.current_dir(paths::root().join("tests/cyclemeter")).stdout(std::io::stderr()))?;
    let plugin = paths::plugin();
    let built = target.join("release").join(plugin.file_name().unwrap_or_default());
    let failed = |error| format!("{} cannot be copied to {}: {error}", built.display(), plugin.display());
    fs::create_dir_all(paths::images()).map_err(failed)?;
    // A QEMU that is running keeps the file it has loaded.
    let fresh = plugin.with_extension(format!("new-{}", std::process::id()));
    fs::copy(&built, &fresh).and_then(|_| fs::rename(&fresh, &plugin)).map_err(failed)?;
    Ok(plugin)
}

/// Builds the program that runs a model on AArch64 between markers, and puts it beside the images.
pub(crate) fn metered() -> Result<PathBuf, String> {
    let setup = Setup::find_or_install();
    let toolchain = setup.can("tests of aarch64")?;
    let mut command = Cross::new(toolchain).cargo("build", AARCH64);
    command.args(["--release", "--package", "dunlin-tests", "--bin", "metered"]);
    // As firmware is built, so that the kernels compare.
    command.env("CARGO_PROFILE_RELEASE_LTO", "fat").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    call(command.current_dir(paths::root()).stdout(std::io::stderr()))?;
    let built = paths::cross(toolchain.name()).join(AARCH64).join("release/metered");
    let program = paths::metered();
    let failed = |error| format!("{} cannot be copied to {}: {error}", built.display(), program.display());
    fs::create_dir_all(paths::images()).map_err(failed)?;
    let fresh = program.with_extension(format!("new-{}", std::process::id()));
    fs::copy(&built, &fresh).and_then(|_| fs::rename(&fresh, &program)).map_err(failed)?;
    Ok(program)
}

/// The crate of `board`.
fn folder(board: &Board) -> PathBuf {
    paths::root().join("firmware/boards").join(board.name)
}

fn find(name: &str) -> Result<&'static Board, String> {
    let names = || BOARDS.map(|board| board.name).join(", ");
    board::find(name).ok_or_else(|| format!("no board is called {name}; there are {}", names()))
}

/// Builds all images, or one, and prints their paths, one a line.
pub(crate) fn print(name: Option<&str>, service: Option<&str>) -> Result<(), String> {
    let chosen = name.map(find).transpose()?;
    let toolchain = Toolchain::find_or_install()?;
    let images = match (chosen, service) {
        (Some(board), Some(service)) => vec![build_service(&toolchain, board, service)?],
        (Some(board), None) => vec![build(&toolchain, board)?],
        (None, _) => build_all(&toolchain)?,
    };
    images.iter().for_each(|image| println!("{}", image.display()));
    Ok(())
}

/// Starts a board without a job and prints its log.
pub(crate) fn start(name: &str, image: Option<&str>) -> Result<(), String> {
    let board = find(name)?;
    let image = match image {
        Some(image) => PathBuf::from(image),
        None => build(&Toolchain::find_or_install()?, board)?,
    };
    call(board_tool().args(["run", board.name]).arg(image))
}

/// Builds the image of `board` with one model, already packed for its core.
pub(crate) fn build_one(toolchain: &Toolchain, board: &Board, model: &Path) -> Result<PathBuf, String> {
    let binary = format!("{}-one", board.name);
    let mut command = Cross::new(toolchain).cargo("build", board.target);
    command.args(["--release", "--quiet", "--features", "one", "--bin", &binary]).env("DUNLIN_MODEL", model);
    call(command.current_dir(folder(board)).stdout(std::io::stderr()))?;
    Ok(paths::cross(toolchain.name()).join(board.target).join("release").join(binary))
}

/// What an image takes of flash, bytes.
pub(crate) struct Flash {
    /// All of it.
    pub(crate) all: u64,
    /// Constants of models in it.
    pub(crate) data: u64,
    /// Tables of models in it.
    pub(crate) tables: u64,
}

/// Weighs an image.
pub(crate) fn weigh(image: &Path) -> Result<Flash, String> {
    let text = output(board_tool().arg("flash").arg(image))?;
    let numbers: Result<Vec<u64>, _> = text.split_whitespace().map(str::parse).collect();
    match numbers.as_deref() {
        Ok(&[all, data, tables]) => Ok(Flash { all, data, tables }),
        _ => Err(format!("dunlin-board printed {text}")),
    }
}

/// Runs an image without a job; its log.
pub(crate) fn log(board: &Board, image: &Path) -> Result<String, String> {
    output(board_tool().args(["run", board.name]).arg(image))
}

fn output(command: &mut std::process::Command) -> Result<String, String> {
    let output = command.stderr(std::process::Stdio::inherit()).output();
    let output = output.map_err(|error| format!("dunlin-board: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("dunlin-board: {}: {text}", output.status)) }
}

/// The emulator's own command, which decodes logs and reads ELF files.
fn board_tool() -> std::process::Command {
    let mut command = host_cargo();
    command.args(["run", "--quiet", "--package", "dunlin-emulator", "--bin", "dunlin-board", "--"]);
    command
}

/// Every folder under `firmware/boards` has a row in the table, and every row a folder.
pub(crate) fn check_table() -> Result<(), String> {
    let folders = paths::root().join("firmware/boards");
    let read = |path: &Path| fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()));
    for entry in read(&folders)?.flatten() {
        find(&entry.file_name().to_string_lossy())?;
    }
    match BOARDS.iter().find(|board| !folder(board).join("Cargo.toml").is_file()) {
        Some(board) => Err(format!("{} has no crate under {}", board.name, folders.display())),
        None => Ok(()),
    }
}
