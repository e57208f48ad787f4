//! The statements of changes, and rows as columns.

use std::sync::Arc;

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, Row};

use crate::record::{Change, RunId, RunRow, StepRow};
use crate::store::StoreError;
use crate::store::rows::{RunColumns, StepColumns, apart, failure_json};
use crate::value::Kept;

/// Makes a change. Notes the name of a new run that existed already.
pub(super) fn apply(
    connection: &Connection,
    change: &Change,
    existing: &mut Vec<RunId>,
) -> Result<(), StoreError> {
    let run = |query: &str, values: &[Sql]| -> Result<usize, StoreError> {
        Ok(connection.prepare_cached(query)?.execute(rusqlite::params_from_iter(values))?)
    };
    let (query, values) = statement(change);
    let changed = run(query, &values)?;
    match change {
        Change::NewRun(new) if changed == 0 => {
            let query = "SELECT status = 'running' FROM run WHERE id = ?1";
            let is_running: bool =
                connection.prepare_cached(query)?.query_row([&*new.id], |row| row.get(0))?;
            if !is_running {
                existing.push(Arc::clone(&new.id));
            }
        }
        Change::ForgetRun { id, .. } if changed > 0 => {
            run("DELETE FROM step WHERE run_id = ?1", &[text(id)])?;
        }
        Change::Restart { id, .. } => {
            run("DELETE FROM step WHERE run_id = ?1", &[text(id)])?;
        }
        _ => {}
    }
    Ok(())
}

/// The statement for a change, and its values.
fn statement(change: &Change) -> (&'static str, Vec<Sql>) {
    match change {
        Change::Workflow { name, version, hash, graph } => (
            "INSERT OR IGNORE INTO workflow VALUES (?1, ?2, ?3, ?4)",
            vec![text(name), text(version), text(hash), text(graph)],
        ),
        Change::NewRun(row) => (
            "INSERT OR IGNORE INTO run VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            run_values(row),
        ),
        Change::ForgetRun { id, created_ms } => (
            "DELETE FROM run WHERE id = ?1 AND created_ms = ?2 AND status = 'running'",
            vec![text(id), (*created_ms).into()],
        ),
        Change::Run { id, status, failure, ended_ms } => (
            "UPDATE run SET status = ?2, failure = ?3, ended_ms = ?4 WHERE id = ?1",
            vec![
                text(id),
                text(status.word()),
                failure_json(failure.as_ref()).into(),
                (*ended_ms).into(),
            ],
        ),
        Change::Restart { id, hash } => {
            ("UPDATE run SET hash = ?2 WHERE id = ?1", vec![text(id), text(hash)])
        }
        Change::Step(run, row) => (
            "INSERT OR REPLACE INTO step \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            step_values(run, row),
        ),
        Change::ForgetStep(run, step) => {
            ("DELETE FROM step WHERE run_id = ?1 AND name = ?2", vec![text(run), text(step)])
        }
        Change::Attempt(run, row) => (
            "INSERT OR REPLACE INTO attempt VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            vec![
                text(run),
                text(&row.step),
                i64::from(row.number).into(),
                row.pid.map(i64::from).into(),
                row.signal.clone().into(),
                text(&row.result),
                row.error.clone().into(),
                row.tail.clone().into(),
                row.started_ms.into(),
                row.ended_ms.into(),
            ],
        ),
        Change::Event { run, name, payload } => (
            "INSERT OR IGNORE INTO event VALUES (?1, ?2, ?3, ?4)",
            vec![text(run), text(name), blob(payload), text(&apart(payload))],
        ),
        Change::Schedule(row) => (
            "INSERT OR REPLACE INTO schedule VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            vec![
                text(&row.name),
                text(&row.hash),
                text(&row.spec),
                text(&row.zone),
                blob(&row.input),
                text(&apart(&row.input)),
                i64::from(row.catch_up).into(),
                row.next_ms.into(),
            ],
        ),
        Change::ForgetSchedule(name) => ("DELETE FROM schedule WHERE name = ?1", vec![text(name)]),
    }
}

fn run_values(row: &RunRow) -> Vec<Sql> {
    vec![
        text(&row.id),
        text(&row.workflow),
        text(&row.version),
        text(&row.hash),
        text(row.status.word()),
        blob(&row.input),
        text(&apart(&row.input)),
        failure_json(row.failure.as_ref()).into(),
        row.parent.as_ref().map(|id| id.to_string()).into(),
        row.created_ms.into(),
        row.ended_ms.into(),
    ]
}

fn step_values(run: &str, row: &StepRow) -> Vec<Sql> {
    vec![
        text(run),
        text(&row.name),
        text(row.status.word()),
        i64::from(row.attempts).into(),
        i64::from(row.raised).into(),
        i64::from(row.crashes).into(),
        row.output.as_ref().map(|output| output.body.to_vec()).into(),
        row.output.as_ref().map_or_else(String::new, apart).into(),
        failure_json(row.failure.as_ref()).into(),
        row.due_ms.into(),
        row.event.clone().into(),
        row.started_ms.into(),
        row.ended_ms.into(),
    ]
}

fn text(text: &str) -> Sql {
    Sql::Text(text.to_owned())
}

fn blob(kept: &Kept) -> Sql {
    Sql::Blob(kept.body.to_vec())
}

pub(super) fn run_columns(row: &Row<'_>) -> rusqlite::Result<RunColumns> {
    Ok(RunColumns {
        id: row.get(0)?,
        workflow: row.get(1)?,
        version: row.get(2)?,
        hash: row.get(3)?,
        status: row.get(4)?,
        input: row.get(5)?,
        input_apart: row.get(6)?,
        failure: row.get(7)?,
        parent: row.get(8)?,
        created_ms: row.get(9)?,
        ended_ms: row.get(10)?,
    })
}

/// The columns of a step, which begin at a place of the row.
pub(super) fn step_columns(row: &Row<'_>, at: usize) -> rusqlite::Result<StepColumns> {
    Ok(StepColumns {
        name: row.get(at)?,
        status: row.get(at + 1)?,
        attempts: row.get(at + 2)?,
        raised: row.get(at + 3)?,
        crashes: row.get(at + 4)?,
        output: row.get(at + 5)?,
        output_apart: row.get(at + 6)?,
        failure: row.get(at + 7)?,
        due_ms: row.get(at + 8)?,
        event: row.get(at + 9)?,
        started_ms: row.get(at + 10)?,
        ended_ms: row.get(at + 11)?,
    })
}
