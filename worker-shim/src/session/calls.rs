//! The calls of a session that are under way, by stage, and the credit of each.

use std::collections::BTreeMap;

use ipc_protocol::from_worker::{Moved, NodeUsage, Traffic};
use ipc_protocol::to_worker::Step;

use super::OutOfOrder;

/// The calls of one session.
#[derive(Debug, Default)]
pub(super) struct Calls {
    stages: BTreeMap<u32, Option<Call>>,
    /// The stage that began a call last. Its call runs before others, so stages do not alternate.
    current: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Call {
    call: u64,
    credit: u32,
    /// A node of the call has failed, and the call waits for `Retry` or `Abort`.
    is_kept: bool,
    moved: Moved,
}

impl Calls {
    pub(super) fn new(stages: Vec<u32>) -> Self {
        Self { stages: stages.into_iter().map(|stage| (stage, None)).collect(), current: None }
    }

    /// A stage whose call has credit, and the number of that call.
    pub(super) fn runnable(&self) -> Option<(u32, u64)> {
        let ready = |stage: u32, call: &Option<Call>| {
            call.filter(|call| call.credit > 0 && !call.is_kept).map(|call| (stage, call.call))
        };
        let current = self.current.and_then(|stage| ready(stage, self.stages.get(&stage)?));
        current.or_else(|| self.stages.iter().find_map(|(&stage, call)| ready(stage, call)))
    }

    pub(super) fn begin(&mut self, step: Step, incoming: Traffic) -> Result<(), OutOfOrder> {
        let Step { stage, call, window, .. } = step;
        let slot = self.stages.get_mut(&stage).ok_or(OutOfOrder::UnknownStage { stage })?;
        if let Some(Call { call: current, .. }) = *slot {
            return Err(OutOfOrder::Busy { stage, call, current });
        }
        let moved = Moved { incoming, ..Moved::default() };
        *slot = Some(Call { call, credit: window, is_kept: false, moved });
        self.current = Some(stage);
        Ok(())
    }

    /// Adds credit to a stage's call. Credit for an ended call is ignored: `Done` was still under
    /// way to the orchestrator when the credit was sent.
    pub(super) fn add_credit(&mut self, stage: u32, outputs: u32) -> Result<(), OutOfOrder> {
        let slot = self.stages.get_mut(&stage).ok_or(OutOfOrder::UnknownStage { stage })?;
        if let Some(call) = slot {
            call.credit = call.credit.saturating_add(outputs);
        }
        Ok(())
    }

    /// Goes on with the stage's call after a failure. One that has just ended is ignored, as in
    /// [`Calls::add_credit`].
    pub(super) fn retry(&mut self, stage: u32) -> Result<(), OutOfOrder> {
        let slot = self.stages.get_mut(&stage).ok_or(OutOfOrder::UnknownStage { stage })?;
        if let Some(call) = slot {
            call.is_kept = false;
        }
        Ok(())
    }

    /// Keeps the stage's call, whose node has failed. Returns `usage`: traffic is counted when the
    /// call ends.
    pub(super) fn keep(&mut self, stage: u32, usage: Vec<NodeUsage>) -> Vec<NodeUsage> {
        if let Some(Some(call)) = self.stages.get_mut(&stage) {
            call.is_kept = true;
        }
        usage
    }

    /// The call that a stage has under way, by its number.
    pub(super) fn call_of(&self, stage: u32) -> Result<Option<u64>, OutOfOrder> {
        let call = self.stages.get(&stage).ok_or(OutOfOrder::UnknownStage { stage })?;
        Ok(call.map(|call| call.call))
    }

    pub(super) fn spend_credit(&mut self, stage: u32) {
        if let Some(Some(call)) = self.stages.get_mut(&stage) {
            call.credit = call.credit.saturating_sub(1);
        }
    }

    /// Adds the traffic of one output to the stage's call.
    pub(super) fn count_outgoing(&mut self, stage: u32, traffic: Traffic) {
        if let Some(Some(call)) = self.stages.get_mut(&stage) {
            call.moved.outgoing += traffic;
        }
    }

    /// Ends the stage's call. Returns `usage` with the call's traffic added: the input's to the
    /// stage's first node, the outputs' to its last.
    pub(super) fn end(&mut self, stage: u32, mut usage: Vec<NodeUsage>) -> Vec<NodeUsage> {
        let call = self.stages.get_mut(&stage).and_then(Option::take);
        if let Some(Call { moved, .. }) = call {
            if let Some(first) = usage.first_mut() {
                first.moved.incoming += moved.incoming;
            }
            if let Some(last) = usage.last_mut() {
                last.moved.outgoing += moved.outgoing;
            }
        }
        usage
    }
}
