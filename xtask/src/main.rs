//! `cargo xtask …`: everything that is done to the repository, from a fresh machine to a full test.

mod cross;
mod firmware;
mod lint;
mod paths;
mod peers;
mod setup;
mod size;
mod steps;
mod tasks;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  setup                    install what is missing: cross compilers, QEMU
  demo [ARGUMENTS]         set up, train a small model, run it and the committed ones on emulated boards
  test [ARGUMENTS]         set up, build the firmware, run every test; arguments go to `cargo test`
  lint [--rules]           rustfmt, clippy, rustdoc, import rules, source rules; with --rules only the last two
  size [MODEL.dun ...]     code flash of each board's image, and of images with one model: those named and the committed
  golden [--overwrite]     show how the golden files and the budgets would change; with --overwrite, change them
  budgets [--overwrite]    the same of the budgets alone: instructions, arena and flash of each model
  performance              measure the published models and write the tables of docs/performance.md and docs/policy.md
  firmware [--board B [--track | --policy]]
                           build the images, or one: for any model, to track, or to close control loops; prints the
                           path of each as the only output
  cyclemeter               build the QEMU plugin that counts instructions; prints its path as the only output
  metered                  build the program that runs models on AArch64 under it; prints its path as the only output
  peers [FOLDER]           time the published models beside tract, on one thread; prints a table
  qemu B [IMAGE]           start board B with its image, without a job

The build directory is $DUNLIN_TARGET_DIR, else $CARGO_TARGET_DIR, else ${XDG_CACHE_HOME:-~/.cache}/dunlin/target.
DUNLIN_TOOLCHAIN=rustup|distribution chooses where the cross compilers come from (default: the first that works).";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["setup"] => tasks::setup(),
        ["demo", rest @ ..] => tasks::demo(rest),
        ["test", rest @ ..] => tasks::test(rest),
        ["lint"] => lint::lint(),
        ["lint", "--rules"] => lint::rules(),
        ["size", models @ ..] => size::print(models),
        ["golden", rest @ ..] => tasks::golden(rest),
        ["budgets", rest @ ..] => tasks::budgets(rest),
        ["performance"] => tasks::performance(),
        ["firmware"] => firmware::print(None, None),
        ["firmware", "--board", board] => firmware::print(Some(board), None),
        ["firmware", "--board", board, "--track"] => firmware::print(Some(board), Some("track")),
        ["firmware", "--board", board, "--policy"] => firmware::print(Some(board), Some("policy")),
        ["cyclemeter"] => firmware::plugin().map(|path| println!("{}", path.display())),
        ["metered"] => firmware::metered().map(|path| println!("{}", path.display())),
        ["peers"] => peers::measure(None),
        ["peers", folder] => peers::measure(Some(folder)),
        ["qemu", board] => firmware::start(board, None),
        ["qemu", board, image] => firmware::start(board, Some(image)),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
