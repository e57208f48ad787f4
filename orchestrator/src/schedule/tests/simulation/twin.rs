//! One session twice: with workers that live for ever, and with workers that are killed at any moment.
//! Its nodes keep state, save it, and compute outputs from state and item alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use super::dice::Dice;
use crate::model::{Join, Retry};
use crate::schedule::tests::{BOUNDS, stage};
use crate::schedule::{
    Action, Core, Event, Failure, SlotId, StageId, StageShape, StateLoss, Target, Traits, Work,
};

/// Most kills of one slot's workers between two checkpoints: more could make the core give up the state.
const KILLS: u64 = 3;

/// What the caller has seen: outputs by sink, and the number of errors.
type Seen = (BTreeMap<StageId, Vec<(u64, u64)>>, u64);

pub(super) fn run(seed: u64, tells: bool) {
    let calm = Twin::new(seed, false, tells).run();
    let wild = Twin::new(seed, true, tells).run();
    assert_eq!(calm, wild);
}

struct Twin {
    dice: Dice,
    is_wild: bool,
    tells: bool,
    now: Instant,
    shapes: Vec<StageShape>,
    core: Core<u64>,
    workers: Vec<Worker>,
    /// The slots that have a standby, in the order of the slots of these.
    standbys: Vec<SlotId>,
    /// Slots that wait for a worker.
    requested: Vec<SlotId>,
    /// Slots whose nodes are being made.
    opening: Vec<SlotId>,
    /// The state that the nodes of each slot have saved.
    saved: Vec<BTreeMap<StageId, u64>>,
    /// Kills of each slot's workers since the state was saved.
    kills: Vec<u64>,
    fed: u64,
    rounds: u64,
    seen: Seen,
}

#[derive(Default)]
struct Worker {
    is_alive: bool,
    inbox: VecDeque<Message>,
    outbox: VecDeque<Answer>,
    states: BTreeMap<StageId, u64>,
    /// Outputs that wait for credit, and how the call ends.
    suspended: BTreeMap<StageId, (VecDeque<u64>, Ends)>,
    kept: BTreeSet<StageId>,
}

enum Message {
    Call(StageId, Work<u64>),
    Credit(StageId),
    Abort(StageId),
    Save,
    Restore(BTreeMap<StageId, u64>),
}

