//! Runs in PostgreSQL, with a driver without its C library. The statements of a write are sent at
//! once, without waiting for each answer. An advisory lock of the session says that an engine lives:
//! the server frees it when the connection ends.

mod blobs;
mod statements;

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, Statement};

use self::blobs::PostgresBlobs;
use self::statements::{Prepared, run_columns, step_columns};
use super::rows::{RUN_COLUMNS, SCHEMA, STEP_COLUMNS, count, kept};
use super::{Access, Filter, Store, StoreError};
use crate::cron::Schedule;
use crate::record::{AttemptRow, Change, FoundRun, RunId, RunRow, StepRow};
use crate::url::{Address, Url, masked};
use crate::value::{Blobs, Kept};

/// The channel on which the end of each write is made known, for those who watch.
const CHANNEL: &str = "remotemedia_runs";
/// The runs that an engine goes on with.
const UNFINISHED: &str = "SELECT id FROM run WHERE status = 'running'";
/// The class of advisory locks of engines: `RMwf`. The other half is that of the schema's name.
const LOCKS: i32 = 0x524d_7766;

/// A store in PostgreSQL.
#[derive(Debug)]
pub struct PostgresStore {
    runtime: Runtime,
    link: Option<Link>,
    url: Url,
    access: Access,
    blobs: Arc<PostgresBlobs>,
}

/// A connection with its prepared statements.
#[derive(Debug)]
struct Link {
    client: Client,
    prepared: Prepared,
}

impl Link {
    async fn write(&self, changes: &[Change]) -> Result<Vec<RunId>, StoreError> {
        // Polled together: all are sent before the first answer is awaited, in their order.
        let begin = self.client.batch_execute("BEGIN");
        let writes = changes.iter().map(|change| self.prepared.apply(&self.client, change));
        let writes = try_join_all(writes);
        let notify = format!("NOTIFY {CHANNEL}; COMMIT");
        let work = async {
            let (begun, written) = futures_util::future::join(begin, writes).await;
            begun?;
            let written = written?;
            self.client.batch_execute(&notify).await?;
            Ok::<_, tokio_postgres::Error>(written)
        };
        match work.await {
            Ok(written) => Ok(written.into_iter().flatten().collect()),
            Err(error) => {
                let _rolled_back = self.client.batch_execute("ROLLBACK").await;
                Err(StoreError::Postgres(error))
            }
        }
    }
}

/// What an error of the driver says, with the server's own words.
pub(super) fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => error.message().to_owned(),
        None => {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
            format!("{error}{}", cause.unwrap_or_default())
        }
    }
}

impl PostgresStore {
    /// Connects, and makes the tables if they are not there.
    ///
    /// # Errors
    /// When the server cannot be reached, or another engine uses the schema.
    pub fn open(url: &Url, access: Access) -> Result<Self, StoreError> {
        let runtime = new_runtime()?;
        let blobs = Arc::new(PostgresBlobs::new(url.clone())?);
        let mut store = Self { runtime, link: None, url: url.clone(), access, blobs };
        store.link()?;
        Ok(store)
    }

    /// The connection, made again if it has ended.
    fn link(&mut self) -> Result<&Link, StoreError> {
        if self.link.as_ref().is_none_or(|link| link.client.is_closed()) {
            self.link = None;
            let (url, access) = (&self.url, self.access);
            let made = self.runtime.block_on(async {
                let client = connect(url, access).await?;
                if access == Access::Engine {
                    claim(&client, url).await?;
                }
                if !has_tables(&client, url).await? {
                    match access {
                        Access::Engine => make_tables(&client).await?,
                        Access::Look => return Err(unusable(url, "it holds no workflows")),
                    }
                }
                let prepared = Prepared::new(&client).await?;
                Ok::<_, StoreError>(Link { client, prepared })
            })?;
            self.link = Some(made);
        }
        self.link.as_ref().ok_or_else(|| unusable(&self.url, "it is not connected"))
    }

    fn query(
        &mut self,
        text: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        self.connected(|runtime, link| {
            runtime.block_on(async {
                let statement: Statement = link.client.prepare(text).await?;
                Ok(link.client.query(&statement, values).await?)
            })
        })
    }

    /// Calls a function with the connection, and once more if that has ended since it was last used:
    /// only its use shows that. What is written twice is as if it were written once.
    fn connected<R>(
        &mut self,
        act: impl Fn(&Runtime, &Link) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        self.link()?;
        let Some(link) = &self.link else { return Err(unusable(&self.url, "it is not connected")) };
        let done = act(&self.runtime, link);
        if done.is_ok() || !link.client.is_closed() {
            return done;
        }
        self.link()?;
        let Some(link) = &self.link else { return done };
        act(&self.runtime, link)
    }

