//! Values of the frames of a stream, of which the earliest may have been dropped, and means of
//! them. What a mean is does not depend on when values came or were dropped.

use num_traits::ToPrimitive;

/// How many frames may be kept beyond those needed. Dropping moves the rest, so it is not done for
/// every frame; what is kept is copied whenever a stream is asked what it would find by now.
const SLACK: usize = 200;

/// Values of frames.
#[derive(Debug, Clone)]
pub(super) struct Series<T> {
    items: Vec<T>,
    first: usize,
}

impl<T> Default for Series<T> {
    fn default() -> Self {
        Self { items: Vec::new(), first: 0 }
    }
}

impl<T: Copy> Series<T> {
    /// Number of frames so far.
    pub(super) fn len(&self) -> usize {
        self.first + self.items.len()
    }

    pub(super) fn push(&mut self, item: T) {
        self.items.push(item);
    }

    /// The value of a frame, or of the nearest one there is.
    pub(super) fn near(&self, frame: usize) -> T {
        self.items[frame.clamp(self.first, self.len() - 1) - self.first]
    }

    /// Frames from `reach` before to `reach` after, as far as they exist.
    pub(super) fn around(&self, frame: usize, reach: usize) -> &[T] {
        self.between(frame.saturating_sub(reach), frame + reach + 1)
    }

    pub(super) fn between(&self, from: usize, to: usize) -> &[T] {
        let index = |frame: usize| frame.clamp(self.first, self.len()) - self.first;
        &self.items[index(from)..index(to)]
    }

    pub(super) fn forget(&mut self, before: usize) {
        let unneeded = before.saturating_sub(self.first).min(self.items.len());
        if unneeded > SLACK {
            self.items.drain(..unneeded);
            self.first += unneeded;
        }
    }
}

/// Sums from the start of the stream, whose differences give means in a few steps.
#[derive(Debug, Clone)]
pub(super) struct Sums<const N: usize> {
    /// The sum of all values before each frame.
    before: Series<[f64; N]>,
    total: [f64; N],
}

impl<const N: usize> Default for Sums<N> {
    fn default() -> Self {
        let mut before = Series::default();
        before.push([0.0; N]);
        Self { before, total: [0.0; N] }
    }
}

impl<const N: usize> Sums<N> {
    /// Number of frames so far.
    pub(super) fn len(&self) -> usize {
        self.before.len() - 1
    }

    pub(super) fn push(&mut self, values: &[f32; N]) {
        for (total, value) in self.total.iter_mut().zip(values) {
            *total += f64::from(*value);
        }
        self.before.push(self.total);
    }

    /// The means from `reach` frames before to `reach` after, as far as they exist.
    pub(super) fn mean(&self, frame: usize, reach: usize) -> [f32; N] {
        self.mean_between(frame.saturating_sub(reach), frame + reach + 1)
    }

    /// The means of the frames from `from` to before `to`, as far as they exist.
    pub(super) fn mean_between(&self, from: usize, to: usize) -> [f32; N] {
        let to = to.min(self.len());
        let (low, high) = (self.before.near(from), self.before.near(to));
        let share = 1.0 / to.saturating_sub(from).max(1) as f64;
        std::array::from_fn(|n| ((high[n] - low[n]) * share).to_f32().unwrap_or_default())
    }

    pub(super) fn forget(&mut self, before: usize) {
        self.before.forget(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_end_where_the_stream_ends() {
        let mut sums = Sums::default();
        for value in [1.0, 2.0, 6.0, 7.0] {
            sums.push(&[value, -value]);
        }
        assert_eq!(sums.mean(0, 1), [1.5, -1.5]);
        assert_eq!(sums.mean(2, 1), [5.0, -5.0]);
        assert_eq!(sums.mean(3, 9), [4.0, -4.0]);
    }

    #[test]
    fn means_stay_when_earlier_frames_are_dropped() {
        let mut sums = Sums::default();
        for value in 0..3_000_u16 {
            sums.push(&[f32::from(value)]);
        }
        let before = sums.mean(2_500, 100);
        sums.forget(2_400);
        assert_eq!((sums.mean(2_500, 100), sums.len()), (before, 3_000));
    }
}
