//! The state that nodes of the session have saved, for the next worker of their slot.

use std::collections::BTreeMap;

use ipc_protocol::from_worker::Saved;
use ipc_protocol::to_worker::SavedState;
use ipc_protocol::{Fault, Payload};

use crate::schedule::SlotId;

/// Larger states stay in the shared memory of the worker that made them, which lives on until the next
/// ones replace them; smaller ones would keep its ring from moving on.
const COPIED_MAX_BYTES: usize = 1 << 20;

/// What the nodes of each slot have saved.
#[derive(Debug, Default)]
pub(super) struct SavedStates {
    slots: BTreeMap<SlotId, Kept>,
    next_number: u64,
    /// The slots of workers that stand by, and the slots that they stand by for.
    standbys: BTreeMap<SlotId, SlotId>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The number of the request that the slot's worker has not answered.
    asked: Option<u64>,
    states: Vec<SavedState>,
}

impl SavedStates {
    /// The worker of a slot stands by for that of another.
    pub(super) fn stand_by(&mut self, standby: SlotId, of: SlotId) {
        self.standbys.insert(standby, of);
    }

    /// The slot that the worker of a slot stands by for; `None`: it is needed itself.
    pub(super) fn primary_of(&self, slot: SlotId) -> Option<SlotId> {
        self.standbys.get(&slot).copied()
    }

    /// The number of a new request to the slot's worker.
    pub(super) fn ask(&mut self, slot: SlotId) -> u64 {
        self.next_number += 1;
        self.slots.entry(slot).or_default().asked = Some(self.next_number);
        self.next_number
    }

    /// Takes the answer to the slot's request. `None`: it was not asked for. Otherwise, why the state
    /// could not be saved, if so.
    pub(super) fn take(&mut self, slot: SlotId, saved: Saved) -> Option<Option<Fault>> {
        let kept = self.slots.get_mut(&slot)?;
        kept.asked.take_if(|asked| *asked == saved.number)?;
        if saved.fault.is_none() {
            kept.states = saved.states.into_iter().map(owned).collect();
        }
        Some(saved.fault)
    }

    /// The state that the nodes of a slot have saved last.
    pub(super) fn of(&self, slot: SlotId) -> Vec<SavedState> {
        self.slots.get(&slot).map(|kept| kept.states.clone()).unwrap_or_default()
    }

    /// Drops what the nodes of a slot have saved.
    pub(super) fn forget(&mut self, slot: SlotId) {
        self.slots.remove(&slot);
    }
}

fn owned(saved: SavedState) -> SavedState {
    if saved.state.len() > COPIED_MAX_BYTES {
        return saved;
    }
    let state = Payload::from(saved.state.as_slice().to_vec());
    SavedState { state, ..saved }
}