enum Answer {
    Event(Event<u64>),
    Saved(BTreeMap<StageId, u64>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Well,
    Fails,
    FailsAndIsKept,
}

fn hash(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// A chain or a diamond of stages; the first ones share a slot now and then.
fn graph(dice: &mut Dice) -> (Vec<StageShape>, usize) {
    let slots = 1 + dice.pick(3);
    let mut shapes: Vec<StageShape> = Vec::new();
    for id in 0..1 + dice.pick(4) {
        let mut shape = stage(Some(dice.pick(slots)), 0, &[]);
        for from in shapes.iter_mut().take(id) {
            if dice.chance(500) {
                from.outputs.push(Target { stage: id, input: shape.inputs });
                shape.inputs += 1;
            }
        }
        shape.saves_every = 1 + dice.pick(4);
        shape.flushes = dice.chance(500);
        shape.repeats = Some(Retry { limit: 1000, delay: Duration::ZERO });
        shape.join = Join::Interleave;
        shapes.push(shape);
    }
    (shapes, slots)
}

impl Twin {
    fn new(seed: u64, is_wild: bool, tells: bool) -> Self {
        let mut dice = Dice::new(seed);
        let (shapes, slots) = graph(&mut dice);
        let rounds = 2 + dice.roll(12);
        // From here on the two sessions may differ, but not in what they are.
        let mut dice = Dice::new(seed ^ u64::from(is_wild));
        let mut core = Core::new(shapes.clone(), &vec![false; slots], BOUNDS);
        let standbys = (0..slots).filter(|_| is_wild && dice.chance(300)).collect::<Vec<_>>();
        standbys.iter().for_each(|slot| {
            core.add_standby(*slot);
        });
        Self {
            dice,
            is_wild,
            tells,
            now: Instant::now(),
            core,
            shapes,
            workers: (0..slots + standbys.len()).map(|_| Worker::default()).collect(),
            standbys,
            requested: Vec::new(),
            opening: Vec::new(),
            saved: vec![BTreeMap::new(); slots],
            kills: vec![0; slots + slots],
            fed: 0,
            rounds,
            seen: Seen::default(),
        }
    }

    fn run(mut self) -> Seen {
        self.feed(Event::Open);
        for _ in 0..20_000 {
            if self.fed == self.rounds && self.core.open_rounds() == 0 {
                return self.seen;
            }
            self.step();
        }
        panic!("does not end");
    }

    /// One thing happens: an input, a message that a worker handles, an answer, a death.
    fn step(&mut self) {
        if self.fed < self.rounds && self.core.wants_input() && self.dice.chance(200) {
            self.fed += 1;
            let is_last = self.fed == self.rounds;
            let input = Event::Input(Some(hash(self.fed)));
            return self.feed(if is_last { Event::Flush } else { input });
        }
        if !self.requested.is_empty() && self.dice.chance(300) {
            let granted = self.requested.swap_remove(self.dice.pick(self.requested.len()));
            return self.feed(Event::Granted(granted));
        }
        if let Some(slot) = self.opening.pop_if(|_| self.dice.chance(300)) {
            return self.feed(Event::Opened(slot));
        }
        let slot = self.dice.pick(self.workers.len());
        if !self.workers[slot].is_alive {
            return;
        }
        let of = self.primary(slot);
        let has_nodes = self.shapes.iter().any(|shape| shape.slot == Some(of));
        let is_open = !self.core.slots().is_opening();
        let may_die = self.is_wild && is_open && has_nodes && self.kills[slot] < KILLS;
        if may_die && self.dice.chance(30) {
            return self.kill(slot);
        }
        match self.dice.roll(2) {
            0 => self.work(slot),
            _ => self.answer(slot),
        }
    }

    fn kill(&mut self, slot: SlotId) {
        self.kills[slot] += 1;
        self.workers[slot] = Worker::default();
        self.opening.retain(|opening| *opening != slot);
        self.feed(Event::LinkEnded(slot));
        self.feed(Event::Exited(slot));
    }

    /// The worker handles its next message.
    fn work(&mut self, slot: SlotId) {
        let window = usize::try_from(BOUNDS.window).unwrap_or(1);
        let worker = &mut self.workers[slot];
        match worker.inbox.pop_front() {
            None => {}
            Some(Message::Restore(states)) => worker.states = states,
            Some(Message::Save) => worker.outbox.push_back(Answer::Saved(worker.states.clone())),
            Some(Message::Call(stage, work)) => {
                let state = worker.states.entry(stage).or_default();
                let item = match work {
                    Work::Item(value) => value,
                    other => hash(format!("{other:?}")),
                };
                *state = hash((*state, item, stage));
                let outputs = (0..*state % 5).map(|index| hash((*state, index))).collect();
                let ends = match hash((*state, "end")) % 30 {
                    0 => Ends::Fails,
                    1 => Ends::FailsAndIsKept,
                    _ => Ends::Well,
                };
                worker.go_on(stage, outputs, ends, window);
            }
            Some(Message::Credit(stage)) => {
                let Some((outputs, ends)) = worker.suspended.remove(&stage) else {
                    panic!("nothing is suspended in stage {stage}")
                };
                worker.go_on(stage, outputs, ends, window);
            }
            Some(Message::Abort(stage)) => {
                let was_suspended = worker.suspended.remove(&stage).is_some();
                assert!(worker.kept.remove(&stage) || was_suspended, "nothing to end");
                worker.outbox.push_back(Answer::Event(Event::Done(stage)));
            }
        }
    }

    /// An answer of the worker arrives.
    fn answer(&mut self, slot: SlotId) {
        match self.workers[slot].outbox.pop_front() {
            None => {}
            Some(Answer::Saved(states)) => {
                self.saved[slot] = states;
                self.kills[slot] = 0;
                self.feed(Event::Saved(slot, true));
            }
            Some(Answer::Event(event)) => self.feed(event),
        }
    }

    fn feed(&mut self, event: Event<u64>) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            self.tell("<-", &event);
            for action in self.core.handle(self.now, event) {
                self.tell("->", &action);
                events.extend(self.carry_out(action));
            }
        }
    }

