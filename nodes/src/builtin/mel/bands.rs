//! Triangular mel bands of equal area, as librosa's `filters.mel` makes them by default (Slaney's
//! Auditory Toolbox): linear below 1 kHz, logarithmic above.

use num_traits::ToPrimitive;
use pulp::Simd;

use super::Settings;
use crate::error::{NodeError, NodeErrorKind};

/// Below this frequency mels are proportional to it.
const LINEAR_HZ: f64 = 1_000.0;
const HZ_PER_MEL: f64 = 200.0 / 3.0;
/// `ln(6.4) / 27`.
const LOG_STEP: f64 = 0.068_751_777_420_949_12;

/// The bands, each with the bins that it has.
pub(super) struct Bands {
    bands: Vec<Band>,
}

struct Band {
    first: usize,
    weights: Vec<f32>,
}

impl Bands {
    pub(super) fn new(settings: &Settings, rate_hz: u32) -> Result<Self, NodeError> {
        let half = f64::from(rate_hz) / 2.0;
        let high = settings.high_hz.map_or(half, |high| high.min(half));
        if settings.low_hz >= high {
            return Err(NodeErrorKind::BadValue {
                what: "fmin",
                expected: format!("below {high} Hz, where the highest band ends"),
                got: format!("{} Hz", settings.low_hz),
            }
            .into());
        }
        let (low, high) = (mel_of(settings.low_hz), mel_of(high));
        let step = (high - low) / (settings.mels + 1) as f64;
        let edges: Vec<f64> =
            (0..settings.mels + 2).map(|n| hz_of(low + step * n as f64)).collect();
        let bin_hz = f64::from(rate_hz) / settings.fft as f64;
        let bins = settings.fft / 2 + 1;
        let band = |edges: &[f64]| {
            let [low, centre, high] = [edges[0], edges[1], edges[2]];
            let weight = |bin: usize| {
                let hz = bin as f64 * bin_hz;
                let rising = (hz - low) / (centre - low);
                let falling = (high - hz) / (high - centre);
                rising.min(falling).max(0.0) * 2.0 / (high - low)
            };
            let first = (0..bins).find(|bin| weight(*bin) > 0.0).unwrap_or(0);
            let weights = (first..bins).map(weight).take_while(|weight| *weight > 0.0);
            Band { first, weights: weights.map(|w| w.to_f32().unwrap_or(0.0)).collect() }
        };
        Ok(Self { bands: edges.windows(3).map(band).collect() })
    }

    /// Gives number and energies of each band of many spectra, whose powers lie in vectors.
    #[inline(always)]
    pub(super) fn apply<S: Simd>(
        &self,
        simd: S,
        powers: &[[S::f32s; 2]],
        mut give: impl FnMut(usize, &[S::f32s; 2]),
    ) {
        for (number, band) in self.bands.iter().enumerate() {
            let powers = &powers[band.first..band.first + band.weights.len()];
            let mut energies = [simd.splat_f32s(0.0); 2];
            for (powers, weight) in powers.iter().zip(&band.weights) {
                let weight = simd.splat_f32s(*weight);
                for (energy, power) in energies.iter_mut().zip(powers) {
                    *energy = simd.mul_add_e_f32s(weight, *power, *energy);
                }
            }
            give(number, &energies);
        }
    }
}

fn mel_of(hz: f64) -> f64 {
    let mel = hz / HZ_PER_MEL;
    if hz < LINEAR_HZ { mel } else { LINEAR_HZ / HZ_PER_MEL + (hz / LINEAR_HZ).ln() / LOG_STEP }
}

fn hz_of(mel: f64) -> f64 {
    let linear = LINEAR_HZ / HZ_PER_MEL;
    if mel < linear { mel * HZ_PER_MEL } else { LINEAR_HZ * (LOG_STEP * (mel - linear)).exp() }
}
