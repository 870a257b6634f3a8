//! One track: its motion, and the detections that are not yet given out.

use crate::motion::Motion;
use crate::rect::Rect;
use heapless::Deque;

/// A detection of a track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sight {
    pub(crate) frame: u32,
    pub(crate) bounds: Rect,
    /// Logit of being a person.
    pub(crate) logit: f32,
    /// The detector was sure: the box may be given out.
    pub(crate) sure: bool,
}

/// A track with its last `HISTORY` detections.
#[derive(Clone, Debug)]
pub(crate) struct Track<const HISTORY: usize> {
    /// Given when the first row is given out; 0 before.
    pub(crate) id: u32,
    /// Number among all tracks that were ever begun.
    pub(crate) serial: u32,
    pub(crate) motion: Motion,
    /// Centre of the last detection as far as the camera stood still.
    pub(crate) centre: [f32; 2],
    pub(crate) last_score: f32,
    pub(crate) score_sum: f32,
    pub(crate) least_score: f32,
    pub(crate) first_frame: u32,
    pub(crate) hits: u32,
    /// Detections of which the detector was sure.
    pub(crate) sure: u32,
    /// The detection of the last frame: its number there.
    pub(crate) detection: u16,
    pub(crate) sights: Deque<Sight, HISTORY>,
    /// Has a chance to be found again.
    pub(crate) live: bool,
}

impl<const HISTORY: usize> Track<HISTORY> {
    /// Adds a detection, dropping the oldest where there is no room.
    pub(crate) fn see(&mut self, sight: Sight) {
        if self.sights.is_full() {
            self.sights.pop_front();
        }
        // There is room now.
        let _ = self.sights.push_back(sight);
    }

    /// The last detection; a track has one.
    pub(crate) fn last(&self) -> Sight {
        let none = Sight { frame: 0, bounds: Rect::default(), logit: 0.0, sure: false };
        self.sights.back().copied().unwrap_or(none)
    }

    /// Part of the last `frames` frames before `now` in which it was detected, of those that it has lived.
    pub(crate) fn recall(&self, now: u32, frames: u32) -> f32 {
        let lived = now.saturating_sub(self.first_frame).min(frames).max(1);
        let recent = |s: &&Sight| now.saturating_sub(s.frame) <= frames;
        self.sights.iter().rev().take(frames as usize).filter(recent).count() as f32 / lived as f32
    }

    /// The box of frame `frame`, and whether it is interpolated; `None` before the first and after the last sure
    /// detection, and in gaps of more than `longest` frames between them.
    pub(crate) fn at(&self, frame: u32, longest: u32) -> Option<(Rect, bool)> {
        let mut before: Option<&Sight> = None;
        for sight in self.sights.iter().filter(|s| s.sure) {
            if sight.frame == frame {
                return Some((sight.bounds, false));
            }
            if sight.frame > frame {
                let before = before?;
                let gap = sight.frame - before.frame;
                let part = (frame - before.frame) as f32 / gap as f32;
                return (gap - 1 <= longest).then(|| (before.bounds.towards(&sight.bounds, part), true));
            }
            before = Some(sight);
        }
        None
    }

    /// Mean logit of the detections from frame `first` on.
    pub(crate) fn logit(&self, first: u32) -> f32 {
        let recent = self.sights.iter().filter(|s| s.frame >= first);
        let (mut sum, mut count) = (0.0, 0.0);
        for sight in recent {
            sum += sight.logit;
            count += 1.0;
        }
        if count > 0.0 { sum / count } else { f32::NEG_INFINITY }
    }
}
