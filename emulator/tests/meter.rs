//! The plugin under the real QEMU: what it counts is known beforehand.

use std::time::Duration;

use dunlin::format::{
    DType, DataSection, NodeSpec, OwnedMetadata, Place, ProgramSpec, Scratch, Tensor, encode,
};
use dunlin::ops::{Lut, Op};
use dunlin::quant::QParams;
use dunlin::shape::Shape;
use dunlin_emulator::board::{BOARDS, MPS2_AN386};
use dunlin_emulator::meter::{ModelProfile, profile, profile_linux, profile_program};
use dunlin_emulator::record::TIMER_ERROR;
use dunlin_emulator::{EmulateError, Job, Options, Run, emulation_is_off, leave_out, unless_left_out};

/// Three lookups one after the other, over `elements` values.
fn model(elements: u32) -> Vec<u8> {
    let mut data = DataSection::new();
    let table = data.push(&(i8::MIN..=i8::MAX).rev().collect::<Vec<i8>>());
    let tensor = |index: u32| Tensor {
        dtype: DType::I8,
        shape: Shape::vector(elements),
        quant: QParams::UNIT,
        place: Place::Arena(index * elements.next_multiple_of(16)),
        rows: None,
    };
    let node = |index: u16| NodeSpec {
        op: Op::Lut(Lut { table }),
        inputs: vec![index],
        outputs: vec![index + 1],
        scratch: Scratch::default(),
    };
    let spec = ProgramSpec {
        target: dunlin::Target::Portable,
        dims: Vec::new(),
        tensors: (0..4).map(tensor).collect(),
        nodes: (0..3).map(node).collect(),
        inputs: vec![0],
        outputs: vec![3],
        arena_len: 4 * elements.next_multiple_of(16),
        state_len: 0,
        data,
        metadata: OwnedMetadata::default(),
    };
    encode(&spec).expect("a valid program").as_slice().to_vec()
}

fn job(elements: u32) -> Job {
    let run = || Run { inputs: vec![vec![7; elements as usize]], counts: Vec::new() };
    Job { name: "lookups".to_owned(), model: model(elements), runs: vec![run(), run()] }
}

