//! Motion of the camera, from what the detections of a frame have in common.

use crate::maths::{median, sqrt};
use heapless::Vec;

/// A track or a detection as the camera's motion sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    /// Centre; of a track, where it should be now.
    pub(crate) centre: [f32; 2],
    /// Height.
    pub(crate) height: f32,
    /// Logarithm of the height.
    pub(crate) log_height: f32,
}

/// Pairs below which nothing is said.
const PAIRS: usize = 3;
/// Largest distance of a pair: heights between the centres, and twice the logarithm of the ratio of the heights.
const REACH: f32 = 0.8;
/// Standard deviations per median of absolute deviations, and the least deviation in heights.
const SPREAD: f32 = 1.5;
const LEAST: f32 = 0.01;

/// How far all detections have moved more than their tracks: the median over pairs that are each other's nearest, drawn
/// towards 0 by how much they differ.
pub(crate) fn shift<const N: usize>(tracks: &[Seen], detections: &[Seen]) -> [f32; 2] {
    let distance = |a: &Seen, b: &Seen| {
        let [dx, dy] = [0, 1].map(|i| b.centre[i] - a.centre[i]);
        let ratio = b.log_height - a.log_height;
        sqrt(dx * dx + dy * dy) / a.height + 2.0 * if ratio < 0.0 { -ratio } else { ratio }
    };
    let nearest = |count: usize, distance: &dyn Fn(usize) -> f32| {
        let mut best = (usize::MAX, f32::INFINITY);
        for i in 0..count {
            let d = distance(i);
            if d < best.1 {
                best = (i, d);
            }
        }
        best
    };
    let mut residuals: [Vec<f32, N>; 2] = [Vec::new(), Vec::new()];
    for (at, track) in tracks.iter().enumerate() {
        let (partner, d) = nearest(detections.len(), &|j| distance(track, &detections[j]));
        let Some(detection) = detections.get(partner).filter(|_| d < REACH) else { continue };
        if nearest(tracks.len(), &|i| distance(&tracks[i], detection)).0 == at {
            for (i, residuals) in residuals.iter_mut().enumerate() {
                // There are no more pairs than tracks.
                let _ = residuals.push(detection.centre[i] - track.centre[i]);
            }
        }
    }
    let pairs = residuals[0].len();
    if pairs < PAIRS {
        return [0.0; 2];
    }
    let height = tracks.iter().map(|t| t.height).sum::<f32>() / tracks.len() as f32;
    residuals.each_mut().map(|residuals| {
        let middle = median(residuals);
        residuals.iter_mut().for_each(|r| *r = if *r < middle { middle - *r } else { *r - middle });
        let deviation = SPREAD * median(residuals) + LEAST * height;
        let signal = pairs as f32 * middle * middle;
        middle * signal / (signal + 4.0 * deviation * deviation)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(x: f32, y: f32, height: f32) -> Seen {
        Seen { centre: [x, y], height, log_height: crate::maths::ln(height) }
    }

    #[test]
    fn a_common_shift_is_found_and_two_people_say_nothing() {
        let tracks = [seen(100.0, 100.0, 80.0), seen(300.0, 120.0, 60.0), seen(500.0, 90.0, 100.0)];
        let moved: [Seen; 3] = tracks.map(|t| seen(t.centre[0] + 9.0, t.centre[1] - 4.0, t.height));
        let [x, y] = shift::<8>(&tracks, &moved);
        assert!((8.0..=9.0).contains(&x) && (-4.0..=-3.0).contains(&y), "{x} {y}");
        assert_eq!(shift::<8>(&tracks[..2], &moved[..2]), [0.0; 2]);
        assert_eq!(shift::<8>(&tracks, &tracks), [0.0; 2]);
    }
}
