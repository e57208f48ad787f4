//! Finds segments of speech in frames. A pure function of the frames, without nodes or streams.
//!
//! 1. The noise floor of each band is a low percentile of its power from 5 s before to 5 s after.
//! 2. A frame is **active** when its level is above the threshold, or when one band is well above
//!    its noise floor and above a bound that is a fixed number of dB below the threshold. So weak
//!    consonants, which have power only above 2 kHz, count too.
//! 3. A frame is **voice-like** when enough of its power lies below 1 kHz, or when it is part of at
//!    least 50 ms that are a tone or clearly above the threshold. Breath is not voice-like: a long
//!    run of active frames that are not voice-like is made inactive.
//! 4. A run of active frames with at least two voice-like frames above the threshold is speech.
//!    Other short runs close to it (releases, final fricatives) are added to it.
//! 5. Speech separated by less than the shortest silence is one segment. Then segments shorter than
//!    the shortest speech are dropped.

use std::ops::Range;

use super::features::{BANDS, Frame};
use super::rank;

/// The detector's parameters, in frames of 10 ms and dBFS.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Settings {
    pub(super) threshold_db: f32,
    pub(super) min_speech_frames: usize,
    pub(super) min_silence_frames: usize,
    /// Longer segments of a stream come in parts.
    pub(super) longest_frames: usize,
}

/// The range `start..end` of frame numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Span {
    fn len(self) -> usize {
        self.end - self.start
    }

    /// Parts of at most `longest` frames, as far as they end by the horizon, and the rest.
    pub(super) fn parts(self, longest: usize, horizon: usize) -> Vec<Self> {
        let mut rest = self;
        let mut parts = Vec::new();
        while rest.len() > longest && rest.start.saturating_add(longest) <= horizon {
            let at = rest.start + longest;
            parts.push(Self { end: at, ..rest });
            rest.start = at;
        }
        parts.push(rest);
        parts
    }
}

/// How far below the threshold the bound of each band is. Consonants are weaker than vowels and
/// have higher frequencies.
const BELOW_THRESHOLD_DB: [f32; BANDS] = [16.0, 20.0, 26.0, 28.0, 28.0];
/// How far above its noise floor a band of an active frame must be.
const ABOVE_FLOOR_DB: f32 = 8.0;
const FLOOR_PERCENTILE: usize = 8;
/// The noise floor of a block of frames is measured from this many frames before to as many after.
pub(super) const FLOOR_REACH: usize = 500;
const FLOOR_BLOCK: usize = 50;
/// A frame is voice-like when its power below 1 kHz is above this share of its power up to 4 kHz:
/// -14 dB.
const LOW_SHARE: f32 = 0.04;
/// A tone, or a level this far above the threshold, is voice-like when it lasts `SURE_FRAMES`. A
/// click is shorter, and so is a whistle in a breath.
const SURE_DB: f32 = 6.0;
const SURE_FRAMES: usize = 5;
/// A longer run of active frames that are not voice-like is breath.
const LONGEST_CONSONANT: usize = 25;
/// Inactive frames between active ones, up to this many, become active.
const LONGEST_DIP: usize = 2;
/// Voice-like frames above the threshold that a run needs to be speech.
const MIN_SEEDS: usize = 2;
/// Weak runs that are added to speech, in frames: least length of each, greatest length of all on
/// one side, greatest distance before and after the speech.
const MIN_WEAK: usize = 3;
const MAX_WEAK: usize = 20;
const GAP_BEFORE: usize = 6;
const GAP_AFTER: usize = 12;
/// A frame at the edge of a segment is cut off when its own 10 ms have less than this share of the
/// power in its window: the window reaches into the louder neighbour. -15 dB.
const LEAKED_SHARE: f32 = 0.03;
/// A frame next to speech still counts as fading sound above this share of the bound that makes a
/// frame active: -6 dB.
const FADING: f32 = 0.25;
/// A segment is final after this many frames plus the shortest silence.
pub(super) const SETTLING_FRAMES: usize = 60;

/// The segments in `frames`.
pub(super) fn find(frames: &[Frame], settings: &Settings) -> Vec<Span> {
    let threshold = power(settings.threshold_db);
    let excess = excess(frames, settings);
    let mut active: Vec<bool> = excess.iter().map(|times| *times > 1.0).collect();
    let voice = voice_frames(frames, threshold);
    fill_dips(&mut active);
    let unvoiced: Vec<bool> = active.iter().zip(&voice).map(|(a, v)| *a && !v).collect();
    for breath in runs(&unvoiced).filter(|run| run.len() > LONGEST_CONSONANT) {
        active[breath.start..breath.end].fill(false);
    }
    let is_speech = |run: &Span| {
        let seeds = (run.start..run.end).filter(|&i| voice[i] && level(&frames[i]) > threshold);
        seeds.count() >= MIN_SEEDS
    };
    let found: Vec<(Span, bool)> = runs(&active)
        .map(|run| (run, is_speech(&run)))
        .filter(|(run, is_speech)| *is_speech || run.len() >= MIN_WEAK)
        .collect();
    let mut merged: Vec<Span> = Vec::new();
    for (at, (run, _)) in found.iter().enumerate().filter(|(_, (_, is_speech))| *is_speech) {
        let span = trimmed(frames, with_weak_neighbours(&found, at, *run));
        match merged.last_mut() {
            Some(last) if pause(frames, &excess, *last, span) < settings.min_silence_frames => {
                last.end = last.end.max(span.end);
            }
            _ => merged.push(span),
        }
    }
    merged.retain(|span| span.len() >= settings.min_speech_frames.max(1));
    merged
}

