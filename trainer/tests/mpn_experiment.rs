use dunlin_trainer::data::mot;
use dunlin_trainer::eval::tracking::Metrics;
use dunlin_trainer::track::mpn::{Mpn, Solver, settings};
use dunlin_trainer::track::{self, Scene};
use dunlin_trainer::train::supervised::Options;
use dunlin_trainer::train::tracking::{self, Rounds};
use dunlin_trainer::train::{ClassWeights, Optimiser, Recipe, Schedule};
use dunlin_trainer::zoo::mpn::{self, Sizes};
use std::sync::atomic::AtomicBool;

#[test]
#[ignore]
fn loso() {
    let sequences = mot::read(std::path::Path::new("/work/shared/data/mot15"), mot::DETECTIONS).unwrap();
    let f = |n: &str, d: f32| std::env::var(n).map_or(d, |s| s.parse().unwrap());
    let seed: u64 = std::env::var("SEED").map_or(0, |s| s.parse().unwrap());
    let only: Option<usize> = std::env::var("FOLD").ok().map(|s| s.parse().unwrap());
    let mut all = Vec::new();
    for held in 0..sequences.len() {
        if only.is_some_and(|o| o != held) { continue; }
        let train: Vec<_> = sequences.iter().enumerate().filter(|(i, _)| *i != held).map(|(_, s)| s).collect();
        let mut net = mpn::network(Sizes::default()).unwrap();
        let recipe = Recipe { model: "mpn-mot15".into(), seed, epochs: 1, batch: 48, threads: 1,
            optimiser: Optimiser::AdamW { rate: f("RATE", 3e-3) as f64, decay: f("DECAY", 1e-2) },
            schedule: Schedule::Step { warm_up: 0.0, every: 100.0, factor: 1.0 },
            class_weights: ClassWeights::Equal, label_smoothing: 0.0, average: f("AVG", 0.98), evaluate_every: 100, patience: 0, augment: Default::default() };
        let rounds = Rounds { recipe, epochs: { let n = f("ROUNDS", 8.0) as usize; let k = f("EPOCHS", 2.0) as usize; let mut v = vec![k; n]; v[0] = k + 1; v[n - 1] = 2 * k + 1; v }, keep: f("KEEP", 3.0) as usize };
        let out = std::path::PathBuf::from(format!("/work/t/loso/{}{seed}-{held}", std::env::var("TAG").unwrap_or_default()));
        let stop = AtomicBool::new(false);
        let start = std::time::Instant::now();
        tracking::run(&mut net, &rounds, &train, &Options { out: &out, resume: true, keep_weights: false, stop: &stop, quiet: true, tap: None }).unwrap();
        let s = &sequences[held];
        let mut st = settings(Scene::from(&s.info));
        let e = |n: &str, d: f32| std::env::var(n).map_or(d, |s| s.parse().unwrap());
        st.edge_weight = e("EW", st.edge_weight); st.edge_threshold = e("LT", st.edge_threshold); st.sure_score = e("SURE", st.sure_score);
        st.min_score = e("MIN", st.min_score); st.min_hits = e("HITS", st.min_hits as f32) as u32; st.node_threshold = e("NT", st.node_threshold);
        st.gate = e("GATE", st.gate); st.neighbours = e("K", st.neighbours as f32) as usize; st.gap_per_hit = e("GPH", st.gap_per_hit as f32) as u32; st.gap_seconds = e("GS", st.gap_seconds);
        st.noise.process = e("QP", st.noise.process); st.noise.measurement = e("QM", st.noise.measurement); st.noise.velocity = e("QV", st.noise.velocity);
        let mut tracker = Mpn::new(&Solver::Float(Box::new(net.graph.clone())), st).unwrap();
        let rows = track::run(&mut tracker, &s.detections);
        let m = Metrics::of(&s.info.name, s.info.frames, s.truth.as_ref().unwrap(), &rows).unwrap();
        let x = m.summary();
        println!("{} MOTA {:.2} IDF1 {:.2} HOTA {:.2} IDSW {} FP {} FN {}  {:.0?} {:?}", s.info.name, x.mota, x.idf1, x.hota, x.idsw, x.fp, x.fn_, start.elapsed(), tracker.inner().counts());
        all.push(m);
    }
    let x = all.iter().sum::<Metrics>().summary();
    println!("ALL MOTA {:.2} IDF1 {:.2} HOTA {:.2} IDSW {} FP {} FN {}", x.mota, x.idf1, x.hota, x.idsw, x.fp, x.fn_);
}
