//! scratch
use dunlin::{AlignedVec, Model, Storage, Target};
use dunlin_emulator::board::MPS2_AN386;
use dunlin_emulator::meter::{drawn_inputs, profile};
use dunlin_emulator::{Job, Options, Run};
use dunlin_tests::packed::packed;
use dunlin_tests::policies::{cart_pole, grid};

#[test]
fn scratch() {
    for (name, file) in
        [("cart", cart_pole([2.4, 3.0, 0.21, 3.5])), ("grid10", grid(10, 6)), ("grid4", grid(4, 6))]
    {
        let p = packed(file.as_slice(), Target::CortexM4).unwrap();
        for (form, file) in [("portable", &file), ("packed", &p)] {
            let bytes = AlignedVec::from_slice(file.as_slice());
            let mut tables = Box::new(Storage::<1024, 2048, 4096>::new());
            let model = Model::parse(bytes.as_slice(), &mut tables).unwrap();
            let inputs = drawn_inputs(&model);
            let job = Job {
                name: name.into(),
                model: file.as_slice().to_vec(),
                runs: vec![Run { inputs, counts: vec![] }],
            };
            let r = profile(&MPS2_AN386, &job, &Options { profile: true, ..Options::default() }).unwrap();
            let res = r.report.jobs[0].outcome.result().unwrap();
            println!(
                "{name} {form}: {} instr {:?} stack {}",
                r.runs[0].cost.instructions, r.runs[0].cost.cycles, res.runs[0].stack_bytes
            );
            for n in &r.nodes[0] {
                println!("  node {} {}", n.node, n.profile.cost.instructions);
            }
            for f in r.runs[0].functions.iter().take(12) {
                println!("    {} {}", f.cost.instructions, f.name);
            }
        }
    }
}
