//! Boxes in pixels.

/// An upright box: left, top, width, height in pixels, as MOTChallenge has them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x: f32,
    /// Upper edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

impl Rect {
    /// Its centre.
    pub fn centre(&self) -> [f32; 2] {
        [self.x + 0.5 * self.w, self.y + 0.5 * self.h]
    }

    /// The box of this size around a centre.
    pub fn around(centre: [f32; 2], w: f32, h: f32) -> Self {
        Self { x: centre[0] - 0.5 * w, y: centre[1] - 0.5 * h, w, h }
    }

    /// Area in square pixels.
    pub fn area(&self) -> f32 {
        self.w * self.h
    }

    /// Whether all four numbers are finite.
    pub fn is_finite(&self) -> bool {
        [self.x, self.y, self.w, self.h].iter().all(|v| v.is_finite())
    }

    /// Intersection over union, 0 to 1.
    pub fn iou(&self, other: &Self) -> f32 {
        let overlap = |a: f32, al: f32, b: f32, bl: f32| {
            let end = if a + al < b + bl { a + al } else { b + bl };
            let start = if a > b { a } else { b };
            if end > start { end - start } else { 0.0 }
        };
        let across = overlap(self.x, self.w, other.x, other.w);
        // Most boxes are apart.
        if across == 0.0 {
            return 0.0;
        }
        let both = across * overlap(self.y, self.h, other.y, other.h);
        let union = self.area() + other.area() - both;
        if union > 0.0 { both / union } else { 0.0 }
    }

    /// The box `part` of the way from this one to `other`.
    pub fn towards(&self, other: &Self, part: f32) -> Self {
        let mix = |a: f32, b: f32| a + (b - a) * part;
        Self {
            x: mix(self.x, other.x),
            y: mix(self.y, other.y),
            w: mix(self.w, other.w),
            h: mix(self.h, other.h),
        }
    }
}
