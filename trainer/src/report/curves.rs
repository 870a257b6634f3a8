//! Learning curves.

use super::canvas::{FAINT, GRID, INK, PAPER};
use super::font;
use image::RgbImage;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// One epoch of a learning curve.
#[derive(Clone, Copy, Debug)]
pub struct Point {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Mean training loss.
    pub loss: f64,
    /// Metric on the held-out data, where it was evaluated.
    pub metric: Option<f64>,
}

/// Which epoch a run kept; it is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// That of the largest metric.
    Best,
    /// The last.
    Last,
}

/// A picture that could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the picture cannot be drawn: {0}")]
pub struct DrawError(String);

impl DrawError {
    /// For this reason.
    pub(super) fn new(reason: impl std::fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

const WIDTH: u32 = 1000;
const HEIGHT: u32 = 380;
const LOSS: RGBColor = RGBColor(196, 78, 82);
const METRIC: RGBColor = RGBColor(55, 98, 168);

pub(super) fn rgb(c: [u8; 3]) -> RGBColor {
    RGBColor(c[0], c[1], c[2])
}

/// Training loss at the left, the held-out metric (called `metric`) at the right, where it was measured.
///
/// # Errors
/// The drawing library refuses, which it does not for finite values.
pub fn learning(title: &str, metric: &str, points: &[Point], kept: Kept) -> Result<RgbImage, DrawError> {
    font::register();
    let mut pixels = vec![0u8; (WIDTH * HEIGHT * 3) as usize];
    draw(&mut pixels, title, metric, points, kept).map_err(|e| DrawError(e.to_string()))?;
    RgbImage::from_raw(WIDTH, HEIGHT, pixels).ok_or_else(|| DrawError("wrong number of pixels".into()))
}

fn draw(
    pixels: &mut [u8],
    title: &str,
    metric: &str,
    points: &[Point],
    kept: Kept,
) -> Result<(), Box<dyn std::error::Error>> {
    let root = BitMapBackend::with_buffer(pixels, (WIDTH, HEIGHT)).into_drawing_area();
    root.fill(&rgb(PAPER.0))?;
    let heading = (font::FAMILY, 20).into_font().color(&rgb(INK));
    root.draw_text(title, &heading, (20, 12))?;
    let (_, body) = root.split_vertically(40);
    let (left, right) = body.split_horizontally(WIDTH / 2);
    let losses: Vec<(f64, f64)> = finite(points.iter().map(|p| (p.epoch, Some(p.loss))));
    let metrics: Vec<(f64, f64)> = finite(points.iter().map(|p| (p.epoch, p.metric)));
    if metrics.is_empty() {
        panel(&body, "training loss", &losses, LOSS, None)?;
        root.present()?;
        return Ok(());
    }
    panel(&left, "training loss", &losses, LOSS, None)?;
    let mark = match kept {
        Kept::Best => metrics.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1)).map(|at| (at, "best")),
        Kept::Last => metrics.last().map(|at| (*at, "last")),
    };
    panel(&right, &format!("{metric}, held out"), &metrics, METRIC, mark)?;
    root.present()?;
    Ok(())
}

fn finite(values: impl Iterator<Item = (usize, Option<f64>)>) -> Vec<(f64, f64)> {
    values.filter_map(|(e, v)| v.filter(|v| v.is_finite()).map(|v| (e as f64, v))).collect()
}

type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

fn panel(
    area: &Area<'_>,
    caption: &str,
    values: &[(f64, f64)],
    colour: RGBColor,
    mark: Option<((f64, f64), &str)>,
) -> Result<(), Box<dyn std::error::Error>> {
    let bounds = |pick: fn(&(f64, f64)) -> f64| {
        let (lo, hi) = values
            .iter()
            .map(pick)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
        if lo.is_finite() { (lo, hi) } else { (0.0, 1.0) }
    };
    let (x0, x1) = bounds(|p| p.0);
    let (y0, y1) = bounds(|p| p.1);
    let room = ((y1 - y0) * 0.06).max(1e-4);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_right(24)
        .caption(caption, (font::FAMILY, 16).into_font().color(&rgb(colour_of(colour))))
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(x0..x1.max(x0 + 1.0), (y0 - room)..(y1 + room))?;
    axes(&mut chart, 6, ("epoch", &|v| format!("{v:.0}")), ("", &|v| format!("{v:.2}")))?;
    chart.draw_series(LineSeries::new(values.iter().copied(), colour.stroke_width(2)))?;
    if let Some(((epoch, value), which)) = mark {
        chart.draw_series([Circle::new((epoch, value), 4, colour.filled())])?;
        let text = format!("{which} {value:.4} in epoch {epoch:.0}");
        let style = (font::FAMILY, 14).into_font().color(&rgb(INK));
        // Inside of the chart, below the end of a curve that rises or above the end of one that falls, where it leaves room.
        let (w, h) = area.dim_in_pixel();
        let x = w.saturating_sub(font::width(&text, 14.0) + 40);
        let y = if value < (y0 + y1) / 2.0 { 48 } else { h as i32 - 72 };
        area.draw_text(&text, &style, (x as i32, y))?;
    }
    Ok(())
}

/// What an axis is of, and how its numbers are written.
pub(super) type Axis<'a> = (&'a str, &'a dyn Fn(&f64) -> String);

/// Draws the lines behind a chart and its axes with about `labels` numbers each.
pub(super) fn axes(
    chart: &mut ChartContext<'_, BitMapBackend<'_>, Cartesian2d<RangedCoordf64, RangedCoordf64>>,
    labels: usize,
    x: Axis<'_>,
    y: Axis<'_>,
) -> Result<(), Box<dyn std::error::Error>> {
    let style = (font::FAMILY, 14).into_font().color(&rgb(FAINT));
    chart
        .configure_mesh()
        .light_line_style(rgb(PAPER.0))
        .bold_line_style(rgb(GRID))
        .axis_style(rgb(FAINT))
        .label_style(style.clone())
        .x_labels(labels)
        .y_labels(labels)
        .x_label_formatter(x.1)
        .y_label_formatter(y.1)
        .x_desc(x.0)
        .y_desc(y.0)
        .axis_desc_style(style)
        .draw()
        .map_err(|e| e.to_string().into())
}

fn colour_of(c: RGBColor) -> [u8; 3] {
    [c.0, c.1, c.2]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ink(points: &[Point]) -> usize {
        let picture = learning("test", "mIoU", points, Kept::Best).expect("finite values are drawn");
        assert_eq!(picture.dimensions(), (WIDTH, HEIGHT));
        let blue = |p: &&image::Rgb<u8>| p[2] > p[0].saturating_add(60);
        picture.pixels().filter(blue).count()
    }

    #[test]
    fn runs_of_any_length_are_drawn_and_a_longer_curve_has_more_ink() {
        let point = |epoch: usize, metric| Point { epoch, loss: 1.0 / epoch as f64, metric };
        let none = ink(&[]);
        let one = ink(&[point(1, Some(0.5))]);
        let many = ink(&(1..50).map(|e| point(e, Some(e as f64 / 100.0))).collect::<Vec<_>>());
        assert!(none < one && one < many, "{none} {one} {many}");
        assert_eq!(ink(&[point(1, None), Point { epoch: 2, loss: f64::NAN, metric: None }]), none);
    }
}
