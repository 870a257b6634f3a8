//! Pictures of policies: learning curves over several seeds, and films of episodes.

use super::canvas::{INK, PAPER};
use super::curves::{DrawError, axes, rgb};
use super::font;
use crate::train::reinforcement::History;
use gif::{Encoder, Frame, Repeat};
use image::RgbImage;
use plotters::prelude::*;
use std::io::Write;

const WIDTH: u32 = 1000;
const HEIGHT: u32 = 420;
const LINE: RGBColor = RGBColor(55, 98, 168);
const MARK: RGBColor = RGBColor(196, 78, 82);

/// Mean return and half of its 95 % confidence interval over the runs that have measured a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// Steps of the environment.
    pub step: f64,
    /// Mean over the runs.
    pub mean: f64,
    /// Half of the interval: over the runs where there are several, else over the episodes of the one.
    pub confidence: f64,
}

/// Quantiles of Student's t at 97.5 % for 1 to 9 degrees of freedom.
const STUDENT: [f64; 9] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];

/// The curve over several runs of one recipe.
pub fn band(runs: &[Vec<History>]) -> Vec<Band> {
    let longest = runs.iter().max_by_key(|run| run.len());
    let at = |i: usize, step: u64| {
        let lines: Vec<&History> = runs.iter().filter_map(|run| run.get(i)).collect();
        let n = lines.len() as f64;
        let mean = lines.iter().map(|h| h.mean_return).sum::<f64>() / n;
        let squares: f64 = lines.iter().map(|h| (h.mean_return - mean).powi(2)).sum();
        let confidence = match lines.as_slice() {
            [one] => one.confidence,
            _ => {
                let t = STUDENT.get(lines.len() - 2).copied().unwrap_or(1.96);
                t * (squares / (n - 1.0) / n).sqrt()
            }
        };
        Band { step: step as f64, mean, confidence }
    };
    longest.map_or(Vec::new(), |run| run.iter().enumerate().map(|(i, h)| at(i, h.step)).collect())
}

/// Returns over the steps of the training: a thin line for each run, their mean with its 95 % confidence interval, and the
/// `bar`, where there is one.
///
/// # Errors
/// The drawing library refuses, which it does not for finite values.
pub fn learning(title: &str, runs: &[Vec<History>], bar: Option<f64>) -> Result<RgbImage, DrawError> {
    font::register();
    let mut pixels = vec![0u8; (WIDTH * HEIGHT * 3) as usize];
    draw(&mut pixels, title, runs, bar).map_err(|e| DrawError::new(&*e))?;
    RgbImage::from_raw(WIDTH, HEIGHT, pixels).ok_or_else(|| DrawError::new("wrong number of pixels"))
}

fn draw(
    pixels: &mut [u8],
    title: &str,
    runs: &[Vec<History>],
    bar: Option<f64>,
) -> Result<(), Box<dyn std::error::Error>> {
    let root = BitMapBackend::with_buffer(pixels, (WIDTH, HEIGHT)).into_drawing_area();
    root.fill(&rgb(PAPER.0))?;
    let heading = (font::FAMILY, 20).into_font().color(&rgb(INK));
    root.draw_text(title, &heading, (20, 12))?;
    let (_, body) = root.split_vertically(40);
    let band = band(runs);
    let lines = runs.iter().flatten().map(|h| h.mean_return);
    // An interval of few runs can be far wider than what was measured: the lines decide what is shown.
    let (low, high) =
        lines.chain(bar).fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
    let (low, high) = if low.is_finite() { (low, high) } else { (0.0, 1.0) };
    let room = ((high - low) * 0.08).max(1e-3);
    let (low, high) = (low - room, high + room);
    let last = band.last().map_or(1.0, |b| b.step);
    let mut chart = ChartBuilder::on(&body)
        .margin(12)
        .margin_right(24)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..last, low..high)?;
    let steps = |v: &f64| {
        if *v >= 1e6 { format!("{:.1} M", v / 1e6) } else { format!("{:.0} k", v / 1e3) }
    };
    let value = |v: &f64| if high - low > 20.0 { format!("{v:.0}") } else { format!("{v:.1}") };
    axes(&mut chart, 8, ("steps of the environment", &steps), ("mean return of the greedy policy", &value))?;
    let clamp = |v: f64| v.clamp(low, high);
    let upper = band.iter().map(|b| (b.step, clamp(b.mean + b.confidence)));
    let lower = band.iter().rev().map(|b| (b.step, clamp(b.mean - b.confidence)));
    let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
    chart.draw_series([Polygon::new(outline, LINE.mix(0.16).filled())])?;
    for run in runs {
        let points = run.iter().map(|h| (h.step as f64, h.mean_return));
        chart.draw_series(LineSeries::new(points, LINE.mix(0.4).stroke_width(1)))?;
    }
    chart.draw_series(LineSeries::new(band.iter().map(|b| (b.step, b.mean)), LINE.stroke_width(3)))?;
    if let Some(bar) = bar {
        chart.draw_series(LineSeries::new([(0.0, bar), (last, bar)], MARK.stroke_width(2)))?;
    }
    root.present()?;
    Ok(())
}

