//! SilenceTrimNode: removes silence from the beginning and the end of a recording.

use num_traits::ToPrimitive;

use super::effect::{Channels, Effect, EffectNode, SAMPLE_RATE, factor};
use crate::error::NodeError;
use crate::node::{Node, NodeType};
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};

/// Length of the frames whose level is looked at.
const FRAMES_PER_SECOND: usize = 100;

pub(super) static TYPE: NodeType = NodeType {
    name: "SilenceTrimNode",
    version: "1.0.0",
    summary: "Removes silence from the beginning and the end of a recording.",
    aliases: &[],
    capabilities: &["audio"],
    params: &[
        ParamSpec {
            name: "threshold",
            aliases: &["threshold_db"],
            kind: ParamKind::Float,
            default: ParamDefault::Float(-50.0),
            range: Some((-120.0, 0.0)),
            unit: "dBFS",
            doc: "10 ms are sound when their RMS in any channel is above this.",
        },
        ParamSpec {
            name: "keep_ms",
            aliases: &[],
            kind: ParamKind::Int,
            default: ParamDefault::Int(0),
            range: Some((0.0, 60_000.0)),
            unit: "ms",
            doc: "How much silence stays before and after the sound.",
        },
        ParamSpec {
            name: "ends",
            aliases: &[],
            kind: ParamKind::Choice(&["both", "start", "end"]),
            default: ParamDefault::Text("both"),
            range: None,
            unit: "",
            doc: "Where silence is removed.",
        },
        SAMPLE_RATE,
    ],
    exclusive: &[],
    build,
};

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    let ends = params.text("ends")?;
    let trim = Trim {
        threshold: factor(params.float("threshold")?).powi(2),
        keep_ms: params.u32("keep_ms")?.to_usize().unwrap_or(0),
        at_start: ends != "end",
        at_end: ends != "start",
        rate_hz: 0,
    };
    Ok(Box::new(EffectNode::new(trim, params, false)?))
}

struct Trim {
    /// The least power of sound.
    threshold: f64,
    keep_ms: usize,
    at_start: bool,
    at_end: bool,
    rate_hz: usize,
}

impl Effect for Trim {
    fn begin(&mut self, rate_hz: u32, _channels: usize) -> Result<(), NodeError> {
        self.rate_hz = rate_hz.to_usize().unwrap_or(0);
        Ok(())
    }

    fn push(&mut self, mut piece: Channels) -> Channels {
        let samples = piece.first().map_or(0, Vec::len);
        let frame = (self.rate_hz / FRAMES_PER_SECOND).max(1);
        let is_sound = |number: &usize| {
            piece.iter().any(|plane| {
                let begin = (number * frame).min(samples);
                let frame = &plane[begin..(begin + frame).min(samples)];
                let squares: f64 = frame.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
                squares > self.threshold * frame.len() as f64
            })
        };
        let frames = samples.div_ceil(frame);
        let (first, last) = ((0..frames).find(is_sound), (0..frames).rev().find(is_sound));
        let keep = self.keep_ms * self.rate_hz / 1_000;
        // A recording of silence alone leaves nothing.
        let begin = first.map_or(samples, |first| (first * frame).saturating_sub(keep));
        let end = last.map_or(samples, |last| ((last + 1) * frame + keep).min(samples));
        let begin = if self.at_start { begin } else { 0 };
        let end = match (self.at_end, last) {
            (false, _) => samples,
            (true, None) => begin.min(samples),
            (true, Some(_)) => end,
        };
        let end = if self.at_end && last.is_none() && !self.at_start { 0 } else { end };
        for plane in &mut piece {
            plane.truncate(end);
            plane.drain(..begin.min(plane.len()));
        }
        piece
    }
}
