//! Runs in the memory of the process: the reference for the databases.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::{Filter, Store, StoreError};
use crate::cron::Schedule;
use crate::record::{AttemptRow, Change, FoundRun, RunId, RunRow, RunStatus, StepRow};
use crate::value::{BlobError, Blobs, Kept, Pins};

/// A store without a database.
#[derive(Debug, Default)]
pub struct MemoryStore {
    graphs: HashMap<String, String>,
    runs: BTreeMap<RunId, Held>,
    /// Names of runs, in the order of their submission.
    order: Vec<RunId>,
    schedules: BTreeMap<String, Schedule>,
    blobs: Arc<MemoryBlobs>,
}

#[derive(Debug)]
struct Held {
    row: RunRow,
    steps: BTreeMap<String, StepRow>,
    attempts: BTreeMap<(i64, String, u32), AttemptRow>,
    events: Vec<(String, Kept)>,
}

impl MemoryStore {
    fn held(&mut self, run: &RunId, change: impl FnOnce(&mut Held)) {
        if let Some(held) = self.runs.get_mut(run) {
            change(held);
        }
    }

    fn found(&self, held: &Held) -> FoundRun {
        FoundRun {
            run: held.row.clone(),
            graph: self.graphs.get(&held.row.hash).cloned().unwrap_or_default(),
            steps: held.steps.values().cloned().collect(),
            events: held.events.clone(),
        }
    }

    fn apply(&mut self, change: &Change, existing: &mut Vec<RunId>) {
        match change {
            Change::Workflow { hash, graph, .. } => {
                self.graphs.entry(hash.clone()).or_insert_with(|| graph.clone());
            }
            Change::NewRun(row) if self.runs.contains_key(&row.id) => {
                let known = self.runs.get(&row.id).map(|held| held.row.status);
                if known != Some(RunStatus::Running) {
                    existing.push(Arc::clone(&row.id));
                }
            }
            Change::NewRun(row) => {
                self.order.push(Arc::clone(&row.id));
                let held = Held {
                    row: RunRow::clone(row),
                    steps: BTreeMap::new(),
                    attempts: BTreeMap::new(),
                    events: Vec::new(),
                };
                self.runs.insert(Arc::clone(&row.id), held);
            }
            Change::ForgetRun { id, created_ms } => {
                let is_it = |row: &RunRow| {
                    row.created_ms == *created_ms && row.status == RunStatus::Running
                };
                if self.runs.get(id).is_some_and(|held| is_it(&held.row)) {
                    self.runs.remove(id);
                    self.order.retain(|known| known != id);
                }
            }
            Change::Run { id, status, failure, ended_ms } => self.held(id, |held| {
                held.row.status = *status;
                held.row.failure.clone_from(failure);
                held.row.ended_ms = *ended_ms;
            }),
            Change::Restart { id, hash } => self.held(id, |held| {
                held.row.hash.clone_from(hash);
                held.steps.clear();
            }),
            Change::Step(run, step) => self.held(run, |held| {
                held.steps.insert(step.name.clone(), StepRow::clone(step));
            }),
            Change::ForgetStep(run, step) => self.held(run, |held| _ = held.steps.remove(step)),
            Change::Attempt(run, attempt) => self.held(run, |held| {
                held.attempts.retain(|(_, step, number), _| {
                    *step != attempt.step || *number != attempt.number
                });
                let key = (attempt.started_ms, attempt.step.clone(), attempt.number);
                held.attempts.insert(key, AttemptRow::clone(attempt));
            }),
            Change::Event { run, name, payload } => self.held(run, |held| {
                if !held.events.iter().any(|(known, _)| known == name) {
                    held.events.push((name.clone(), payload.clone()));
                }
            }),
            Change::Schedule(schedule) => {
                self.schedules.insert(schedule.name.clone(), Schedule::clone(schedule));
            }
            Change::ForgetSchedule(name) => _ = self.schedules.remove(name),
        }
    }
}

