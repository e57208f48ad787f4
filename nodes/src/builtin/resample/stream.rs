//! Resamples one stream with rubato's FFT resampler. It takes pieces of any size, works on blocks
//! of a fixed size, removes the filter's delay, and returns exactly `round(n * to / from)` samples
//! in total.
//!
//! Whole recordings and streams go through the same blocks, so they give the same samples.

use num_traits::ToPrimitive;
use rubato::audioadapter_buffers::direct::SequentialSliceOfVecs;
use rubato::{Fft, FixedSync, Indexing, Resampler, WindowFunction};

use crate::builtin::samples::Planes;
use crate::error::{NodeError, NodeErrorKind};

/// Length of the anti-aliasing filter. A longer filter has a narrower transition band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quality {
    Low,
    Medium,
    High,
}

impl Quality {
    /// Length of the filter in samples at the lower of the two rates.
    fn filter_samples(self) -> u32 {
        match self {
            Self::Low => 64,
            Self::Medium => 256,
            Self::High => 1024,
        }
    }
}

/// The most samples of one block, before and after, of all channels: 64 MiB of float32. Rates with a
/// small common divisor need blocks of seconds (44,101 Hz to 48,000 Hz takes two seconds a channel).
const MAX_BLOCK_SAMPLES: u64 = 1 << 24;

/// A resampler and the samples on their way through it, for one channel or more.
pub(super) struct Stream {
    from_hz: u32,
    to_hz: u32,
    channels: usize,
    fft: Fft<f32>,
    block_in: usize,
    block_out: usize,
    /// Input that does not fill a block yet, per channel.
    pending: Vec<Vec<f32>>,
    /// Output samples that still have to be dropped because of the filter's delay.
    to_skip: usize,
    /// Samples per channel since the stream began: `taken` as input, `given` as output.
    taken: u64,
    given: u64,
}

impl Stream {
    pub(super) fn new(
        from_hz: u32,
        to_hz: u32,
        channels: usize,
        quality: Quality,
    ) -> Result<Self, NodeError> {
        let failed = |reason: String| NodeErrorKind::Resample { from_hz, to_hz, reason };
        let usize_of = |n: u32| n.to_usize().ok_or_else(|| failed("out of range".to_owned()));
        let divisor = gcd(from_hz, to_hz);
        let (ratio_in, ratio_out) = (from_hz / divisor, to_hz / divisor);
        // An even number of ratio periods puts the filter's centre on a sample at both rates, so
        // that the delay is a whole number of output samples.
        let periods = quality.filter_samples().div_ceil(ratio_in.min(ratio_out));
        let periods = periods.next_multiple_of(2);
        let block = u64::from(periods) * (u64::from(ratio_in) + u64::from(ratio_out));
        let samples = block.saturating_mul(channels as u64);
        if samples > MAX_BLOCK_SAMPLES {
            let limit = MAX_BLOCK_SAMPLES;
            return Err(
                NodeErrorKind::BlockTooLarge { from_hz, to_hz, channels, samples, limit }.into()
            );
        }
        let fft = Fft::new_custom(
            usize_of(from_hz)?,
            usize_of(to_hz)?,
            usize_of(periods)? * usize_of(ratio_in)?,
            1,
            channels,
            WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        );
        let fft = fft.map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            from_hz,
            to_hz,
            channels,
            block_in: fft.input_frames_next(),
            block_out: fft.output_frames_next(),
            to_skip: fft.output_delay(),
            fft,
            pending: vec![Vec::new(); channels],
            taken: 0,
            given: 0,
        })
    }

    pub(super) fn input_hz(&self) -> u32 {
        self.from_hz
    }

    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// Takes a piece of the stream and appends the finished output to `out`, one vector per
    /// channel.
    pub(super) fn push(
        &mut self,
        piece: &Planes<'_>,
        out: &mut [Vec<f32>],
    ) -> Result<(), NodeError> {
        for (pending, plane) in self.pending.iter_mut().zip(piece.iter()) {
            pending.extend_from_slice(plane);
        }
        self.taken += piece.samples as u64;
        self.run_blocks(out)
    }

    /// Appends the rest of the stream to `out` and begins a new stream.
    pub(super) fn finish(&mut self, out: &mut [Vec<f32>]) -> Result<(), NodeError> {
        let total = output_samples(self.taken, self.from_hz, self.to_hz);
        let finished = self.finish_to(total, out);
        self.fft.reset();
        self.to_skip = self.fft.output_delay();
        self.pending.iter_mut().for_each(Vec::clear);
        self.taken = 0;
        self.given = 0;
        finished
    }

    fn finish_to(&mut self, total: u64, out: &mut [Vec<f32>]) -> Result<(), NodeError> {
        while self.given < total {
            for pending in &mut self.pending {
                pending.resize(self.block_in, 0.0);
            }
            self.run_blocks(out)?;
        }
        let surplus = usize::try_from(self.given.saturating_sub(total)).unwrap_or(usize::MAX);
        for plane in out {
            plane.truncate(plane.len().saturating_sub(surplus));
        }
        Ok(())
    }

    /// Resamples every full block of the pending input.
    fn run_blocks(&mut self, out: &mut [Vec<f32>]) -> Result<(), NodeError> {
        let (from_hz, to_hz) = (self.from_hz, self.to_hz);
        let failed = |reason: String| NodeErrorKind::Resample { from_hz, to_hz, reason };
        let pending_samples = self.pending.first().map_or(0, Vec::len);
        let blocks = pending_samples / self.block_in;
        if blocks == 0 {
            return Ok(());
        }
        let begin = out.first().map_or(0, Vec::len);
        let end = begin + blocks * self.block_out;
        for plane in out.iter_mut() {
            plane.resize(end, 0.0);
        }
        let input = SequentialSliceOfVecs::new(&self.pending, self.channels, pending_samples)
            .map_err(|error| failed(error.to_string()))?;
        let mut output = SequentialSliceOfVecs::new_mut(out, self.channels, end)
            .map_err(|error| failed(error.to_string()))?;
        for block in 0..blocks {
            let at = Indexing::new()
                .input_offset(block * self.block_in)
                .output_offset(begin + block * self.block_out);
            self.fft
                .process_into_buffer(&input, &mut output, Some(&at))
                .map_err(|error| failed(error.to_string()))?;
        }
        let skipped = self.to_skip.min(blocks * self.block_out);
        self.to_skip -= skipped;
        for plane in out {
            plane.drain(begin..begin + skipped);
        }
        for pending in &mut self.pending {
            pending.drain(..blocks * self.block_in);
        }
        self.given += (blocks * self.block_out - skipped) as u64;
        Ok(())
    }
}

/// Length of the output for `samples` of input, rounded to the nearest integer, halves up.
pub(super) fn output_samples(samples: u64, from_hz: u32, to_hz: u32) -> u64 {
    let (from_hz, to_hz) = (u128::from(from_hz), u128::from(to_hz));
    let rounded = (u128::from(samples) * to_hz * 2 + from_hz) / (from_hz * 2);
    u64::try_from(rounded).unwrap_or(u64::MAX)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
