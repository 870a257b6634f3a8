//! The commands that are lists of steps.

use dunlin_emulator::board::{MPS2_AN386, MPS3_AN547};

use crate::cross::{Cross, host_cargo};
use crate::setup::{AARCH64, ARMV7, Setup};
use crate::steps::{Steps, call};
use crate::{firmware, paths, size};

/// Tells tests that no board can be emulated here, so that they count themselves as left out.
const NO_EMULATION: (&str, &str) = ("DUNLIN_EMULATION", "0");

pub(crate) fn setup() -> Result<(), String> {
    Setup::find_or_install().report()
}

/// Builds every image; whether the boards can be emulated afterwards.
fn images(steps: &mut Steps, setup: &Setup) -> bool {
    match setup.can("emulated boards") {
        Ok(toolchain) => steps.run(&format!("firmware images ({})", toolchain.name()), || {
            firmware::build_all(toolchain).map(|_| ())
        }),
        Err(reason) => {
            steps.left_out("emulated boards", &reason);
            false
        }
    }
}

/// Adds to `command` where the images are, or that there are none.
fn with_images(mut command: std::process::Command, emulated: bool) -> std::process::Command {
    if emulated {
        command.env("DUNLIN_FIRMWARE", paths::images());
        if paths::plugin().is_file() {
            command.env("DUNLIN_CYCLEMETER", paths::plugin());
        }
        if paths::metered().is_file() {
            command.env("DUNLIN_METERED", paths::metered());
        }
    } else {
        command.env(NO_EMULATION.0, NO_EMULATION.1);
    }
    command
}

pub(crate) fn demo(arguments: &[&str]) -> Result<(), String> {
    let setup = Setup::find_or_install();
    let mut steps = Steps::new();
    let emulated = images(&mut steps, &setup);
    steps.run("demo", || {
        let mut command = with_images(host_cargo(), emulated);
        command.args(["run", "--package", "dunlin-trainer", "--bin", "dunlin", "--", "demo"]).args(arguments);
        call(&mut command)
    });
    steps.finish()
}

pub(crate) fn test(arguments: &[&str]) -> Result<(), String> {
    let setup = Setup::find_or_install();
    let mut steps = Steps::new();
    let emulated = images(&mut steps, &setup);
    if emulated {
        steps.run("cycle meter", || firmware::plugin().map(|_| ()));
        if let Ok(toolchain) = setup.can("emulated boards") {
            steps.run("images with one model", || size::check(toolchain));
        }
    }
    if emulated && setup.can("tests of aarch64").is_ok() {
        steps.run("models on aarch64 under the cycle meter", || firmware::metered().map(|_| ()));
    }
    for (target, purpose) in [(AARCH64, "tests of aarch64"), (ARMV7, "tests of armv7")] {
        match setup.can(purpose) {
            Ok(toolchain) => {
                steps.run(&format!("runtime on {target} ({})", toolchain.name()), || {
                    // The runtime's own tests, every case of one operator against the oracle, and the order of graphs.
                    let tests: [&[&str]; 2] = [
                        &["--package", "dunlin-core", "--features", "encode,std,rayon", "--lib"],
                        &["--package", "dunlin-tests", "--test", "cases", "--test", "graphs"],
                    ];
                    tests.iter().try_for_each(|arguments| {
                        let mut command = Cross::new(toolchain).cargo("test", target);
                        call(command.args(*arguments).current_dir(paths::root()))
                    })
                });
            }
            Err(reason) => steps.left_out(purpose, &reason),
        }
    }
    steps.run("runtime with threads", || {
        let mut command = host_cargo();
        command.args(["test", "--package", "dunlin-core", "--features", "encode,std,rayon", "--lib"]);
        call(&mut command)
    });
    // The parts of the firmware that the host runs, too.
    for (what, package) in [("tracker", "dunlin-track"), ("plant", "dunlin-plant")] {
        steps.run(what, || {
            let mut command = host_cargo();
            call(command.args(["test", "--package", package]).current_dir(paths::root().join("firmware")))
        });
    }
    steps.run("workspace tests", || {
        let mut command = with_images(host_cargo(), emulated);
        command.args(["test", "--workspace", "--no-fail-fast"]).args(arguments);
        // Tests print what did not fit a board; of those that pass, cargo would hide it.
        if !arguments.contains(&"--") {
            command.args(["--", "--show-output"]);
        }
        call(&mut command)
    });
    steps.finish()
}

/// Golden files first, then the budgets, which the same change may move.
pub(crate) fn golden(arguments: &[&str]) -> Result<(), String> {
    let mut command = host_cargo();
    call(command.args(["run", "--package", "dunlin-tests", "--bin", "golden", "--"]).args(arguments))?;
    budgets(arguments)
}

/// Shows how the budgets would change, or changes them.
pub(crate) fn budgets(arguments: &[&str]) -> Result<(), String> {
    let mode = match arguments {
        [] => "show",
        ["--overwrite"] => "overwrite",
        _ => return Err("usage: cargo xtask budgets [--overwrite]".to_owned()),
    };
    call(measuring("budgets", "models_keep")?.env("DUNLIN_BUDGETS", mode))
}

/// Writes the tables of `docs/performance.md`.
pub(crate) fn performance() -> Result<(), String> {
    call(measuring("performance", "published")?.env("DUNLIN_PERFORMANCE", "overwrite"))?;
    let mut command = with_images(host_cargo(), true);
    command.args(["test", "--package", "dunlin-tests", "--test", "tracking_cost"]);
    call(command.env("DUNLIN_PERFORMANCE", "overwrite"))
}

/// The test `name` of the trainer's test target `target`, with everything it measures with built.
fn measuring(target: &str, name: &str) -> Result<std::process::Command, String> {
    let setup = Setup::find_or_install();
    let toolchain = setup.can("emulated boards")?;
    // The boards whose figures are kept.
    for board in [&MPS2_AN386, &MPS3_AN547] {
        firmware::build(toolchain, board)?;
        firmware::build_tracking(toolchain, board)?;
    }
    firmware::plugin()?;
    firmware::metered()?;
    let mut command = with_images(host_cargo(), true);
    command.args(["test", "--package", "dunlin-trainer", "--test", target, "--", name]);
    Ok(command)
}
