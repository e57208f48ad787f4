//! Streams: the caller gets round after round. What belongs to a round, its error too, comes before all that
//! belongs to the next one, however many are open; and an error ends only its round.

use super::event::{Action, Blame};
use super::flow::Flow;
use super::{Round, StageId};

impl<T: Clone> Flow<T> {
    /// The greatest number of replicas of a node.
    pub(super) fn width(&self) -> u64 {
        self.gates.values().map(|gate| gate.members().len() as u64).max().unwrap_or(1)
    }

    /// Whether a round has to wait in a stream until those before it are complete.
    pub(super) fn is_ahead(&self, round: Round) -> bool {
        self.is_stream && self.rounds_done < round
    }

    /// Tells the caller an error about the round of a stage; in a stream, when it is the turn of the round.
    pub(super) fn tell(&mut self, id: StageId, report: Action<T>, actions: &mut Vec<Action<T>>) {
        let round = self.stages[id].round;
        if !self.is_ahead(round) {
            actions.push(report);
            return self.note_failure(Some(round));
        }
        let held = match report {
            Action::Tell(Blame::Slot(slot), tries) => {
                actions.push(Action::Attribute(slot, id));
                Action::Tell(Blame::Stage(id), tries)
            }
            other => other,
        };
        self.held.insert(id, held);
    }

    /// Tells the error of a stage that has waited, if it is its turn. Returns whether it was.
    pub(super) fn tell_held(&mut self, id: StageId, actions: &mut Vec<Action<T>>) -> bool {
        let round = self.stages[id].round;
        if self.is_ahead(round) {
            return false;
        }
        let Some(report) = self.held.remove(&id) else { return false };
        actions.push(report);
        self.note_failure(Some(round));
        true
    }

    /// Whether a stage has to wait because its last error has not been told: the next one would replace it.
    pub(super) fn is_held(&self, id: StageId) -> bool {
        self.held.contains_key(&id) || self.gate(id).is_some_and(|gate| gate.is_held(id))
    }

    /// The caller gets an error, that of a round or of a worker.
    pub(super) fn note_failure(&mut self, round: Option<Round>) {
        if self.stops_at_failure {
            self.abandon();
        } else if let Some(round) = round.filter(|_| self.is_stream) {
            self.abandon_before(round + 1);
        }
    }
}
