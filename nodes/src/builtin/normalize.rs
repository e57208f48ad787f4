//! NormalizeNode: gives a recording a level, by its peak, its RMS, or its loudness (EBU R128, crate
//! `ebur128`). Each item is a complete recording.

use ebur128::{EbuR128, Mode};
use num_traits::ToPrimitive;

use super::effect::{Channels, Effect, EffectNode, SAMPLE_RATE, factor};
use crate::error::{NodeError, NodeErrorKind};
use crate::node::{Node, NodeType};
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};

/// Usual levels: of peaks and RMS in dBFS, of loudness in LUFS (EBU R128).
const USUAL: [f64; 3] = [-1.0, -20.0, -23.0];
/// Most channels of which loudness is measured.
const MOST_CHANNELS: usize = 64;

pub(super) static TYPE: NodeType = NodeType {
    name: "NormalizeNode",
    version: "1.0.0",
    summary: "Gives a recording a peak, an RMS level or a loudness (EBU R128).",
    aliases: &["NormaliseNode"],
    capabilities: &["audio"],
    params: &[
        ParamSpec {
            name: "mode",
            aliases: &[],
            kind: ParamKind::Choice(&["peak", "rms", "loudness"]),
            default: ParamDefault::Text("peak"),
            range: None,
            unit: "",
            doc: "What gets the level: the largest sample, the RMS of all samples, or the integrated \
                  loudness with the gates of EBU R128.",
        },
        ParamSpec {
            name: "target",
            aliases: &["target_db", "target_lufs"],
            kind: ParamKind::Float,
            default: ParamDefault::Absent,
            range: Some((-70.0, 0.0)),
            unit: "dB",
            doc: "The level: dBFS for peak (-1 if not given) and rms (-20), LUFS for loudness (-23).",
        },
        ParamSpec {
            name: "max_peak",
            aliases: &["max_peak_db"],
            kind: ParamKind::Float,
            default: ParamDefault::Float(0.0),
            range: Some((-70.0, 60.0)),
            unit: "dBFS",
            doc: "The gain is reduced so that no sample exceeds this peak.",
        },
        SAMPLE_RATE,
    ],
    exclusive: &[],
    build,
};

#[derive(Debug, Clone, Copy)]
enum Measure {
    Peak,
    Rms,
    Loudness,
}

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    let (measure, usual) = match params.text("mode")? {
        "rms" => (Measure::Rms, USUAL[1]),
        "loudness" => (Measure::Loudness, USUAL[2]),
        _ => (Measure::Peak, USUAL[0]),
    };
    let effect = Normalize {
        measure,
        target_db: params.optional_float("target")?.unwrap_or(usual),
        max_peak_db: params.float("max_peak")?,
        rate_hz: 0,
    };
    Ok(Box::new(EffectNode::new(effect, params, false)?))
}

struct Normalize {
    measure: Measure,
    target_db: f64,
    max_peak_db: f64,
    rate_hz: u32,
}

impl Effect for Normalize {
    fn begin(&mut self, rate_hz: u32, channels: usize) -> Result<(), NodeError> {
        self.rate_hz = rate_hz;
        if matches!(self.measure, Measure::Loudness) && channels > MOST_CHANNELS {
            return Err(NodeErrorKind::BadValue {
                what: "the channel count",
                expected: format!("at most {MOST_CHANNELS} to measure loudness"),
                got: channels.to_string(),
            }
            .into());
        }
        Ok(())
    }

    fn push(&mut self, mut piece: Channels) -> Channels {
        let peak_db = decibels(peak(&piece));
        let level_db = match self.measure {
            Measure::Peak => peak_db,
            Measure::Rms => decibels(rms(&piece)),
            Measure::Loudness => loudness(&piece, self.rate_hz).unwrap_or(f64::NEG_INFINITY),
        };
        // Silence has no level that could be changed.
        if level_db.is_finite() {
            let gain_db = (self.target_db - level_db).min(self.max_peak_db - peak_db);
            let factor = factor(gain_db).to_f32().unwrap_or(1.0);
            piece.iter_mut().flatten().for_each(|sample| *sample *= factor);
        }
        piece
    }
}

/// The largest magnitude.
pub(super) fn peak(channels: &[Vec<f32>]) -> f64 {
    channels.iter().flatten().fold(0.0_f32, |peak, sample| peak.max(sample.abs())).into()
}

/// The root of the mean square of all samples.
pub(super) fn rms(channels: &[Vec<f32>]) -> f64 {
    let count: usize = channels.iter().map(Vec::len).sum();
    let squares: f64 = channels.iter().flatten().map(|x| f64::from(*x) * f64::from(*x)).sum();
    (squares / count.max(1) as f64).sqrt()
}

pub(super) fn decibels(level: f64) -> f64 {
    20.0 * level.log10()
}

/// The integrated loudness in LUFS; `None` where there is none: less than 0.4 s, silence, or more
/// channels than can be measured.
pub(super) fn loudness(channels: &[Vec<f32>], rate_hz: u32) -> Option<f64> {
    let count = u32::try_from(channels.len()).ok().filter(|_| channels.len() <= MOST_CHANNELS)?;
    let mut meter = EbuR128::new(count, rate_hz, Mode::I).ok()?;
    let planes: Vec<&[f32]> = channels.iter().map(Vec::as_slice).collect();
    meter.add_frames_planar_f32(&planes).ok()?;
    meter.loudness_global().ok().filter(|lufs| lufs.is_finite())
}
