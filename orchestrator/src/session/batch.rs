//! Several inputs, one after the other, whose messages go to the worker together: where calls are small,
//! waking up for each of them takes longer than all else.
//!
//! The core knows nothing of that: it begins one call after the other. A call that is in the worker
//! already is not sent when it begins, and its answer may have come.

use std::collections::VecDeque;

use ipc_protocol::from_worker::Traffic;
use ipc_protocol::patience::Report;
use ipc_protocol::to_worker::{Item, Step};
use ipc_protocol::version::BATCH_SINCE;
use ipc_protocol::{ToWorker, Value};

use super::drive::Driver;
use super::outfit::stage_number;
use super::shell::{Events, Shell};
use super::{GraphOutput, Host, RunError, Session};
use crate::schedule::{Ahead, SlotId, StageId, Work};
use crate::worker::link::LinkError;

/// Most calls of a batch.
const CALLS_MAX: usize = 64;
/// Most bytes of the inputs in a batch.
const BYTES_MAX: usize = 512 << 10;
/// The only stage of a session that sends batches.
const STAGE: StageId = 0;

/// What an input has led to.
pub type Processed = Result<Vec<GraphOutput>, RunError>;

impl Session {
    /// Processes inputs one after the other, each with what it took to convert it; an error belongs to its
    /// input. Ends early, with that error as the last result, when the session is cancelled or closed.
    pub fn process_each(
        &mut self,
        inputs: Vec<(Value, Traffic)>,
        host: &mut dyn Host,
    ) -> Vec<Processed> {
        let mut results = Vec::with_capacity(inputs.len());
        let mut inputs = VecDeque::from(inputs);
        while !inputs.is_empty() {
            self.driver.send_ahead(inputs.make_contiguous());
            let Some((value, traffic)) = inputs.pop_front() else { break };
            self.count_taken(traffic);
            let result = self.process(value, host);
            let is_over = result.as_ref().is_err_and(|failed| failed.error.ends_session());
            results.push(result);
            if is_over {
                break;
            }
        }
        results
    }
}

impl Driver {
    /// Sends a batch of the inputs that are processed next, if the session is one that can.
    fn send_ahead(&mut self, inputs: &[(Value, Traffic)]) {
        let count = batch_of(inputs);
        let Some(slot) = batch_slot(&self.shell) else { return };
        if count < 2 || self.core.open_rounds() > 0 {
            return;
        }
        let values = inputs.iter().take(count).map(|(value, _)| value.clone());
        if let Err(broken) = send_batch(&mut self.shell, slot, values.collect()) {
            let ended = self.shell.hang_up(slot, Some(broken));
            ended.into_iter().for_each(|event| self.feed(event));
        }
    }
}

/// The slot that can be given a batch now: it has the only stage, and nothing to do.
fn batch_slot(shell: &Shell) -> Option<SlotId> {
    let [stage] = shell.layout.plan.stages.as_slice() else { return None };
    let slot = shell.layout.slot_of(STAGE)?;
    let here = shell.workers.slot(slot);
    let is_idle = here.is_open && here.calls.is_empty() && here.ahead.is_empty();
    let is_steady = stage.nodes.iter().all(|node| node.failing.breaker.is_none());
    let can = shell.natives.get(STAGE)?.is_none() && here.loses_state;
    let speaks = shell.workers.speaks(Some(slot), BATCH_SINCE);
    (is_idle && is_steady && can && speaks && shell.closed.is_none()).then_some(slot)
}

fn send_batch(shell: &mut Shell, slot: SlotId, values: Vec<Value>) -> Result<(), LinkError> {
    let items = values.into_iter().map(|value| Item { step: next_step(shell, STAGE), value });
    let items: Vec<Item> = items.collect();
    let calls = items.iter().map(|item| item.step.call).collect();
    match shell.workers.send(slot, ToWorker::Batch(items), shell.holders.get(STAGE)) {
        Ok(sent) => {
            let slot = shell.workers.slot_mut(slot);
            (slot.ahead, slot.sent_ahead) = (Ahead::new(calls), Some(sent));
        }
        Err(LinkError::Codec(_)) => {} // the input at fault gets the error when it is sent alone
        Err(broken) => return Err(broken),
    }
    Ok(())
}

/// What the message of the next call says about it.
pub(super) fn next_step(shell: &mut Shell, stage: StageId) -> Step {
    let call = shell.next_call;
    shell.next_call += 1;
    let (stage, window) = (stage_number(stage), shell.window);
    Step { stage, call, window, took: Report::ABSENT }
}

/// Begins a call that the worker has already. Returns what follows; `None` if it is to be sent.
pub(super) fn begin_ahead(shell: &mut Shell, stage: StageId, work: &Work<Value>) -> Option<Events> {
    let slot = shell.layout.slot_of(stage)?;
    if shell.workers.slot(slot).ahead.is_empty() {
        return None;
    }
    if !matches!(work, Work::Item(_)) {
        // Other work than was foreseen: the rest of the batch is in its way.
        let ended = shell.send(stage, ToWorker::Abort(stage_number(stage)));
        return (!ended.is_empty()).then_some(ended);
    }
    let here = shell.workers.slot_mut(slot);
    let call = here.ahead.begin()?;
    here.begin_call(stage, call);
    let (pid, sent) = (here.pid(), here.sent_ahead.take());
    let holder = &shell.holders[stage];
    shell.journal.note_sent(stage, pid, holder, sent.unwrap_or_default());
    shell.workers.look_again();
    Some(Events::new())
}

/// How many of these inputs make a batch.
fn batch_of(inputs: &[(Value, Traffic)]) -> usize {
    let mut bytes = 0;
    let fits = |(value, _): &&(Value, Traffic)| {
        bytes += bytes_of(value);
        bytes <= BYTES_MAX
    };
    inputs.iter().take(CALLS_MAX).take_while(fits).count()
}

/// About how many bytes the message has for a value.
pub(super) fn bytes_of(value: &Value) -> usize {
    const SMALL: usize = 16;
    match value {
        Value::Array(array) => array.data.len(),
        Value::Audio(audio) => audio.samples.data.len(),
        Value::Bytes(payload) => payload.len(),
        Value::Str(text) => text.len(),
        Value::Opaque(opaque) => opaque.pickle.len(),
        Value::List(parts) | Value::Tuple(parts) | Value::Set(parts) | Value::FrozenSet(parts) => {
            parts.iter().map(bytes_of).sum::<usize>() + SMALL
        }
        Value::Dict(entries) => {
            entries.iter().map(|(key, value)| bytes_of(key) + bytes_of(value)).sum::<usize>()
                + SMALL
        }
        _ => SMALL,
    }
}
