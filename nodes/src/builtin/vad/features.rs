//! Measures frames for the detector: every 10 ms the power in five bands of speech, through a
//! window, and the plain power of those 10 ms. The size of the pieces does not change the frames.

use std::sync::Arc;

use num_traits::ToPrimitive;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use super::blocks::{mean_square, sum};
use super::texture::{RESEMBLANCES, Texture};
use crate::builtin::samples::Planes;

/// Frames per second.
pub(super) const FRAMES_PER_SECOND: u64 = 100;
/// Time from one frame to the next, in ms.
pub(super) const HOP_MS: u32 = 10;
/// Number of frequency bands.
pub(super) const BANDS: usize = 5;
/// Lower edge of each band, in Hz. Rumble, hum and pops below the first do not count.
const BAND_EDGES_HZ: [f64; BANDS] = [120.0, 500.0, 1_000.0, 2_000.0, 4_000.0];
/// Upper edge of the last band, in Hz.
const TOP_HZ: f64 = 8_000.0;
/// A frame is a tone when three neighbouring lines of its spectrum have more than this share of its
/// power.
const TONE_SHARE: f32 = 0.5;

/// One frame. Powers are mean squares, averaged over the channels; a constant at full scale has
/// 1.0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frame {
    /// Power in each band, through the window.
    pub(super) bands: [f32; BANDS],
    /// Whether the frame is a tone, see `TONE_SHARE`.
    pub(super) is_tone: bool,
    /// How much the spectrum resembles earlier ones, where the analyzer looks at its texture.
    pub(super) resemblances: [f32; RESEMBLANCES],
    /// Power of the frame's own 10 ms at all frequencies, without a window.
    pub(super) block: f32,
}

/// Cuts a stream into frames.
pub(super) struct Analyzer {
    rate_hz: u32,
    window: Vec<f32>,
    /// First line of each band, and one past the last line of the last band.
    lines: [usize; BANDS + 1],
    /// Factor that makes a mean square of a sum over lines.
    scale: f32,
    fft: Arc<dyn RealToComplex<f32>>,
    /// A frame through the window, and zeros up to the length of the transform.
    seen: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    powers: Vec<f32>,
    texture: Option<Texture>,
    /// Samples from `begin` on, per channel.
    recent: Vec<Vec<f32>>,
    begin: u64,
    /// Samples per channel so far.
    taken: u64,
    /// Number of frames completed so far.
    frames: u64,
}

impl Analyzer {
    pub(super) fn new(rate_hz: u32, channels: usize, window_ms: u32) -> Self {
        let window_samples = (u64::from(rate_hz) * u64::from(window_ms) / 1_000).max(2);
        let length = window_samples.to_usize().unwrap_or(2);
        let fft_length = length.next_power_of_two();
        // A Hann window.
        let window: Vec<f32> = (0..length)
            .map(|i| {
                let turn = (i as f32 + 0.5) / length as f32;
                0.5 - 0.5 * (2.0 * std::f32::consts::PI * turn).cos()
            })
            .collect();
        let energy: f32 = window.iter().map(|w| w * w).sum();
        let fft = RealFftPlanner::new().plan_fft_forward(fft_length);
        let line = |hz: f64| {
            let line = (hz * fft_length as f64 / f64::from(rate_hz)).ceil();
            line.to_usize().unwrap_or(usize::MAX).min(fft_length / 2 + 1)
        };
        let mut lines = [line(TOP_HZ); BANDS + 1];
        for (at, hz) in lines.iter_mut().zip(BAND_EDGES_HZ) {
            *at = line(hz);
        }
        Self {
            rate_hz,
            lines,
            // The factor 2 stands for the other half of the spectrum, which has the same power.
            scale: 2.0 / (energy * fft_length as f32 * channels.max(1) as f32),
            seen: fft.make_input_vec(),
            spectrum: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            powers: vec![0.0; fft_length / 2 + 1],
            texture: None,
            recent: vec![Vec::new(); channels],
            window,
            fft,
            begin: 0,
            taken: 0,
            frames: 0,
        }
    }

    /// Makes it measure the texture of each frame as well.
    pub(super) fn with_texture(mut self) -> Self {
        // 120 Hz, 1 kHz and 4 kHz.
        self.texture = Some(Texture::new([self.lines[0], self.lines[2], self.lines[4]]));
        self
    }

