//! Rows of numbers with commas between them; every complaint names file and line.

use super::{BBox, DataError};
use std::collections::HashSet;
use std::path::Path;

/// The rows of a file that are not blank.
pub(super) struct Rows<'t> {
    path: &'t Path,
    lines: std::iter::Enumerate<std::str::Lines<'t>>,
    least: usize,
}

impl<'t> Rows<'t> {
    /// Rows of `text`, the content of `path`, with at least `least` columns each.
    pub(super) fn new(path: &'t Path, text: &'t str, least: usize) -> Self {
        Self { path, lines: text.lines().enumerate(), least }
    }
}

impl<'t> Iterator for Rows<'t> {
    type Item = Result<Fields<'t>, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (at, line) = self.lines.find(|(_, line)| !line.trim().is_empty())?;
        let fields = line.split(',').map(str::trim).collect();
        let row = Fields { path: self.path, line: at + 1, fields };
        if row.len() < self.least {
            let problem = format!("{} columns, expected at least {}", row.len(), self.least);
            return Some(Err(row.error(&problem)));
        }
        Some(Ok(row))
    }
}

/// The columns of one row.
pub(super) struct Fields<'t> {
    path: &'t Path,
    line: usize,
    fields: Vec<&'t str>,
}

impl Fields<'_> {
    fn error(&self, problem: &str) -> DataError {
        DataError::content(self.path, format!("line {}: {problem}", self.line))
    }

    /// Number of columns.
    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// Column `at` as a number, which may be infinite or none (`nan`).
    pub(super) fn number(&self, at: usize, what: &str) -> Result<f64, DataError> {
        let field = self.fields[at];
        field.parse().map_err(|_| self.error(&format!("{what} is `{field}`, expected a number")))
    }

    /// Column `at` as a finite number.
    pub(super) fn finite(&self, at: usize, what: &str) -> Result<f64, DataError> {
        let number = self.number(at, what)?;
        if !number.is_finite() {
            return Err(self.error(&format!("{what} is {number}, expected a finite number")));
        }
        Ok(number)
    }

    /// Column `at` as a whole number; some files write `3.0` for 3.
    pub(super) fn whole(&self, at: usize, what: &str, least: u32, most: u32) -> Result<u32, DataError> {
        let number = self.number(at, what)?;
        if number.fract() != 0.0 || !(f64::from(least)..=f64::from(most)).contains(&number) {
            let expected = format!("expected a whole number from {least} to {most}");
            return Err(self.error(&format!("{what} is {}, {expected}", self.fields[at])));
        }
        Ok(number as u32)
    }

    /// The frame, 1 to `frames`.
    pub(super) fn frame(&self, frames: usize) -> Result<usize, DataError> {
        Ok(self.whole(0, "frame", 1, u32::try_from(frames).unwrap_or(u32::MAX))? as usize)
    }

    /// The box as it stands.
    pub(super) fn bbox(&self) -> Result<BBox, DataError> {
        let [x, y, w, h] = [(2, "x"), (3, "y"), (4, "width"), (5, "height")];
        let read = |(at, what)| self.number(at, what);
        Ok(BBox { x: read(x)?, y: read(y)?, w: read(w)?, h: read(h)? })
    }

    /// Frame, track and box of a row in which a track may be once per frame; `seen` remembers.
    pub(super) fn tracked(
        &self,
        frames: usize,
        seen: &mut HashSet<(usize, u32)>,
    ) -> Result<(usize, u32, BBox), DataError> {
        let frame = self.frame(frames)?;
        let id = self.whole(1, "id", 0, u32::MAX)?;
        let bbox = self.bbox()?;
        let BBox { x, y, w, h } = bbox;
        if ![x, y, w, h].iter().all(|v| v.is_finite()) || w < 0.0 || h < 0.0 {
            return Err(self.error(&format!("{x},{y},{w},{h} is no box: finite numbers, sizes not below 0")));
        }
        if !seen.insert((frame, id)) {
            return Err(self.error(&format!("id {id} is in frame {frame} a second time")));
        }
        Ok((frame, id, bbox))
    }
}
