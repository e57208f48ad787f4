//! Changes the sample rate of one stream: `resampler/design.rs` makes the filter. Where the ratio of the
//! rates allows it, `resampler/blocks.rs` filters blocks by Fourier transforms (`resampler/wide.rs`,
//! `resampler/fft.rs`); otherwise each output is a sum over the input around its time, with rows of `resampler/bank.rs` and sums of
//! `resampler/kernel.rs`. `resampler/filter.rs` chooses.
//!
//! Before the start and after the end of the input there are zeros. Blocks begin at fixed places of the
//! stream, so pieces of any size give the same samples as one piece. The filter delays nothing, and `n`
//! samples become exactly `round(n * to / from)`. An output is made as soon as its block is there. Times
//! are counted in whole numbers, so a stream of any length does not drift.

mod bank;
mod blocks;
mod design;
mod fft;
mod filter;
mod kernel;
#[cfg(test)]
mod tests;
mod wide;

use filter::Engine;

pub(crate) use filter::Quality;

/// A resampler and the input that it still needs, for one channel or more.
#[derive(Debug)]
pub(crate) struct Resampler {
    from_hz: u32,
    to_hz: u32,
    engine: Box<dyn Engine>,
    /// Input from the first sample on that an output still needs, per channel; before the start of
    /// the stream it is zeros.
    recent: Vec<Vec<f32>>,
    place: NextOutput,
    /// Samples per channel since the stream began: `taken` as input, `given` as output.
    taken: u64,
    given: u64,
}

impl Resampler {
    /// A resampler at the start of a stream.
    pub(crate) fn new(from_hz: u32, to_hz: u32, channels: usize, quality: Quality) -> Self {
        let mut new = Self {
            from_hz,
            to_hz,
            recent: vec![Vec::new(); channels],
            engine: filter::engine(from_hz, to_hz, quality),
            place: NextOutput::default(),
            taken: 0,
            given: 0,
        };
        new.reset();
        new
    }

    pub(crate) fn input_hz(&self) -> u32 {
        self.from_hz
    }

    pub(crate) fn channels(&self) -> usize {
        self.recent.len()
    }

    /// Begins a new stream.
    pub(crate) fn reset(&mut self) {
        let before = self.engine.before();
        for recent in &mut self.recent {
            recent.clear();
            recent.resize(before, 0.0);
        }
        (self.place, self.taken, self.given) = (NextOutput::default(), 0, 0);
    }

    /// Takes a piece of the stream, one slice per channel, and appends what is ready to `out`.
    pub(crate) fn push<'a>(
        &mut self,
        piece: impl Iterator<Item = &'a [f32]>,
        out: &mut [Vec<f32>],
    ) {
        let mut moved = None;
        for (recent, (plane, out)) in self.recent.iter_mut().zip(piece.zip(out)) {
            let begin = out.len();
            let place = convert(self.engine.as_mut(), recent, plane, self.place, out);
            moved = Some((place, plane.len(), out.len() - begin));
        }
        // All channels move alike.
        if let Some((place, taken, given)) = moved {
            self.place = place;
            self.taken += taken as u64;
            self.given += given as u64;
        }
    }

    /// Appends the rest of the stream to `out` and begins a new stream.
    pub(crate) fn finish(&mut self, out: &mut [Vec<f32>]) {
        let total = output_samples(self.taken, self.from_hz, self.to_hz);
        let missing = usize::try_from(total - self.given).unwrap_or(usize::MAX);
        for (recent, out) in self.recent.iter_mut().zip(out) {
            recent.resize(recent.len() + self.engine.after(), 0.0);
            self.engine.run(recent, self.place, missing, out);
        }
        self.reset();
    }
}

/// Takes a piece of one channel, and appends what is ready to `out`. Returns where the next output lies.
fn convert(
    engine: &mut dyn Engine,
    recent: &mut Vec<f32>,
    piece: &[f32],
    place: NextOutput,
    out: &mut Vec<f32>,
) -> NextOutput {
    let before = recent.len();
    let head = &piece[..piece.len().min(engine.taken())];
    recent.extend_from_slice(head);
    let mut place = engine.run(recent, place, usize::MAX, out);
    if head.len() == piece.len() {
        let unneeded = place.next.min(recent.len());
        recent.drain(..unneeded);
        place.next -= unneeded;
        return place;
    }
    // Every output that needs input from before the piece is made, so the rest of it need not be copied.
    let skipped = place.next.saturating_sub(before).min(piece.len());
    let rest = &piece[skipped..];
    place.next -= before + skipped;
    place = engine.run(rest, place, usize::MAX, out);
    let unneeded = place.next.min(rest.len());
    recent.clear();
    recent.extend_from_slice(&rest[unneeded..]);
    place.next -= unneeded;
    place
}

/// Where the next output lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct NextOutput {
    /// Index in `recent` at which its window begins.
    next: usize,
    /// The rest of its time after that of the window, in parts of an input sample of which the output's
    /// rate has as many; always 0 for blocks.
    phase: u32,
}

/// Length of the output for `samples` of input, rounded to the nearest integer, halves up.
pub(crate) fn output_samples(samples: u64, from_hz: u32, to_hz: u32) -> u64 {
    let (from_hz, to_hz) = (u128::from(from_hz), u128::from(to_hz));
    let rounded = (u128::from(samples) * to_hz * 2 + from_hz) / (from_hz * 2);
    u64::try_from(rounded).unwrap_or(u64::MAX)
}
