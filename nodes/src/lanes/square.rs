//! As many vectors as they have lanes, turned over: what was one vector becomes one lane of all.

use pulp::Simd;

use super::{Aligned, Complex, lane_count};

/// The vectors, and room to turn them over.
#[derive(Debug, Clone)]
pub(crate) struct Square([Aligned; 2]);

impl Square {
    pub(crate) fn new() -> Self {
        let rows = Aligned::new(lane_count());
        Self([rows.clone(), rows])
    }

    /// The vectors that are turned over next.
    #[inline(always)]
    pub(super) fn rows<S: Simd>(&mut self) -> &mut [S::f32s] {
        self.0[0].vectors::<S>()
    }

    /// Makes lanes of rows and rows of lanes: half of the values are put between the other half until
    /// every value has moved from its row to its lane.
    #[inline(always)]
    pub(super) fn turn_over<S: Simd>(&mut self) -> &mut [S::f32s] {
        let [from, to] = &mut self.0;
        let (mut from, mut to) = (from.vectors::<S>(), to.vectors::<S>());
        for _ in 0..S::F32_LANES.ilog2() {
            let values: &[f32] = bytemuck::cast_slice(from);
            let (first, second) = values.split_at(values.len() / 2);
            let pairs: &mut [f32] = bytemuck::cast_slice_mut(to);
            for (pair, (a, b)) in
                pairs.as_chunks_mut::<2>().0.iter_mut().zip(first.iter().zip(second))
            {
                *pair = [*a, *b];
            }
            std::mem::swap(&mut from, &mut to);
        }
        from
    }
}

/// Puts two signals into each lane, times a window: the first as real parts, those after them as
/// imaginary parts. Where signals are missing there are zeros.
#[inline(always)]
pub(crate) fn load<S: Simd>(
    simd: S,
    signals: &[&[f32]],
    window: &[f32],
    square: &mut Square,
    values: &mut [Complex<S>],
) {
    let lanes = S::F32_LANES;
    for part in 0..2 {
        let signals = signals.get(part * lanes..).unwrap_or_default();
        for (begin, weights) in (0..).step_by(lanes).zip(window.chunks(lanes)) {
            let turned = turned(simd, signals, (begin, weights), square);
            for (value, turned) in values[begin..].iter_mut().zip(turned) {
                value[part] = *turned;
            }
        }
    }
}

/// Puts one signal into each lane, times a window. Where signals or samples are missing there are zeros.
#[inline(always)]
pub(super) fn load_real<S: Simd>(
    simd: S,
    signals: &[&[f32]],
    window: &[f32],
    square: &mut Square,
    values: &mut [S::f32s],
) {
    let lanes = S::F32_LANES;
    for (begin, weights) in (0..).step_by(lanes).zip(window.chunks(lanes)) {
        let turned = turned(simd, signals, (begin, weights), square);
        for (value, turned) in values[begin..].iter_mut().zip(turned) {
            *value = *turned;
        }
    }
    let loaded = window.len().next_multiple_of(lanes).min(values.len());
    values[loaded..].fill(simd.splat_f32s(0.0));
}

/// The samples of as many signals as there are lanes at the places of some weights, times these.
#[inline(always)]
fn turned<'a, S: Simd>(
    simd: S,
    signals: &[&[f32]],
    (begin, weights): (usize, &[f32]),
    square: &'a mut Square,
) -> &'a mut [S::f32s] {
    let weights = simd.partial_load_f32s(weights);
    for (row, out) in square.rows::<S>().iter_mut().enumerate() {
        let samples = signals.get(row).and_then(|signal| signal.get(begin..)).unwrap_or_default();
        let samples = match S::as_simd_f32s(samples).0 {
            [first, ..] => *first,
            [] => simd.partial_load_f32s(samples),
        };
        *out = simd.mul_f32s(weights, samples);
    }
    square.turn_over::<S>()
}
