//! The filter of a pair of rates: of blocks where that is possible, else a bank of rows.

use std::sync::{Arc, Mutex, PoisonError};

use super::NextOutput;
use super::bank::Bank;
use super::blocks::{Blocks, Work};
use super::design::{Response, Shape};

/// How good a conversion is, and how long it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quality {
    Low,
    Medium,
    High,
    VeryHigh,
}

impl Quality {
    /// Of 100 and 126 dB that are promised, a little more: blocks let nothing pass above the Nyquist
    /// frequency, and this cut of what the filter leaves there costs up to 2 dB.
    fn shape(self) -> Shape {
        let (pass, rejection_db) = match self {
            Self::Low => (0.75, 80.0),
            Self::Medium => (0.88, 101.0),
            Self::High => (0.915, 128.0),
            Self::VeryHigh => (0.95, 150.0),
        };
        Shape { pass, rejection_db }
    }
}

/// Filters that are kept for the next resampler of the same rates.
const KEPT: usize = 16;

/// What all resamplers of a pair of rates and a quality share.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    Single(Arc<Blocks<f32>>),
    /// For a rejection beyond the rounding of single precision.
    Double(Arc<Blocks<f64>>),
    Bank(Arc<Bank>),
}

impl Filter {
    /// The filter for two rates. Those that were used last are kept: a design takes milliseconds.
    pub(super) fn shared(from_hz: u32, to_hz: u32, quality: Quality) -> Self {
        type Key = (u32, u32, Quality);
        static FILTERS: Mutex<Vec<(Key, Filter)>> = Mutex::new(Vec::new());
        let key = (from_hz, to_hz, quality);
        let mut filters = FILTERS.lock().unwrap_or_else(PoisonError::into_inner);
        let found = filters.iter().position(|(known, _)| *known == key);
        let entry = match found {
            Some(at) => filters.remove(at),
            None => (key, Self::new(from_hz, to_hz, quality)),
        };
        let filter = entry.1.clone();
        filters.insert(0, entry);
        filters.truncate(KEPT);
        filter
    }

    fn new(from_hz: u32, to_hz: u32, quality: Quality) -> Self {
        let divisor = gcd(from_hz, to_hz).max(1);
        let (step, phases) = (from_hz / divisor, to_hz / divisor);
        let response =
            Response::new(quality.shape(), (f64::from(phases) / f64::from(step)).min(1.0));
        let (inputs, outputs) = (step as usize, phases as usize);
        let blocks = match quality {
            Quality::VeryHigh => {
                Blocks::new(inputs, outputs, &response).map(|made| Self::Double(Arc::new(made)))
            }
            _ => Blocks::new(inputs, outputs, &response).map(|made| Self::Single(Arc::new(made))),
        };
        let is_double = quality == Quality::VeryHigh;
        blocks
            .unwrap_or_else(|| Self::Bank(Arc::new(Bank::new(step, phases, &response, is_double))))
    }
}

/// A filter with the memory that it works in.
#[derive(Debug)]
pub(super) enum Engine {
    Single(Arc<Blocks<f32>>, Work<f32>),
    Double(Arc<Blocks<f64>>, Work<f64>),
    Bank(Arc<Bank>),
}

impl Engine {
    pub(super) fn new(filter: Filter) -> Self {
        match filter {
            Filter::Single(blocks) => {
                let work = blocks.work();
                Self::Single(blocks, work)
            }
            Filter::Double(blocks) => {
                let work = blocks.work();
                Self::Double(blocks, work)
            }
            Filter::Bank(bank) => Self::Bank(bank),
        }
    }

    /// Input samples that are taken at once.
    pub(super) fn taken(&self) -> usize {
        match self {
            Self::Single(blocks, _) => blocks.taken(),
            Self::Double(blocks, _) => blocks.taken(),
            Self::Bank(bank) => bank.taps(),
        }
    }

    /// Input samples before the first that the first output needs.
    pub(super) fn before(&self) -> usize {
        match self {
            Self::Single(blocks, _) => blocks.before(),
            Self::Double(blocks, _) => blocks.before(),
            Self::Bank(bank) => bank.before(),
        }
    }

    /// Input samples after the last, with which the last output is made.
    pub(super) fn after(&self) -> usize {
        match self {
            // It may lie in the block after the one that the last input lies in.
            Self::Single(..) | Self::Double(..) => 2 * self.taken(),
            Self::Bank(bank) => bank.after(),
        }
    }

    /// Appends the outputs whose input lies in `recent`, at most `most`, and returns where the next one
    /// lies.
    pub(super) fn run(
        &mut self,
        recent: &[f32],
        at: NextOutput,
        most: usize,
        out: &mut Vec<f32>,
    ) -> NextOutput {
        match self {
            Self::Single(blocks, work) => {
                let moved = blocks.run(&recent[at.next..], most, work, out);
                NextOutput { next: at.next + moved, phase: 0 }
            }
            Self::Double(blocks, work) => {
                let moved = blocks.run(&recent[at.next..], most, work, out);
                NextOutput { next: at.next + moved, phase: 0 }
            }
            Self::Bank(bank) => bank.run(recent, at, most, out),
        }
    }
}

pub(super) fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
