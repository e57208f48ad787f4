//! The value of a rank among many, found by counting, with all lanes of the processor's vectors.

use pulp::{Simd, WithSimd};

use crate::lanes;

/// So many values are left to a search one by one.
const FEW: usize = 16;
/// Distance in bits to the first guesses: a quarter of the number.
const NEAR: u32 = 1 << 21;
/// Values that are looked at together.
const CHUNK: usize = 16;

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
        by_counting(self.values, self.rank, self.near)
    }
}

/// The bits of positive numbers are in the order of the numbers.
#[inline(always)]
fn by_counting(values: &[f32], rank: usize, near: f32) -> f32 {
    // What is sought is not below `low`, and below `high`, as are so many values.
    let (mut low, mut high) = (0, f32::INFINITY.to_bits() + 1);
    let (mut below_low, mut below_high) = (0, values.len());
    let near = near.to_bits();
    let mut guesses = [near.saturating_sub(NEAR), near.saturating_add(NEAR)].into_iter();
    while below_high - below_low > FEW && high - low > 1 {
        let guess = guesses.next().filter(|guess| (low + 1..high).contains(guess));
        let middle = guess.unwrap_or(low + (high - low) / 2);
        let below = below(values, f32::from_bits(middle));
        if below <= rank {
            (low, below_low) = (middle, below);
        } else {
            (high, below_high) = (middle, below);
        }
    }
    if high - low == 1 {
        return f32::from_bits(low);
    }
    let (mut few, mut count) = ([0.0; FEW], 0);
    let is_within = |value: f32| (low..high).contains(&value.to_bits());
    for chunk in values.chunks(CHUNK) {
        if chunk.iter().fold(false, |any, value| any | is_within(*value)) {
            for value in chunk.iter().filter(|value| is_within(**value)).take(FEW - count) {
                few[count] = *value;
                count += 1;
            }
        }
    }
    let few = &mut few[..count];
    few.sort_unstable_by(f32::total_cmp);
    few.get(rank - below_low).copied().unwrap_or(0.0)
}

#[inline(always)]
fn below(values: &[f32], bound: f32) -> usize {
    let count: u32 = values.iter().map(|value| u32::from(*value < bound)).sum();
    count as usize
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