    pub(super) fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    pub(super) fn channels(&self) -> usize {
        self.recent.len()
    }

    /// Samples per channel so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes a piece and appends the frames that it completes.
    pub(super) fn push(&mut self, piece: &Planes<'_>, out: &mut Vec<Frame>) {
        for (recent, plane) in self.recent.iter_mut().zip(piece.iter()) {
            recent.extend_from_slice(plane);
        }
        self.taken += piece.samples as u64;
        let half = (self.window.len() / 2) as u64;
        while self.middle(self.frames) + half < self.taken
            && self.start(self.frames + 1) <= self.taken
        {
            out.push(self.frame());
            self.frames += 1;
        }
        self.forget();
    }

    /// Appends the frames up to the end of the stream; the last may be shorter than 10 ms.
    pub(super) fn finish(&mut self, out: &mut Vec<Frame>) {
        while self.start(self.frames) < self.taken {
            out.push(self.frame());
            self.frames += 1;
        }
    }

    /// First sample of a frame.
    fn start(&self, frame: u64) -> u64 {
        frame * u64::from(self.rate_hz) / FRAMES_PER_SECOND
    }

    /// Sample in the middle of a frame.
    fn middle(&self, frame: u64) -> u64 {
        (2 * frame + 1) * u64::from(self.rate_hz) / (2 * FRAMES_PER_SECOND)
    }

    /// Drops samples that no later frame needs.
    fn forget(&mut self) {
        let needed = self.middle(self.frames).saturating_sub((self.window.len() / 2) as u64);
        let needed = needed.min(self.start(self.frames));
        let unneeded = needed.saturating_sub(self.begin).to_usize().unwrap_or(0);
        // Moving the remaining samples to the front takes time, so it is not done for every piece.
        if unneeded > 4 * self.window.len() {
            for recent in &mut self.recent {
                recent.drain(..unneeded.min(recent.len()));
            }
            self.begin = needed;
        }
    }

    fn frame(&mut self) -> Frame {
        let index = |sample: u64| sample.saturating_sub(self.begin).to_usize().unwrap_or(0);
        let (start, end) = (index(self.start(self.frames)), index(self.start(self.frames + 1)));
        let middle = index(self.middle(self.frames));
        let half = self.window.len() / 2;
        // The part of the window before the start of the stream counts as silence.
        let lead = half.saturating_sub(middle);
        let from = middle.saturating_sub(half);
        self.powers.fill(0.0);
        let mut block = 0.0;
        for recent in &self.recent {
            let inside = &recent[start.min(recent.len())..end.min(recent.len())];
            block += mean_square(inside);
            self.seen.fill(0.0);
            let windowed = recent[from.min(recent.len())..].iter().zip(&self.window[lead..]);
            for (seen, (sample, weight)) in self.seen.iter_mut().zip(windowed) {
                *seen = sample * weight;
            }
            let Self { seen, spectrum, scratch, .. } = self;
            // It fails for wrong lengths only; these are its own.
            let _done = self.fft.process_with_scratch(seen, spectrum, scratch);
            for (power, line) in self.powers.iter_mut().zip(&self.spectrum) {
                *power += line.norm_sqr();
            }
        }
        let mut bands = [0.0; BANDS];
        for (band, lines) in bands.iter_mut().zip(self.lines.windows(2)) {
            *band = sum(&self.powers[lines[0]..lines[1].max(lines[0])]) * self.scale;
        }
        let scale = self.scale;
        let texture = self.texture.as_mut().map(|texture| texture.push(&self.powers, scale));
        let heard = &self.powers[self.lines[0]..self.lines[BANDS].max(self.lines[0])];
        Frame {
            bands,
            resemblances: texture.unwrap_or_default(),
            is_tone: loudest_three(heard) > TONE_SHARE * sum(heard),
            block: block / self.recent.len().max(1) as f32,
        }
    }
}

/// The largest sum of three neighbours; in maxima side by side, which the compiler makes vectors of.
fn loudest_three(powers: &[f32]) -> f32 {
    let Some(further) = powers.get(2..) else { return 0.0 };
    let mut loudest = [0.0_f32; 8];
    let sums = powers.iter().zip(&powers[1..]).zip(further).map(|((a, b), c)| a + b + c);
    for (at, sum) in sums.enumerate() {
        loudest[at % 8] = loudest[at % 8].max(sum);
    }
    loudest.into_iter().fold(0.0, f32::max)
}
