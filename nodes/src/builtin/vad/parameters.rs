//! The parameters of VADNode, and the settings that follow from them.

use num_traits::ToPrimitive;

use super::detector::{Plan, SILENCE_DB};
use super::features::HOP_MS;
use super::segments::Settings;
use super::stretches::Rules;
use crate::builtin::audio_item::RATE_RANGE_HZ;
use crate::builtin::effect::STREAMING;
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};

/// The longest segment that is given in a stream, in frames: ten minutes.
const LONGEST_IN_STREAM: usize = 60_000;

pub(super) const PARAMS: &[ParamSpec] = &[
    ParamSpec {
        name: "method",
        aliases: &[],
        kind: ParamKind::Choice(&["auto", "neural", "energy"]),
        default: ParamDefault::Absent,
        range: None,
        unit: "",
        doc: "energy: sound above a level is speech. neural: a small neural network tells speech \
              from noise. auto: both together, the best in noise, and the default unless a \
              threshold is given: then it is energy.",
    },
    ParamSpec {
        name: "threshold",
        aliases: &["threshold_db"],
        kind: ParamKind::Float,
        default: ParamDefault::Float(-30.0),
        range: Some((-60.0, 0.0)),
        unit: "dBFS",
        doc: "For energy: the RMS level between 120 Hz and 8 kHz from which sound is speech. A \
              segment that reaches it extends to where the sound fades into the noise around it.",
    },
    ParamSpec {
        name: "energy_threshold",
        aliases: &[],
        kind: ParamKind::Float,
        default: ParamDefault::Absent,
        range: Some((0.0, 1.0)),
        unit: "",
        doc: "The threshold as a linear RMS value (0.0316 is -30 dBFS); instead of threshold.",
    },
    ParamSpec {
        name: "min_score",
        aliases: &["score_threshold"],
        kind: ParamKind::Float,
        default: ParamDefault::Absent,
        range: Some((0.01, 0.99)),
        unit: "",
        doc: "For auto and neural: the score from which a frame is speech, between 0 and 1; 0.5 \
              for auto and 0.7 for neural if not given. Higher finds less.",
    },
    ParamSpec {
        name: "frame_length_ms",
        aliases: &["frame_duration_ms"],
        kind: ParamKind::Int,
        default: ParamDefault::Int(30),
        range: Some((10.0, 100.0)),
        unit: "ms",
        doc: "Length of the frames that tagged output counts; for energy also of the analysis \
              window.",
    },
    ParamSpec {
        name: "sample_rate",
        aliases: &["sampling_rate", "sampleRate"],
        kind: ParamKind::Int,
        default: ParamDefault::Int(16_000),
        range: Some(RATE_RANGE_HZ),
        unit: "Hz",
        doc: "Sample rate of bare arrays; other items carry their own.",
    },
    ParamSpec {
        name: "min_speech_ms",
        aliases: &["min_speech_duration_ms"],
        kind: ParamKind::Int,
        default: ParamDefault::Int(90),
        range: Some((0.0, 10_000.0)),
        unit: "ms",
        doc: "Shorter segments are dropped.",
    },
    ParamSpec {
        name: "min_silence_ms",
        aliases: &["min_silence_duration_ms"],
        kind: ParamKind::Int,
        default: ParamDefault::Absent,
        range: Some((0.0, 10_000.0)),
        unit: "ms",
        doc: "Shorter pauses do not split a segment; 100 for auto, 300 for neural and energy if not \
              given.",
    },
    ParamSpec {
        name: "pre_roll_ms",
        aliases: &[],
        kind: ParamKind::Int,
        default: ParamDefault::Int(0),
        range: Some((0.0, 2_000.0)),
        unit: "ms",
        doc: "For auto and neural: how much earlier each segment begins than its first speech.",
    },
    ParamSpec {
        name: "hang_over_ms",
        aliases: &[],
        kind: ParamKind::Int,
        default: ParamDefault::Int(0),
        range: Some((0.0, 2_000.0)),
        unit: "ms",
        doc: "For auto and neural: how much later each segment ends than its last speech.",
    },
    ParamSpec {
        name: "output",
        aliases: &[],
        kind: ParamKind::Choice(&["segments", "tagged"]),
        default: ParamDefault::Text("segments"),
        range: None,
        unit: "",
        doc: "segments: a list of segments per item. tagged: the audio itself with a dict of \
              segments, is_speech, speech_frames and total_frames.",
    },
    ParamSpec {
        doc: "False: every item is a complete recording. True: items are pieces of one stream, \
              times count from its start, a segment is given about a second after its end (of \
              one that goes on, every ten minutes), and a flush gives the rest.",
        ..STREAMING
    },
];

/// How the detector of a node works, by its parameters.
pub(super) fn plan(params: &Params) -> Result<Plan, ParamProblem> {
    let in_frames = |ms: u32| ms.div_ceil(HOP_MS).to_usize().unwrap_or(0);
    let frames = |name| Ok(in_frames(params.u32(name)?));
    let min_speech = frames("min_speech_ms")?;
    let given_silence = params.optional_u32("min_silence_ms")?;
    let min_silence = |otherwise_ms| in_frames(given_silence.unwrap_or(otherwise_ms));
    let longest = if params.bool("streaming")? { LONGEST_IN_STREAM } else { usize::MAX };
    let rules = |least_score: f64, silence_ms: u32| {
        let given = params.optional_float("min_score")?;
        Ok(Rules {
            least_score: given.unwrap_or(least_score).to_f32().unwrap_or(0.5),
            min_speech,
            min_silence: min_silence(silence_ms),
            before: frames("pre_roll_ms")?,
            after: frames("hang_over_ms")?,
            longest,
        })
    };
    let is_given = |name: &str| params.given().get(name).is_some_and(|value| !value.is_null());
    let by_level = is_given("threshold") || is_given("energy_threshold");
    match params.optional_text("method")? {
        Some("neural") => Ok(Plan::Neural(rules(0.7, 300)?)),
        None if !by_level => Ok(Plan::Auto(rules(0.5, 100)?)),
        Some("auto") => Ok(Plan::Auto(rules(0.5, 100)?)),
        _ => {
            let threshold_db = match params.optional_float("energy_threshold")? {
                Some(linear) => (20.0 * linear.log10()).max(SILENCE_DB),
                None => params.float("threshold")?,
            };
            Ok(Plan::Energy(Settings {
                threshold_db: threshold_db.to_f32().unwrap_or(0.0),
                min_speech_frames: min_speech,
                min_silence_frames: min_silence(300),
                longest_frames: longest,
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::registry;

    fn min_silence_frames(params: &Value) -> usize {
        let node_type = registry::builtin().get("VADNode").unwrap();
        let params = node_type.check_params(params.as_object().unwrap()).unwrap();
        match plan(&params).unwrap() {
            Plan::Auto(rules) | Plan::Neural(rules) => rules.min_silence,
            Plan::Energy(settings) => settings.min_silence_frames,
        }
    }

    #[test]
    fn the_shortest_pause_depends_on_the_method_unless_it_is_given() {
        let found = |params| min_silence_frames(&params);
        assert_eq!(found(json!({})), 10);
        assert_eq!(found(json!({"method": "neural"})), 30);
        assert_eq!(found(json!({"threshold": -30})), 30);
        for method in ["auto", "neural", "energy"] {
            assert_eq!(found(json!({"method": method, "min_silence_ms": 195})), 20);
        }
    }
}
