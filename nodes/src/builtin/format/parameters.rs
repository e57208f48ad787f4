//! The parameters of FormatConverterNode.

use super::{FormatConverter, Layout};
use crate::builtin::recycled::Recycled;
use crate::node::{Node, NodeType};
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};
use crate::pcm::{Dither, Encoding};

pub(in crate::builtin) static TYPE: NodeType = NodeType {
    name: "FormatConverterNode",
    version: "1.1.0",
    summary: "Converts audio samples between formats, and channels between planar and interleaved.",
    aliases: &[],
    capabilities: &["audio"],
    params: &[
        ParamSpec {
            name: "target_format",
            aliases: &["format", "targetFormat"],
            kind: ParamKind::Choice(Encoding::NAMES),
            default: ParamDefault::Text("f32"),
            range: None,
            unit: "",
            doc: "Format of the output: f32 or f64 (NaN, infinities and values beyond [-1, 1] \
                  stay), or i16, i24, i32, u8, alaw or mulaw (values are clipped, NaN becomes 0). \
                  u8, alaw, mulaw and i24 are arrays of uint8, i24 with three bytes a sample.",
        },
        ParamSpec {
            name: "source_format",
            aliases: &[],
            kind: ParamKind::Choice(Encoding::NAMES),
            default: ParamDefault::Absent,
            range: None,
            unit: "",
            doc: "What the bytes of uint8 arrays are, little-endian; u8 if not given. Other arrays \
                  have the format of their dtype.",
        },
        ParamSpec {
            name: "layout",
            aliases: &[],
            kind: ParamKind::Choice(&["keep", "planar", "interleaved"]),
            default: ParamDefault::Text("keep"),
            range: None,
            unit: "",
            doc: "Shape of the output: (channels, samples) for planar, (samples, channels) for \
                  interleaved, both in C order; keep leaves shape and memory order.",
        },
        ParamSpec {
            name: "source_layout",
            aliases: &[],
            kind: ParamKind::Choice(&["planar", "interleaved"]),
            default: ParamDefault::Text("planar"),
            range: None,
            unit: "",
            doc: "Shape of the input: (channels, samples) or (samples, channels).",
        },
        ParamSpec {
            name: "dither",
            aliases: &[],
            kind: ParamKind::Choice(&["none", "triangular"]),
            default: ParamDefault::Text("none"),
            range: None,
            unit: "",
            doc: "triangular: noise of two steps is added before rounding to u8, i16, i24 or i32 \
                  from a format with more bits, so that the error does not follow the sound.",
        },
        ParamSpec {
            name: "dither_seed",
            aliases: &[],
            kind: ParamKind::Int,
            default: ParamDefault::Int(0),
            range: Some((0.0, 4_294_967_295.0)),
            unit: "",
            doc: "Start of the noise; the same seed gives the same noise.",
        },
    ],
    exclusive: &[],
    build,
};

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    let layout = |name: &str| match name {
        "planar" => Some(Layout::Planar),
        "interleaved" => Some(Layout::Interleaved),
        _ => None,
    };
    let target = Encoding::from_name(params.text("target_format")?).unwrap_or(Encoding::F32);
    let is_dithered = params.text("dither")? == "triangular";
    Ok(Box::new(FormatConverter {
        source: params.optional_text("source_format")?.and_then(Encoding::from_name),
        target,
        source_layout: layout(params.text("source_layout")?).unwrap_or(Layout::Planar),
        layout: layout(params.text("layout")?),
        dither: is_dithered
            .then(|| params.u32("dither_seed"))
            .transpose()?
            .map(u64::from)
            .map(Dither::new),
        recycled: Recycled::default(),
    }))
}
