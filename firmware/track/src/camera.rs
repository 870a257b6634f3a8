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

/// The distance of a track and a detection if it is below `least`. Most pairs are far apart in one of its parts, which
/// none of the roundings of the whole can make larger than it.
#[inline(always)]
fn distance(a: &Seen, b: &Seen, least: f32) -> Option<f32> {
    let size = |x: f32| if x < 0.0 { -x } else { x };
    let ratio = 2.0 * size(b.log_height - a.log_height);
    if ratio >= least {
        return None;
    }
    let [dx, dy] = [0, 1].map(|i| b.centre[i] - a.centre[i]);
    if size(dx) / a.height + ratio >= least || size(dy) / a.height + ratio >= least {
        return None;
    }
    let distance = sqrt(dx * dx + dy * dy) / a.height + ratio;
    (distance < least).then_some(distance)
}

/// The first of the nearest of `count`, if one is within reach.
#[inline(always)]
fn nearest(count: usize, distance: impl Fn(usize, f32) -> Option<f32>) -> Option<usize> {
    let mut best = (None, REACH);
    for i in 0..count {
        if let Some(d) = distance(i, best.1) {
            best = (Some(i), d);
        }
    }
    best.0
}

/// How far all detections have moved more than their tracks: the median over pairs that are each other's nearest, drawn
/// towards 0 by how much they differ.
pub(crate) fn shift<const N: usize>(tracks: &[Seen], detections: &[Seen]) -> [f32; 2] {
    let mut residuals: [Vec<f32, N>; 2] = [Vec::new(), Vec::new()];
    for (at, track) in tracks.iter().enumerate() {
        let partner = nearest(detections.len(), |j, least| distance(track, &detections[j], least));
        let Some(detection) = partner.and_then(|partner| detections.get(partner)) else { continue };
        if nearest(tracks.len(), |i, least| distance(&tracks[i], detection, least)) == Some(at) {
            for (i, residuals) in residuals.iter_mut().enumerate() {
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
