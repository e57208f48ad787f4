//! The power of each 10 ms, without a look at frequencies. The size of the pieces does not change it.

use num_traits::ToPrimitive;

use super::features::{BANDS, FRAMES_PER_SECOND, Frame};
use crate::builtin::samples::Planes;

/// Cuts a stream into frames of 10 ms.
pub(super) struct Blocks {
    rate_hz: u32,
    /// Samples of the frame that is not complete yet, per channel.
    rest: Vec<Vec<f32>>,
    /// Samples per channel before `rest`.
    begin: u64,
    frames: u64,
}

impl Blocks {
    pub(super) fn new(rate_hz: u32, channels: usize) -> Self {
        Self { rate_hz, rest: vec![Vec::new(); channels], begin: 0, frames: 0 }
    }

    /// Takes a piece and appends the frames that it completes.
    pub(super) fn push(&mut self, piece: &Planes<'_>, out: &mut Vec<Frame>) {
        for (rest, plane) in self.rest.iter_mut().zip(piece.iter()) {
            rest.extend_from_slice(plane);
        }
        let mut at = 0;
        let held = self.rest.first().map_or(0, Vec::len);
        loop {
            let end = (self.frames + 1) * u64::from(self.rate_hz) / FRAMES_PER_SECOND;
            let length = (end - self.begin).to_usize().unwrap_or(usize::MAX);
            if held - at < length {
                break;
            }
            out.push(self.frame(at, length));
            at += length;
            self.begin = end;
            self.frames += 1;
        }
        for rest in &mut self.rest {
            rest.drain(..at);
        }
    }

    /// Appends the last frame, which may be shorter than 10 ms.
    pub(super) fn finish(&mut self, out: &mut Vec<Frame>) {
        let held = self.rest.first().map_or(0, Vec::len);
        if held > 0 {
            out.push(self.frame(0, held));
        }
    }

    fn frame(&self, at: usize, length: usize) -> Frame {
        let power = |plane: &Vec<f32>| mean_square(&plane[at..at + length]);
        let sum: f32 = self.rest.iter().map(power).sum();
        let block = sum / self.rest.len().max(1).to_f32().unwrap_or(1.0);
        Frame { bands: [0.0; BANDS], resemblances: Default::default(), is_tone: false, block }
    }
}

/// The mean of the squares of samples.
pub(super) fn mean_square(samples: &[f32]) -> f32 {
    sum_of(samples, |sample| sample * sample) / samples.len().max(1).to_f32().unwrap_or(1.0)
}

pub(super) fn sum(samples: &[f32]) -> f32 {
    sum_of(samples, |sample| sample)
}

/// The sum of the products of two slices of one length.
#[inline]
pub(super) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let ((left, left_rest), (right, right_rest)) =
        (left.as_chunks::<16>(), right.as_chunks::<16>());
    let mut sums = [0.0_f32; 16];
    for (left, right) in left.iter().zip(right) {
        for (sum, (a, b)) in sums.iter_mut().zip(left.iter().zip(right)) {
            *sum += a * b;
        }
    }
    let rest = left_rest.iter().zip(right_rest).map(|(a, b)| a * b);
    sums.iter().sum::<f32>() + rest.sum::<f32>()
}

/// In sixteen sums side by side, which the compiler makes vectors of.
#[inline]
fn sum_of(samples: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = samples.as_chunks::<16>();
    let mut sums = [0.0_f32; 16];
    for chunk in chunks {
        for (sum, sample) in sums.iter_mut().zip(chunk) {
            *sum += term(*sample);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|sample| term(*sample)).sum::<f32>()
}
