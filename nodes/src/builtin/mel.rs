//! MelSpectrogramNode: the energy of sound in mel bands, as librosa's `feature.melspectrogram` and
//! Whisper's `log_mel_spectrogram` compute it. `mel/bands.rs` makes the bands, `mel/frames.rs` the
//! spectra.

mod bands;
mod frames;
mod parameters;
#[cfg(test)]
mod tests;

use ipc_protocol::{Array, Order, Value};
use pulp::{Simd, WithSimd};

use super::audio_item::{self, AudioItem, BareRate};
use super::samples::{self, Element, Planes};
use crate::error::{NodeError, NodeErrorKind};
use crate::lanes::{self, MOST_LANES};
use crate::node::{Emit, Node};
use bands::Bands;
use frames::Frames;
pub(super) use parameters::TYPE;

/// The values of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    /// Power, or magnitude.
    Linear,
    /// `10 log10(power)`, at least -100 dB and at most 80 dB below the largest, as librosa's
    /// `power_to_db` has it.
    Decibels,
    /// Whisper's: `log10` of at least 1e-10, at most 8 below the largest, then `(x + 4) / 4`.
    Whisper,
}

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Settings {
    fft: usize,
    hop: usize,
    mels: usize,
    low_hz: f64,
    /// `None` is half of the sample rate.
    high_hz: Option<f64>,
    /// Whether the ends are mirrored instead of padded with zeros.
    is_reflected: bool,
    is_magnitude: bool,
    /// Whether the last frame is left out.
    drops_last: bool,
    scale: Scale,
}

struct Mel {
    settings: Settings,
    bare_rate: BareRate,
    /// For the rate of the last item.
    plan: Option<(u32, Frames, Bands)>,
}

impl Node for Mel {
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError> {
        let item = AudioItem::take(input)?;
        let rate_hz = self.bare_rate.of(&item);
        let planes = audio_item::planes(&item.array)?;
        let settings = self.settings;
        bounded(&settings, &planes)?;
        let plan = match self.plan.take() {
            Some(plan) if plan.0 == rate_hz => plan,
            _ => (rate_hz, Frames::new(settings.fft), Bands::new(&settings, rate_hz)?),
        };
        let (_, frames, bands) = self.plan.insert(plan);
        let mut all = Vec::new();
        let mut count = 0;
        for plane in planes.iter() {
            let begin = all.len();
            count = frames.count(plane.len(), &settings);
            all.resize(begin + settings.mels * count, 0.0);
            let out = &mut all[begin..];
            frames.energies(plane, &settings, (bands, count), out);
            lanes::with_vectors(Scaled { energies: out, scale: settings.scale });
        }
        let (mels, count) = (settings.mels as u64, count as u64);
        let shape = match planes.flat {
            true => vec![mels, count],
            false => vec![planes.channels as u64, mels, count],
        };
        let array: Array = samples::array_of(all, Element::F32, shape, Order::C);
        drop(planes);
        emit(item.form.answer(array, rate_hz));
        Ok(())
    }

    fn take_notice(&mut self) -> Option<String> {
        self.bare_rate.take_notice()
    }
}

/// Refuses what would make far more values than there are samples.
fn bounded(settings: &Settings, planes: &Planes<'_>) -> Result<(), NodeError> {
    let taken = planes.samples.saturating_mul(planes.channels);
    let frames = planes.samples / settings.hop + 1;
    let wanted = frames.saturating_mul(settings.mels).saturating_mul(planes.channels);
    let limit = taken.saturating_mul(16).max(1 << 22);
    if wanted <= limit {
        return Ok(());
    }
    Err(NodeErrorKind::BadValue {
        what: "hop_length and n_mels",
        expected: format!("such that {taken} samples make at most {limit} values"),
        got: format!("{} and {}, which make {wanted}", settings.hop, settings.mels),
    }
    .into())
}

/// Brings energies to a scale. A closure would be compiled without the processor's vectors.
struct Scaled<'a> {
    energies: &'a mut [f32],
    scale: Scale,
}

impl WithSimd for Scaled<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { energies, scale } = self;
        if scale == Scale::Linear {
            return;
        }
        let mut largest = [f32::NEG_INFINITY; MOST_LANES];
        for energies in energies.chunks_mut(MOST_LANES) {
            for (energy, largest) in energies.iter_mut().zip(&mut largest) {
                *energy = log10(energy.max(1e-10));
                *largest = largest.max(*energy);
            }
        }
        let least = largest.into_iter().fold(f32::NEG_INFINITY, f32::max) - 8.0;
        for value in energies {
            *value = value.max(least);
            *value = if scale == Scale::Whisper { (*value + 4.0) / 4.0 } else { 10.0 * *value };
        }
    }
}

/// The decimal logarithm of a number that is not denormal, within 2e-7 of its size or 1e-7; without
/// branches, so that the compiler makes vectors of many.
#[inline(always)]
fn log10(x: f32) -> f32 {
    const LOG10_E: f32 = std::f32::consts::LOG10_E;
    /// The bits of the square root of a half.
    const ROOT_HALF: u32 = 0x3f35_04f3;
    let steps = x.to_bits().wrapping_sub(ROOT_HALF).cast_signed() >> 23;
    // Between the square roots of a half and of two.
    let rest = f32::from_bits(x.to_bits().wrapping_sub(steps.cast_unsigned() << 23));
    let along = (rest - 1.0) / (rest + 1.0);
    let square = along * along;
    let series = 1.0 + square * (1.0 / 3.0 + square * (0.2 + square * (1.0 / 7.0 + square / 9.0)));
    steps as f32 * std::f32::consts::LOG10_2 + 2.0 * LOG10_E * along * series
}
