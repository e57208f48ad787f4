//! How much the spectrum of a frame resembles earlier ones: notes of music and tones do, noise
//! does in its outline, and speech soon does not.

use super::blocks::dot;

/// Earlier frames that a frame is compared with.
const LAGS: [usize; 2] = [5, 20];
const KEPT: usize = LAGS[1] + 1;
/// Parts of the spectrum: 120 Hz to 1 kHz and 1 to 4 kHz.
const REGIONS: usize = 2;
/// Number of resemblances of a frame: of each lag, those of each region.
pub(super) const RESEMBLANCES: usize = LAGS.len() * REGIONS;
/// Added to the power of each line, so that silence resembles silence.
const LEAST_POWER: f32 = 1e-12;

/// The latest frames of a stream.
#[derive(Debug, Clone)]
pub(super) struct Texture {
    /// The first line of each region, and one past the last.
    lines: [usize; REGIONS + 1],
    /// Amplitudes of the lines, of the frames by their number modulo `KEPT`.
    amplitudes: Vec<Vec<f32>>,
    /// Their lengths, as of vectors, by region.
    lengths: [[f32; REGIONS]; KEPT],
    frames: usize,
}

impl Texture {
    pub(super) fn new(lines: [usize; REGIONS + 1]) -> Self {
        let [first, _, last] = lines;
        let amplitudes = vec![vec![0.0; last.saturating_sub(first)]; KEPT];
        Self { lines, amplitudes, lengths: [[0.0; REGIONS]; KEPT], frames: 0 }
    }

    /// Takes the powers of the lines of the next frame, to be multiplied with `scale`. Returns the
    /// cosines between the amplitudes of this frame and of earlier ones, or of the first.
    pub(super) fn push(&mut self, powers: &[f32], scale: f32) -> [f32; RESEMBLANCES] {
        let (first, slot) = (self.lines[0], self.frames % KEPT);
        for (amplitude, power) in self.amplitudes[slot].iter_mut().zip(&powers[first..]) {
            *amplitude = (power * scale + LEAST_POWER).sqrt();
        }
        let region = |region: usize| self.lines[region] - first..self.lines[region + 1] - first;
        let now = &self.amplitudes[slot];
        self.lengths[slot] = std::array::from_fn(|r| dot(&now[region(r)], &now[region(r)]).sqrt());
        let resemblances = std::array::from_fn(|at| {
            let (lag, r) = (LAGS[at / REGIONS], at % REGIONS);
            let then = self.frames.saturating_sub(lag) % KEPT;
            let lengths = self.lengths[slot][r] * self.lengths[then][r];
            // At low rates a region may have no line.
            dot(&now[region(r)], &self.amplitudes[then][region(r)]) / lengths.max(1e-30)
        });
        self.frames += 1;
        resemblances
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_spectrum_resembles_itself_and_another_does_not() {
        let mut texture = Texture::new([1, 3, 5]);
        let low = [9.0, 1.0, 0.0, 4.0, 0.0];
        let high = [9.0, 0.0, 1.0, 4.0, 0.0];
        for _ in 0..10 {
            let found = texture.push(&low, 0.5);
            assert!(found.iter().all(|cosine| (cosine - 1.0).abs() < 1e-5), "{found:?}");
        }
        let found = texture.push(&high, 0.5);
        assert!(found[0] < 1e-5 && found[2] < 1e-5, "{found:?}");
        assert!((found[1] - 1.0).abs() < 1e-5 && (found[3] - 1.0).abs() < 1e-5, "{found:?}");
    }

    #[test]
    fn a_region_without_lines_resembles_nothing() {
        assert_eq!(Texture::new([1, 3, 3]).push(&[1.0; 3], 1.0)[1], 0.0);
    }
}
