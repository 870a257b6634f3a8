use dunlin_emulator::*;
fn main() {
    let jobs: Vec<Job> = (0..3).map(|i| Job { name: format!("j{i}"), model: if i == 1 { vec![0xff; 10] } else { vec![3 + i as u8; 50 + i * 10] }, runs: vec![vec![vec![i as u8; 16]]; 2] }).collect();
    for b in board::BOARDS { let r = run(&b, &jobs, &Options { profile: true, ..Default::default() }); match r { Ok(r) => println!("{:#?}", r), Err(e) => println!("{e}") } }
}
