//! What the tracker does with streams of frames: in order, left out, repeated, back, without end.

use crate::common::{Run, at, settings, walker};
use dunlin_track::{Detection, Rect, Settings, Tracked};

fn walk(run: &mut Run, frames: std::ops::Range<u32>) {
    frames.for_each(|frame| run.step(frame, &[walker(frame)]));
}

#[test]
fn a_row_comes_as_many_frames_late_as_the_latency_says() {
    for latency in [0, 1, 4, 10] {
        let mut run = Run::new(Settings { latency, min_hits: 1, ..settings() });
        walk(&mut run, 5..30);
        assert_eq!(run.frames_of(1), (5..30 - latency).collect::<Vec<_>>());
        assert!(run.rows.iter().all(|(step, row)| *step == Some(row.frame + latency)));
        assert!(run.rows.iter().all(|(_, row)| !row.interpolated && row.bounds == walker(row.frame).bounds));
        run.finish();
        assert_eq!(run.frames_of(1), (5..30).collect::<Vec<_>>());
        let rows = run.rows.len();
        run.finish();
        assert_eq!(run.rows.len(), rows, "nothing is left after the end");
    }
}

#[test]
fn after_the_end_a_recording_begins_with_new_ids() {
    let mut run = Run::new(settings());
    walk(&mut run, 0..20);
    run.finish();
    walk(&mut run, 0..20);
    run.finish();
    assert_eq!(run.ids(), [1, 2]);
    assert_eq!(run.frames_of(1), run.frames_of(2));
    assert_eq!(run.counts().restarted, 0);
}

#[test]
fn a_track_ends_in_frames_without_detections() {
    let mut run = Run::new(settings());
    walk(&mut run, 0..5);
    for frame in 5..40 {
        run.step(frame, &[]);
        // Five detections give patience for five frames.
        assert_eq!(run.tracker.live(), usize::from(frame < 10), "frame {frame}");
    }
    assert_eq!(run.frames_of(1), [0, 1, 2, 3, 4]);
    assert!(run.rows.iter().all(|(step, row)| *step == Some(row.frame + 10)));
    run.step(40, &[walker(5)]);
    (41..60).for_each(|frame| run.step(frame, &[walker(5)]));
    assert_eq!(run.ids(), [1, 2], "who comes back too late is somebody new");
}

#[test]
fn a_gap_is_bridged_and_filled() {
    for (interpolate, filled) in [(10, true), (5, true), (4, false)] {
        let mut run = Run::new(Settings { interpolate, ..settings() });
        walk(&mut run, 0..10);
        walk(&mut run, 15..40);
        run.finish();
        assert_eq!(run.ids(), [1]);
        let frames = |filled: bool| (0..40).filter(|f| filled || !(10..15).contains(f)).collect::<Vec<u32>>();
        assert_eq!(run.frames_of(1), frames(filled), "up to {interpolate}");
        for (_, row) in &run.rows {
            assert_eq!(row.interpolated, (10..15).contains(&row.frame));
            let expected = walker(row.frame).bounds;
            assert!((row.bounds.x - expected.x).abs() < 1e-3 && row.bounds.y == expected.y, "{row:?}");
        }
    }
}

#[test]
fn frames_left_out_are_frames_without_detections() {
    let seen = |frame: u32| frame < 8 || (11..18).contains(&frame) || frame == 60 || frame > 90;
    let rows = |all: bool| {
        let mut run = Run::new(Settings { min_hits: 1, ..settings() });
        for frame in 0..120 {
            match seen(frame) {
                true => run.step(frame, &[walker(frame), at(20.0, 300.0)]),
                false if all => run.step(frame, &[]),
                false => {}
            }
        }
        run.finish();
        run.rows.iter().map(|(_, row)| *row).collect::<Vec<Tracked>>()
    };
    let expected = rows(true);
    assert!(expected.len() > 90);
    assert_eq!(rows(false), expected);
}

#[test]
fn a_long_pause_takes_no_time() {
    let mut run = Run::new(settings());
    walk(&mut run, 0..20);
    let started = std::time::Instant::now();
    for frame in [1 << 20, 1 << 28, 4_000_000_000] {
        (0..20).for_each(|i| run.step(frame + i, &[walker(i)]));
    }
    assert!(started.elapsed().as_secs() < 5, "frames that were left out are walked through one by one");
    run.finish();
    assert_eq!(run.ids(), [1, 2, 3, 4]);
    for (id, first) in [(1, 0), (2, 1 << 20), (3, 1 << 28), (4, 4_000_000_000)] {
        assert_eq!(run.frames_of(id), (first..first + 20).collect::<Vec<u32>>());
    }
}

#[test]
fn a_repeated_frame_changes_nothing() {
    let rows = |repeat: bool| {
        let mut run = Run::new(settings());
        for frame in 0..30 {
            run.step(frame, &[walker(frame)]);
            if repeat && frame % 3 == 0 {
                run.step(frame, &[at(400.0, 10.0), walker(frame + 5)]);
                run.step(frame, &[]);
            }
        }
        assert_eq!(run.counts().repeated, if repeat { 20 } else { 0 });
        assert_eq!(run.counts().frames, 30);
        run.finish();
        run.rows
    };
    assert_eq!(rows(true), rows(false));
}

