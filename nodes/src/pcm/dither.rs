//! Noise that makes the error of rounding independent of the sound: the difference of two uniform
//! random numbers of one step each (triangular, 2 steps wide), as usual for audio.

/// The noise of one stream. The same seed gives the same noise.
#[derive(Debug, Clone)]
pub(crate) struct Dither {
    random: fastrand::Rng,
}

impl Dither {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: fastrand::Rng::with_seed(seed) }
    }

    /// Adds noise for rounding to integers of so many bits.
    pub(super) fn add(&mut self, samples: &mut [f64], bits: u32) {
        let step = 0.5_f64.powi(bits.saturating_sub(1).cast_signed());
        for sample in samples {
            *sample += (self.random.f64() - self.random.f64()) * step;
        }
    }
}
