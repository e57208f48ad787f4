//! What rows hold, as columns of both databases have it.

use bytes::Bytes;

use super::StoreError;
use crate::failure::Failure;
use crate::record::{RunRow, RunStatus, StepRow, StepStatus};
use crate::value::Kept;

/// The newest schema.
pub(super) const SCHEMA: i64 = 1;

/// Columns of a run, in the order of [`RunColumns`].
pub(super) const RUN_COLUMNS: &str = "id, workflow, version, hash, status, input, input_apart, \
     failure, parent, created_ms, ended_ms";
/// Columns of a step, in the order of [`StepColumns`].
pub(super) const STEP_COLUMNS: &str = "name, status, attempts, raised, crashes, output, \
     output_apart, failure, due_ms, event, started_ms, ended_ms";

/// The columns of a run.
#[derive(Debug)]
pub(super) struct RunColumns {
    pub(super) id: String,
    pub(super) workflow: String,
    pub(super) version: String,
    pub(super) hash: String,
    pub(super) status: String,
    pub(super) input: Vec<u8>,
    pub(super) input_apart: String,
    pub(super) failure: Option<String>,
    pub(super) parent: Option<String>,
    pub(super) created_ms: i64,
    pub(super) ended_ms: Option<i64>,
}

impl RunColumns {
    pub(super) fn row(self) -> Result<RunRow, StoreError> {
        let status = RunStatus::from_word(&self.status);
        let damaged = |what, found: &str| damaged(what, &self.id, found);
        Ok(RunRow {
            status: status.ok_or_else(|| damaged("the status", &self.status))?,
            failure: failure(self.failure.as_deref(), &self.id)?,
            input: kept(self.input, &self.input_apart),
            workflow: self.workflow,
            version: self.version,
            hash: self.hash,
            parent: self.parent.map(Into::into),
            created_ms: self.created_ms,
            ended_ms: self.ended_ms,
            id: self.id.into(),
        })
    }
}

/// The columns of a step.
#[derive(Debug)]
pub(super) struct StepColumns {
    pub(super) name: String,
    pub(super) status: String,
    pub(super) attempts: i64,
    pub(super) raised: i64,
    pub(super) crashes: i64,
    pub(super) output: Option<Vec<u8>>,
    pub(super) output_apart: String,
    pub(super) failure: Option<String>,
    pub(super) due_ms: Option<i64>,
    pub(super) event: Option<String>,
    pub(super) started_ms: Option<i64>,
    pub(super) ended_ms: Option<i64>,
}

impl StepColumns {
    pub(super) fn row(self) -> Result<StepRow, StoreError> {
        let status = StepStatus::from_word(&self.status);
        Ok(StepRow {
            status: status.ok_or_else(|| damaged("the status", &self.name, &self.status))?,
            failure: failure(self.failure.as_deref(), &self.name)?,
            output: self.output.map(|body| kept(body, &self.output_apart)),
            attempts: count(self.attempts),
            raised: count(self.raised),
            crashes: count(self.crashes),
            due_ms: self.due_ms,
            event: self.event,
            started_ms: self.started_ms,
            ended_ms: self.ended_ms,
            name: self.name,
        })
    }
}

pub(super) fn count(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// A value of two columns.
pub(super) fn kept(body: Vec<u8>, apart: &str) -> Kept {
    let apart = apart.split(',').filter(|digest| !digest.is_empty()).map(str::to_owned).collect();
    Kept { body: Bytes::from(body), apart, ..Kept::default() }
}

/// The digests of a value, as their column has them.
pub(super) fn apart(kept: &Kept) -> String {
    kept.apart.join(",")
}

pub(super) fn failure(json: Option<&str>, of: &str) -> Result<Option<Failure>, StoreError> {
    let read = |json: &str| {
        serde_json::from_str(json).map_err(|_unreadable| damaged("the failure", of, json))
    };
    json.map(read).transpose()
}

pub(super) fn failure_json(failure: Option<&Failure>) -> Option<String> {
    failure.and_then(|failure| serde_json::to_string(failure).ok())
}

pub(super) fn damaged(what: &'static str, of: &str, found: &str) -> StoreError {
    StoreError::Damaged { what, of: of.to_owned(), found: found.to_owned() }
}