impl Store for MemoryStore {
    fn write(&mut self, changes: &[Change]) -> Result<Vec<RunId>, StoreError> {
        let mut existing = Vec::new();
        for change in changes {
            self.apply(change, &mut existing);
        }
        Ok(existing)
    }

    fn unfinished(&mut self) -> Result<Vec<FoundRun>, StoreError> {
        let held = self.order.iter().filter_map(|id| self.runs.get(id));
        let running = held.filter(|held| held.row.status == RunStatus::Running);
        Ok(running.map(|held| self.found(held)).collect())
    }

    fn schedules(&mut self) -> Result<Vec<Schedule>, StoreError> {
        Ok(self.schedules.values().cloned().collect())
    }

    fn find(&mut self, run: &str) -> Result<Option<FoundRun>, StoreError> {
        Ok(self.runs.get(run).map(|held| self.found(held)))
    }

    fn list(&mut self, filter: &Filter) -> Result<Vec<RunRow>, StoreError> {
        let mut rows: Vec<RunRow> =
            self.order.iter().filter_map(|id| Some(self.runs.get(id)?.row.clone())).collect();
        rows.reverse();
        rows.sort_by_key(|row| std::cmp::Reverse(row.created_ms));
        rows.retain(|row| {
            filter.workflow.as_ref().is_none_or(|name| *name == row.workflow)
                && filter.status.is_none_or(|status| status == row.status)
        });
        rows.truncate(filter.limit.map_or(usize::MAX, |limit| limit as usize));
        Ok(rows)
    }

    fn attempts(&mut self, run: &str) -> Result<Vec<AttemptRow>, StoreError> {
        let held = self.runs.get(run);
        Ok(held.map_or_else(Vec::new, |held| held.attempts.values().cloned().collect()))
    }

    fn prune(&mut self, before_ms: i64) -> Result<u64, StoreError> {
        let before = self.runs.len();
        self.runs.retain(|_, held| held.row.ended_ms.is_none_or(|ended| ended >= before_ms));
        self.order.retain(|id| self.runs.contains_key(id));
        let mut used: Vec<&String> = Vec::new();
        for held in self.runs.values() {
            let outputs = held.steps.values().filter_map(|step| step.output.as_ref());
            let payloads = held.events.iter().map(|(_, payload)| payload);
            let kept = outputs.chain(payloads).chain([&held.row.input]);
            used.extend(kept.flat_map(|kept| &kept.apart));
        }
        used.extend(self.schedules.values().flat_map(|schedule| &schedule.input.apart));
        self.blobs.retain(|digest| used.iter().any(|used| *used == digest));
        Ok((before - self.runs.len()) as u64)
    }

    fn blobs(&self) -> Arc<dyn Blobs> {
        Arc::clone(&self.blobs) as Arc<dyn Blobs>
    }
}

/// Large contents in memory.
#[derive(Debug, Default)]
pub(super) struct MemoryBlobs {
    contents: Mutex<HashMap<String, Bytes>>,
    pins: Pins,
}

impl MemoryBlobs {
    pub(super) fn retain(&self, is_used: impl Fn(&str) -> bool) {
        let pinned = self.pins.held();
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        contents.retain(|digest, _| is_used(digest) || pinned.contains(digest));
    }
}

impl Blobs for MemoryBlobs {
    fn put(&self, digest: &str, content: &Bytes) -> Result<(), BlobError> {
        // A copy: the content may lie in memory that a worker has lent.
        let content = Bytes::copy_from_slice(content);
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        contents.entry(digest.to_owned()).or_insert(content);
        Ok(())
    }

    fn get(&self, digest: &str) -> Result<Bytes, BlobError> {
        let contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        contents.get(digest).cloned().ok_or_else(|| BlobError {
            digest: digest.to_owned(),
            action: "read",
            reason: "it is not there".to_owned(),
            may_pass: false,
        })
    }

    fn pins(&self) -> &Pins {
        &self.pins
    }
}
