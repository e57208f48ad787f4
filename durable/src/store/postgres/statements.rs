//! The statements of changes, prepared once a connection, and rows as columns.

use std::sync::Arc;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};

use crate::record::{Change, RunId, RunRow, StepRow};
use crate::store::rows::{RunColumns, StepColumns, apart, failure_json};

/// Prepared statements.
#[derive(Debug)]
pub(super) struct Prepared {
    workflow: Statement,
    new_run: Statement,
    is_running: Statement,
    forget_run: Statement,
    run: Statement,
    restart: Statement,
    step: Statement,
    forget_step: Statement,
    attempt: Statement,
    event: Statement,
    schedule: Statement,
    forget_schedule: Statement,
}

impl Prepared {
    pub(super) async fn new(client: &Client) -> Result<Self, Error> {
        let workflow = "INSERT INTO workflow VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let new_run = "INSERT INTO run VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
                       ON CONFLICT DO NOTHING";
        // One statement a change: a second one would come after those of later changes.
        let forget_run = "WITH gone AS (DELETE FROM run WHERE id = $1 AND created_ms = $2 \
             AND status = 'running' RETURNING id) \
             DELETE FROM step WHERE run_id IN (SELECT id FROM gone)";
        let restart = "WITH changed AS (UPDATE run SET hash = $2 WHERE id = $1) \
             DELETE FROM step WHERE run_id = $1";
        let run = "UPDATE run SET status = $2, failure = $3, ended_ms = $4 WHERE id = $1";
        let step = "INSERT INTO step VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT (run_id, name) DO UPDATE SET status = excluded.status, \
             attempts = excluded.attempts, raised = excluded.raised, crashes = excluded.crashes, \
             output = excluded.output, output_apart = excluded.output_apart, \
             failure = excluded.failure, due_ms = excluded.due_ms, event = excluded.event, \
             started_ms = excluded.started_ms, ended_ms = excluded.ended_ms";
        let attempt = "INSERT INTO attempt VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (run_id, step, number) DO UPDATE SET pid = excluded.pid, \
             signal = excluded.signal, result = excluded.result, error = excluded.error, \
             tail = excluded.tail, started_ms = excluded.started_ms, ended_ms = excluded.ended_ms";
        let event = "INSERT INTO event VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let schedule = "INSERT INTO schedule VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (name) DO UPDATE SET hash = excluded.hash, spec = excluded.spec, \
             zone = excluded.zone, input = excluded.input, input_apart = excluded.input_apart, \
             catch_up = excluded.catch_up, next_ms = excluded.next_ms";
        let forget_step = "DELETE FROM step WHERE run_id = $1 AND name = $2";
        Ok(Self {
            workflow: client.prepare(workflow).await?,
            new_run: client.prepare(new_run).await?,
            is_running: client.prepare("SELECT status = 'running' FROM run WHERE id = $1").await?,
            forget_run: client.prepare(forget_run).await?,
            run: client.prepare(run).await?,
            restart: client.prepare(restart).await?,
            step: client.prepare(step).await?,
            forget_step: client.prepare(forget_step).await?,
            attempt: client.prepare(attempt).await?,
            event: client.prepare(event).await?,
            schedule: client.prepare(schedule).await?,
            forget_schedule: client.prepare("DELETE FROM schedule WHERE name = $1").await?,
        })
    }

