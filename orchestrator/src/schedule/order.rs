//! Behind the replicas of a node: puts what their calls give back in the order of the items, or lets it go on
//! as it comes. The outputs of one call stay together, and an error goes on at the place of its item.

use std::collections::VecDeque;

use super::Round;
use super::event::Action;

/// The place of a call among all calls of the replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    pub(super) round: Round,
    number: u64,
}

/// What goes on.
#[derive(Debug, PartialEq)]
pub(super) enum Given<T> {
    Output(T),
    /// The error about an item of a round, the rest of which is dropped.
    Report {
        report: Action<T>,
        round: Round,
    },
    /// A round is complete.
    Mark {
        flush: bool,
    },
}

/// What waits behind the replicas of one node.
#[derive(Debug)]
pub(super) struct Order<T> {
    is_ordered: bool,
    /// The rounds whose mark has not gone on. The first is the one that goes on now.
    rounds: VecDeque<Pending<T>>,
    /// Number of calls so far.
    begun: u64,
    /// Number of rounds that have gone on.
    round: Round,
}

#[derive(Debug)]
struct Pending<T> {
    round: Round,
    calls: VecDeque<Call<T>>,
    /// The round has no further calls; with whether it is a flush.
    mark: Option<bool>,
    /// A part of it has gone on.
    has_begun: bool,
    /// The rest of it is dropped.
    has_failed: bool,
}

#[derive(Debug)]
struct Call<T> {
    number: u64,
    outputs: VecDeque<T>,
    report: Option<Action<T>>,
    is_over: bool,
    /// A part of it has gone on.
    has_begun: bool,
}

impl<T> Order<T> {
    pub(super) fn new(is_ordered: bool) -> Self {
        Self { is_ordered, rounds: VecDeque::new(), begun: 0, round: 0 }
    }

    /// Number of calls so far.
    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    /// The round of what goes on now.
    pub(super) fn round(&self) -> Round {
        self.round
    }

    /// Number of calls that are under way, or whose outputs wait.
    pub(super) fn len(&self) -> usize {
        self.rounds.iter().map(|pending| pending.calls.len()).sum()
    }

    /// A call of a round begins. Its round is the last one that has begun.
    pub(super) fn begin(&mut self, round: Round) -> Ticket {
        self.begun += 1;
        let (number, outputs) = (self.begun, VecDeque::new());
        let call = Call { number, outputs, report: None, is_over: false, has_begun: false };
        self.pending(round).calls.push_back(call);
        Ticket { round, number }
    }

    /// A call gives an output.
    pub(super) fn give(&mut self, ticket: Ticket, value: T) {
        if let Some(call) = self.call(ticket) {
            call.outputs.push_back(value);
        }
    }

    /// A call fails: the rest of its round is dropped behind it.
    pub(super) fn report(&mut self, ticket: Ticket, report: Action<T>) {
        if let Some(call) = self.call(ticket) {
            (call.report, call.is_over) = (Some(report), true);
        }
    }

    /// A call is over.
    pub(super) fn end(&mut self, ticket: Ticket) {
        if let Some(call) = self.call(ticket) {
            call.is_over = true;
        }
    }

    /// A round has no further calls.
    pub(super) fn mark(&mut self, round: Round, flush: bool) {
        self.pending(round).mark = Some(flush);
    }

    /// Whether the error of a call has not gone on.
    pub(super) fn has_report(&self, ticket: Ticket) -> bool {
        let mut calls = self.rounds.iter().flat_map(|pending| &pending.calls);
        calls.any(|call| call.number == ticket.number && call.report.is_some())
    }

    /// Whether it is the turn of a call, and all that it has given has gone on.
    pub(super) fn is_next(&self, ticket: Ticket) -> bool {
        let next = self.rounds.front().and_then(|pending| pending.calls.front());
        next.is_some_and(|call| call.number == ticket.number && call.outputs.is_empty())
    }

    /// What goes on next; `None`: nothing is ready. Rounds before `skip_before` are given up, and those before
    /// `held_before` stay in their order. `may_report`: whether errors go on.
    pub(super) fn next(
        &mut self,
        skip_before: Round,
        held_before: Round,
        may_report: bool,
    ) -> Option<Given<T>> {
        loop {
            self.choose(skip_before.max(held_before));
            let front = self.rounds.front_mut()?;
            let is_dropped = front.has_failed || front.round < skip_before;
            let Some(call) = front.calls.front_mut() else {
                let flush = front.mark?;
                self.rounds.pop_front();
                self.round += 1;
                return Some(Given::Mark { flush });
            };
            if is_dropped {
                call.outputs.clear();
                call.report = None;
            }
            if let Some(value) = call.outputs.pop_front() {
                (call.has_begun, front.has_begun) = (true, true);
                return Some(Given::Output(value));
            }
            if let Some(report) = call.report.take_if(|_| may_report) {
                (front.has_begun, front.has_failed) = (true, true);
                return Some(Given::Report { report, round: front.round });
            }
            if !call.is_over || call.report.is_some() {
                return None;
            }
            front.calls.pop_front();
        }
    }

    /// Where order does not count: puts what is ready in front, unless something has begun to go on. Only a round
    /// whose calls have all begun overtakes another: its further ones, a flush for instance, might wait for
    /// replicas whose outputs wait for it.
    fn choose(&mut self, held_before: Round) {
        if self.is_ordered {
            return;
        }
        let may_change = |front: &Pending<T>| !front.has_begun && front.round >= held_before;
        if self.rounds.front().is_some_and(may_change)
            && let Some(at) = self.rounds.iter().position(Pending::may_overtake)
            && let Some(ready) = self.rounds.remove(at)
        {
            self.rounds.push_front(ready);
        }
        let Some(front) = self.rounds.front_mut() else { return };
        if front.calls.front().is_some_and(|call| !call.has_begun)
            && let Some(at) = front.calls.iter().position(Call::is_ready)
            && let Some(ready) = front.calls.remove(at)
        {
            front.calls.push_front(ready);
        }
    }

    fn pending(&mut self, round: Round) -> &mut Pending<T> {
        let known = self.rounds.iter().position(|pending| pending.round == round);
        let at = known.unwrap_or_else(|| {
            let calls = VecDeque::new();
            let (mark, has_begun, has_failed) = (None, false, false);
            self.rounds.push_back(Pending { round, calls, mark, has_begun, has_failed });
            self.rounds.len() - 1
        });
        &mut self.rounds[at]
    }

    fn call(&mut self, ticket: Ticket) -> Option<&mut Call<T>> {
        let pending = self.rounds.iter_mut().find(|pending| pending.round == ticket.round)?;
        pending.calls.iter_mut().find(|call| call.number == ticket.number)
    }
}

impl<T> Pending<T> {
    fn may_overtake(&self) -> bool {
        self.mark.is_some() && (self.calls.is_empty() || self.calls.iter().any(Call::is_ready))
    }
}

impl<T> Call<T> {
    fn is_ready(&self) -> bool {
        self.is_over || !self.outputs.is_empty()
    }
}
