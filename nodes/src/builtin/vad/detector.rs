//! The detector of one stream, whatever its method: takes pieces, gives segments that no later audio
//! can change. A complete recording is a stream of one piece.

use num_traits::ToPrimitive;

use super::energy::EnergyDetector;
use super::features::{FRAMES_PER_SECOND, HOP_MS};
use super::scored::ScoredDetector;
use super::segments::{Settings, Span};
use super::stretches::Rules;
use crate::builtin::samples::Planes;

/// The lowest level that audio is said to have, that of digital silence, in dBFS.
pub(super) const SILENCE_DB: f64 = -120.0;

/// One stretch of speech.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Segment {
    /// Milliseconds from the start of the stream.
    pub(super) start_ms: u32,
    /// Milliseconds from the start of the stream.
    pub(super) end_ms: u32,
    /// RMS level over the segment, in dBFS.
    pub(super) energy_db: f64,
    /// For the level: `1 - 0.5 * 2^(-(peak - threshold) / 6 dB)`, where peak is the level of the
    /// loudest frame: 0.5 at the threshold, 0.75 at 6 dB above, 0.94 at 18 dB above. Otherwise the
    /// mean score of the frames of speech.
    pub(super) confidence: f64,
}

impl Segment {
    /// A segment of a stream that has so many samples per channel so far; `power` is its mean
    /// square.
    pub(super) fn new(
        span: Span,
        power: f64,
        confidence: f64,
        (taken, rate_hz): (u64, u32),
    ) -> Self {
        let length_ms = taken * 1_000 / u64::from(rate_hz);
        let end_ms = (span.end as u64 * u64::from(HOP_MS)).min(length_ms);
        Self {
            start_ms: saturated(span.start as u64 * u64::from(HOP_MS)),
            end_ms: saturated(end_ms),
            energy_db: decibels(power),
            confidence,
        }
    }
}

/// What decides about speech, and its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Plan {
    Energy(Settings),
    Neural(Rules),
    Auto(Rules),
}

/// The detector of one stream.
pub(super) enum Detector {
    Energy(Box<EnergyDetector>),
    Scored(Box<ScoredDetector>),
}

impl Detector {
    pub(super) fn new(rate_hz: u32, channels: usize, window_ms: u32, plan: Plan) -> Self {
        match plan {
            Plan::Energy(settings) => {
                let detector = EnergyDetector::new(rate_hz, channels, window_ms, settings);
                Self::Energy(Box::new(detector))
            }
            Plan::Neural(rules) => {
                Self::Scored(Box::new(ScoredDetector::neural(rate_hz, channels, rules)))
            }
            Plan::Auto(rules) => {
                Self::Scored(Box::new(ScoredDetector::auto(rate_hz, channels, rules)))
            }
        }
    }

    /// For streams of which `unsettled` is never asked: takes less time for each piece.
    pub(super) fn unhurried(self) -> Self {
        match self {
            Self::Energy(detector) => Self::Energy(Box::new(detector.unhurried())),
            scored => scored,
        }
    }

    pub(super) fn rate_hz(&self) -> u32 {
        match self {
            Self::Energy(detector) => detector.rate_hz(),
            Self::Scored(detector) => detector.rate_hz(),
        }
    }

    pub(super) fn channels(&self) -> usize {
        match self {
            Self::Energy(detector) => detector.channels(),
            Self::Scored(detector) => detector.channels(),
        }
    }

    /// Samples per channel so far.
    pub(super) fn taken(&self) -> u64 {
        match self {
            Self::Energy(detector) => detector.taken(),
            Self::Scored(detector) => detector.taken(),
        }
    }

    /// Whether all samples so far were ones that sound has, as far as the detector looks at that.
    pub(super) fn are_sound(&self) -> bool {
        match self {
            Self::Energy(detector) => detector.are_sound(),
            Self::Scored(_) => true,
        }
    }

    /// Takes a piece of the stream; returns the segments that no later audio can change.
    pub(super) fn push(&mut self, piece: &Planes<'_>) -> Vec<Segment> {
        match self {
            Self::Energy(detector) => detector.push(piece),
            Self::Scored(detector) => detector.push(piece),
        }
    }

    /// Ends the stream; returns the remaining segments.
    pub(super) fn finish(&mut self) -> Vec<Segment> {
        match self {
            Self::Energy(detector) => detector.finish(),
            Self::Scored(detector) => detector.finish(),
        }
    }

    /// Segments that later audio may still change, as if the stream ended here.
    pub(super) fn unsettled(&self) -> Vec<Span> {
        match self {
            Self::Energy(detector) => detector.unsettled(),
            Self::Scored(detector) => detector.unsettled(),
        }
    }
}

/// Number of the frame that holds a sample.
pub(super) fn frame_of(sample: u64, rate_hz: u32) -> usize {
    (sample * FRAMES_PER_SECOND / u64::from(rate_hz.max(1))).to_usize().unwrap_or(usize::MAX)
}

pub(super) fn decibels(power: f64) -> f64 {
    (10.0 * power.log10()).max(SILENCE_DB)
}

fn saturated(milliseconds: u64) -> u32 {
    u32::try_from(milliseconds).unwrap_or(u32::MAX)
}
