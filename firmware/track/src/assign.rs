//! Rounding: from scores of edges to links, each track and each detection in one at most.

use heapless::Vec;

/// An edge that may become a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Track.
    pub track: u16,
    /// Detection.
    pub detection: u16,
    /// What the link is worth; only those above 0 are taken.
    pub worth: f32,
}

/// How edge scores become links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// The best edge first, then the best of those that are left.
    Greedy,
    /// The links with the largest sum: the optimum of the flow through this graph, in which every path has one edge.
    #[default]
    Exact,
}

/// No partner.
pub const NONE: u16 = u16::MAX;

/// Chooses links among `candidates`; `links[d]` becomes the track of detection `d`, or [`NONE`]. Detections and tracks
/// beyond the capacities are left alone. Edges between the same two ends must not repeat.
pub fn round<const TRACKS: usize, const DETECTIONS: usize>(
    rounding: Rounding,
    candidates: &[Candidate],
    links: &mut [u16],
) {
    links.fill(NONE);
    match rounding {
        Rounding::Greedy => greedy::<TRACKS>(candidates, links),
        Rounding::Exact => exact::<TRACKS, DETECTIONS>(candidates, links),
    }
}

fn greedy<const TRACKS: usize>(candidates: &[Candidate], links: &mut [u16]) {
    let mut taken = [false; TRACKS];
    loop {
        let open = |c: &&Candidate| {
            let track = taken.get(usize::from(c.track)).copied().unwrap_or(true);
            let detection = links.get(usize::from(c.detection)).copied().unwrap_or(0);
            c.worth > 0.0 && !track && detection == NONE
        };
        // The first of equals.
        let best = candidates.iter().filter(open).fold(None, |best: Option<&Candidate>, c| match best {
            Some(best) if best.worth >= c.worth => Some(best),
            _ => Some(c),
        });
        let Some(&Candidate { track, detection, .. }) = best else { return };
        taken[usize::from(track)] = true;
        links[usize::from(detection)] = track;
    }
}

/// Successive best augmenting paths: one detection after the other enters, and those before it may move to other tracks
/// or to none where the sum grows. After each the links are optimal for the detections so far.
fn exact<const TRACKS: usize, const DETECTIONS: usize>(candidates: &[Candidate], links: &mut [u16]) {
    // The detection of each track.
    let mut owner = [NONE; TRACKS];
    // Where the candidates of each detection lie; nothing else lies there if they come detection by detection.
    let mut places = [(0, 0); DETECTIONS];
    for (at, c) in candidates.iter().enumerate() {
        if let Some(place) = places.get_mut(usize::from(c.detection)) {
            *place = (if place.1 == 0 { at } else { place.0 }, at + 1);
        }
    }
    let of = |detection: u16| {
        let (first, end) = places.get(usize::from(detection)).copied().unwrap_or_default();
        candidates[first..end].iter().filter(move |c| c.detection == detection)
    };
    let worth = |track: u16, detection: u16| of(detection).find(|c| c.track == track).map_or(0.0, |c| c.worth);
    for new in 0..links.len().min(DETECTIONS) as u16 {
        // The most that the detections can gain if `d` is free and takes another track: Bellman and Ford over the few
        // detections that a path reaches. `gain[d]` is what has been won and lost until `d` became free.
        let mut gain = [f32::NEG_INFINITY; DETECTIONS];
        let mut from: [(u16, u16); DETECTIONS] = [(NONE, NONE); DETECTIONS];
        let mut queue: Vec<u16, DETECTIONS> = Vec::new();
        gain[usize::from(new)] = 0.0;
        let _ = queue.push(new);
        // The end of the best path: a free detection that stays without a track, or one that takes a free track.
        let mut best = (0.0, new, NONE);
        let mut rounds = DETECTIONS * DETECTIONS;
        while let (Some(d), true) = (queue.first().copied(), rounds > 0) {
            queue.remove(0);
            rounds -= 1;
            let so_far = gain[usize::from(d)];
            if so_far > best.0 {
                best = (so_far, d, NONE);
            }
            for c in of(d).filter(|c| c.worth > 0.0) {
                let Some(&holder) = owner.get(usize::from(c.track)) else { continue };
                let value = so_far + c.worth;
                if holder == NONE {
                    if value > best.0 {
                        best = (value, d, c.track);
                    }
                    continue;
                }
                let value = value - worth(c.track, holder);
                let slot = &mut gain[usize::from(holder)];
                if holder != d && value > *slot + 1e-6 {
                    *slot = value;
                    from[usize::from(holder)] = (d, c.track);
                    if !queue.contains(&holder) {
                        let _ = queue.push(holder);
                    }
                }
            }
        }
        let (_, mut d, mut track) = best;
        // From the end of the path back to the new detection: each takes the track that the next gives up.
        for _ in 0..DETECTIONS {
            links[usize::from(d)] = track;
            if let Some(slot) = owner.get_mut(usize::from(track)) {
                *slot = d;
            }
            if d == new {
                break;
            }
            (d, track) = from[usize::from(d)];
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// The largest sum of worths, by trying everything.
    fn optimum(candidates: &[Candidate], detection: u16, detections: u16, taken: u32) -> f32 {
        if detection == detections {
            return 0.0;
        }
        let none = optimum(candidates, detection + 1, detections, taken);
        let of =
            |c: &Candidate| c.worth + optimum(candidates, detection + 1, detections, taken | 1 << c.track);
        let mine = candidates.iter().filter(|c| c.detection == detection && c.worth > 0.0);
        mine.filter(|c| taken & (1 << c.track) == 0).map(of).fold(none, f32::max)
    }

    fn random(seed: &mut u64) -> u32 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*seed >> 33) as u32
    }

    #[test]
    fn exact_rounding_is_the_optimum_and_greedy_is_a_matching_below_it() {
        let mut seed = 5;
        let mut worse = 0;
        for _ in 0..2000 {
            let (tracks, detections) = (1 + random(&mut seed) % 6, 1 + random(&mut seed) % 6);
            let mut candidates = Vec::new();
            for track in 0..tracks as u16 {
                for detection in 0..detections as u16 {
                    if !random(&mut seed).is_multiple_of(3) {
                        let worth = (random(&mut seed) % 1000) as f32 / 500.0 - 0.4;
                        candidates.push(Candidate { track, detection, worth });
                    }
                }
            }
            let sum = |rounding| {
                let mut links = std::vec![NONE; detections as usize];
                round::<8, 8>(rounding, &candidates, &mut links);
                let mut used: Vec<u16> = links.iter().copied().filter(|&t| t != NONE).collect();
                let count = used.len();
                used.sort_unstable();
                used.dedup();
                assert_eq!(used.len(), count, "a track has two detections");
                let worth = |(d, &t): (usize, &u16)| {
                    let edge = candidates.iter().find(|c| c.track == t && usize::from(c.detection) == d);
                    edge.expect("a link is an edge").worth
                };
                let taken = links.iter().enumerate().filter(|(_, t)| **t != NONE).map(worth);
                taken.inspect(|&w| assert!(w > 0.0)).sum::<f32>()
            };
            let best = optimum(&candidates, 0, detections as u16, 0);
            let (exact, greedy) = (sum(Rounding::Exact), sum(Rounding::Greedy));
            assert!((exact - best).abs() < 1e-4, "{exact} is not {best}: {candidates:?}");
            assert!(greedy <= exact + 1e-4);
            worse += u32::from(greedy < exact - 1e-4);
        }
        assert!(worse > 20, "greedy rounding was never worse: the test says nothing");
    }
}