    fn found(&mut self, run: RunRow) -> Result<FoundRun, StoreError> {
        let graph = self.query("SELECT graph FROM workflow WHERE hash = $1", &[&run.hash])?;
        let graph = graph.first().map_or_else(String::new, |row| row.get(0));
        let id = run.id.to_string();
        let query = format!("SELECT {STEP_COLUMNS} FROM step WHERE run_id = $1 ORDER BY name");
        let steps = self.query(&query, &[&id])?;
        let steps = steps.iter().map(|row| step_columns(row).row()).collect::<Result<_, _>>()?;
        let query =
            "SELECT name, payload, payload_apart FROM event WHERE run_id = $1 ORDER BY name";
        let events = self.query(query, &[&id])?;
        let events = events.iter().map(|row| (row.get(0), kept(row.get(1), row.get(2)))).collect();
        Ok(FoundRun { run, graph, steps, events })
    }
}

fn new_runtime() -> Result<Runtime, StoreError> {
    let made = Builder::new_current_thread().enable_all().build();
    made.map_err(|source| StoreError::Os { what: "starting an event loop".to_owned(), source })
}

async fn connect(url: &Url, access: Access) -> Result<Client, StoreError> {
    let Address::Postgres(address) = &url.address else {
        return Err(unusable(url, "it is no PostgreSQL URL"));
    };
    let connected = tokio_postgres::connect(address, NoTls).await;
    let (client, connection) = connected.map_err(|error| unusable(url, &told(&error)))?;
    // It ends with the client, and errors reach the client's calls.
    tokio::spawn(async move { _ = connection.await });
    let level = match url.sync {
        crate::url::Sync::Full => "on",
        crate::url::Sync::Normal => "off",
    };
    client.batch_execute(&format!("SET synchronous_commit = {level}")).await?;
    if let Some(schema) = &url.schema {
        if access == Access::Engine {
            client.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\"")).await?;
        }
        client.batch_execute(&format!("SET search_path = \"{schema}\"")).await?;
    }
    Ok(client)
}

/// Takes the lock of an engine.
async fn claim(client: &Client, url: &Url) -> Result<(), StoreError> {
    let query = "SELECT pg_try_advisory_lock($1, hashtext(current_schema()))";
    let row = client.query_one(query, &[&LOCKS]).await?;
    if row.get(0) {
        return Ok(());
    }
    Err(StoreError::InUse { database: name_of(url), pid: None })
}

/// Whether the tables are there. They may be those of a newer version.
async fn has_tables(client: &Client, url: &Url) -> Result<bool, StoreError> {
    let query = "SELECT to_regclass('remotemedia_schema') IS NOT NULL";
    let has_tables: bool = client.query_one(query, &[]).await?.get(0);
    if has_tables {
        let row = client.query_one("SELECT version FROM remotemedia_schema", &[]).await?;
        let found: i64 = row.get(0);
        if found != SCHEMA {
            let database = name_of(url);
            return Err(StoreError::Newer { database, found, known: SCHEMA });
        }
    }
    Ok(has_tables)
}

async fn make_tables(client: &Client) -> Result<(), StoreError> {
    let tables = include_str!("schema.sql").replace("BLOB", "BYTEA");
    let script = format!(
        "BEGIN; CREATE TABLE remotemedia_schema (version BIGINT NOT NULL); \
         INSERT INTO remotemedia_schema VALUES ({SCHEMA}); {tables} \
         ALTER TABLE run ADD COLUMN position BIGSERIAL; \
         CREATE TABLE content (digest TEXT NOT NULL PRIMARY KEY, content BYTEA NOT NULL); COMMIT"
    );
    Ok(client.batch_execute(&script).await?)
}

fn name_of(url: &Url) -> String {
    match &url.address {
        Address::Postgres(address) => masked(address),
        other => format!("{other:?}"),
    }
}

fn unusable(url: &Url, reason: &str) -> StoreError {
    StoreError::Unusable { database: name_of(url), reason: reason.to_owned() }
}

impl Store for PostgresStore {
    fn write(&mut self, changes: &[Change]) -> Result<Vec<RunId>, StoreError> {
        self.connected(|runtime, link| runtime.block_on(link.write(changes)))
    }

