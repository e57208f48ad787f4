//! Graphs and workers at random: whatever they do, every round ends once and in order.

use std::time::Instant;

use proptest::prelude::*;

use super::{BOUNDS, stage};
use crate::model::Join;
use crate::schedule::{Action, Core, Event, StageShape, Target, Work};

/// A graph of up to six stages whose edges go forward, with slots and joins at random.
fn shapes() -> impl Strategy<Value = (Vec<StageShape>, usize)> {
    (1_usize..6, proptest::collection::vec(any::<u8>(), 64)).prop_map(|(count, dice)| {
        let mut dice = dice.into_iter().cycle();
        let mut roll = move |sides: u8| dice.next().unwrap_or(0) % sides;
        let mut shapes: Vec<StageShape> = Vec::new();
        for id in 0..count {
            let slot = (roll(3) > 0).then(|| usize::from(roll(3)));
            let mut shape = stage(slot, 0, &[]);
            if roll(2) == 0 {
                shape.join = Join::Zip;
            }
            for from in shapes.iter_mut().take(id) {
                if roll(2) == 0 {
                    from.outputs.push(Target { stage: id, input: shape.inputs });
                    shape.inputs += 1;
                }
            }
            shapes.push(shape);
        }
        (shapes, 3)
    })
}

/// A worker's side of the bargain, at random: what every call under way does next.
struct Simulation {
    core: Core<u32>,
    slots: Vec<Option<usize>>,
    now: Instant,
    busy: Vec<Option<u32>>,
    suspended: Vec<bool>,
    reopening: Vec<usize>,
    rounds_done: Vec<u64>,
    delivered: Vec<(usize, u64)>,
    /// What each stage was last called with.
    work: Vec<Option<Work<u32>>>,
    next_slot: usize,
}

impl Simulation {
    fn new(shapes: Vec<StageShape>, slots: usize) -> Self {
        let stages = shapes.len();
        Self {
            slots: shapes.iter().map(|shape| shape.slot).collect(),
            core: Core::new(shapes, slots, BOUNDS),
            now: Instant::now(),
            busy: vec![None; stages],
            suspended: vec![false; stages],
            reopening: Vec::new(),
            rounds_done: Vec::new(),
            delivered: Vec::new(),
            work: vec![None; stages],
            next_slot: slots,
        }
    }

    fn feed(&mut self, event: Event<u32>) {
        for action in self.core.handle(self.now, event) {
            match action {
                Action::Call { stage, work } => {
                    self.work[stage] = Some(work);
                    assert!(self.busy[stage].is_none(), "one call at a time per stage");
                    if let Some(slot) = self.slots[stage] {
                        let running = (0..self.busy.len()).filter(|other| {
                            self.slots[*other] == Some(slot)
                                && self.busy[*other].is_some()
                                && !self.suspended[*other]
                        });
                        assert_eq!(running.count(), 0, "one running call at a time per slot");
                    }
                    self.busy[stage] = Some(0);
                }
                Action::Credit(stage) => {
                    assert!(self.suspended[stage]);
                    self.suspended[stage] = false;
                    self.busy[stage] = Some(0);
                }
                Action::Reopen(slot) => self.reopening.push(slot),
                Action::RoundDone(round) => self.rounds_done.push(round),
                Action::Deliver { stage, round, .. } => self.delivered.push((stage, round)),
                Action::Expire(_) | Action::Uneven(_) => {}
            }
        }
    }

    /// Lets one thing happen; false when nothing can.
    fn step(&mut self, die: u8) -> bool {
        if let Some(slot) = self.reopening.pop() {
            let event = if die.is_multiple_of(5) {
                Event::ReopenFailed(slot)
            } else {
                Event::SlotReady(slot)
            };
            self.feed(event);
            return true;
        }
        let able: Vec<usize> = (0..self.busy.len())
            .filter(|stage| self.busy[*stage].is_some() && !self.suspended[*stage])
            .collect();
        let Some(&stage) = able.get(usize::from(die) % able.len().max(1)) else { return false };
        let sent = self.busy[stage].unwrap_or(0);
        match (die / 16, self.slots[stage]) {
            (0, Some(slot)) => {
                for other in 0..self.busy.len() {
                    if self.slots[other] == Some(slot) {
                        self.busy[other] = None;
                        self.suspended[other] = false;
                    }
                }
                self.feed(Event::SlotLost(slot));
            }
            (1, Some(_)) if die.is_multiple_of(2) && sent == 0 => {
                self.busy[stage] = None;
                self.slots[stage] = Some(self.next_slot);
                self.next_slot += 1;
                let work = die.is_multiple_of(4).then(|| self.work[stage].clone()).flatten();
                self.feed(Event::Moved { stage, slot: self.next_slot - 1, work });
            }
            (1, _) => {
                self.busy[stage] = None;
                self.feed(Event::Failed(stage));
            }
            (2..=9, _) if sent < 12 => {
                self.busy[stage] = Some(sent + 1);
                if self.slots[stage].is_some() && sent + 1 == BOUNDS.window {
                    self.suspended[stage] = true;
                }
                self.feed(Event::Output(stage, sent));
            }
            _ => {
                self.busy[stage] = None;
                self.feed(Event::Done(stage));
            }
        }
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Whatever the graph and whatever fails: every round ends, once and in order, nothing waits
    /// for ever, and each sink's outputs come in the order of the inputs.
    #[test]
    fn every_round_ends_in_order(
        (shapes, slots) in shapes(),
        dice in proptest::collection::vec(any::<u8>(), 400),
        rounds in 1_u64..6,
    ) {
        let mut simulation = Simulation::new(shapes, slots);
        let mut dice = dice.into_iter().cycle();
        let mut fed = 0;
        for _ in 0..100_000 {
            let die = dice.next().unwrap_or(0);
            if fed < rounds && die % 4 == 0 {
                fed += 1;
                simulation.feed(if fed == rounds { Event::Flush } else { Event::Input(Some(die.into())) });
            }
            // Outputs stop multiplying after a while, or bursts of bursts would take for ever.
            let die = if simulation.delivered.len() > 2_000 { die | 0xF0 } else { die };
            if !simulation.step(die) && fed == rounds {
                break;
            }
        }
        prop_assert_eq!(simulation.core.open_rounds(), 0);
        prop_assert_eq!(simulation.rounds_done, (0..rounds).collect::<Vec<_>>());
        let mut last = std::collections::HashMap::new();
        for (stage, round) in simulation.delivered {
            let before = last.insert(stage, round).unwrap_or(0);
            prop_assert!(before <= round, "sink {stage} gave round {round} after {before}");
        }
    }
}
