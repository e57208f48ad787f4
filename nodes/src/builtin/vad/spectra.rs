//! The power of frames in bands of speech, through a window. As many frames as a vector has lanes are
//! transformed at once, each in a lane of its own, so a frame is the same whatever is measured with it.

use num_traits::ToPrimitive;
use pulp::{Simd, WithSimd};

use crate::lanes::{self, Aligned, MOST_LANES, Real, RealWork};

/// Number of frequency bands.
pub(super) const BANDS: usize = 5;
/// Lower edge of each band, in Hz. Rumble, hum and pops below the first do not count.
const BAND_EDGES_HZ: [f64; BANDS] = [120.0, 500.0, 1_000.0, 2_000.0, 4_000.0];
/// Upper edge of the last band, in Hz.
const TOP_HZ: f64 = 8_000.0;
/// A frame is a tone when three neighbouring lines of its spectrum have more than this share of its
/// power.
const TONE_SHARE: f32 = 0.5;

/// What the spectrum of a frame says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spectrum {
    /// Power in each band, a mean square averaged over the channels; a constant at full scale has 1.0.
    pub(super) bands: [f32; BANDS],
    /// Whether the frame is a tone, see `TONE_SHARE`.
    pub(super) is_tone: bool,
}

/// The transform for one rate and window.
pub(super) struct Spectra {
    window: Vec<f32>,
    /// First line of each band, and one past the last line of the last band.
    lines: [usize; BANDS + 1],
    /// Factor that makes a mean square of a sum over lines.
    scale: f32,
    real: Real,
    work: RealWork,
    powers: Aligned,
}

impl Spectra {
    pub(super) fn new(rate_hz: u32, channels: usize, window_ms: u32) -> Self {
        let window_samples = (u64::from(rate_hz) * u64::from(window_ms) / 1_000).max(2);
        let length = window_samples.to_usize().unwrap_or(2);
        let transformed = length.next_power_of_two();
        // A Hann window.
        let window: Vec<f32> = (0..length)
            .map(|i| {
                let turn = (i as f32 + 0.5) / length as f32;
                0.5 - 0.5 * (2.0 * std::f32::consts::PI * turn).cos()
            })
            .collect();
        let energy: f32 = window.iter().map(|w| w * w).sum();
        let line = |hz: f64| {
            let line = (hz * transformed as f64 / f64::from(rate_hz)).ceil();
            line.to_usize().unwrap_or(usize::MAX).min(transformed / 2 + 1)
        };
        let mut lines = [line(TOP_HZ); BANDS + 1];
        for (at, hz) in lines.iter_mut().zip(BAND_EDGES_HZ) {
            *at = line(hz);
        }
        let real = Real::new(transformed);
        Self {
            window,
            lines,
            // The factor 2 stands for the other half of the spectrum, which has the same power; four times
            // the power is what the transform gives.
            scale: 2.0 / (4.0 * energy * transformed as f32 * channels.max(1) as f32),
            work: real.work(),
            powers: Aligned::new(real.lines()),
            real,
        }
    }

    /// Samples of the window.
    pub(super) fn window_samples(&self) -> usize {
        self.window.len()
    }

    /// The frames that begin at these places of every channel, at most as many as a vector has lanes.
    /// Samples beyond the end of a channel are zeros.
    pub(super) fn of(&mut self, channels: &[Vec<f32>], places: &[usize]) -> [Spectrum; MOST_LANES] {
        lanes::with_vectors(Together { spectra: self, channels, places })
    }

    /// Writes the powers of the lines below 4 kHz of a frame of the last [`of`](Self::of), by its lane. Returns
    /// the factor that makes mean squares of them.
    pub(super) fn powers(&self, lane: usize, out: &mut Vec<f32>) -> f32 {
        out.clear();
        out.extend(self.powers.lane(lane).take(self.lines[4]));
        self.scale
    }

    /// The lines at 120 Hz, 1 kHz and 4 kHz.
    pub(super) fn regions(&self) -> [usize; 3] {
        [self.lines[0], self.lines[2], self.lines[4]]
    }
}

/// One call of [`Spectra::of`].
struct Together<'a> {
    spectra: &'a mut Spectra,
    channels: &'a [Vec<f32>],
    places: &'a [usize],
}

impl WithSimd for Together<'_> {
    type Output = [Spectrum; MOST_LANES];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        let Spectra { window, lines, scale, real, work, powers } = self.spectra;
        let powers = powers.vectors::<S>();
        powers.fill(simd.splat_f32s(0.0));
        for channel in self.channels {
            let mut signals: [&[f32]; MOST_LANES] = [&[]; MOST_LANES];
            for (signal, place) in signals.iter_mut().zip(self.places) {
                let from = channel.get(*place..).unwrap_or_default();
                *signal = &from[..from.len().min(window.len())];
            }
            real.add_powers(simd, (&signals[..self.places.len()], window), work, powers);
        }
        let mut found = [Spectrum::default(); MOST_LANES];
        let mut heard = simd.splat_f32s(0.0);
        for band in 0..BANDS {
            let sum = sum(simd, &powers[lines[band]..lines[band + 1].max(lines[band])]);
            heard = simd.add_f32s(heard, sum);
            for (found, sum) in found.iter_mut().zip(in_lanes::<S>(&sum)) {
                found.bands[band] = sum * *scale;
            }
        }
        let loudest = loudest_three(simd, &powers[lines[0]..lines[BANDS].max(lines[0])]);
        let both = in_lanes::<S>(&loudest).iter().zip(in_lanes::<S>(&heard));
        for (found, (loudest, heard)) in found.iter_mut().zip(both) {
            found.is_tone = *loudest > TONE_SHARE * heard;
        }
        found
    }
}

/// In four sums side by side, as each addition waits for the one before.
#[inline(always)]
fn sum<S: Simd>(simd: S, powers: &[S::f32s]) -> S::f32s {
    let mut sums = [simd.splat_f32s(0.0); 4];
    for powers in powers.chunks(4) {
        for (sum, power) in sums.iter_mut().zip(powers) {
            *sum = simd.add_f32s(*sum, *power);
        }
    }
    simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]))
}

/// The largest sum of three neighbours.
#[inline(always)]
fn loudest_three<S: Simd>(simd: S, powers: &[S::f32s]) -> S::f32s {
    let mut loudest = simd.splat_f32s(0.0);
    for three in powers.windows(3) {
        let sum = simd.add_f32s(simd.add_f32s(three[0], three[1]), three[2]);
        loudest = simd.max_f32s(loudest, sum);
    }
    loudest
}

#[inline(always)]
fn in_lanes<S: Simd>(vector: &S::f32s) -> &[f32] {
    bytemuck::cast_slice(std::slice::from_ref(vector))
}
