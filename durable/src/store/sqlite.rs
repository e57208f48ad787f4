//! Runs in SQLite: in a file, with large contents in a folder beside it, or in memory.

mod checkpoint;
mod files;
mod statements;

use std::collections::{HashMap, HashSet};
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use files::FileBlobs;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, TransactionBehavior, params};

use self::checkpoint::Checkpointer;
use self::statements::{apply, run_columns, step_columns};

use super::lock::{FileLock, real_path};
use super::memory::MemoryBlobs;
use super::rows::{RUN_COLUMNS, SCHEMA, STEP_COLUMNS, StepColumns, count, kept};
use super::{Filter, Store, StoreError};
use crate::cron::Schedule;
use crate::record::{AttemptRow, Change, FoundRun, RunId, RunRow, StepRow};
use crate::url::Sync;
use crate::value::{Blobs, Kept};

/// Marks files of this kind for `file` and others: `RMwf`.
const APPLICATION: i64 = 0x524d_7766;
/// The runs that an engine goes on with.
const UNFINISHED: &str = "SELECT id FROM run WHERE status = 'running'";
/// How long a write waits for another program that has locked the file.
const BUSY: Duration = Duration::from_millis(500);

/// A store in SQLite.
#[derive(Debug)]
pub struct SqliteStore {
    /// Only an engine's. Its connection closes before the other one, which then leaves no log.
    checkpointer: Option<Checkpointer>,
    connection: Connection,
    contents: Contents,
    /// Held as long as the store is open.
    lock: Option<FileLock>,
}

#[derive(Debug)]
enum Contents {
    Memory(Arc<MemoryBlobs>),
    Files(Arc<FileBlobs>),
}

impl SqliteStore {
    /// Opens a file for an engine, and makes it if it is not there.
    ///
    /// # Errors
    /// When it cannot be opened, or another engine uses it.
    pub fn open(path: &Path, sync: Sync) -> Result<Self, StoreError> {
        let path = &real_path(path)?;
        let lock = FileLock::take(path)?;
        let unusable = |error: rusqlite::Error| unusable(path, &error);
        let connection = Connection::open(path).map_err(unusable)?;
        connection.busy_timeout(BUSY).map_err(unusable)?;
        let level = match sync {
            Sync::Full => "FULL",
            Sync::Normal => "NORMAL",
        };
        connection.pragma_update(None, "journal_mode", "WAL").map_err(unusable)?;
        connection.pragma_update(None, "synchronous", level).map_err(unusable)?;
        let contents = Contents::Files(Arc::new(FileBlobs::beside(path, sync)));
        let mut store = Self { checkpointer: None, connection, contents, lock: Some(lock) };
        store.make_tables(&path.display().to_string())?;
        store.checkpointer = Some(Checkpointer::start(path, &store.connection).map_err(unusable)?);
        Ok(store)
    }

    /// Opens a file to look at it, also while an engine uses it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn look(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        let path = &real_path(path)?;
        let unusable = |error: rusqlite::Error| unusable(path, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(unusable)?;
        connection.busy_timeout(BUSY).map_err(unusable)?;
        let found: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(unusable)?;
        check_schema(found, &path.display().to_string())?;
        let files = Arc::new(FileBlobs::beside(path, Sync::Normal));
        Ok(Self { checkpointer: None, connection, contents: Contents::Files(files), lock: None })
    }

    /// A database in memory.
    ///
    /// # Errors
    /// When SQLite refuses it.
    pub fn in_memory() -> Result<Self, StoreError> {
        let connection = Connection::open_in_memory()?;
        let contents = Contents::Memory(Arc::default());
        let mut store = Self { checkpointer: None, connection, contents, lock: None };
        store.make_tables("the database in memory")?;
        Ok(store)
    }

    fn make_tables(&mut self, name: &str) -> Result<(), StoreError> {
        self.connection.set_prepared_statement_cache_capacity(64);
        let found: i64 =
            self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found != 0 {
            return check_schema(found, name);
        }
        let foreign: i64 =
            self.connection
                .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if foreign > 0 {
            return Err(StoreError::Unusable {
                database: name.to_owned(),
                reason: "it holds tables of another program; name a file of its own".to_owned(),
            });
        }
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(include_str!("schema.sql"))?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", SCHEMA)?;
        Ok(transaction.commit()?)
    }

