//! Measures frames for the detector: every 10 ms the power in five bands of speech, through a
//! window (`vad/spectra.rs`), and the plain power of those 10 ms. The size of the pieces does not change
//! the frames.

use num_traits::ToPrimitive;

use super::blocks::mean_square;
pub(super) use super::spectra::BANDS;
use super::spectra::{Spectra, Spectrum};
use super::texture::{RESEMBLANCES, Texture};
use crate::builtin::audio_item;
use crate::builtin::samples::Planes;
use crate::lanes::{self, MOST_LANES};

/// Frames per second.
pub(super) const FRAMES_PER_SECOND: u64 = 100;
/// Time from one frame to the next, in ms.
pub(super) const HOP_MS: u32 = 10;

/// One frame. Powers are mean squares, averaged over the channels; a constant at full scale has
/// 1.0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frame {
    /// Power in each band, through the window.
    pub(super) bands: [f32; BANDS],
    /// Whether the frame is a tone.
    pub(super) is_tone: bool,
    /// How much the spectrum resembles earlier ones, where the analyzer looks at its texture.
    pub(super) resemblances: [f32; RESEMBLANCES],
    /// Power of the frame's own 10 ms at all frequencies, without a window.
    pub(super) block: f32,
}

/// Cuts a stream into frames.
pub(super) struct Analyzer {
    rate_hz: u32,
    spectra: Spectra,
    texture: Option<Texture>,
    /// The spectrum of one frame, for `texture`.
    powers: Vec<f32>,
    /// Frames that are measured at once.
    together: usize,
    /// Frames that are measured at least, before the end of the stream.
    least: usize,
    /// Samples from place `begin` on, per channel. Places count from half of a window before the start
    /// of the stream, where there is silence.
    recent: Vec<Vec<f32>>,
    begin: u64,
    /// Samples per channel so far.
    taken: u64,
    /// Number of frames completed so far.
    frames: u64,
    are_sound: bool,
}

impl Analyzer {
    pub(super) fn new(rate_hz: u32, channels: usize, window_ms: u32) -> Self {
        let spectra = Spectra::new(rate_hz, channels, window_ms);
        Self {
            rate_hz,
            together: lanes::lane_count(),
            least: 1,
            recent: vec![vec![0.0; spectra.window_samples() / 2]; channels],
            texture: None,
            powers: Vec::new(),
            spectra,
            begin: 0,
            taken: 0,
            frames: 0,
            are_sound: true,
        }
    }

    /// Makes it measure the texture of each frame as well.
    pub(super) fn with_texture(mut self) -> Self {
        self.texture = Some(Texture::new(self.spectra.regions()));
        self
    }

    /// Makes it wait for so many frames: a few take as long as many.
    pub(super) fn waiting_for(self, least: usize) -> Self {
        Self { least: least.max(1), ..self }
    }

    pub(super) fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    pub(super) fn channels(&self) -> usize {
        self.recent.len()
    }

    /// Whether all samples so far were ones that sound has. If not, no frame says anything.
    pub(super) fn are_sound(&self) -> bool {
        self.are_sound
    }

    /// Samples per channel so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes a piece and appends the frames that it completes; none of them when these and those before are
    /// too few.
    pub(super) fn push(&mut self, piece: &Planes<'_>, out: &mut Vec<Frame>) {
        let batch = self.least.next_multiple_of(self.together) as u64;
        let (mut at, mut has_measured) = (0, false);
        while at < piece.samples {
            // No more than the next frames need, so that these samples are still in the cache.
            let end = self.end(self.frames + batch - 1);
            let wanted = end.saturating_sub(self.taken).to_usize().unwrap_or(usize::MAX);
            let next = at.saturating_add(wanted.max(1)).min(piece.samples);
            for (recent, plane) in self.recent.iter_mut().zip(piece.iter()) {
                self.are_sound &= audio_item::are_sound(&plane[at..next]);
                recent.extend_from_slice(&plane[at..next]);
            }
            self.taken += (next - at) as u64;
            at = next;
            if end <= self.taken {
                self.measure(Self::is_complete, out);
                has_measured = true;
            }
        }
        if has_measured || self.is_complete(self.frames + self.least as u64 - 1) {
            self.measure(Self::is_complete, out);
        }
    }

    /// Appends the frames up to the end of the stream; the last may be shorter than 10 ms.
    pub(super) fn finish(&mut self, out: &mut Vec<Frame>) {
        self.measure(|analyzer, frame| analyzer.start(frame) < analyzer.taken, out);
    }

    /// First sample of a frame.
    fn start(&self, frame: u64) -> u64 {
        frame * u64::from(self.rate_hz) / FRAMES_PER_SECOND
    }

