//! Motion of one person: a Kalman filter of constant velocity for the centre, the same variance in both directions, and a
//! smoothed size.

use crate::rect::Rect;

/// How people move, in parts of their height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Acceleration noise: standard deviation of the change of velocity in one second, in heights a second.
    pub process: f32,
    /// Standard deviation of a detection's centre, in heights.
    pub measurement: f32,
    /// Standard deviation of the first velocity, in heights a second.
    pub velocity: f32,
}

/// Where a person is and moves to, in pixels and seconds, as far as the camera stood still.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Motion {
    /// Centre.
    pub centre: [f32; 2],
    /// Velocity.
    pub velocity: [f32; 2],
    /// Variance of a coordinate of the centre.
    pub variance: f32,
    covariance: f32,
    velocity_variance: f32,
    /// Smoothed width and height.
    pub size: [f32; 2],
}

/// Part of a new size that counts.
const SIZE_GAIN: f32 = 0.5;

impl Motion {
    /// Of a person seen for the first time.
    pub fn new(centre: [f32; 2], seen: &Rect, noise: &Noise) -> Self {
        let deviation = noise.measurement * seen.h;
        let speed = noise.velocity * seen.h;
        Self {
            centre,
            velocity: [0.0; 2],
            variance: deviation * deviation,
            covariance: 0.0,
            velocity_variance: speed * speed,
            size: [seen.w, seen.h],
        }
    }

    /// The centre so many seconds later.
    pub fn predicted(&self, seconds: f32) -> [f32; 2] {
        [0, 1].map(|i| self.centre[i] + self.velocity[i] * seconds)
    }

    /// Variance of a coordinate of the centre so many seconds later.
    pub fn predicted_variance(&self, seconds: f32, noise: &Noise) -> f32 {
        let q = self.acceleration(noise);
        self.variance
            + 2.0 * seconds * self.covariance
            + seconds * seconds * self.velocity_variance
            + q * seconds * seconds * seconds / 3.0
    }

    fn acceleration(&self, noise: &Noise) -> f32 {
        let deviation = noise.process * self.size[1];
        deviation * deviation
    }

    /// Takes a detection so many seconds after the last.
    pub fn update(&mut self, centre: [f32; 2], seen: &Rect, seconds: f32, noise: &Noise) {
        let q = self.acceleration(noise);
        let variance = self.predicted_variance(seconds, noise);
        let covariance = self.covariance + seconds * self.velocity_variance + 0.5 * q * seconds * seconds;
        let velocity_variance = self.velocity_variance + q * seconds;
        let deviation = noise.measurement * seen.h;
        let sum = variance + deviation * deviation;
        let (gain, velocity_gain) = (variance / sum, covariance / sum);
        let predicted = self.predicted(seconds);
        for i in 0..2 {
            let surprise = centre[i] - predicted[i];
            self.centre[i] = predicted[i] + gain * surprise;
            self.velocity[i] += velocity_gain * surprise;
        }
        self.variance = variance * (1.0 - gain);
        self.covariance = covariance * (1.0 - gain);
        self.velocity_variance = velocity_variance - velocity_gain * covariance;
        self.size[0] += SIZE_GAIN * (seen.w - self.size[0]);
        self.size[1] += SIZE_GAIN * (seen.h - self.size[1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_at_constant_velocity_is_predicted() {
        let noise = Noise { process: 0.25, measurement: 0.06, velocity: 0.8 };
        let seen = Rect { x: 0.0, y: 0.0, w: 40.0, h: 100.0 };
        let mut motion = Motion::new([100.0, 50.0], &seen, &noise);
        let first = motion.variance;
        for step in 1..=40 {
            motion.update([100.0 + 3.0 * step as f32, 50.0 - step as f32], &seen, 0.1, &noise);
        }
        let next = motion.predicted(0.1);
        assert!((next[0] - 223.0).abs() < 0.5 && (next[1] - 9.0).abs() < 0.5, "{next:?}");
        assert!(motion.variance < first);
        assert!(motion.predicted_variance(2.0, &noise) > motion.predicted_variance(0.1, &noise));
    }
}