    fn steps(&self, run: &str) -> Result<Vec<StepRow>, StoreError> {
        let query = format!("SELECT {STEP_COLUMNS} FROM step WHERE run_id = ?1 ORDER BY name");
        let mut statement = self.connection.prepare_cached(&query)?;
        let rows = statement.query_map([run], |row| step_columns(row, 0))?;
        rows.map(|row| row?.row()).collect()
    }

    fn events(&self, run: &str) -> Result<Vec<(String, Kept)>, StoreError> {
        let query =
            "SELECT name, payload, payload_apart FROM event WHERE run_id = ?1 ORDER BY name";
        let mut statement = self.connection.prepare_cached(query)?;
        let rows = statement.query_map([run], |row| {
            Ok((row.get(0)?, kept(row.get(1)?, &row.get::<_, String>(2)?)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Rows by their first column.
    fn all<C, R>(
        &self,
        query: &str,
        columns: impl Fn(&Row<'_>) -> rusqlite::Result<C>,
        row: impl Fn(C) -> Result<R, StoreError>,
    ) -> Result<HashMap<String, Vec<R>>, StoreError> {
        let mut statement = self.connection.prepare(query)?;
        let found = statement.query_map([], |row| Ok((row.get(0)?, columns(row)?)))?;
        let mut all: HashMap<String, Vec<R>> = HashMap::new();
        for pair in found {
            let (of, columns) = pair?;
            all.entry(of).or_default().push(row(columns)?);
        }
        Ok(all)
    }

    fn found(&self, run: RunRow) -> Result<FoundRun, StoreError> {
        let graph = self
            .connection
            .prepare_cached("SELECT graph FROM workflow WHERE hash = ?1")?
            .query_row([&run.hash], |row| row.get(0))
            .optional()?
            .unwrap_or_default();
        let (steps, events) = (self.steps(&run.id)?, self.events(&run.id)?);
        Ok(FoundRun { run, graph, steps, events })
    }
}

impl Store for SqliteStore {
    fn write(&mut self, changes: &[Change]) -> Result<Vec<RunId>, StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut existing = Vec::new();
        for change in changes {
            apply(&transaction, change, &mut existing)?;
        }
        transaction.commit()?;
        if let Some(checkpointer) = &mut self.checkpointer {
            checkpointer.committed(changes.len());
        }
        Ok(existing)
    }

    fn unfinished(&mut self) -> Result<Vec<FoundRun>, StoreError> {
        let query = format!(
            "SELECT {RUN_COLUMNS} FROM run WHERE status = 'running' ORDER BY created_ms, rowid"
        );
        let mut statement = self.connection.prepare(&query)?;
        let rows = statement.query_map([], run_columns)?;
        let rows: Vec<RunRow> = rows.map(|row| row?.row()).collect::<Result<_, _>>()?;
        let mut graphs = self.all(
            "SELECT hash, graph FROM workflow",
            |row| row.get(1),
            |graph: String| Ok(graph),
        )?;
        let mut steps = self.all(
            &format!("SELECT run_id, {STEP_COLUMNS} FROM step WHERE run_id IN ({UNFINISHED})"),
            |row| step_columns(row, 1),
            StepColumns::row,
        )?;
        let mut events = self.all(
            &format!(
                "SELECT run_id, name, payload, payload_apart FROM event WHERE run_id IN ({UNFINISHED})"
            ),
            |row| Ok((row.get(1)?, kept(row.get(2)?, &row.get::<_, String>(3)?))),
            Ok,
        )?;
        let found = rows.into_iter().map(|run| FoundRun {
            graph: graphs
                .get_mut(&run.hash)
                .and_then(|all| all.last().cloned())
                .unwrap_or_default(),
            steps: steps.remove(&*run.id).unwrap_or_default(),
            events: events.remove(&*run.id).unwrap_or_default(),
            run,
        });
        Ok(found.collect())
    }

    fn schedules(&mut self) -> Result<Vec<Schedule>, StoreError> {
        let query = "SELECT name, hash, spec, zone, input, input_apart, catch_up, next_ms \
                     FROM schedule ORDER BY name";
        let mut statement = self.connection.prepare(query)?;
        let rows = statement.query_map([], |row| {
            Ok(Schedule {
                name: row.get(0)?,
                hash: row.get(1)?,
                spec: row.get(2)?,
                zone: row.get(3)?,
                input: kept(row.get(4)?, &row.get::<_, String>(5)?),
                catch_up: row.get::<_, i64>(6)? != 0,
                next_ms: row.get(7)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn find(&mut self, run: &str) -> Result<Option<FoundRun>, StoreError> {
        let query = format!("SELECT {RUN_COLUMNS} FROM run WHERE id = ?1");
        let row =
            self.connection.prepare_cached(&query)?.query_row([run], run_columns).optional()?;
        row.map(|row| self.found(row.row()?)).transpose()
    }

    fn list(&mut self, filter: &Filter) -> Result<Vec<RunRow>, StoreError> {
        let query = format!(
            "SELECT {RUN_COLUMNS} FROM run \
             WHERE (?1 IS NULL OR workflow = ?1) AND (?2 IS NULL OR status = ?2) \
             ORDER BY created_ms DESC, rowid DESC LIMIT ?3"
        );
        let mut statement = self.connection.prepare_cached(&query)?;
        let status = filter.status.map(crate::record::RunStatus::word);
        let limit = filter.limit.map_or(-1, i64::from);
        let rows = statement.query_map(params![filter.workflow, status, limit], run_columns)?;
        rows.map(|row| row?.row()).collect()
    }

    fn attempts(&mut self, run: &str) -> Result<Vec<AttemptRow>, StoreError> {
        let query = "SELECT step, number, pid, signal, result, error, tail, started_ms, ended_ms \
                     FROM attempt WHERE run_id = ?1 ORDER BY started_ms, step, number";
        let mut statement = self.connection.prepare_cached(query)?;
        let rows = statement.query_map([run], |row| {
            Ok(AttemptRow {
                step: row.get(0)?,
                number: count(row.get(1)?),
                pid: row.get::<_, Option<i64>>(2)?.map(count),
                signal: row.get(3)?,
                result: row.get(4)?,
                error: row.get(5)?,
                tail: row.get(6)?,
                started_ms: row.get(7)?,
                ended_ms: row.get(8)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn prune(&mut self, before_ms: i64) -> Result<u64, StoreError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for table in ["step", "attempt", "event"] {
            let query = format!(
                "DELETE FROM {table} WHERE run_id IN (SELECT id FROM run WHERE ended_ms < ?1)"
            );
            transaction.execute(&query, [before_ms])?;
        }
        let removed = transaction.execute("DELETE FROM run WHERE ended_ms < ?1", [before_ms])?;
        let mut used = HashSet::new();
        let columns = [
            ("run", "input_apart"),
            ("step", "output_apart"),
            ("event", "payload_apart"),
            ("schedule", "input_apart"),
        ];
        for (table, column) in columns {
            let query = format!("SELECT DISTINCT {column} FROM {table} WHERE {column} <> ''");
            let mut statement = transaction.prepare(&query)?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            for row in rows {
                used.extend(row?.split(',').map(str::to_owned));
            }
        }
        transaction.commit()?;
        match &self.contents {
            Contents::Memory(contents) => contents.retain(|digest| used.contains(digest)),
            Contents::Files(files) => files.retain(|digest| used.contains(digest))?,
        }
        Ok(removed as u64)
    }

    fn lock_descriptor(&self) -> Option<RawFd> {
        self.lock.as_ref().map(FileLock::descriptor)
    }

    fn blobs(&self) -> Arc<dyn Blobs> {
        match &self.contents {
            Contents::Memory(contents) => Arc::clone(contents) as Arc<dyn Blobs>,
            Contents::Files(files) => Arc::clone(files) as Arc<dyn Blobs>,
        }
    }
}

fn check_schema(found: i64, name: &str) -> Result<(), StoreError> {
    match found {
        0 => Err(StoreError::Unusable {
            database: name.to_owned(),
            reason: "it holds no workflows".to_owned(),
        }),
        SCHEMA => Ok(()),
        found => Err(StoreError::Newer { database: name.to_owned(), found, known: SCHEMA }),
    }
}

fn unusable(path: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::Unusable { database: path.display().to_string(), reason: error.to_string() }
}