    /// Sample in the middle of a frame, and the place at which its window begins.
    fn middle(&self, frame: u64) -> u64 {
        (2 * frame + 1) * u64::from(self.rate_hz) / (2 * FRAMES_PER_SECOND)
    }

    /// Samples that a frame and its window need.
    fn end(&self, frame: u64) -> u64 {
        (self.middle(frame) + self.half() + 1).max(self.start(frame + 1))
    }

    fn is_complete(&self, frame: u64) -> bool {
        self.end(frame) <= self.taken
    }

    fn half(&self) -> u64 {
        (self.spectra.window_samples() / 2) as u64
    }

    /// Appends the next frames, as long as they are complete.
    fn measure(&mut self, is_complete: impl Fn(&Self, u64) -> bool, out: &mut Vec<Frame>) {
        loop {
            let (mut places, mut count) = ([0; MOST_LANES], 0);
            while count < self.together && is_complete(self, self.frames + count as u64) {
                places[count] = self.index(self.middle(self.frames + count as u64));
                count += 1;
            }
            if count == 0 {
                return;
            }
            let spectra = self.spectra.of(&self.recent, &places[..count]);
            for (lane, spectrum) in spectra[..count].iter().enumerate() {
                let block = self.block(self.frames);
                let resemblances = self.resemblances(lane);
                let &Spectrum { bands, is_tone } = spectrum;
                out.push(Frame { bands, is_tone, resemblances, block });
                self.frames += 1;
            }
            self.forget();
        }
    }

    /// Those of the next frame, which was measured in this lane.
    fn resemblances(&mut self, lane: usize) -> [f32; RESEMBLANCES] {
        let Some(texture) = &mut self.texture else { return Default::default() };
        let scale = self.spectra.powers(lane, &mut self.powers);
        texture.push(&self.powers, scale)
    }

    /// Where in `recent` a place lies.
    fn index(&self, place: u64) -> usize {
        place.saturating_sub(self.begin).to_usize().unwrap_or(0)
    }

    /// Power of a frame's own 10 ms.
    fn block(&self, frame: u64) -> f32 {
        let place = |frame| self.index(self.start(frame) + self.half());
        let (start, end) = (place(frame), place(frame + 1));
        let power = |recent: &Vec<f32>| {
            mean_square(&recent[start.min(recent.len())..end.min(recent.len())])
        };
        let sum: f32 = self.recent.iter().map(power).sum();
        sum / self.recent.len().max(1) as f32
    }

    /// Drops samples that no later frame needs.
    fn forget(&mut self) {
        let needed = self.middle(self.frames).min(self.start(self.frames) + self.half());
        let unneeded = needed.saturating_sub(self.begin).to_usize().unwrap_or(0);
        // Moving the remaining samples to the front takes time, so it is not done for every piece.
        if unneeded > 4 * self.spectra.window_samples() {
            for recent in &mut self.recent {
                recent.drain(..unneeded.min(recent.len()));
            }
            self.begin = needed;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::builtin::samples;

    fn frames(planes: &[Vec<f32>], mut analyzer: Analyzer, sizes: &[usize]) -> Vec<Frame> {
        let (mut found, mut begin, length) = (Vec::new(), 0, planes[0].len());
        let mut sizes = sizes.iter().cycle();
        while begin < length {
            let end = length.min(begin + sizes.next().unwrap());
            let piece = planes.iter().map(|plane| plane[begin..end].to_vec()).collect();
            let array = samples::planar_array(piece);
            analyzer.push(&Planes::of(&array).unwrap(), &mut found);
            begin = end;
        }
        analyzer.finish(&mut found);
        found
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_give_the_same_frames(
            seed: u64,
            length in 1_usize..20_000,
            sizes in prop::collection::vec(1_usize..5_000, 1..6),
            rate_hz in prop_oneof![Just(8_000_u32), Just(16_000), Just(22_050), 1_000..48_000_u32],
            window_ms in 10_u32..100,
            channels in 1_usize..3,
            least in 1_usize..20,
        ) {
            let mut random = fastrand::Rng::with_seed(seed);
            let planes: Vec<Vec<f32>> =
                (0..channels).map(|_| (0..length).map(|_| random.f32() - 0.5).collect()).collect();
            let analyzer = || Analyzer::new(rate_hz, channels, window_ms);
            let whole = frames(&planes, analyzer(), &[length]);
            prop_assert_eq!(&frames(&planes, analyzer(), &sizes), &whole);
            prop_assert_eq!(frames(&planes, analyzer().waiting_for(least), &sizes), whole);
        }
    }
}
