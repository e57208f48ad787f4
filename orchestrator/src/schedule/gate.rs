//! In front of the replicas of a node: the first one that is free gets the next item. What they give waits in
//! `order` for its place.

use super::event::Action;
use super::order::{Given, Order, Ticket};
use super::stage::{Stage, StageShape};
use super::{Round, StageId};
use crate::placement::Part;

/// Most calls after which the pool is asked again for workers that it did not have: first after one, then
/// after twice as many each time.
const ASK_AFTER: u64 = 16;

/// The replicas of one node, as far as they have something in common.
#[derive(Debug)]
pub(super) struct Gate<T> {
    /// Reads the edges of the node, as a stage without replicas does. Its calls are those of the replicas.
    pub(super) door: Stage<T>,
    order: Order<T>,
    /// The stages of all replicas.
    members: Vec<StageId>,
    /// The call that each works on.
    tickets: Vec<Option<Ticket>>,
    /// Calls that may be under way or wait for their place.
    room: usize,
    /// The number of the call with which the pool is asked again, and how much later it is the next time.
    asks_at: u64,
    asks_after: u64,
}

impl<T: Clone> Gate<T> {
    /// The gate in front of a stage, if that is the first of several replicas. `queue`: items that may wait
    /// for each of them.
    pub(super) fn new(first: StageId, shape: &StageShape, queue: usize) -> Option<Self> {
        let Part::First { further, is_ordered } = &shape.part else { return None };
        let members: Vec<StageId> = [first].into_iter().chain(further.iter().copied()).collect();
        Some(Self {
            door: Stage::new(StageShape { repeats: None, ..shape.clone() }),
            order: Order::new(*is_ordered),
            tickets: vec![None; members.len()],
            room: members.len().saturating_mul(queue),
            members,
            asks_at: 0,
            asks_after: 1,
        })
    }

    /// The stages of all replicas.
    pub(super) fn members(&self) -> &[StageId] {
        &self.members
    }

    /// The round of what goes on now.
    pub(super) fn round(&self) -> Round {
        self.order.round()
    }

    fn at(&self, member: StageId) -> usize {
        self.members.iter().position(|stage| *stage == member).unwrap_or_default()
    }

    fn ticket(&self, member: StageId) -> Option<Ticket> {
        self.tickets[self.at(member)]
    }

    /// Whether a replica has nothing to do.
    pub(super) fn is_free(&self, member: StageId) -> bool {
        self.ticket(member).is_none()
    }

    /// Whether a replica has to wait because the error of its last call has not gone on: the next error of
    /// the same replica would replace it.
    pub(super) fn is_held(&self, member: StageId) -> bool {
        self.ticket(member).is_some_and(|ticket| self.order.has_report(ticket))
    }

    /// Whether further outputs of a replica's call would go on at once.
    pub(super) fn is_next(&self, member: StageId) -> bool {
        self.ticket(member).is_some_and(|ticket| self.order.is_next(ticket))
    }

    /// Whether another call may begin. A flush begins when all others are over: it is the last of its round.
    pub(super) fn has_room(&self) -> bool {
        let waiting = self.order.len();
        if self.door.needs_flush() { waiting == 0 } else { waiting < self.room }
    }

    /// A replica begins a call.
    pub(super) fn begin(&mut self, member: StageId) -> Round {
        let ticket = self.order.begin(self.door.round);
        let at = self.at(member);
        self.tickets[at] = Some(ticket);
        ticket.round
    }

    /// A replica gives an output.
    pub(super) fn give(&mut self, member: StageId, value: T) {
        if let Some(ticket) = self.ticket(member) {
            self.order.give(ticket, value);
        }
    }

    /// The call of a replica fails. Returns the replicas whose calls are dropped with the rest of its round.
    pub(super) fn fail(&mut self, member: StageId, report: Action<T>) -> Vec<StageId> {
        let Some(ticket) = self.ticket(member) else { return Vec::new() };
        self.order.report(ticket, report);
        if self.door.round == ticket.round {
            self.door.skip_round();
        }
        let follows = |other: &Ticket| other.round == ticket.round && *other > ticket;
        let all = self.members.iter().zip(&self.tickets);
        all.filter(|(_, other)| other.as_ref().is_some_and(follows)).map(|(id, _)| *id).collect()
    }

    /// The replicas with calls of a round.
    pub(super) fn members_in(&self, round: Round) -> impl Iterator<Item = StageId> {
        let all = self.members.iter().zip(&self.tickets);
        all.filter(move |(_, ticket)| ticket.is_some_and(|ticket| ticket.round == round))
            .map(|(id, _)| *id)
    }

    /// The next item fails without a call.
    pub(super) fn refuse(&mut self, report: Action<T>) {
        let ticket = self.order.begin(self.door.round);
        self.order.report(ticket, report);
        self.door.skip_round();
    }

    /// The next item goes on without a call.
    pub(super) fn pass(&mut self, values: Vec<T>) {
        let ticket = self.order.begin(self.door.round);
        values.into_iter().for_each(|value| self.order.give(ticket, value));
        self.order.end(ticket);
    }

    /// Whether the pool may be asked for workers of replicas that have none.
    pub(super) fn may_ask(&mut self) -> bool {
        let may_ask = self.asks_at <= self.order.begun();
        if may_ask {
            self.asks_at = self.order.begun() + self.asks_after;
            self.asks_after = ASK_AFTER.min(2 * self.asks_after);
        }
        may_ask
    }

    /// All replicas have workers.
    pub(super) fn note_complete(&mut self) {
        (self.asks_at, self.asks_after) = (0, 1);
    }

    /// Notes the calls that are over, and the rounds that have no further ones.
    pub(super) fn settle(&mut self, stages: &mut [Stage<T>]) {
        for (member, ticket) in self.members.iter().zip(&mut self.tickets) {
            let is_over =
                |ticket: &mut Ticket| stages[*member].is_done() && !self.order.has_report(*ticket);
            if let Some(over) = ticket.take_if(is_over) {
                self.order.end(over);
            }
        }
        while let Some(flush) = self.door.take_mark() {
            self.order.mark(self.door.round - 1, flush);
        }
    }

    /// What goes on next. Rounds before `held_before` stay in their order. `may_report`: whether errors go on.
    pub(super) fn next(&mut self, held_before: Round, may_report: bool) -> Option<Given<T>> {
        self.order.next(self.door.skip_before, held_before, may_report)
    }
}
