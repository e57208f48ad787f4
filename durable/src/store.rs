//! Where runs are kept: one trait, and the databases behind it. Only the engine's process writes, on
//! one thread; the trait has no locks and no transactions of its own, since each write is one.

mod lock;
mod memory;
mod postgres;
mod rows;
mod sqlite;

use std::fmt;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::Arc;

pub use lock::FileLock;
pub use memory::MemoryStore;
pub use postgres::PostgresStore;
pub use sqlite::{FileBlobs, SqliteStore};

use crate::cron::Schedule;
use crate::record::{AttemptRow, Change, FoundRun, RunId, RunRow, RunStatus};
use crate::url::{Address, Url};
use crate::value::Blobs;

/// A database of runs.
pub trait Store: fmt::Debug + Send {
    /// Makes changes, all or none of them. Returns the names of new runs that existed already and have
    /// ended; they are left as they are. One that exists and has not ended was written by an earlier
    /// call whose answer was lost: an engine knows all others that are at work.
    ///
    /// # Errors
    /// When nothing was changed, or it is unknown whether it was.
    fn write(&mut self, changes: &[Change]) -> Result<Vec<RunId>, StoreError>;

    /// All runs that are not at their end, in the order of their submission.
    ///
    /// # Errors
    /// When they cannot be read.
    fn unfinished(&mut self) -> Result<Vec<FoundRun>, StoreError>;

    /// All schedules.
    ///
    /// # Errors
    /// When they cannot be read.
    fn schedules(&mut self) -> Result<Vec<Schedule>, StoreError>;

    /// A run with its graph, steps and events.
    ///
    /// # Errors
    /// When it cannot be read.
    fn find(&mut self, run: &str) -> Result<Option<FoundRun>, StoreError>;

    /// Runs, the last ones first.
    ///
    /// # Errors
    /// When they cannot be read.
    fn list(&mut self, filter: &Filter) -> Result<Vec<RunRow>, StoreError>;

    /// The attempts of a run, in their order.
    ///
    /// # Errors
    /// When they cannot be read.
    fn attempts(&mut self, run: &str) -> Result<Vec<AttemptRow>, StoreError>;

    /// Removes all runs that ended before a time, and what only they have kept apart. Returns their
    /// number.
    ///
    /// # Errors
    /// When they cannot be removed.
    fn prune(&mut self, before_ms: i64) -> Result<u64, StoreError>;

    /// The descriptor that holds the database for this process, if there is one. A child that forks
    /// from this process must close it, or it would hold the database as well.
    fn lock_descriptor(&self) -> Option<RawFd> {
        None
    }

    /// Where large contents are kept.
    fn blobs(&self) -> Arc<dyn Blobs>;
}

/// Which runs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those of this workflow.
    pub workflow: Option<String>,
    /// Only those with this status.
    pub status: Option<RunStatus>,
    /// At most this many.
    pub limit: Option<u32>,
}

/// A database that cannot be used, or a use of it that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another engine uses it.
    #[error(
        "{database} is in use by another engine{}; one engine at a time runs what is in a database",
        .pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
    )]
    InUse {
        /// The database.
        database: String,
        /// The other process, where it is known.
        pid: Option<u32>,
    },
    /// It cannot be opened.
    #[error("{database} cannot be opened: {reason}")]
    Unusable {
        /// The database.
        database: String,
        /// Why.
        reason: String,
    },
    /// A newer version has made it.
    #[error(
        "{database} was written by a newer version (schema {found}, this one knows {known}); use that version"
    )]
    Newer {
        /// The database.
        database: String,
        /// Its schema.
        found: i64,
        /// The newest schema that this version knows.
        known: i64,
    },
    /// There is no database yet.
    #[error("there is no database {0}")]
    Missing(PathBuf),
    /// SQLite failed.
    #[error("SQLite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL failed.
    #[error("PostgreSQL: {}", postgres::told(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// A row does not have the form that it was written in.
    #[error("the database is damaged: {what} of '{of}' is {found:?}")]
    Damaged {
        /// The column.
        what: &'static str,
        /// What it belongs to.
        of: String,
        /// What stands there.
        found: String,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Os {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl StoreError {
    /// Whether no later write can succeed, whatever happens meanwhile.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::InUse { .. } | Self::Newer { .. } | Self::Missing(_) | Self::Damaged { .. } => {
                true
            }
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt)
            ),
            Self::Unusable { .. } | Self::Postgres(_) | Self::Os { .. } => false,
        }
    }
}

/// How a database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For an engine: alone, and made if it is not there.
    Engine,
    /// To look at it, also while an engine uses it.
    Look,
}

/// Opens the database of a URL.
///
/// # Errors
/// When it cannot be opened, or another engine uses it.
pub fn open(url: &Url, access: Access) -> Result<Box<dyn Store>, StoreError> {
    match &url.address {
        Address::SqliteMemory => Ok(Box::new(SqliteStore::in_memory()?)),
        Address::SqliteFile(path) => Ok(Box::new(match access {
            Access::Engine => SqliteStore::open(path, url.sync)?,
            Access::Look => SqliteStore::look(path)?,
        })),
        Address::Postgres(_) => Ok(Box::new(PostgresStore::open(url, access)?)),
    }
}