/// The profile, or nothing, said aloud, where there is no QEMU or image.
fn profiled(board: &dunlin_emulator::board::Board, elements: u32) -> Option<ModelProfile> {
    if emulation_is_off() {
        leave_out(board.name, "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
        return None;
    }
    let options = Options { profile: true, time_limit: Duration::from_secs(120), image: None };
    unless_left_out(board.name, profile(board, &job(elements), &options))
}

#[test]
fn nodes_add_up_to_less_than_the_run_and_the_timer_agrees() {
    for board in &BOARDS {
        // That the loop of known length was counted exactly, `profile` has checked.
        let Some(profile) = profiled(board, 500) else { continue };
        let result = profile.report.jobs[0].outcome.result().expect("results");
        assert_eq!((profile.runs.len(), profile.nodes.len()), (2, 2), "{}", board.name);
        for ((run, nodes), timed) in profile.runs.iter().zip(&profile.nodes).zip(&result.runs) {
            let name = board.name;
            assert!(
                run.cost.instructions.abs_diff(timed.instructions) <= TIMER_ERROR,
                "{name}: {} by the plugin, {} by the timer",
                run.cost.instructions,
                timed.instructions
            );
            assert_eq!(nodes.iter().map(|node| node.node).collect::<Vec<_>>(), [0, 1, 2], "{name}");
            let sum: u64 = nodes.iter().map(|node| node.profile.cost.instructions).sum();
            assert!(sum <= run.cost.instructions, "{name}: {sum} in nodes, {} in all", run.cost.instructions);
            // What is outside of the nodes is the executor's loop, at most 150 instructions a node.
            assert!(run.cost.instructions - sum < 3 * 150, "{name}: {sum} of {}", run.cost.instructions);
            let functions: u64 = run.functions.iter().map(|function| function.cost.instructions).sum();
            assert_eq!(functions, run.cost.instructions, "{name}");
            let kernels = run.functions.iter().filter(|function| function.name.contains("dunlin_core::"));
            let kernels: u64 = kernels.map(|function| function.cost.instructions).sum();
            assert!(2 * kernels > run.cost.instructions, "{name}: {:?}", run.functions);
            assert_eq!(run.cost.cycles.is_some(), board.core != "Cortex-M0", "{name}");
        }
        assert_eq!(profile.runs[0].cost.instructions, profile.runs[1].cost.instructions, "{}", board.name);
    }
}

#[test]
fn two_starts_count_alike_and_more_elements_cost_more() {
    let [Some(first), Some(second), Some(longer)] =
        [500, 500, 600].map(|elements| profiled(&MPS2_AN386, elements))
    else {
        return;
    };
    assert_eq!(first.runs, second.runs);
    assert_eq!(first.nodes, second.nodes);
    let grown = longer.runs[0].cost.instructions - first.runs[0].cost.instructions;
    assert!((3 * 100..3 * 100 * 20).contains(&grown), "{grown} more for 100 elements in 3 nodes");
}

/// A static program of Linux: marker, a loop of 3 × 1000 instructions with a branch, marker; twice, then exit(0).
fn program() -> Vec<u8> {
    const CODE: u64 = 0x0040_0000;
    const HEADERS: u64 = 64 + 56;
    let region = [
        0xd280_7d00_u32, // mov x0, #1000
        0xaa0b_03eb,     // region begins
        0x9b01_7c21,     // mul x1, x1, x1
        0xf100_0400,     // subs x0, x0, #1
        0x54ff_ffc1,     // b.ne .-8
        0xaa09_03e9,     // node begins
        0xd503_201f,     // nop
        0xaa0c_03ec,     // node ends
        0xaa0a_03ea,     // region ends
    ];
    let exit = [0xd280_0ba8_u32, 0xd280_0000, 0xd400_0001]; // mov x8, #93; mov x0, #0; svc #0
    let code: Vec<u8> =
        region.iter().chain(&region).chain(&exit).flat_map(|word| word.to_le_bytes()).collect();
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    // Executable of AArch64: entry, program headers at 64, no sections.
    elf.extend([2_u16, 183].iter().flat_map(|half| half.to_le_bytes()));
    elf.extend(1_u32.to_le_bytes());
    elf.extend([CODE + HEADERS, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
    elf.extend(0_u32.to_le_bytes());
    elf.extend([64_u16, 56, 1, 64, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
    // One segment, readable and executable.
    elf.extend([1_u32, 5].iter().flat_map(|word| word.to_le_bytes()));
    let bytes = HEADERS + code.len() as u64;
    elf.extend([0, CODE, CODE, bytes, bytes, 0x1_0000].iter().flat_map(|word: &u64| word.to_le_bytes()));
    elf.extend(code);
    elf
}

#[test]
fn a_program_of_linux_is_counted_by_region() {
    use std::os::unix::fs::PermissionsExt as _;

    if emulation_is_off() {
        return leave_out("qemu-aarch64", "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("loop");
    std::fs::write(&path, program()).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let regions = match profile_program("cortex-a53", &path, &[]) {
        Ok(regions) => regions,
        Err(error @ EmulateError::NoQemu { .. }) => return leave_out("qemu-aarch64", &error.to_string()),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(regions.len(), 2);
    for region in &regions {
        let [node] = region.nodes.as_slice() else { panic!("{:?}", region.nodes) };
        assert_eq!((node.node, node.profile.cost.instructions), (0, 1));
        let region = &region.profile;
        // The loop and the instruction of the node.
        assert_eq!(region.cost.instructions, 3 * 1000 + 1);
        let counts: Vec<_> = region.instructions.iter().map(|i| (i.code, i.cost.instructions)).collect();
        assert_eq!(counts, [(0x9b01_7c21, 1000), (0xf100_0400, 1000), (0x54ff_ffc1, 1000), (0xd503_201f, 1)]);
        // Each product waits three cycles for the one before it.
        let cycles = region.cost.cycles.expect("a table for the core");
        assert!((2900.0..3100.0).contains(&cycles), "{cycles}");
    }
    assert_eq!(regions[0].profile.cost, regions[1].profile.cost);
}

#[test]
fn a_model_on_aarch64_is_counted_by_node() {
    if emulation_is_off() {
        return leave_out("qemu-aarch64", "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
    }
    let profiled = || profile_linux("cortex-a72", &model(500), &[vec![7; 500]]);
    let (run, nodes) = match profiled() {
        Ok(profile) => profile,
        // Boards can be emulated where no program of Linux can be built: not a reason to fail.
        Err(error @ EmulateError::NoPlugin { task: "metered", .. }) => {
            return println!("LEFT OUT: a model on AArch64: {error}");
        }
        Err(error @ EmulateError::NoQemu { .. }) => return leave_out("qemu-aarch64", &error.to_string()),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(nodes.iter().map(|node| node.node).collect::<Vec<_>>(), [0, 1, 2]);
    let sum: u64 = nodes.iter().map(|node| node.profile.cost.instructions).sum();
    let all = run.cost.instructions;
    assert!(sum <= all && all - sum < 3 * 150, "{sum} in nodes, {all} in all");
    assert!(run.cost.cycles.is_some_and(|cycles| cycles > 0.0 && cycles < all as f64), "{:?}", run.cost);
    let again = profiled().expect("ran before");
    assert_eq!((again.0.cost, again.1.len()), (run.cost, 3));
}

#[test]
fn a_plugin_that_qemu_refuses_is_named() {
    if emulation_is_off() {
        return leave_out("a refused plugin", "DUNLIN_EMULATION is 0; see `cargo xtask setup`");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (plugin, file) = (folder.path().join("plugin.so"), folder.path().join("model.dun"));
    std::fs::write(&plugin, "no plugin").expect("a file");
    std::fs::write(&file, model(16)).expect("a file");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dunlin-board"));
    command.args(["profile", MPS2_AN386.name]).arg(&file).env("DUNLIN_CYCLEMETER", &plugin);
    let output = command.output().expect("starts");
    let complaint = String::from_utf8_lossy(&output.stderr);
    if complaint.contains("cannot be started") || complaint.contains("no firmware image") {
        return leave_out("a refused plugin", &complaint);
    }
    assert!(!output.status.success() && complaint.contains("no cycle meter"), "{complaint}");
    assert!(complaint.contains("plugin.so"), "{complaint}");
}
