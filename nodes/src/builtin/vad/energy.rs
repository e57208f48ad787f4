//! Detects speech by its level: keeps the frames that are still needed, and returns segments that no
//! later audio can change.

use super::detector::{Segment, decibels};
use super::features::{Analyzer, Frame};
use super::segments::{self, FLOOR_REACH, SETTLING_FRAMES, Settings, Span};
use crate::builtin::samples::Planes;

/// Frames from one search for segments to the next.
const LOOKS_EVERY: usize = 10;

/// Frames and results of one stream.
pub(super) struct EnergyDetector {
    analyzer: Analyzer,
    settings: Settings,
    /// The frames from number `first` on; earlier ones were dropped.
    frames: Vec<Frame>,
    first: usize,
    /// Segments before this frame number have been returned.
    settled: usize,
    /// Number of frames at the last search for segments.
    looked_at: usize,
}

impl EnergyDetector {
    pub(super) fn new(rate_hz: u32, channels: usize, window_ms: u32, settings: Settings) -> Self {
        Self {
            analyzer: Analyzer::new(rate_hz, channels, window_ms),
            settings,
            frames: Vec::new(),
            first: 0,
            settled: 0,
            looked_at: 0,
        }
    }

    pub(super) fn rate_hz(&self) -> u32 {
        self.analyzer.rate_hz()
    }

    pub(super) fn channels(&self) -> usize {
        self.analyzer.channels()
    }

    /// Samples per channel so far.
    pub(super) fn taken(&self) -> u64 {
        self.analyzer.taken()
    }

    /// Whether all samples so far were ones that sound has.
    pub(super) fn are_sound(&self) -> bool {
        self.analyzer.are_sound()
    }

    /// Takes a piece of the stream; returns the segments that no later audio can change.
    pub(super) fn push(&mut self, piece: &Planes<'_>) -> Vec<Segment> {
        self.analyzer.push(piece, &mut self.frames);
        if !self.are_sound() {
            return Vec::new();
        }
        let end = self.first + self.frames.len();
        // Looking takes time, so it is done every 100 ms at most, and not amid speech.
        let horizon = end.saturating_sub(self.settings.min_silence_frames + SETTLING_FRAMES);
        let longest = self.settings.longest_frames;
        let is_long = horizon.saturating_sub(self.settled) > longest;
        if end < self.looked_at + LOOKS_EVERY {
            return Vec::new();
        }
        self.looked_at = end;
        if !is_long && !self.may_have_finished() {
            return Vec::new();
        }
        let parts = |span: Span| span.parts(longest, horizon);
        let found: Vec<Span> = self.unsettled().into_iter().flat_map(parts).collect();
        let is_finished = |span: &&Span| span.end <= horizon;
        let finished: Vec<Segment> =
            found.iter().filter(is_finished).map(|span| self.describe(*span)).collect();
        // No frame before this one can change: the start of the first unfinished segment, or the
        // horizon.
        let open = found.iter().find(|span| span.end > horizon).map_or(horizon, |s| s.start);
        let last_end = found.iter().filter(is_finished).map(|s| s.end).max().unwrap_or(0);
        self.settled = self.settled.max(open.min(horizon)).max(last_end);
        self.forget();
        finished
    }

    /// Ends the stream; returns the remaining segments.
    pub(super) fn finish(&mut self) -> Vec<Segment> {
        self.analyzer.finish(&mut self.frames);
        let left: Vec<Segment> =
            self.unsettled().into_iter().map(|span| self.describe(span)).collect();
        self.settled = self.first + self.frames.len();
        left
    }

    /// Makes it measure no frame before a search needs it. `unsettled` then knows none that wait.
    pub(super) fn unhurried(self) -> Self {
        Self { analyzer: self.analyzer.waiting_for(LOOKS_EVERY), ..self }
    }

    /// Segments after `settled`, in frame numbers. Later audio may still change them.
    pub(super) fn unsettled(&self) -> Vec<Span> {
        segments::find(&self.frames, &self.settings)
            .into_iter()
            .map(|span| Span { start: span.start + self.first, end: span.end + self.first })
            .filter(|span| span.end > self.settled)
            .map(|span| Span { start: span.start.max(self.settled), ..span })
            .collect()
    }

    /// Whether a stretch without a frame above the threshold is long enough to end a segment.
    fn may_have_finished(&self) -> bool {
        let threshold = segments::power(self.settings.threshold_db);
        let is_loud = |frame: &Frame| segments::level(frame) > threshold;
        let unsettled = &self.frames[(self.settled - self.first).min(self.frames.len())..];
        let is_quiet = |run: &[Frame]| run.len() >= self.settings.min_silence_frames.max(1);
        unsettled.split(is_loud).any(is_quiet)
    }

    /// Drops frames that no segment and no noise floor needs.
    fn forget(&mut self) {
        let needed = self.settled.saturating_sub(FLOOR_REACH);
        let unneeded = needed.saturating_sub(self.first);
        if unneeded > FLOOR_REACH {
            self.frames.drain(..unneeded);
            self.first = needed;
        }
    }

    fn describe(&self, span: Span) -> Segment {
        let frames = &self.frames[span.start - self.first..span.end - self.first];
        let mean = frames.iter().map(|f| f64::from(f.block)).sum::<f64>() / frames.len() as f64;
        let peak = frames.iter().map(segments::level).fold(0.0, f32::max);
        let above_db = (decibels(peak.into()) - f64::from(self.settings.threshold_db)).max(0.0);
        let confidence = 1.0 - 0.5 * 2.0_f64.powf(-above_db / 6.0);
        Segment::new(span, mean, confidence, (self.taken(), self.rate_hz()))
    }
}
