//! Sums of products, with the widest vectors of the processor at run time (pulp). What one output
//! is does not depend on which others are made with it.

use std::sync::OnceLock;

use pulp::{Arch, Simd, WithSimd};

/// Rows are padded to a multiple of this: the widest vector.
pub(super) const LANES: usize = 16;
/// Vectors whose products are summed in single precision.
const LONGEST_SUM: usize = 256;

/// The sum of a row over a window, in double precision.
pub(super) fn double_sum(row: &[f64], window: &[f32]) -> f64 {
    arch().dispatch(|| double_dot(row, window))
}

/// In sums side by side, which the compiler makes vectors of.
#[inline(always)]
fn double_dot(row: &[f64], window: &[f32]) -> f64 {
    let mut sums = [0.0; LANES];
    for (row, window) in row.as_chunks::<LANES>().0.iter().zip(window.as_chunks::<LANES>().0) {
        for (sum, (coefficient, sample)) in sums.iter_mut().zip(row.iter().zip(window)) {
            *sum += coefficient * f64::from(*sample);
        }
    }
    sums.iter().sum()
}

/// The sums of four rows over one window.
pub(super) fn same_window(rows: [&[f32]; 4], window: &[f32]) -> [f32; 4] {
    arch().dispatch(SameWindow { rows, window })
}

fn arch() -> Arch {
    static ARCH: OnceLock<Arch> = OnceLock::new();
    *ARCH.get_or_init(Arch::new)
}

#[inline(always)]
fn dots<S: Simd, const N: usize>(simd: S, row: &[S::f32s], windows: [&[f32]; N]) -> [f32; N] {
    let windows: [&[S::f32s]; N] = windows.map(|window| &S::as_simd_f32s(window).0[..row.len()]);
    if row.len() <= LONGEST_SUM {
        return partial(simd, row, windows);
    }
    // In one sum the last of many products would lose their digits.
    let mut totals = [0.0_f64; N];
    for (part, coefficients) in row.chunks(LONGEST_SUM).enumerate() {
        let begin = part * LONGEST_SUM;
        let windows = windows.map(|window| &window[begin..begin + coefficients.len()]);
        for (total, sum) in totals.iter_mut().zip(partial(simd, coefficients, windows)) {
            *total += f64::from(sum);
        }
    }
    totals.map(narrow)
}

#[inline(always)]
fn partial<S: Simd, const N: usize>(
    simd: S,
    row: &[S::f32s],
    windows: [&[S::f32s]; N],
) -> [f32; N] {
    let mut sums = [simd.splat_f32s(0.0); N];
    for (k, coefficients) in row.iter().enumerate() {
        for (sum, window) in sums.iter_mut().zip(windows) {
            *sum = simd.mul_add_f32s(*coefficients, window[k], *sum);
        }
    }
    sums.map(|sum| simd.reduce_sum_f32s(sum))
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to float32 is intended")]
fn narrow(total: f64) -> f32 {
    total as f32
}

struct SameWindow<'a> {
    rows: [&'a [f32]; 4],
    window: &'a [f32],
}

impl WithSimd for SameWindow<'_> {
    type Output = [f32; 4];

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> [f32; 4] {
        let taps = self.rows[0].len();
        let window = S::as_simd_f32s(&self.window[..taps]).0;
        dots::<S, 4>(simd, window, self.rows)
    }
}
