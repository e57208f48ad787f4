//! The filter of a pair of rates: of blocks where that is possible, else a bank of rows.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use super::NextOutput;
use super::bank::Bank;
use super::blocks::{Blocks, Convert, Work};
use super::design::{Response, Shape};
use super::fft::Transforms;
use super::wide::Wide;
use crate::lanes;

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

/// How many times as long blocks may be for the sake of the processor's vectors: a stream waits for them.
const MOST_LONGER: f64 = 1.25;
/// Filters that are kept for the next resampler of the same rates.
const KEPT: usize = 16;

/// Makes an engine; what all those of a pair of rates and a quality share is made once.
type Maker = Arc<dyn Fn() -> Box<dyn Engine> + Send + Sync>;

/// A filter with the memory that it works in.
pub(super) trait Engine: Debug + Send {
    /// Input samples that are taken at once.
    fn taken(&self) -> usize;

    /// Input samples before the first that the first output needs.
    fn before(&self) -> usize;

    /// Input samples after the last, with which the last output is made.
    fn after(&self) -> usize;

    /// Appends the outputs whose input lies in `recent`, at most `most`, and returns where the next one
    /// lies.
    fn run(
        &mut self,
        recent: &[f32],
        at: NextOutput,
        most: usize,
        out: &mut Vec<f32>,
    ) -> NextOutput;
}

/// The engine for two rates. The filters that were used last are kept: a design takes milliseconds.
pub(super) fn engine(from_hz: u32, to_hz: u32, quality: Quality) -> Box<dyn Engine> {
    type Key = (u32, u32, Quality);
    static FILTERS: Mutex<Vec<(Key, Maker)>> = Mutex::new(Vec::new());
    let key = (from_hz, to_hz, quality);
    let mut filters = FILTERS.lock().unwrap_or_else(PoisonError::into_inner);
    let found = filters.iter().position(|(known, _)| *known == key);
    let entry = match found {
        Some(at) => filters.remove(at),
        None => (key, maker(from_hz, to_hz, quality)),
    };
    let maker = entry.1.clone();
    filters.insert(0, entry);
    filters.truncate(KEPT);
    drop(filters);
    maker()
}

fn maker(from_hz: u32, to_hz: u32, quality: Quality) -> Maker {
    let divisor = gcd(from_hz, to_hz).max(1);
    let (step, phases) = (from_hz / divisor, to_hz / divisor);
    let response = Response::new(quality.shape(), (f64::from(phases) / f64::from(step)).min(1.0));
    let ratio = (step as usize, phases as usize);
    // The rounding of single precision is above its rejection.
    let is_double = quality == Quality::VeryHigh;
    if is_double {
        if let Some(blocks) = Blocks::<Transforms<f64>>::new(ratio, &response, 2) {
            return blocks_maker(blocks);
        }
    } else if let Some(blocks) = Blocks::<Transforms<f32>>::new(ratio, &response, 2) {
        let lanes = lanes::lane_count();
        return match Blocks::<Wide>::new(ratio, &response, 2 * lanes * lanes) {
            Some(wide) if wide.taken() as f64 <= MOST_LONGER * blocks.taken() as f64 => {
                blocks_maker(wide)
            }
            _ => blocks_maker(blocks),
        };
    }
    let bank = Arc::new(Bank::new(step, phases, &response, is_double));
    Arc::new(move || Box::new(bank.clone()))
}

fn blocks_maker<C: Convert>(blocks: Blocks<C>) -> Maker {
    let blocks = Arc::new(blocks);
    Arc::new(move || Box::new(Running { work: blocks.work(), blocks: blocks.clone() }))
}

/// Blocks of one stream.
#[derive(Debug)]
struct Running<C: Convert> {
    blocks: Arc<Blocks<C>>,
    work: Work<C::Work>,
}

impl<C: Convert> Engine for Running<C> {
    fn taken(&self) -> usize {
        self.blocks.taken()
    }

    fn before(&self) -> usize {
        self.blocks.before()
    }

    fn after(&self) -> usize {
        // It may lie in the block after the one that the last input lies in.
        2 * self.blocks.taken()
    }

    fn run(
        &mut self,
        recent: &[f32],
        at: NextOutput,
        most: usize,
        out: &mut Vec<f32>,
    ) -> NextOutput {
        let moved = self.blocks.run(&recent[at.next..], most, &mut self.work, out);
        NextOutput { next: at.next + moved, phase: 0 }
    }
}

impl Engine for Arc<Bank> {
    fn taken(&self) -> usize {
        self.taps()
    }

    fn before(&self) -> usize {
        Bank::before(self)
    }

    fn after(&self) -> usize {
        Bank::after(self)
    }

    fn run(
        &mut self,
        recent: &[f32],
        at: NextOutput,
        most: usize,
        out: &mut Vec<f32>,
    ) -> NextOutput {
        Bank::run(self, recent, at, most, out)
    }
}

pub(super) fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
