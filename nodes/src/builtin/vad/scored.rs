//! Detects speech by one score per frame of 10 ms: the neural detector's own, or that of both
//! measures together.

use super::blocks::Blocks;
use super::combined::Combined;
use super::detector::Segment;
use super::features::{Analyzer, Frame};
use super::segments::Span;
use super::stretches::{Rules, Stretch, Stretches};
use super::voice::Voice;
use crate::builtin::samples::Planes;

/// Window of the band powers, as the network of `auto` knows them.
const WINDOW_MS: u32 = 30;

/// The detector of one stream of audio.
pub(super) struct ScoredDetector {
    rate_hz: u32,
    channels: usize,
    taken: u64,
    voice: Voice,
    measure: Measure,
    /// Frames that wait for the score of the voice.
    waiting: Vec<Frame>,
    /// Frames that have it.
    paired: usize,
    scoring: Scoring,
    /// Power of each frame from number `first` on.
    powers: Vec<f32>,
    first: usize,
}

/// What is measured beside the voice.
enum Measure {
    /// Power alone.
    Power(Blocks),
    Bands(Box<Analyzer>),
}

/// Turns scores into stretches of speech.
#[derive(Clone)]
struct Scoring {
    /// `None`: the voice alone decides.
    combined: Option<Combined>,
    stretches: Stretches,
}

impl Scoring {
    fn push(&mut self, score: f32, frame: &Frame, found: &mut Vec<Stretch>) {
        let Some(combined) = &mut self.combined else {
            found.extend(self.stretches.push(score));
            return;
        };
        let stretches = &mut self.stretches;
        combined.push(score, frame, &mut |score| found.extend(stretches.push(score)));
    }

    fn finish(&mut self, found: &mut Vec<Stretch>) {
        let stretches = &mut self.stretches;
        if let Some(combined) = &mut self.combined {
            combined.finish(&mut |score| found.extend(stretches.push(score)));
        }
        found.extend(stretches.finish());
    }
}

impl ScoredDetector {
    pub(super) fn neural(rate_hz: u32, channels: usize, rules: Rules) -> Self {
        let measure = Measure::Power(Blocks::new(rate_hz, channels));
        Self::new((rate_hz, channels), measure, None, rules)
    }

    pub(super) fn auto(rate_hz: u32, channels: usize, rules: Rules) -> Self {
        let analyzer = Analyzer::new(rate_hz, channels, WINDOW_MS).with_texture();
        let measure = Measure::Bands(Box::new(analyzer));
        Self::new((rate_hz, channels), measure, Some(Combined::default()), rules)
    }

    fn new(
        (rate_hz, channels): (u32, usize),
        measure: Measure,
        combined: Option<Combined>,
        rules: Rules,
    ) -> Self {
        Self {
            rate_hz,
            channels,
            taken: 0,
            voice: Voice::new(rate_hz),
            measure,
            waiting: Vec::new(),
            paired: 0,
            scoring: Scoring { combined, stretches: Stretches::new(rules) },
            powers: Vec::new(),
            first: 0,
        }
    }

    pub(super) fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// Samples per channel so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Takes a piece of the stream; returns the segments that no later audio can change.
    pub(super) fn push(&mut self, piece: &Planes<'_>) -> Vec<Segment> {
        self.taken += piece.samples as u64;
        self.voice.push(piece);
        match &mut self.measure {
            Measure::Power(blocks) => blocks.push(piece, &mut self.waiting),
            Measure::Bands(analyzer) => analyzer.push(piece, &mut self.waiting),
        }
        let mut found = Vec::new();
        self.pair(None, &mut found);
        let found = self.described(&found);
        self.forget();
        found
    }

    /// Ends the stream; returns the remaining segments.
    pub(super) fn finish(&mut self) -> Vec<Segment> {
        self.voice.finish();
        match &mut self.measure {
            Measure::Power(blocks) => blocks.finish(&mut self.waiting),
            Measure::Bands(analyzer) => analyzer.finish(&mut self.waiting),
        }
        let mut found = Vec::new();
        self.pair(Some(self.voice.last_score()), &mut found);
        self.scoring.finish(&mut found);
        self.described(&found)
    }

    /// The segments that have not been given, as if the stream ended here.
    pub(super) fn unsettled(&self) -> Vec<Span> {
        let mut scoring = self.scoring.clone();
        let mut found = Vec::new();
        for (number, frame) in (self.paired..).zip(&self.waiting) {
            let score = self.voice.score_of(number).unwrap_or_else(|| self.voice.last_score());
            scoring.push(score, frame, &mut found);
        }
        scoring.finish(&mut found);
        found.into_iter().map(|stretch| stretch.span).collect()
    }

    /// Gives each waiting frame its score. At the end of the stream those without one get
    /// `otherwise`.
    fn pair(&mut self, otherwise: Option<f32>, found: &mut Vec<Stretch>) {
        let mut used = 0;
        for frame in &self.waiting {
            let Some(score) = self.voice.score_of(self.paired).or(otherwise) else { break };
            self.powers.push(frame.block);
            self.scoring.push(score, frame, found);
            self.paired += 1;
            used += 1;
        }
        self.waiting.drain(..used);
    }

    fn described(&self, found: &[Stretch]) -> Vec<Segment> {
        let describe = |Stretch { span, confidence }: &Stretch| {
            let powers = &self.powers[span.start - self.first..span.end - self.first];
            let mean = powers.iter().copied().map(f64::from).sum::<f64>() / powers.len() as f64;
            Segment::new(*span, mean, *confidence, (self.taken, self.rate_hz))
        };
        found.iter().map(describe).collect()
    }

    /// Drops what no later segment needs.
    fn forget(&mut self) {
        self.voice.forget(self.paired);
        let unneeded = self.scoring.stretches.unsettled() - self.first;
        // Moving the rest to the front takes time, so it is not done for every piece.
        if unneeded > 1_000 {
            self.powers.drain(..unneeded);
            self.first += unneeded;
        }
    }
}
