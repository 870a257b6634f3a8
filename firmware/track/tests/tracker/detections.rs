//! What the tracker does with detections: those that are none, too many, and those that are there twice.

use crate::common::{Run, Same, at, settings, walker};
use dunlin_track::{Detection, Rect, Settings, Tracked, Tracker};

/// `count` people who stand too far from each other to overlap, from `x` on.
fn crowd(count: usize, x: f32) -> Vec<Detection> {
    (0..count).map(|i| at(x + 60.0 * (i % 16) as f32, 150.0 * (i / 16) as f32)).collect()
}

/// The rows of somebody who walks, with `extra` beside in every frame.
fn beside(settings: Settings, extra: &[Detection]) -> Run {
    let mut run = Run::new(settings);
    for frame in 0..20 {
        let mut all = extra.to_vec();
        all.insert(extra.len() / 2, walker(frame));
        run.step(frame, &all);
    }
    run.finish();
    run
}

#[test]
fn boxes_that_are_none_are_left_out() {
    let with = |x, y, w, h| Detection { bounds: Rect { x, y, w, h }, score: 0.99 };
    let mut bad = Vec::new();
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.1e6, -1.1e6, f32::MAX, f32::MIN] {
        bad.extend([
            with(value, 20.0, 40.0, 90.0),
            with(20.0, value, 40.0, 90.0),
            with(20.0, 20.0, value, 90.0),
            with(20.0, 20.0, 40.0, value),
        ]);
    }
    for value in [0.0, -0.0, -40.0, 1e-40, 0.9e-3] {
        bad.extend([with(20.0, 20.0, value, 90.0), with(20.0, 20.0, 40.0, value)]);
    }
    let plain = beside(settings(), &[]);
    let run = beside(settings(), &bad);
    assert_eq!(run.rows, plain.rows);
    assert_eq!(run.counts().invalid, 20 * bad.len() as u32);
    assert_eq!(run.net.most, plain.net.most);
    // At the limits they are boxes.
    let good = [with(-1e6, 20.0, 40.0, 90.0), with(1e6, 1e6, 1e6, 1e6), with(20.0, 20.0, 1e-3, 1e-3)];
    let run = beside(settings(), &good);
    assert_eq!((run.counts().invalid, run.ids().len()), (0, 4));
}

#[test]
fn boxes_outside_of_the_picture_are_left_out() {
    let settings = Settings { picture: Some([640.0, 480.0]), ..settings() };
    let outside =
        [at(640.0, 20.0), at(-40.0, 20.0), at(300.0, 480.0), at(300.0, -100.0), at(9000.0, -9000.0)];
    let run = beside(settings, &outside);
    assert_eq!(run.counts().invalid, 20 * outside.len() as u32);
    assert_eq!(run.rows, beside(settings, &[]).rows);
    let inside = [at(639.0, 200.0), at(-39.0, 200.0), at(300.0, 479.0), at(400.0, -99.0)];
    let run = beside(settings, &inside);
    assert_eq!((run.counts().invalid, run.ids().len()), (0, 5));
    // Without a picture nothing is outside, and in one without area everything.
    assert_eq!(beside(crate::common::settings(), &outside).counts().invalid, 0);
    let none = Settings { picture: Some([f32::NAN, 0.0]), ..settings };
    assert_eq!(beside(none, &[]).counts().invalid, 20);
}

#[test]
fn scores_that_are_none_or_too_low_are_left_out() {
    let scored = |score| Detection { score, ..at(400.0, 300.0) };
    let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].map(scored);
    let run = beside(settings(), &bad);
    assert_eq!((run.counts().invalid, run.counts().unsure), (60, 0));
    assert_eq!(run.rows, beside(settings(), &[]).rows);
    let run = beside(settings(), &[0.699, 0.0, -3.0].map(scored));
    assert_eq!((run.counts().invalid, run.counts().unsure), (0, 60));
    assert_eq!(run.rows, beside(settings(), &[]).rows);
    // A score above 1 is 1.
    let run = beside(settings(), &[scored(7.5)]);
    assert_eq!((run.counts().invalid, run.ids().len()), (0, 2));
}

#[test]
fn detections_that_are_not_sure_carry_a_track_but_are_no_rows() {
    let mut run = Run::new(settings());
    for frame in 0..40 {
        let score = if (10..14).contains(&frame) || frame >= 30 { 0.8 } else { 0.95 };
        run.step(frame, &[Detection { score, ..walker(frame) }]);
    }
    run.finish();
    assert_eq!(run.frames_of(1), (0..30).collect::<Vec<_>>());
    assert!(run.rows.iter().all(|(_, row)| row.interpolated == (10..14).contains(&row.frame)));
    // A track of nothing else has no rows, and one with too few has none.
    for (sure, rows) in [(0, 0), (2, 0), (3, 3)] {
        let mut run = Run::new(settings());
        for frame in 0..20 {
            let score = if frame < sure { 0.95 } else { 0.8 };
            run.step(frame, &[Detection { score, ..walker(frame) }]);
        }
        run.finish();
        assert_eq!(run.rows.len(), rows, "{sure} sure detections");
    }
}

#[test]
fn a_track_begins_with_a_score_that_may() {
    let settings = Settings { birth_score: 0.95, min_hits: 1, ..settings() };
    let mut run = Run::new(settings);
    for frame in 0..20 {
        let score = if frame < 6 { 0.92 } else { 0.96 };
        run.step(frame, &[Detection { score, ..walker(frame) }]);
        assert_eq!(run.tracker.live(), usize::from(frame >= 6));
    }
    run.finish();
    assert_eq!(run.frames_of(1), (6..20).collect::<Vec<_>>());
}

