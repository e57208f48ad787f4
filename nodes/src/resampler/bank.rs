//! The phases of a filter for one pair of rates, as rows of coefficients, for rates without a large
//! common divisor.
//!
//! There are rows at [`FINE`] places between two input samples, and an output is interpolated between
//! the four rows around its own place.

use num_traits::ToPrimitive;

use super::NextOutput;
use super::design::Response;
use super::kernel;

/// Rows for each input sample, at least: the error is below -150 dB.
const FINE: f64 = 256.0;

/// Coefficients, row after row.
#[derive(Debug)]
enum Rows {
    Single(Vec<f32>),
    /// For a rejection beyond the rounding of sums in single precision.
    Double(Vec<f64>),
}

/// The rows of one pair of rates.
#[derive(Debug)]
pub(crate) struct Bank {
    /// `from` and `to` without their common divisor: an output lies `step / phases` input samples
    /// after the one before.
    step: u32,
    phases: u32,
    taps: usize,
    /// Input samples of a window before the last one that is not after its output.
    before: usize,
    rows: Rows,
    /// Rows per input sample.
    fine: u32,
}

impl Bank {
    pub(super) fn new(step: u32, phases: u32, response: &Response, is_double: bool) -> Self {
        let share = (f64::from(phases) / f64::from(step)).min(1.0);
        // There is a row on either side of the first and last.
        let reach = response.half.ceil().max(1.0).to_usize().unwrap_or(1) + 1;
        let fine = (FINE * share).ceil().max(1.0);
        let taps = (2 * reach + 1).next_multiple_of(kernel::LANES);
        let places = (-1..).map(f64::from).take_while(|row| *row <= fine + 1.0);
        let mut rows = Vec::new();
        for place in places {
            rows.extend(row(response, place / fine + reach as f64, taps));
        }
        let rows = if is_double {
            Rows::Double(rows)
        } else {
            Rows::Single(rows.iter().map(|value| value.to_f32().unwrap_or(0.0)).collect())
        };
        Self { step, phases, taps, before: reach, rows, fine: fine.to_u32().unwrap_or(1) }
    }

    pub(crate) fn taps(&self) -> usize {
        self.taps
    }

    pub(crate) fn before(&self) -> usize {
        self.before
    }

    /// Input samples after the one at or before its time that an output needs; rows are padded.
    pub(crate) fn after(&self) -> usize {
        self.taps - self.before - 1
    }

    /// Appends outputs whose windows lie in `recent`, at most `most`, and returns where the next one
    /// lies.
    pub(super) fn run(
        &self,
        recent: &[f32],
        at: NextOutput,
        most: usize,
        out: &mut Vec<f32>,
    ) -> NextOutput {
        let room = recent.len().checked_sub(self.taps).and_then(|last| last.checked_sub(at.next));
        let Some(room) = room else { return at };
        let (step, phases) = (u64::from(self.step), u64::from(self.phases));
        let phase = u64::from(at.phase);
        // Output n begins at `(phase + n * step) / phases`, at most `room`.
        let ready = ((room as u64 + 1) * phases - 1 - phase) / step + 1;
        let ready = ready.to_usize().unwrap_or(usize::MAX).min(most);
        let begin = out.len();
        out.resize(begin + ready, 0.0);
        let windows = &recent[at.next..];
        self.interpolated(windows, phase, &mut out[begin..]);
        let end = phase + ready as u64 * step;
        NextOutput {
            next: at.next + (end / phases).to_usize().unwrap_or(0),
            phase: (end % phases).to_u32().unwrap_or(0),
        }
    }

    fn interpolated(&self, windows: &[f32], phase: u64, out: &mut [f32]) {
        let (step, phases) = (u64::from(self.step), u64::from(self.phases));
        let row = |at: usize| at * self.taps..(at + 1) * self.taps;
        for (n, out) in out.iter_mut().enumerate() {
            let time = phase + n as u64 * step;
            let scaled = (time % phases) * u64::from(self.fine);
            // Rows begin one place before the sample.
            let first = (scaled / phases).to_usize().unwrap_or(0);
            let along = (scaled % phases) as f64 / phases as f64;
            let window = &windows[(time / phases).to_usize().unwrap_or(0)..];
            let places = [row(first), row(first + 1), row(first + 2), row(first + 3)];
            let sums = match &self.rows {
                Rows::Single(rows) => {
                    kernel::same_window(places.map(|place| &rows[place]), window).map(f64::from)
                }
                Rows::Double(rows) => places.map(|place| kernel::double_sum(&rows[place], window)),
            };
            *out = cubic(sums, along);
        }
    }
}

/// One row: the response around `centre`, with sum 1, so that a constant stays what it is.
fn row(response: &Response, centre: f64, taps: usize) -> Vec<f64> {
    let values: Vec<f64> = (0..taps).map(|tap| response.at(centre - tap as f64)).collect();
    let sum: f64 = values.iter().sum();
    values.iter().map(|value| value / sum).collect()
}

/// The value between the second and the third of four evenly spaced ones (Lagrange).
fn cubic([a, b, c, d]: [f64; 4], along: f64) -> f32 {
    let (x, y, z) = (along + 1.0, along - 1.0, along - 2.0);
    let sum = -a * along * y * z / 6.0 + b * x * y * z / 2.0 - c * x * along * z / 2.0
        + d * x * along * y / 6.0;
    sum.to_f32().unwrap_or(0.0)
}