/// Power of a level in dBFS.
pub(super) fn power(level_db: f32) -> f32 {
    10.0_f32.powf(level_db / 10.0)
}

/// Power of a frame in all bands of speech.
pub(super) fn level(frame: &Frame) -> f32 {
    frame.bands.iter().sum()
}

/// Power of each frame relative to the bound that makes it active; above 1 the frame is active.
fn excess(frames: &[Frame], settings: &Settings) -> Vec<f32> {
    let threshold = power(settings.threshold_db);
    let least = BELOW_THRESHOLD_DB.map(|below| power(settings.threshold_db - below));
    let above_floor = power(ABOVE_FLOOR_DB);
    let mut excess = Vec::with_capacity(frames.len());
    let smooth = smooth(frames);
    let mut floors = [0.0; BANDS];
    for begin in (0..frames.len()).step_by(FLOOR_BLOCK) {
        let end = (begin + FLOOR_BLOCK).min(frames.len());
        let around = begin.saturating_sub(FLOOR_REACH)..(end + FLOOR_REACH).min(frames.len());
        let mut bounds = least;
        for ((bound, floor), smooth) in bounds.iter_mut().zip(&mut floors).zip(&smooth) {
            *floor = self::floor(smooth, around.clone(), *floor);
            *bound = bound.max(*floor * above_floor);
        }
        excess.extend(frames[begin..end].iter().map(|frame| {
            let in_bands = frame.bands.iter().zip(bounds).map(|(power, bound)| power / bound);
            in_bands.fold(level(frame) / threshold, f32::max)
        }));
    }
    excess
}

/// Number of silent frames between two spans. The first and the last frame of the pause are not
/// counted while sound fades in them.
fn pause(frames: &[Frame], excess: &[f32], before: Span, after: Span) -> usize {
    let between = before.end..after.start.max(before.end);
    let is_fading = |i: &usize| excess[*i] > FADING && !is_leaked(&frames[*i]);
    let fading_out = between.clone().take(1).filter(is_fading).count();
    let fading_in = between.clone().rev().take(1).filter(is_fading).count();
    between.len().saturating_sub(fading_out + fading_in)
}

/// Power of each band, as the mean of each three frames.
fn smooth(frames: &[Frame]) -> [Vec<f32>; BANDS] {
    std::array::from_fn(|band| {
        frames.windows(3).map(|w| w.iter().map(|f| f.bands[band]).sum::<f32>() / 3.0).collect()
    })
}

/// Noise floor of a band in some frames: a low percentile of its power. `before` is that of the frames
/// before these.
fn floor(smooth: &[f32], frames: Range<usize>, before: f32) -> f32 {
    let values = smooth.get(frames.start..frames.end.saturating_sub(2)).unwrap_or_default();
    if values.is_empty() {
        return 0.0;
    }
    rank::nth(values, values.len() * FLOOR_PERCENTILE / 100, before)
}

fn voice_frames(frames: &[Frame], threshold: f32) -> Vec<bool> {
    let sure = threshold * power(SURE_DB);
    let mut voice: Vec<bool> = frames.iter().map(|f| f.is_tone || level(f) > sure).collect();
    let brief: Vec<Span> = runs(&voice).filter(|run| run.len() < SURE_FRAMES).collect();
    for run in brief {
        voice[run.start..run.end].fill(false);
    }
    for (voice, frame) in voice.iter_mut().zip(frames) {
        let low: f32 = frame.bands[..2].iter().sum();
        let to_4_khz: f32 = frame.bands[..4].iter().sum();
        *voice |= low > LOW_SHARE * to_4_khz;
    }
    voice
}

fn fill_dips(active: &mut [bool]) {
    let quiet: Vec<bool> = active.iter().map(|a| !a).collect();
    for dip in runs(&quiet).filter(|dip| dip.len() <= LONGEST_DIP) {
        if dip.start > 0 && dip.end < active.len() {
            active[dip.start..dip.end].fill(true);
        }
    }
}

/// Ranges in which the mask is `true` throughout.
fn runs(mask: &[bool]) -> impl Iterator<Item = Span> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + mask.get(at..)?.iter().position(|set| *set)?;
        let length = mask[start..].iter().position(|set| !set).unwrap_or(mask.len() - start);
        at = start + length;
        Some(Span { start, end: at })
    })
}

fn with_weak_neighbours(found: &[(Span, bool)], at: usize, run: Span) -> Span {
    let mut span = run;
    let mut weak = 0;
    for (before, is_speech) in found[..at].iter().rev() {
        weak += before.len();
        if *is_speech || span.start - before.end > GAP_BEFORE || weak > MAX_WEAK {
            break;
        }
        span.start = before.start;
    }
    weak = 0;
    for (after, is_speech) in &found[at + 1..] {
        weak += after.len();
        if *is_speech || after.start - span.end > GAP_AFTER || weak > MAX_WEAK {
            break;
        }
        span.end = after.end;
    }
    span
}

/// The span without frames at its edges whose power comes from their neighbours, through the
/// window.
fn trimmed(frames: &[Frame], span: Span) -> Span {
    let is_leaked = |i: &usize| is_leaked(&frames[*i]);
    let before = (span.start..span.end).take(3).take_while(is_leaked).count();
    let after = (span.start + before..span.end).rev().take(3).take_while(is_leaked).count();
    Span { start: span.start + before, end: span.end - after }
}

fn is_leaked(frame: &Frame) -> bool {
    frame.block < LEAKED_SHARE * level(frame)
}