#[test]
fn a_box_that_is_there_twice_counts_once_with_its_better_score() {
    for order in [[0.75, 0.95, 0.8], [0.95, 0.75, 0.8], [0.8, 0.75, 0.95]] {
        let mut run = Run::new(settings());
        for frame in 0..20 {
            run.step(frame, &order.map(|score| Detection { score, ..walker(frame) }));
            assert_eq!(run.tracker.live(), 1);
        }
        run.finish();
        assert_eq!(run.counts().duplicates, 40);
        assert_eq!((run.ids(), run.rows.len()), (vec![1], 20), "the better score is a sure one: {order:?}");
    }
}

#[test]
fn of_too_many_detections_the_best_are_taken() {
    let mut run = Run::new(Settings { min_hits: 1, ..settings() });
    let people: Vec<Detection> = crowd(100, 0.0)
        .into_iter()
        .enumerate()
        .map(|(i, d)| Detection { score: if i % 3 == 0 { 0.91 } else { 0.92 + 0.0005 * i as f32 }, ..d })
        .collect();
    for frame in 0..15 {
        run.step(frame, &people);
        assert_eq!(run.tracker.live(), 64);
    }
    run.finish();
    assert_eq!(run.counts().crowded, 15 * 36);
    let mut by_score = people.clone();
    by_score.sort_by(|a, b| b.score.total_cmp(&a.score));
    // 66 have more than the lowest score: the best 64 of them.
    let best: Vec<Rect> = by_score[..64].iter().map(|d| d.bounds).collect();
    assert_eq!(run.rows.len(), 15 * 64);
    assert!(run.rows.iter().all(|(_, row)| best.contains(&row.bounds)));
}

#[test]
fn tracks_that_are_there_stay_where_there_are_too_many() {
    let mut run = Run::new(Settings { min_hits: 1, gap_per_hit: 9, ..settings() });
    let groups = [0.0, 10_000.0, 20_000.0].map(|x| crowd(64, x));
    for frame in 0..12 {
        run.step(frame, &groups[frame as usize % 3]);
        assert_eq!(run.tracker.live(), if frame == 0 { 64 } else { 128 });
    }
    run.finish();
    assert_eq!(run.counts().unborn, 4 * 64);
    assert_eq!(run.net.most[0], 192);
    assert_eq!(run.ids(), (1..=128).collect::<Vec<_>>());
    assert!(run.rows.iter().all(|(_, row)| row.bounds.x < 15_000.0));
}

#[test]
fn edges_fill_their_room_and_no_more() {
    // Everybody overlaps with everybody: as many edges as there is room for.
    let close = |frame: u32| -> Vec<Detection> {
        (0..64).map(|i| at(100.0 + 0.1 * i as f32 + 0.01 * frame as f32, 50.0)).collect()
    };
    let mut run = Run::new(Settings { neighbours: 1000, ..settings() });
    (0..12).for_each(|frame| run.step(frame, &close(frame)));
    run.finish();
    assert_eq!((run.net.most, run.counts().edges), ([128, 1024], 0));
    // A smaller tracker has less room.
    let mut small = Tracker::<16, 4, 5, 21>::new(Settings { min_hits: 1, ..settings() });
    let mut net = Same { edge: 0.0, node: 1.0, graph: [0; 2], most: [0; 2] };
    let mut rows: Vec<Tracked> = Vec::new();
    for frame in 0..4 {
        small.step(&mut net, frame, &close(frame)[..4], &mut |row| rows.push(row));
    }
    small.finish(&mut |row| rows.push(row));
    assert_eq!(net.most[1], 5);
    assert!(small.counts().edges >= 11 && small.counts().crowded == 0, "{:?}", small.counts());
    assert_eq!(rows.len(), 16, "who has no edge begins a track: {rows:?}");
}

#[test]
fn logits_that_are_no_numbers_are_the_least() {
    let walk = |edge: f32, node: f32| {
        let mut run = Run::new(Settings { min_hits: 1, ..settings() });
        (run.net.edge, run.net.node) = (edge, node);
        (0..12).for_each(|frame| run.step(frame, &[walker(frame)]));
        run.finish();
        (run.ids().len(), run.rows.len())
    };
    assert_eq!(walk(0.0, 1.0), (1, 12));
    // No edge is a link: everybody is new in each frame.
    for edge in [f32::NAN, f32::NEG_INFINITY, -100.0] {
        assert_eq!(walk(edge, 1.0), (12, 12), "{edge}");
    }
    assert_eq!(walk(f32::INFINITY, 1.0), (1, 12));
    for node in [f32::NAN, f32::NEG_INFINITY, -0.1] {
        assert_eq!(walk(0.0, node), (0, 0), "{node}");
    }
    assert_eq!(walk(0.0, f32::INFINITY), (1, 12));
}

#[test]
fn settings_that_cannot_be_are_others() {
    for rate in [f32::NAN, f32::INFINITY, 0.0, -5.0] {
        let run = Run::new(Settings { rate, ..settings() });
        assert_eq!(run.tracker.settings().rate, 1.0);
    }
    let run = Run::new(Settings { latency: 11, ..settings() });
    assert_eq!(run.tracker.settings().latency, 10);
    let small = Tracker::<8, 4, 5, 3>::new(settings());
    assert_eq!(small.settings().latency, 1);
    assert_eq!(Run::new(settings()).tracker.settings(), &settings());
}
