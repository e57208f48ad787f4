//! The power of each 10 ms, without a look at frequencies. The size of the pieces does not change it.

use std::ops::Range;

use num_traits::ToPrimitive;

use super::features::{BANDS, FRAMES_PER_SECOND, Frame};
use crate::builtin::samples::Planes;

/// Cuts a stream into frames of 10 ms.
pub(super) struct Blocks {
    rate_hz: u32,
    /// Samples of the frame that is not complete yet, per channel.
    rest: Vec<Vec<f32>>,
    /// Samples per channel before the next frame.
    begin: u64,
    frames: u64,
}

impl Blocks {
    pub(super) fn new(rate_hz: u32, channels: usize) -> Self {
        Self { rate_hz, rest: vec![Vec::new(); channels], begin: 0, frames: 0 }
    }

    /// Takes a piece and appends the frames that it completes.
    pub(super) fn push(&mut self, piece: &Planes<'_>, out: &mut Vec<Frame>) {
        let mut at = 0;
        loop {
            let end = (self.frames + 1) * u64::from(self.rate_hz) / FRAMES_PER_SECOND;
            let length = (end - self.begin).to_usize().unwrap_or(usize::MAX);
            let held = self.rest.first().map_or(0, Vec::len);
            let next = at + (length - held);
            if next > piece.samples {
                break;
            }
            if held == 0 {
                let power = |plane: &[f32]| mean_square(&plane[at..next]);
                out.push(self.frame(piece.iter().map(power).sum()));
            } else {
                self.keep(piece, at..next);
                self.finish(out);
            }
            at = next;
            self.begin = end;
            self.frames += 1;
        }
        self.keep(piece, at..piece.samples);
    }

    /// Appends the last frame, which may be shorter than 10 ms.
    pub(super) fn finish(&mut self, out: &mut Vec<Frame>) {
        if self.rest.iter().any(|rest| !rest.is_empty()) {
            out.push(self.frame(self.rest.iter().map(|rest| mean_square(rest)).sum()));
            self.rest.iter_mut().for_each(Vec::clear);
        }
    }

    fn keep(&mut self, piece: &Planes<'_>, samples: Range<usize>) {
        for (rest, plane) in self.rest.iter_mut().zip(piece.iter()) {
            rest.extend_from_slice(&plane[samples.clone()]);
        }
    }

    fn frame(&self, power_sum: f32) -> Frame {
        let block = power_sum / self.rest.len().max(1).to_f32().unwrap_or(1.0);
        Frame { bands: [0.0; BANDS], resemblances: Default::default(), is_tone: false, block }
    }
}

/// The mean of the squares of samples.
pub(super) fn mean_square(samples: &[f32]) -> f32 {
    dot(samples, samples) / samples.len().max(1).to_f32().unwrap_or(1.0)
}

/// The sum of the products of two slices of one length, in sixteen sums side by side, which the compiler
/// makes vectors of.
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
