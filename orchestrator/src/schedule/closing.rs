//! The end of a session: what runs is interrupted, what stands is cleaned up, and slot by slot the
//! workers go back.

use std::time::Instant;

use super::slot::{State, Watch};
use super::{Action, Core, Phase};

impl<T: Clone> Core<T> {
    /// Whether every slot has done with the session.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.slots.iter().all(|slot| slot.state == State::Closed)
    }

    /// Whether node code runs, or nodes are being made.
    #[must_use]
    pub fn is_working(&self) -> bool {
        let works = |state| matches!(state, State::Opening(_) | State::Busy(..));
        self.slots.iter().any(|slot| works(slot.state))
    }

    pub(super) fn close(&mut self, now: Instant, actions: &mut Vec<Action<T>>) {
        if self.phase == Phase::Closing {
            return;
        }
        self.phase = Phase::Closing;
        let until = now + self.bounds.close_timeout;
        for (id, slot) in self.slots.iter_mut().enumerate() {
            slot.state = match slot.state {
                State::Empty => State::Closed,
                State::Acquiring { .. } => {
                    actions.push(Action::Withdraw(id));
                    State::Closed
                }
                State::Held => {
                    actions.push(Action::Release(id));
                    State::Closed
                }
                State::Opening(_) => {
                    actions.push(Action::Interrupt(id));
                    State::Stopping { until, stage: None }
                }
                State::Busy(stage, _) => {
                    actions.push(Action::Interrupt(id));
                    State::Stopping { until, stage: Some(stage) }
                }
                other => other,
            };
        }
    }

    /// Has workers clean up that nothing runs in. Calls that are suspended end with that.
    pub(super) fn close_free(&mut self, now: Instant, actions: &mut Vec<Action<T>>) {
        for id in 0..self.slots.len() {
            if self.slots[id].state == State::Ready {
                let until = Some(now + self.bounds.close_timeout);
                let watch = Watch::new(now, self.first_timeout(id), until);
                self.slots[id].state = State::Closing(watch);
                actions.push(Action::Close(id));
            }
        }
    }
}