    fn unfinished(&mut self) -> Result<Vec<FoundRun>, StoreError> {
        let query = format!(
            "SELECT {RUN_COLUMNS} FROM run WHERE status = 'running' ORDER BY created_ms, position"
        );
        let rows = self.query(&query, &[])?;
        let graphs = self.query("SELECT hash, graph FROM workflow", &[])?;
        let graphs: HashMap<String, String> =
            graphs.iter().map(|row| (row.get(0), row.get(1))).collect();
        let query =
            format!("SELECT {STEP_COLUMNS}, run_id FROM step WHERE run_id IN ({UNFINISHED})");
        let mut steps: HashMap<String, Vec<StepRow>> = HashMap::new();
        for row in self.query(&query, &[])? {
            steps.entry(row.get("run_id")).or_default().push(step_columns(&row).row()?);
        }
        let query = format!(
            "SELECT run_id, name, payload, payload_apart FROM event WHERE run_id IN ({UNFINISHED})"
        );
        let mut events: HashMap<String, Vec<(String, Kept)>> = HashMap::new();
        for row in self.query(&query, &[])? {
            let event = (row.get(1), kept(row.get(2), row.get(3)));
            events.entry(row.get(0)).or_default().push(event);
        }
        let found = rows.iter().map(|row| {
            let run = run_columns(row).row()?;
            Ok(FoundRun {
                graph: graphs.get(&run.hash).cloned().unwrap_or_default(),
                steps: steps.remove(&*run.id).unwrap_or_default(),
                events: events.remove(&*run.id).unwrap_or_default(),
                run,
            })
        });
        found.collect()
    }

    fn schedules(&mut self) -> Result<Vec<Schedule>, StoreError> {
        let query = "SELECT name, hash, spec, zone, input, input_apart, catch_up, next_ms \
                     FROM schedule ORDER BY name";
        let rows = self.query(query, &[])?;
        let schedule = |row: &Row| Schedule {
            name: row.get(0),
            hash: row.get(1),
            spec: row.get(2),
            zone: row.get(3),
            input: kept(row.get(4), row.get(5)),
            catch_up: row.get::<_, i64>(6) != 0,
            next_ms: row.get(7),
        };
        Ok(rows.iter().map(schedule).collect())
    }

    fn find(&mut self, run: &str) -> Result<Option<FoundRun>, StoreError> {
        let query = format!("SELECT {RUN_COLUMNS} FROM run WHERE id = $1");
        let rows = self.query(&query, &[&run])?;
        let Some(row) = rows.first() else { return Ok(None) };
        self.found(run_columns(row).row()?).map(Some)
    }

    fn list(&mut self, filter: &Filter) -> Result<Vec<RunRow>, StoreError> {
        let query = format!(
            "SELECT {RUN_COLUMNS} FROM run \
             WHERE ($1::text IS NULL OR workflow = $1) AND ($2::text IS NULL OR status = $2) \
             ORDER BY created_ms DESC, position DESC LIMIT $3"
        );
        let status = filter.status.map(crate::record::RunStatus::word);
        let limit = filter.limit.map_or(i64::MAX, i64::from);
        let rows = self.query(&query, &[&filter.workflow, &status, &limit])?;
        rows.iter().map(|row| run_columns(row).row()).collect()
    }

    fn attempts(&mut self, run: &str) -> Result<Vec<AttemptRow>, StoreError> {
        let query = "SELECT step, number, pid, signal, result, error, tail, started_ms, ended_ms \
                     FROM attempt WHERE run_id = $1 ORDER BY started_ms, step, number";
        let rows = self.query(query, &[&run])?;
        let attempt = |row: &Row| AttemptRow {
            step: row.get(0),
            number: count(row.get(1)),
            pid: row.get::<_, Option<i64>>(2).map(count),
            signal: row.get(3),
            result: row.get(4),
            error: row.get(5),
            tail: row.get(6),
            started_ms: row.get(7),
            ended_ms: row.get(8),
        };
        Ok(rows.iter().map(attempt).collect())
    }

    fn prune(&mut self, before_ms: i64) -> Result<u64, StoreError> {
        self.link()?;
        let Some(link) = &mut self.link else { return Ok(0) };
        let pins = self.blobs.pins().held();
        let pinned = pins.digests();
        let removed = self.runtime.block_on(async {
            let transaction = link.client.transaction().await?;
            for table in ["step", "attempt", "event"] {
                let query = format!(
                    "DELETE FROM {table} WHERE run_id IN (SELECT id FROM run WHERE ended_ms < $1)"
                );
                transaction.execute(&query, &[&before_ms]).await?;
            }
            let query = "DELETE FROM run WHERE ended_ms < $1";
            let removed = transaction.execute(query, &[&before_ms]).await?;
            let query = "DELETE FROM content WHERE digest <> ALL($1) AND digest NOT IN (\
                 SELECT unnest(string_to_array(input_apart, ',')) FROM run UNION ALL \
                 SELECT unnest(string_to_array(output_apart, ',')) FROM step UNION ALL \
                 SELECT unnest(string_to_array(payload_apart, ',')) FROM event UNION ALL \
                 SELECT unnest(string_to_array(input_apart, ',')) FROM schedule)";
            transaction.execute(query, &[&pinned]).await?;
            transaction.commit().await?;
            Ok::<_, tokio_postgres::Error>(removed)
        });
        Ok(removed?)
    }

    fn blobs(&self) -> Arc<dyn Blobs> {
        Arc::clone(&self.blobs) as Arc<dyn Blobs>
    }
}
