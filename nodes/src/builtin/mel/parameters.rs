//! The parameters of MelSpectrogramNode.

use num_traits::ToPrimitive;

use super::{Mel, Scale, Settings};
use crate::builtin::audio_item::BareRate;
use crate::builtin::effect::SAMPLE_RATE;
use crate::node::{Node, NodeType};
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};

const fn count(name: &'static str, most: f64, doc: &'static str) -> ParamSpec {
    ParamSpec {
        name,
        aliases: &[],
        kind: ParamKind::Int,
        default: ParamDefault::Int(0),
        range: Some((0.0, most)),
        unit: "",
        doc,
    }
}

pub(in crate::builtin) static TYPE: NodeType = NodeType {
    name: "MelSpectrogramNode",
    version: "1.0.0",
    summary: "Energy in mel bands, as librosa or Whisper computes it.",
    aliases: &[],
    capabilities: &["audio"],
    params: &[
        ParamSpec {
            name: "preset",
            aliases: &[],
            kind: ParamKind::Choice(&["librosa", "whisper"]),
            default: ParamDefault::Text("librosa"),
            range: None,
            unit: "",
            doc: "librosa: frames of 2,048 samples every 512, 128 bands, ends padded with zeros, \
                  power. whisper: frames of 400 every 160, 80 bands, ends mirrored, without the last \
                  frame, on Whisper's logarithmic scale.",
        },
        count("n_fft", 16_384.0, "Samples of a frame; 0 takes the preset's."),
        count("hop_length", 65_536.0, "Samples from one frame to the next; 0 takes the preset's."),
        count("n_mels", 512.0, "Number of bands; 0 takes the preset's."),
        ParamSpec {
            name: "fmin",
            aliases: &[],
            kind: ParamKind::Float,
            default: ParamDefault::Float(0.0),
            range: Some((0.0, 384_000.0)),
            unit: "Hz",
            doc: "Where the lowest band begins.",
        },
        ParamSpec {
            name: "fmax",
            aliases: &[],
            kind: ParamKind::Float,
            default: ParamDefault::Absent,
            range: Some((1.0, 384_000.0)),
            unit: "Hz",
            doc: "Where the highest band ends; at most, and if not given, half of the sample rate.",
        },
        ParamSpec {
            name: "scale",
            aliases: &[],
            kind: ParamKind::Choice(&["preset", "power", "magnitude", "db", "whisper"]),
            default: ParamDefault::Text("preset"),
            range: None,
            unit: "",
            doc: "power and magnitude as they are; db: 10 log10(power), at most 80 dB below the \
                  largest (librosa's power_to_db); whisper: Whisper's logarithmic scale.",
        },
        SAMPLE_RATE,
    ],
    exclusive: &[],
    build,
};

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    let is_whisper = params.text("preset")? == "whisper";
    let (fft, hop, mels) = if is_whisper { (400, 160, 80) } else { (2_048, 512, 128) };
    let or = |name, usual: usize| {
        Ok(params.u32(name)?.to_usize().filter(|given| *given > 0).unwrap_or(usual))
    };
    let scale = params.text("scale")?;
    let settings = Settings {
        fft: or("n_fft", fft)?.max(2),
        hop: or("hop_length", hop)?,
        mels: or("n_mels", mels)?,
        low_hz: params.float("fmin")?,
        high_hz: params.optional_float("fmax")?,
        is_reflected: is_whisper,
        is_magnitude: scale == "magnitude",
        drops_last: is_whisper,
        scale: match scale {
            "db" => Scale::Decibels,
            "whisper" => Scale::Whisper,
            "preset" if is_whisper => Scale::Whisper,
            _ => Scale::Linear,
        },
    };
    let bare_rate = BareRate::new(params, SAMPLE_RATE.name)?;
    Ok(Box::new(Mel { settings, bare_rate, plan: None }))
}