/// Writes frames of one size as an endless GIF, `delay` hundredths of a second each; `each` is called after a frame.
///
/// # Errors
/// The target refuses.
pub fn film(
    frames: impl IntoIterator<Item = RgbImage>,
    delay: u16,
    target: impl Write,
    mut each: impl FnMut(),
) -> Result<(), gif::EncodingError> {
    let mut target = Some(target);
    let mut encoder = None;
    for picture in frames {
        let (width, height) = (picture.width() as u16, picture.height() as u16);
        let mut frame = Frame::from_rgb_speed(width, height, &picture, 10);
        frame.delay = delay;
        if let Some(target) = target.take() {
            let mut new = Encoder::new(target, width, height, &[])?;
            new.set_repeat(Repeat::Infinite)?;
            encoder = Some(new);
        }
        if let Some(encoder) = &mut encoder {
            encoder.write_frame(&frame)?;
        }
        each();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: u64, mean_return: f64) -> History {
        History {
            step,
            mean_return,
            confidence: 1.0,
            success: None,
            training_return: None,
            loss: None,
            episodes: 1,
            seconds: 0.0,
        }
    }

    #[test]
    fn the_interval_is_students_over_the_runs() {
        let runs = vec![vec![line(10, 1.0)], vec![line(10, 2.0)], vec![line(10, 3.0)]];
        let band = band(&runs);
        assert_eq!((band[0].step, band[0].mean), (10.0, 2.0));
        assert!((band[0].confidence - 4.303 / 3f64.sqrt()).abs() < 1e-12);
        assert_eq!(super::band(&runs[..1])[0].confidence, 1.0);
    }

    #[test]
    fn curves_have_ink_and_films_all_frames() {
        let runs = vec![vec![line(1000, 1.0), line(2000, 5.0)], vec![line(1000, 2.0), line(2000, 4.0)]];
        let picture = learning("test", &runs, Some(6.0)).unwrap();
        let ink = |of: fn(&image::Rgb<u8>) -> bool| picture.pixels().filter(|p| of(p)).count();
        assert!(ink(|p| p[2] > p[0].saturating_add(60)) > 500);
        assert!(ink(|p| p[0] > p[2].saturating_add(60)) > 500);
        let mut bytes = Vec::new();
        let mut count = 0;
        let frames = (0..4u8).map(|i| RgbImage::from_pixel(12, 8, image::Rgb([i * 60, 0, 0])));
        film(frames, 5, &mut bytes, || count += 1).unwrap();
        let mut decoder = gif::DecodeOptions::new().read_info(bytes.as_slice()).unwrap();
        assert_eq!((decoder.width(), decoder.height(), count), (12, 8, 4));
        let mut delays = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            delays.push(frame.delay);
        }
        assert_eq!(delays, [5; 4]);
    }
}