#[test]
fn a_frame_that_goes_back_begins_a_recording() {
    let mut run = Run::new(settings());
    walk(&mut run, 0..20);
    assert_eq!(run.frames_of(1).last(), Some(&9));
    run.step(7, &[walker(7)]);
    // Everything of the old recording comes first.
    assert_eq!(run.frames_of(1), (0..20).collect::<Vec<_>>());
    assert!(run.rows[10..].iter().all(|(step, _)| *step == Some(7)));
    assert_eq!((run.counts().restarted, run.tracker.live()), (1, 1));
    walk(&mut run, 8..30);
    run.finish();
    assert_eq!(run.ids(), [1, 2]);
    assert_eq!(run.frames_of(2), (7..30).collect::<Vec<_>>());
}

#[test]
fn frame_numbers_go_to_the_last() {
    for latency in [0, 10] {
        let mut run = Run::new(Settings { latency, min_hits: 1, ..settings() });
        let first = u32::MAX - 25;
        for frame in (first..=u32::MAX).filter(|frame| frame % 4 != 0) {
            run.step(frame, &[at((frame - first) as f32, 50.0)]);
        }
        run.step(u32::MAX, &[at(25.0, 50.0)]);
        run.finish();
        let frames = run.frames_of(1);
        assert_eq!((frames[0], frames.last()), (first, Some(&u32::MAX)));
        run.step(u32::MAX, &[walker(0)]);
        run.step(0, &[walker(0)]);
        walk(&mut run, 1..15);
        run.step(u32::MAX, &[]);
        run.finish();
        assert_eq!(run.counts().restarted, 1);
        assert_eq!(run.frames_of(*run.ids().last().unwrap()), (0..15).collect::<Vec<_>>());
    }
}

#[test]
fn ids_stay_with_their_people() {
    let mut run = Run::new(settings());
    // Two who pass each other at a distance, and one who comes later and leaves.
    let people = |frame: u32| {
        let x = 4.0 * frame as f32;
        let mut all = vec![at(100.0 + x, 50.0), at(400.0 - x, 170.0)];
        if (30..50).contains(&frame) {
            all.insert(1, at(700.0, 60.0));
        }
        all
    };
    (0..80).for_each(|frame| run.step(frame, &people(frame)));
    run.finish();
    assert_eq!(run.ids(), [1, 2, 3]);
    let of = |row: &Tracked| match row.bounds.y as u32 {
        50 => 1,
        170 => 2,
        _ => 3,
    };
    assert!(run.rows.iter().all(|(_, row)| row.id == of(row)));
    assert_eq!(run.frames_of(1), (0..80).collect::<Vec<_>>());
    assert_eq!(run.frames_of(3), (30..50).collect::<Vec<_>>());
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn real(&mut self) -> f32 {
        let odd = [
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::MAX,
            f32::MIN,
            1e-40,
            0.0,
            -0.0,
            1e6,
            -1e6,
            1e-3,
            1e30,
        ];
        match self.below(12) {
            0 => odd[self.below(odd.len() as u64) as usize],
            1 => f32::from_bits(self.below(1 << 32) as u32),
            _ => self.below(4000) as f32 / 8.0 - 50.0,
        }
    }

    fn detection(&mut self) -> Detection {
        let bounds = match self.below(3) {
            0 => Rect { x: self.real(), y: self.real(), w: self.real(), h: self.real() },
            // Places that are taken often, so that there is something to link.
            _ => {
                let place = self.below(60);
                Rect {
                    x: 30.0 * place as f32,
                    y: self.below(9) as f32,
                    w: 40.0,
                    h: 80.0 + self.below(20) as f32,
                }
            }
        };
        let score = if self.below(10) == 0 { self.real() } else { 0.6 + self.below(40) as f32 / 100.0 };
        Detection { bounds, score }
    }

    fn frame(&mut self, now: u32) -> u32 {
        match self.below(60) {
            0 => now,
            1 => self.below(1 << 32) as u32,
            2 => now.saturating_sub(self.below(20) as u32),
            3 => now.saturating_add(self.below(60) as u32),
            4 => u32::MAX - self.below(30) as u32,
            _ => now.saturating_add(1),
        }
    }
}

#[test]
fn any_stream_gives_rows_in_order_and_nobody_twice() {
    let (mut rows, mut interpolated, mut links) = (0, 0, 0);
    for seed in 0..150 {
        let mut random = Random(seed);
        let picture = (seed % 3 == 0).then_some([640.0, 480.0]);
        let mut settings = Settings::new([10.0, 30.0, f32::NAN, 0.0][(seed % 4) as usize], picture);
        settings.latency = [10, 0, 3, 10, 500][(seed % 5) as usize];
        settings.min_hits = (seed % 4) as u32;
        settings.gap_per_hit = [1, 3, u32::MAX][(seed % 3) as usize];
        settings.neighbours = [4, 0, 16, 99][(seed % 4) as usize];
        settings.node_threshold = -200.0;
        let mut run = Run::new(settings);
        let mut frame = random.below(5) as u32;
        for _ in 0..120 {
            run.net.edge = if random.below(8) == 0 { random.real() } else { 1.0 };
            run.net.node = if random.below(8) == 0 { random.real() } else { 1.0 };
            let count = [0, 3, 20, 90][random.below(4) as usize];
            let detections: Vec<_> = (0..random.below(count + 1)).map(|_| random.detection()).collect();
            run.step(frame, &detections);
            let [nodes, edges] = run.tracker.graph_size();
            assert!(nodes <= 192 && edges <= 1024 && run.net.most[0] <= 192);
            frame = random.frame(frame);
        }
        run.finish();
        rows += run.rows.len();
        interpolated += run.rows.iter().filter(|(_, row)| row.interpolated).count();
        links += run.net.most[1];
    }
    assert!(rows > 20_000 && interpolated > 500 && links > 5_000, "{rows} {interpolated} {links}");
}