    /// Makes a change. Returns the name of a new run that existed already.
    pub(super) async fn apply(
        &self,
        client: &Client,
        change: &Change,
    ) -> Result<Option<RunId>, Error> {
        match change {
            Change::Workflow { name, version, hash, graph } => {
                client.execute(&self.workflow, &[name, version, hash, graph]).await?;
            }
            Change::NewRun(row) => {
                if self.new_run(client, row).await? == 0 {
                    let known = client.query_one(&self.is_running, &[&&*row.id]).await?;
                    return Ok((!known.get::<_, bool>(0)).then(|| Arc::clone(&row.id)));
                }
            }
            Change::ForgetRun { id, created_ms } => {
                client.execute(&self.forget_run, &[&&**id, created_ms]).await?;
            }
            Change::Run { id, status, failure, ended_ms } => {
                let failure = failure_json(failure.as_ref());
                let values: [&(dyn ToSql + Sync); 4] = [&&**id, &status.word(), &failure, ended_ms];
                client.execute(&self.run, &values).await?;
            }
            Change::Restart { id, hash } => {
                client.execute(&self.restart, &[&&**id, hash]).await?;
            }
            Change::Step(run, row) => self.step(client, run, row).await?,
            Change::ForgetStep(run, step) => {
                client.execute(&self.forget_step, &[&&**run, step]).await?;
            }
            Change::Attempt(run, row) => {
                let (number, pid) = (i64::from(row.number), row.pid.map(i64::from));
                let values: [&(dyn ToSql + Sync); 10] = [
                    &&**run,
                    &row.step,
                    &number,
                    &pid,
                    &row.signal,
                    &row.result,
                    &row.error,
                    &row.tail,
                    &row.started_ms,
                    &row.ended_ms,
                ];
                client.execute(&self.attempt, &values).await?;
            }
            Change::Event { run, name, payload } => {
                let (body, apart) = (&*payload.body, apart(payload));
                client.execute(&self.event, &[&&**run, name, &body, &apart]).await?;
            }
            Change::Schedule(row) => {
                let (body, apart) = (&*row.input.body, apart(&row.input));
                let catch_up = i64::from(row.catch_up);
                let values: [&(dyn ToSql + Sync); 8] = [
                    &row.name,
                    &row.hash,
                    &row.spec,
                    &row.zone,
                    &body,
                    &apart,
                    &catch_up,
                    &row.next_ms,
                ];
                client.execute(&self.schedule, &values).await?;
            }
            Change::ForgetSchedule(name) => {
                client.execute(&self.forget_schedule, &[name]).await?;
            }
        }
        Ok(None)
    }

    async fn new_run(&self, client: &Client, row: &RunRow) -> Result<u64, Error> {
        let failure = failure_json(row.failure.as_ref());
        let parent = row.parent.as_deref();
        let apart = apart(&row.input);
        let values: [&(dyn ToSql + Sync); 11] = [
            &&*row.id,
            &row.workflow,
            &row.version,
            &row.hash,
            &row.status.word(),
            &&*row.input.body,
            &apart,
            &failure,
            &parent,
            &row.created_ms,
            &row.ended_ms,
        ];
        client.execute(&self.new_run, &values).await
    }

    async fn step(&self, client: &Client, run: &str, row: &StepRow) -> Result<(), Error> {
        let counts = [row.attempts, row.raised, row.crashes].map(i64::from);
        let output = row.output.as_ref().map(|output| &*output.body);
        let output_apart = row.output.as_ref().map_or_else(String::new, apart);
        let failure = failure_json(row.failure.as_ref());
        let values: [&(dyn ToSql + Sync); 13] = [
            &run,
            &row.name,
            &row.status.word(),
            &counts[0],
            &counts[1],
            &counts[2],
            &output,
            &output_apart,
            &failure,
            &row.due_ms,
            &row.event,
            &row.started_ms,
            &row.ended_ms,
        ];
        client.execute(&self.step, &values).await.map(drop)
    }
}

pub(super) fn run_columns(row: &Row) -> RunColumns {
    RunColumns {
        id: row.get(0),
        workflow: row.get(1),
        version: row.get(2),
        hash: row.get(3),
        status: row.get(4),
        input: row.get(5),
        input_apart: row.get(6),
        failure: row.get(7),
        parent: row.get(8),
        created_ms: row.get(9),
        ended_ms: row.get(10),
    }
}

pub(super) fn step_columns(row: &Row) -> StepColumns {
    StepColumns {
        name: row.get(0),
        status: row.get(1),
        attempts: row.get(2),
        raised: row.get(3),
        crashes: row.get(4),
        output: row.get(5),
        output_apart: row.get(6),
        failure: row.get(7),
        due_ms: row.get(8),
        event: row.get(9),
        started_ms: row.get(10),
        ended_ms: row.get(11),
    }
}
