//! The value of a rank among many, found by counting, with all lanes of the processor's vectors.

use pulp::{Simd, WithSimd};

use crate::lanes;

/// Distances in bits from the first guess to the next ones: 1/16 and 1/4 of the number.
const NEAR: [u32; 2] = [1 << 19, 1 << 21];
/// From this guess on each one halves what is left: among equal values the counts say nothing.
const HALVED_FROM: usize = 12;

/// The value that has `rank` others before it when they are in order. Values are positive or 0, and there
/// are more than `rank`. Where it is about `near`, less is counted.
pub(super) fn nth(values: &[f32], rank: usize, near: f32) -> f32 {
    lanes::with_vectors(Search { values, rank, near })
}

/// One call of [`nth`]. A closure would be compiled without the processor's vectors.
struct Search<'a> {
    values: &'a [f32],
    rank: usize,
    near: f32,
}

impl WithSimd for Search<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        // The bits of positive numbers are in the order of the numbers.
        let bits = bytemuck::cast_slice(self.values);
        f32::from_bits(by_counting(bits, self.rank, self.near.to_bits()))
    }
}

#[inline(always)]
fn by_counting(values: &[u32], rank: usize, near: u32) -> u32 {
    // What is sought is not below `low`, and below `high`, as are so many values.
    let (mut low, mut high) = (0, f32::INFINITY.to_bits() + 1);
    let (mut below_low, mut below_high) = (0, values.len());
    let mut guesses = 0;
    while high - low > 1 {
        let guess = match guesses {
            0 => near,
            // Towards the side of the first guess on which it is.
            1 | 2 if low == 0 => high.saturating_sub(NEAR[guesses - 1]),
            1 | 2 if below_high == values.len() => low.saturating_add(NEAR[guesses - 1]),
            HALVED_FROM.. => low + (high - low) / 2,
            _ => low + share(high - low, 2 * (rank - below_low) + 1, 2 * (below_high - below_low)),
        };
        let guess = guess.clamp(low + 1, high - 1);
        guesses += 1;
        match below(values, guess) {
            below if below == rank => return least_from(values, guess),
            below if below == rank + 1 => return greatest_below(values, guess),
            below if below < rank => (low, below_low) = (guess, below),
            below => (high, below_high) = (guess, below),
        }
    }
    low
}

/// So many `part` of `whole` of a distance.
#[inline(always)]
fn share(distance: u32, part: usize, whole: usize) -> u32 {
    let share = u64::from(distance) * part as u64 / (whole as u64).max(1);
    u32::try_from(share).unwrap_or(distance)
}

#[inline(always)]
fn below(values: &[u32], bound: u32) -> usize {
    let count: u32 = values.iter().map(|value| u32::from(*value < bound)).sum();
    count as usize
}

/// The least value that is not below a bound.
#[inline(always)]
fn least_from(values: &[u32], bound: u32) -> u32 {
    // What is below the bound becomes larger than all others.
    bound
        + values.iter().fold(u32::MAX - bound, |least, value| least.min(value.wrapping_sub(bound)))
}

/// The greatest value below a bound.
#[inline(always)]
fn greatest_below(values: &[u32], bound: u32) -> u32 {
    let last = bound - 1;
    last - values.iter().fold(last, |least, value| least.min(last.wrapping_sub(*value)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_that_of_the_values_in_order(
            values in prop::collection::vec(
                prop_oneof![0.0..1.0_f32, Just(0.0), Just(0.25), 0.0..f32::MAX, Just(1e-40)],
                1..200,
            ),
            share in 0.0..1.0_f64,
            near in prop_oneof![0.0..1.0_f32, Just(f32::MAX)],
        ) {
            let rank = ((values.len() - 1) as f64 * share).floor();
            let rank = num_traits::ToPrimitive::to_usize(&rank).unwrap();
            let mut sorted = values.clone();
            sorted.sort_unstable_by(f32::total_cmp);
            prop_assert_eq!(nth(&values, rank, near), sorted[rank]);
        }
    }
}
