//! Where the settings of a runtime come from, and reading them again while it runs.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use ipc_protocol::from_worker::LogRecord;
use notify_debouncer_mini::notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_mini::{DebounceEventResult, Debouncer, new_debouncer};

use super::Runtime;
use crate::config::{Change, ConfigError, ConfigWarning, Effect, Loaded, Named, Sources};

/// Editors write a file in several steps; it is read when nothing has happened to it for so long.
const QUIET: Duration = Duration::from_millis(100);
/// The levels INFO and ERROR of Python's `logging`.
const INFORMATION: u32 = 20;
const ERROR: u32 = 40;

/// What watches the configuration files of a runtime. It ends when it is dropped.
pub(super) type Watcher = Debouncer<RecommendedWatcher>;

impl Runtime {
    /// A runtime with the settings of these sources, which it can read again. What their author should
    /// know comes with it.
    ///
    /// # Errors
    /// As [`Sources::load`].
    pub fn load(sources: Sources) -> Result<(Arc<Self>, Vec<ConfigWarning>), ConfigError> {
        let Loaded { config, warnings, files, .. } = sources.load()?;
        let watches = config.files.watch;
        let runtime = Arc::new(Self::new(config));
        *lock(&runtime.sources) = sources;
        if watches {
            match watch(&files, &Arc::downgrade(&runtime)) {
                Ok(watcher) => *lock(&runtime.watcher) = Some(Box::new(watcher)),
                Err(error) => log(&runtime, ERROR, format!("files are not watched: {error}")),
            }
        }
        Ok((runtime, warnings))
    }

    /// Reads the sources again and follows them.
    ///
    /// # Errors
    /// As [`Sources::load`]; nothing changes then.
    pub fn reload(&self) -> Result<Vec<Change>, ConfigError> {
        let sources = lock(&self.sources).clone();
        self.follow(sources).map(|(changes, _)| changes)
    }

    /// Follows other sources from now on: `named` takes the place of the text or file that was named
    /// before, `arguments` are added to the earlier ones.
    ///
    /// # Errors
    /// As [`Sources::load`]; nothing changes then.
    pub fn change(
        &self,
        named: Option<Named>,
        arguments: toml::Table,
    ) -> Result<(Vec<Change>, Vec<ConfigWarning>), ConfigError> {
        let mut sources = lock(&self.sources).clone();
        sources.named = named.or(sources.named);
        add(&mut sources.arguments, arguments);
        self.follow(sources)
    }

    fn follow(&self, sources: Sources) -> Result<(Vec<Change>, Vec<ConfigWarning>), ConfigError> {
        let Loaded { config, warnings, .. } = sources.load()?;
        *lock(&self.sources) = sources;
        Ok((self.reconfigure(config), warnings))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the sources again because a file has changed, and logs the result.
fn reload_watched(runtime: &Runtime) {
    match runtime.reload() {
        Ok(changes) if changes.is_empty() => {}
        Ok(changes) => log(runtime, INFORMATION, told(&changes)),
        Err(error) => log(runtime, ERROR, format!("nothing is changed: {error}")),
    }
}

/// Leaves a record for the next session to show.
fn log(runtime: &Runtime, level: u32, message: String) {
    runtime.keep_record(LogRecord {
        node_id: String::new(),
        level,
        logger: "remotemedia.config".to_owned(),
        message,
        is_stream: false,
        place: None,
    });
}

/// Changes in one sentence each, for people.
#[must_use]
pub fn told(changes: &[Change]) -> String {
    let counts = |change: &Change| match change.effect {
        Effect::Now => format!("{} (at once)", change.key),
        Effect::Sessions => format!("{} (from the next session on)", change.key),
        Effect::Workers => {
            format!("{} (from the next worker on; `pool recycle` replaces them)", change.key)
        }
        Effect::Restart => format!("{} (only after a restart)", change.key),
    };
    let all: Vec<String> = changes.iter().map(counts).collect();
    format!("the configuration has changed: {}", all.join(", "))
}

/// Adds the keys of a table to another, section by section.
fn add(table: &mut toml::Table, further: toml::Table) {
    for (name, value) in further {
        match (table.get_mut(&name), value) {
            (Some(toml::Value::Table(known)), toml::Value::Table(value)) => add(known, value),
            (_, value) => {
                table.insert(name, value);
            }
        }
    }
}

/// What tells one state of a file from another; `None` while there is none.
type Stamp = Option<(u64, u64, u64, Option<SystemTime>)>;

/// The state of a file, or of that which a link leads to.
fn stamp(file: &PathBuf) -> Stamp {
    let data = std::fs::metadata(file).ok()?;
    Some((data.dev(), data.ino(), data.len(), data.modified().ok()))
}

/// Whether a file has become empty: who writes it in place empties it first, and is not done.
fn is_being_written(now: &Stamp, known: &Stamp) -> bool {
    let is_empty = |stamp: &Stamp| stamp.is_some_and(|(_, _, length, _)| length == 0);
    is_empty(now) && !is_empty(known)
}

/// Has the runtime read its files again when one of them changes. Their folders are watched, because
/// editors put a new file into the place of the old one, and others exchange a link. Events come also
/// from reading, so the files are looked at.
fn watch(
    files: &[PathBuf],
    runtime: &Weak<Runtime>,
) -> Result<Watcher, notify_debouncer_mini::notify::Error> {
    let (runtime, watched) = (Weak::clone(runtime), files.to_vec());
    let mut known: Vec<Stamp> = files.iter().map(stamp).collect();
    let mut watcher = new_debouncer(QUIET, move |_: DebounceEventResult| {
        let now: Vec<Stamp> = watched.iter().map(stamp).collect();
        if now.iter().zip(&known).any(|(now, known)| is_being_written(now, known)) {
            return;
        }
        let has_changed = known != now;
        known = now;
        if let Some(runtime) = runtime.upgrade().filter(|_| has_changed) {
            reload_watched(&runtime);
        }
    })?;
    let targets: Vec<PathBuf> = files.iter().filter_map(|file| file.canonicalize().ok()).collect();
    let mut folders: Vec<&Path> =
        files.iter().chain(&targets).filter_map(|file| file.parent()).collect();
    folders.sort_unstable();
    folders.dedup();
    for folder in folders {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        if folder.is_dir() {
            watcher.watcher().watch(folder, RecursiveMode::NonRecursive)?;
        }
    }
    Ok(watcher)
}
