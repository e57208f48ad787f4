//! Spectra of overlapping frames in a periodic Hann window, each centred at its time. Two frames
//! share one complex transform: one is the real part, one the imaginary part.

use std::f64::consts::PI;
use std::sync::Arc;

use num_traits::ToPrimitive;
use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

use super::Settings;

/// The transform of one length, and memory for it.
pub(super) struct Frames {
    fft: Arc<dyn Fft<f32>>,
    window: Vec<f32>,
    spectrum: Vec<Complex32>,
    scratch: Vec<Complex32>,
    /// Samples and spectra of the two frames.
    samples: [Vec<f32>; 2],
    powers: [Vec<f32>; 2],
}

impl Frames {
    pub(super) fn new(length: usize) -> Self {
        let fft = FftPlanner::new().plan_fft_forward(length);
        let window = (0..length)
            .map(|n| {
                (0.5 - 0.5 * (2.0 * PI * n as f64 / length as f64).cos()).to_f32().unwrap_or(0.0)
            })
            .collect();
        let zero = Complex32::new(0.0, 0.0);
        Self {
            window,
            spectrum: vec![zero; length],
            scratch: vec![zero; fft.get_inplace_scratch_len()],
            samples: [vec![0.0; length], vec![0.0; length]],
            powers: [vec![0.0; length / 2 + 1], vec![0.0; length / 2 + 1]],
            fft,
        }
    }

    /// Frames of a recording.
    pub(super) fn count(&self, samples: usize, settings: &Settings) -> usize {
        let padded = samples + 2 * (settings.fft / 2);
        let frames = 1 + padded.saturating_sub(settings.fft) / settings.hop;
        if settings.drops_last { frames - 1 } else { frames }
    }

    /// Gives number and power (or magnitude) spectrum of the first `count` frames.
    pub(super) fn powers(
        &mut self,
        plane: &[f32],
        settings: &Settings,
        count: usize,
        give: &mut dyn FnMut(usize, &[f32]),
    ) {
        for first in (0..count).step_by(2) {
            for (frame, samples) in (first..).zip(&mut self.samples) {
                fill(samples, plane, frame, settings);
            }
            let [a, b] = &self.samples;
            for (n, out) in self.spectrum.iter_mut().enumerate() {
                *out = Complex32::new(a[n] * self.window[n], b[n] * self.window[n]);
            }
            self.fft.process_with_scratch(&mut self.spectrum, &mut self.scratch);
            self.separate(settings.is_magnitude);
            let [a, b] = &self.powers;
            give(first, a);
            if first + 1 < count {
                give(first + 1, b);
            }
        }
    }

    /// The power of the two frames in a spectrum.
    fn separate(&mut self, is_magnitude: bool) {
        let length = self.spectrum.len();
        for bin in 0..=length / 2 {
            let (x, y) = (self.spectrum[bin], self.spectrum[(length - bin) % length].conj());
            let (a, b) = ((x + y) * 0.5, (x - y) * 0.5);
            let power = |z: Complex32| if is_magnitude { z.norm() } else { z.norm_sqr() };
            self.powers[0][bin] = power(a);
            self.powers[1][bin] = power(b);
        }
    }
}

/// Copies a frame of the padded recording.
fn fill(out: &mut [f32], plane: &[f32], frame: usize, settings: &Settings) {
    let padding = settings.fft / 2;
    let begin = frame * settings.hop;
    let inside = begin.checked_sub(padding).and_then(|at| plane.get(at..at + out.len()));
    match inside {
        Some(inside) => out.copy_from_slice(inside),
        None => {
            for (place, out) in (begin..).zip(out) {
                *out = outside(plane, place, padding, settings);
            }
        }
    }
}

/// The sample at a place of the padded recording.
fn outside(plane: &[f32], place: usize, padding: usize, settings: &Settings) -> f32 {
    if (padding..padding + plane.len()).contains(&place) {
        return plane[place - padding];
    }
    if !settings.is_reflected || plane.len() < 2 {
        return 0.0;
    }
    // Mirrored at the first and the last sample, again and again where the recording is short.
    let period = 2 * (plane.len() - 1);
    let along = (place + period * (padding / period + 1) - padding) % period;
    plane[along.min(period - along)]
}
