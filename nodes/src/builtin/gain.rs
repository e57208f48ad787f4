//! GainNode: louder or quieter by a fixed factor, clipped nowhere.

use num_traits::ToPrimitive;

use super::effect::{Channels, Effect, EffectNode, SAMPLE_RATE, factor};
use crate::error::NodeError;
use crate::node::{Node, NodeType};
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};

pub(super) static TYPE: NodeType = NodeType {
    name: "GainNode",
    version: "1.0.0",
    summary: "Makes audio louder or quieter by a number of decibels.",
    aliases: &[],
    capabilities: &["audio"],
    params: &[
        ParamSpec {
            name: "gain_db",
            aliases: &["gain"],
            kind: ParamKind::Float,
            default: ParamDefault::Float(0.0),
            range: Some((-120.0, 60.0)),
            unit: "dB",
            doc: "Samples are multiplied by 10^(gain_db / 20), and not clipped.",
        },
        SAMPLE_RATE,
    ],
    exclusive: &[],
    build,
};

fn build(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    let factor = factor(params.float("gain_db")?).to_f32().unwrap_or(1.0);
    Ok(Box::new(EffectNode::new(Gain { factor }, params, false)?))
}

struct Gain {
    factor: f32,
}

impl Effect for Gain {
    fn begin(&mut self, _rate_hz: u32, _channels: usize) -> Result<(), NodeError> {
        Ok(())
    }

    fn push(&mut self, mut piece: Channels) -> Channels {
        piece.iter_mut().flatten().for_each(|sample| *sample *= self.factor);
        piece
    }
}
