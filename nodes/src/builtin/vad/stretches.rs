//! Segments of speech from one score per frame of 10 ms, frame by frame. What is decided about a
//! frame never changes.

use super::segments::Span;

/// When scores become a segment, in frames of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rules {
    /// A frame with this score or more is speech.
    pub(super) least_score: f32,
    pub(super) min_speech: usize,
    pub(super) min_silence: usize,
    /// Added before the first and after the last frame of speech.
    pub(super) before: usize,
    pub(super) after: usize,
    /// Longer segments come in parts.
    pub(super) longest: usize,
}

impl Rules {
    /// Silence after which a segment has ended.
    fn gap(&self) -> usize {
        self.min_silence.max(self.before + self.after).max(1)
    }
}

/// A segment, and the mean score of its frames of speech.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stretch {
    pub(super) span: Span,
    pub(super) confidence: f64,
}

/// The segments of one stream.
#[derive(Debug, Clone)]
pub(super) struct Stretches {
    rules: Rules,
    open: Option<Open>,
    /// Frames so far.
    frames: usize,
    /// End of the last segment.
    ended: usize,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    /// First and one past the last frame of speech.
    start: usize,
    end: usize,
    score_sum: f64,
    scores: u32,
    /// The rest of a segment whose first part has been given.
    is_rest: bool,
}

impl Stretches {
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, open: None, frames: 0, ended: 0 }
    }

    /// The first frame that may still become part of a segment.
    pub(super) fn unsettled(&self) -> usize {
        let start = self.open.map_or(self.frames, |open| open.start);
        start.saturating_sub(self.rules.before).max(self.ended)
    }

    /// Takes the score of the next frame; the segment that it ends, if any.
    pub(super) fn push(&mut self, score: f32) -> Option<Stretch> {
        let frame = self.frames;
        self.frames += 1;
        if score >= self.rules.least_score {
            let open = self.open.get_or_insert(Open {
                start: frame,
                end: frame,
                score_sum: 0.0,
                scores: 0,
                is_rest: false,
            });
            open.end = frame + 1;
            open.score_sum += f64::from(score);
            open.scores += 1;
        }
        let open = self.open?;
        if self.frames - open.end >= self.rules.gap() {
            return self.close();
        }
        if self.frames - open.start > self.rules.longest {
            let part = self.rules.longest.min(open.end - open.start);
            let rest = Open { start: open.start + part, is_rest: true, ..open };
            let span = Span { start: self.start_of(open), end: rest.start };
            self.open = Some(rest);
            self.ended = span.end;
            return Some(Stretch { span, confidence: open.confidence() });
        }
        None
    }

    /// Ends the stream.
    pub(super) fn finish(&mut self) -> Option<Stretch> {
        self.close()
    }

    fn close(&mut self) -> Option<Stretch> {
        let open = self.open.take()?;
        if open.end <= open.start
            || (open.end - open.start < self.rules.min_speech && !open.is_rest)
        {
            return None;
        }
        let end = (open.end + self.rules.after).min(self.frames);
        let span = Span { start: self.start_of(open), end };
        self.ended = end;
        Some(Stretch { span, confidence: open.confidence() })
    }

    fn start_of(&self, open: Open) -> usize {
        if open.is_rest {
            return open.start;
        }
        open.start.saturating_sub(self.rules.before).max(self.ended)
    }
}

impl Open {
    fn confidence(&self) -> f64 {
        self.score_sum / f64::from(self.scores.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        least_score: 0.5,
        min_speech: 3,
        min_silence: 4,
        before: 0,
        after: 0,
        longest: usize::MAX,
    };

    fn spans(rules: Rules, pattern: &str) -> Vec<(usize, usize)> {
        let mut stretches = Stretches::new(rules);
        let mut found: Vec<Stretch> = pattern
            .chars()
            .filter_map(|frame| stretches.push(if frame == '#' { 0.75 } else { 0.25 }))
            .collect();
        found.extend(stretches.finish());
        assert!(found.iter().all(|stretch| stretch.confidence == 0.75));
        found.iter().map(|stretch| (stretch.span.start, stretch.span.end)).collect()
    }

    #[test]
    fn short_pauses_join_and_short_runs_are_dropped() {
        assert_eq!(spans(RULES, "..###...###....##...."), [(2, 11)]);
        assert_eq!(spans(RULES, "..###....####"), [(2, 5), (9, 13)]);
        assert_eq!(spans(RULES, "##"), []);
        assert_eq!(spans(Rules { min_speech: 0, ..RULES }, "#"), [(0, 1)]);
    }

    #[test]
    fn segments_are_extended_but_never_overlap() {
        let rules = Rules { before: 3, after: 2, ..RULES };
        assert_eq!(spans(rules, ".###......###"), [(0, 6), (7, 13)]);
        assert_eq!(spans(rules, ".###....###"), [(0, 11)]);
    }

    #[test]
    fn long_segments_come_in_parts_without_a_gap() {
        let rules = Rules { longest: 5, ..RULES };
        assert_eq!(spans(rules, ".############"), [(1, 6), (6, 11), (11, 13)]);
    }
}
