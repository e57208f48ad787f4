//! Spectra of overlapping frames in a periodic Hann window, each centred at its time. As many frames as
//! two vectors have lanes are transformed at once.

use std::f64::consts::PI;

use num_traits::ToPrimitive;
use pulp::{Simd, WithSimd};

use super::Settings;
use super::bands::Bands;
use crate::lanes::{self, Aligned, MOST_LANES, Square, Transform};

/// The transform of one length, and memory for it.
pub(super) struct Frames {
    transform: Transform,
    window: Vec<f32>,
    memory: [Aligned; 2],
    square: Square,
    powers: Aligned,
    /// Frames that reach beyond the recording, filled up.
    edges: Vec<f32>,
}

impl Frames {
    pub(super) fn new(length: usize) -> Self {
        let transform = Transform::new(length);
        let window = (0..length)
            .map(|n| {
                (0.5 - 0.5 * (2.0 * PI * n as f64 / length as f64).cos()).to_f32().unwrap_or(0.0)
            })
            .collect();
        let memory = Aligned::new(2 * transform.memory());
        Self {
            transform,
            window,
            memory: [memory.clone(), memory],
            square: Square::new(),
            powers: Aligned::new(2 * (length / 2 + 1)),
            edges: vec![0.0; 2 * MOST_LANES * length],
        }
    }

    /// Frames of a recording.
    pub(super) fn count(&self, samples: usize, settings: &Settings) -> usize {
        let padded = samples + 2 * (settings.fft / 2);
        let frames = 1 + padded.saturating_sub(settings.fft) / settings.hop;
        if settings.drops_last { frames - 1 } else { frames }
    }

    /// Writes the energies of the first `count` frames in all bands, band after band.
    pub(super) fn energies(
        &mut self,
        plane: &[f32],
        settings: &Settings,
        (bands, count): (&Bands, usize),
        out: &mut [f32],
    ) {
        lanes::with_vectors(Energies { frames: self, plane, settings, bands, count, out });
    }
}

/// One call of [`Frames::energies`].
struct Energies<'a> {
    frames: &'a mut Frames,
    plane: &'a [f32],
    settings: &'a Settings,
    bands: &'a Bands,
    count: usize,
    out: &'a mut [f32],
}

impl WithSimd for Energies<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { frames, plane, settings, bands, count, out } = self;
        let length = frames.window.len();
        for first in (0..count).step_by(2 * S::F32_LANES) {
            let together = (count - first).min(2 * S::F32_LANES);
            let mut signals: [&[f32]; 2 * MOST_LANES] = [&[]; 2 * MOST_LANES];
            let edges = frames.edges.chunks_exact_mut(length);
            for ((frame, signal), edge) in (first..).zip(&mut signals[..together]).zip(edges) {
                *signal = signal_of(plane, frame, settings, edge);
            }
            let [values, other] = &mut frames.memory;
            let (values, other) = (values.pairs::<S>(), other.pairs::<S>());
            lanes::load(simd, &signals[..together], &frames.window, &mut frames.square, values);
            let spectrum = frames.transform.run(simd, values, other);
            let powers = frames.powers.pairs::<S>();
            for (bin, powers) in powers.iter_mut().enumerate() {
                let mirrored = spectrum[(length - bin) % length];
                let found = lanes::powers(simd, spectrum[bin], mirrored);
                for (power, found) in powers.iter_mut().zip(found) {
                    *power = match settings.is_magnitude {
                        true => simd.mul_f32s(simd.splat_f32s(0.5), simd.sqrt_f32s(found)),
                        false => simd.mul_f32s(simd.splat_f32s(0.25), found),
                    };
                }
            }
            bands.apply(simd, powers, |band, energies| {
                let energies = bytemuck::cast_slice::<S::f32s, f32>(energies);
                out[band * count + first..][..together].copy_from_slice(&energies[..together]);
            });
        }
    }
}

/// The samples of a frame of the padded recording, in `edge` where it reaches beyond the recording.
fn signal_of<'a>(
    plane: &'a [f32],
    frame: usize,
    settings: &Settings,
    edge: &'a mut [f32],
) -> &'a [f32] {
    let padding = settings.fft / 2;
    let begin = frame * settings.hop;
    let inside = begin.checked_sub(padding).and_then(|at| plane.get(at..at + edge.len()));
    inside.unwrap_or_else(|| {
        for (place, out) in (begin..).zip(&mut *edge) {
            *out = outside(plane, place, padding, settings);
        }
        edge
    })
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