    fn carry_out(&mut self, action: Action<u64>) -> Vec<Event<u64>> {
        match action {
            Action::Acquire(slots) => self.requested.extend(slots),
            Action::Withdraw(slot) => self.requested.retain(|requested| *requested != slot),
            Action::Open(slot) => self.open(slot),
            Action::Call { stage, work } => self.send(stage, Message::Call(stage, work)),
            Action::Credit(stage) => self.send(stage, Message::Credit(stage)),
            Action::Abort(stage) => self.send(stage, Message::Abort(stage)),
            Action::Save(slot) => self.workers[slot].inbox.push_back(Message::Save),
            Action::PassState { from, to } => {
                let message = Message::Restore(self.saved[from].clone());
                self.workers[to].inbox.push_back(message);
            }
            Action::Promote { from, to } => {
                assert!(!self.workers[to].is_alive && self.workers[from].is_alive);
                self.workers.swap(from, to);
            }
            Action::Deliver { stage, round, value } => {
                self.seen.0.entry(stage).or_default().push((round, value));
            }
            Action::Tell(..) => self.seen.1 += 1,
            Action::RemoveDead(slot) => return vec![Event::Lost(slot)],
            Action::RoundDone(_) | Action::Restoring(..) => {}
            other => panic!("{other:?}"),
        }
        Vec::new()
    }

    /// The slot itself, or the one that it stands by for.
    fn primary(&self, slot: SlotId) -> SlotId {
        slot.checked_sub(self.saved.len()).map_or(slot, |index| self.standbys[index])
    }

    fn open(&mut self, slot: SlotId) {
        let states = self.saved[self.primary(slot)].clone();
        self.workers[slot] = Worker { is_alive: true, states, ..Worker::default() };
        for (stage, shape) in self.shapes.iter().enumerate() {
            if shape.slot == Some(slot) {
                let (is_source, flushes) = (false, shape.flushes);
                self.core.note(stage, Traits { is_source, flushes, state: StateLoss::Saved });
            }
        }
        self.opening.push(slot);
    }

    fn send(&mut self, stage: StageId, message: Message) {
        if let Some(slot) = self.shapes[stage].slot {
            self.workers[slot].inbox.push_back(message);
        }
    }

    #[expect(clippy::print_stdout, reason = "the story of a session")]
    fn tell(&self, direction: &str, what: &impl std::fmt::Debug) {
        if self.tells {
            println!("{} {direction} {what:?}", if self.is_wild { "wild" } else { "calm" });
        }
    }
}

impl Worker {
    /// Gives the outputs of a call as far as the window allows.
    fn go_on(&mut self, stage: StageId, mut outputs: VecDeque<u64>, ends: Ends, window: usize) {
        let is_long = outputs.len() >= window;
        for output in outputs.drain(..outputs.len().min(window)) {
            self.outbox.push_back(Answer::Event(Event::Output(stage, output)));
        }
        if is_long {
            self.suspended.insert(stage, (outputs, ends));
            return;
        }
        let kept_at = (ends == Ends::FailsAndIsKept).then_some(0);
        if kept_at.is_some() {
            self.kept.insert(stage);
        }
        let failure = Failure { kept_at, is_transient: false };
        let event =
            if ends == Ends::Well { Event::Done(stage) } else { Event::Failed(stage, failure) };
        self.outbox.push_back(Answer::Event(event));
    }
}
