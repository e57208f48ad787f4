//! Graphs at random: up to six stages whose edges go forward, with slots, joins, time-outs and replicas.

use std::time::Duration;

use super::dice::Dice;
use crate::model::{Breaker, Join, OnOpen, Retry};
use crate::placement::Part;
use crate::schedule::tests::stage;
use crate::schedule::{Bounds, StageShape, StateLoss, Target, Times};

const MS: Duration = Duration::from_millis(1);

/// Stages, and for each slot whether it opens first.
pub(super) fn graph(dice: &mut Dice) -> (Vec<StageShape>, Vec<bool>) {
    let count = 1 + dice.pick(6);
    let slots = 1 + dice.pick(4);
    let mut shapes: Vec<StageShape> = Vec::new();
    for id in 0..count {
        let slot = dice.chance(750).then(|| dice.pick(slots));
        let mut shape = stage(slot, 0, &[]);
        shape.timeouts = (0..=dice.pick(3)).map(|_| timeout(dice)).collect();
        if dice.chance(400) {
            shape.join = Join::Zip;
        }
        for from in shapes.iter_mut().take(id) {
            if dice.chance(400) {
                from.outputs.push(Target { stage: id, input: shape.inputs });
                shape.inputs += 1;
            }
        }
        if slot.is_some() {
            rules(dice, &mut shape);
        }
        shape.is_source = shape.inputs == 0 && dice.chance(100);
        shape.flushes = dice.chance(500);
        shape.is_watched = dice.chance(200);
        shapes.push(shape);
    }
    let mut opens_first: Vec<bool> = (0..slots).map(|_| dice.chance(300)).collect();
    if dice.chance(400) {
        replicate(dice, &mut shapes, &mut opens_first);
    }
    (shapes, opens_first)
}

/// Gives one stage, in slots of its own, up to three further replicas.
fn replicate(dice: &mut Dice, shapes: &mut Vec<StageShape>, opens_first: &mut Vec<bool>) {
    let first = dice.pick(shapes.len());
    if shapes[first].slot.is_none() || shapes[first].is_source {
        return;
    }
    // The core leaves the order of rounds alone where several ways meet.
    let has_joins = shapes.iter().any(|shape| shape.inputs > 1);
    let further: Vec<usize> = (0..=dice.pick(3)).map(|at| shapes.len() + at).collect();
    let is_ordered = has_joins || dice.chance(500);
    shapes[first].breaker = None;
    shapes[first].slot = Some(opens_first.len());
    opens_first.push(dice.chance(300));
    for _ in &further {
        let slot = Some(opens_first.len());
        opens_first.push(false);
        let (part, outputs) = (Part::Further { first }, Vec::new());
        shapes.push(StageShape { slot, inputs: 0, outputs, part, ..shapes[first].clone() });
    }
    shapes[first].part = Part::First { further, is_ordered };
}

/// What happens when the nodes of a stage fail.
fn rules(dice: &mut Dice, shape: &mut StageShape) {
    shape.retries = shape.timeouts.iter().map(|_| dice.chance(400).then(|| retry(dice))).collect();
    shape.repeats = dice.chance(200).then(|| retry(dice));
    shape.state = if dice.chance(700) { StateLoss::Stateless } else { StateLoss::Lost };
    if shape.timeouts.len() > 1 {
        return;
    }
    shape.deadline =
        dice.chance(200).then(|| MS * u32::try_from(50 + dice.roll(400)).unwrap_or(50));
    shape.breaker = dice.chance(200).then(|| Breaker {
        failures: 1 + u32::try_from(dice.roll(3)).unwrap_or(0),
        pause: MS * u32::try_from(20 + dice.roll(200)).unwrap_or(20),
        on_open: match dice.roll(3) {
            0 => OnOpen::Error,
            1 => OnOpen::Drop,
            _ if shape.join == Join::Zip => OnOpen::Error,
            _ => OnOpen::Pass,
        },
    });
}

fn retry(dice: &mut Dice) -> Retry {
    let limit = 1 + u32::try_from(dice.roll(3)).unwrap_or(0);
    Retry { limit, delay: MS * u32::try_from(dice.roll(60)).unwrap_or(0) }
}

fn timeout(dice: &mut Dice) -> Option<Duration> {
    dice.chance(500).then(|| MS * u32::try_from(20 + dice.roll(200)).unwrap_or(20))
}

pub(super) fn bounds(dice: &mut Dice) -> Bounds {
    let ms =
        |dice: &mut Dice, least, most| MS * u32::try_from(least + dice.roll(most)).unwrap_or(1);
    Bounds {
        window: 1 + u32::try_from(dice.roll(4)).unwrap_or(0),
        queue: 1 + dice.pick(3),
        times: Times {
            acquire_timeout: ms(dice, 200, 2_000),
            open_timeout: ms(dice, 100, 1_000),
            close_timeout: ms(dice, 50, 500),
        },
    }
}
