//! MixChannelsNode and SplitChannelsNode: another number of channels, and single channels.

use ipc_protocol::Value;
use num_traits::ToPrimitive;

use super::audio_item::{self, AudioItem};
use super::effect::{Channels, array_of};
use crate::error::{NodeError, NodeErrorKind};
use crate::node::{Emit, Node, NodeType};
use crate::params::{ParamDefault, ParamKind, ParamProblem, ParamSpec, Params};

pub(super) static MIX: NodeType = NodeType {
    name: "MixChannelsNode",
    version: "1.0.0",
    summary: "Mixes audio to one channel, or changes the number of channels.",
    aliases: &[],
    capabilities: &["audio"],
    params: &[ParamSpec {
        name: "channels",
        aliases: &["output_channels"],
        kind: ParamKind::Int,
        default: ParamDefault::Int(1),
        range: Some((1.0, 256.0)),
        unit: "",
        doc: "1: the mean of all channels. More: channels are dropped at the end, or the last one \
              is repeated.",
    }],
    exclusive: &[],
    build: build_mix,
};

pub(super) static SPLIT: NodeType = NodeType {
    name: "SplitChannelsNode",
    version: "1.0.0",
    summary: "Gives each channel of audio as an item of its own, or only one of them.",
    aliases: &[],
    capabilities: &["audio"],
    params: &[ParamSpec {
        name: "channel",
        aliases: &[],
        kind: ParamKind::Int,
        default: ParamDefault::Int(-1),
        range: Some((-1.0, 255.0)),
        unit: "",
        doc: "Number of the only channel to give, from 0; -1 gives all, one after the other.",
    }],
    exclusive: &[],
    build: build_split,
};

fn build_mix(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    let channels = params.u32("channels")?.to_usize().unwrap_or(1);
    Ok(Box::new(Mix { channels }))
}

fn build_split(params: &Params) -> Result<Box<dyn Node>, ParamProblem> {
    Ok(Box::new(Split { channel: usize::try_from(params.int("channel")?).ok() }))
}

struct Mix {
    channels: usize,
}

impl Node for Mix {
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError> {
        let item = AudioItem::take(input)?;
        let planes = audio_item::planes(&item.array)?;
        let flat = planes.flat;
        let have: Vec<&[f32]> = planes.iter().collect();
        let out: Channels = if self.channels == 1 && have.len() > 1 {
            vec![mean(&have)]
        } else {
            let last = have.len() - 1;
            (0..self.channels).map(|channel| have[channel.min(last)].to_vec()).collect()
        };
        let rate_hz = item.sample_rate_hz.unwrap_or(0);
        drop(planes);
        emit(item.form.answer(array_of(out, flat), rate_hz));
        Ok(())
    }
}

fn mean(channels: &[&[f32]]) -> Vec<f32> {
    let samples = channels.first().map_or(0, |plane| plane.len());
    let share = 1.0 / channels.len().to_f32().unwrap_or(1.0);
    let mut sum = vec![0.0; samples];
    for plane in channels {
        sum.iter_mut().zip(*plane).for_each(|(sum, sample)| *sum += sample);
    }
    sum.iter_mut().for_each(|sum| *sum *= share);
    sum
}

struct Split {
    channel: Option<usize>,
}

impl Node for Split {
    fn process(&mut self, input: Value, emit: Emit<'_>) -> Result<(), NodeError> {
        let item = AudioItem::take(input)?;
        let planes = audio_item::planes(&item.array)?;
        let rate_hz = item.sample_rate_hz.unwrap_or(0);
        let one = |plane: &[f32]| {
            item.form.clone().answer(array_of(vec![plane.to_vec()], planes.flat), rate_hz)
        };
        match self.channel {
            None => planes.iter().for_each(|plane| emit(one(plane))),
            Some(channel) => {
                let plane = planes.iter().nth(channel).ok_or_else(|| NodeErrorKind::BadValue {
                    what: "channel",
                    expected: format!("below the item's {} channels", planes.channels),
                    got: channel.to_string(),
                })?;
                emit(one(plane));
            }
        }
        Ok(())
    }
}
