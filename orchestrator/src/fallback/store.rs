//! Decisions of earlier runs, in a file of the user's cache. Several processes may read and write it
//! at once: a writer holds a lock, adds what others wrote meanwhile, and replaces the file whole.
//!
//! The file only saves time. When it cannot be read or written, that is said once and work goes on.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ipc_protocol::ImportFault;
use serde::{Deserialize, Serialize};

use super::Reason;

#[cfg(test)]
mod tests;

/// The version of the form is part of the name, so that two versions of the product do not replace
/// each other's decisions.
const FILE: &str = "decisions-v1.json";
/// Held while the file is replaced; it stays, empty.
const LOCK: &str = "decisions-v1.lock";
/// Most decisions that are kept; the oldest go.
const MOST: usize = 1000;
/// No file of ours is longer.
const LONGEST: u64 = 4 << 20;
/// A decision is taken anew after this time.
const LIFE: Duration = Duration::from_secs(30 * 86_400);
/// Most words on what was forgotten that are kept for processes that run.
const MOST_FORGOTTEN: usize = 100;

/// One decision: this code, in these surroundings, does not run on RustPython.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The digest of the node's code; it begins with the module and the class.
    pub code: String,
    /// The digest of everything else that it depends on.
    pub surroundings: String,
    /// The program of the interpreter, for people.
    pub program: PathBuf,
    /// Why.
    pub reason: Lasting,
    /// When it was found, in seconds since 1970.
    pub decided_at: u64,
}

impl Decision {
    /// Module and class of the node: `module:Class`.
    #[must_use]
    pub fn class(&self) -> &str {
        self.code.rsplit_once(':').map_or(self.code.as_str(), |(class, _digest)| class)
    }
}

/// Whether a name means a code: the whole of it, or module and class.
#[must_use]
pub(super) fn is_of(code: &str, name: &str) -> bool {
    code == name || code.rsplit_once(':').is_some_and(|(class, _digest)| class == name)
}

/// That decisions were forgotten: processes that run know them from themselves, too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Forgotten {
    /// Module and class, or a code; `None` for all.
    name: Option<String>,
    /// When, in nanoseconds since 1970; no two are the same.
    at: u64,
}

/// Reasons that stay true as long as code, interpreter and surroundings are the same. What depends on
/// inputs, on memory or on luck is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lasting {
    /// See [`Reason::Import`].
    Import(ImportFault),
    /// See [`Reason::Load`].
    Load {
        /// The exception in one line.
        error: String,
    },
}

impl Lasting {
    /// The reason, if it lasts.
    #[must_use]
    pub fn of(reason: &Reason) -> Option<Self> {
        match reason {
            Reason::Import(fault) if reason.lasts() => Some(Self::Import(fault.clone())),
            Reason::Load { error } if reason.lasts() => Some(Self::Load { error: error.clone() }),
            _ => None,
        }
    }
}

impl From<Lasting> for Reason {
    fn from(lasting: Lasting) -> Self {
        match lasting {
            Lasting::Import(fault) => Self::Import(fault),
            Lasting::Load { error } => Self::Load { error },
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Document {
    decisions: Vec<Decision>,
    #[serde(default)]
    forgotten: Vec<Forgotten>,
}

/// What identifies a version of the file.
type Seen = (u64, u64, i64, i64);

/// The file, as this process knows it. It is read when something is first asked of it.
#[derive(Debug)]
pub struct Store {
    folder: Option<PathBuf>,
    decisions: Vec<Decision>,
    forgotten: Vec<Forgotten>,
    /// The last word on something forgotten that this process has heard.
    heard: u64,
    /// There was a file, and somebody has removed it: that forgets everything.
    is_lost: bool,
    seen: Option<Seen>,
    trouble: Option<String>,
    has_complained: bool,
}

impl Store {
    /// The decisions in a folder, which need not exist; without one, nothing is kept.
    #[must_use]
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            decisions: Vec::new(),
            forgotten: Vec::new(),
            heard: 0,
            is_lost: false,
            seen: None,
            trouble: None,
            has_complained: false,
        }
    }

    /// Whether anything is kept.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.folder.is_some()
    }

    /// What an earlier run found of a code in these surroundings.
    pub fn find(&mut self, code: &str, surroundings: &str) -> Option<Decision> {
        let known = self.all();
        known.iter().find(|d| d.code == code && d.surroundings == surroundings).cloned()
    }

    /// All decisions, the newest first.
    pub fn all(&mut self) -> &[Decision] {
        self.look();
        &self.decisions
    }

    /// What any process has had forgotten since this was last asked: names, or `None` for all.
    pub fn news(&mut self) -> Vec<Option<String>> {
        self.look();
        if std::mem::take(&mut self.is_lost) {
            return vec![None];
        }
        let news = self.forgotten.iter().filter(|word| word.at > self.heard);
        let names = news.map(|word| word.name.clone()).collect();
        self.heard = self.forgotten.iter().map(|word| word.at).fold(self.heard, u64::max);
        names
    }

    fn look(&mut self) {
        if let Some(path) = self.folder.as_ref().map(|folder| folder.join(FILE)) {
            self.refresh(&path, SystemTime::now());
        }
    }

    /// Keeps a decision for later runs.
    pub fn keep(&mut self, decision: Decision) {
        self.change(|document| {
            document.decisions.retain(|other| {
                (&other.code, &other.surroundings) != (&decision.code, &decision.surroundings)
            });
            document.decisions.push(decision);
        });
    }

    /// Takes decisions on a code back, which were wrong.
    pub fn withdraw(&mut self, code: &str) {
        self.change(|document| document.decisions.retain(|decision| decision.code != code));
    }

    /// Forgets all decisions, or those on a class (`module:Class`) or a code, in this file and in
    /// the processes that run. Gives how many were in the file.
    pub fn forget(&mut self, name: Option<&str>) -> usize {
        let mut count = 0;
        let is_done = self.change(|document| {
            let before = document.decisions.len();
            document.decisions.retain(|d| name.is_some_and(|name| !is_of(&d.code, name)));
            count = before - document.decisions.len();
            let last = document.forgotten.iter().map(|word| word.at).max().unwrap_or(0);
            let at = nanoseconds(SystemTime::now()).max(last + 1);
            document.forgotten.push(Forgotten { name: name.map(str::to_owned), at });
        });
        if is_done && name.is_none() {
            // What could not be read is gone too.
            self.trouble = None;
        }
        count
    }

    /// What went wrong with the file, once.
    pub fn take_trouble(&mut self) -> Option<String> {
        self.trouble.take()
    }

    /// Reads the file again if it is another than the one that was read last.
    fn refresh(&mut self, path: &Path, now: SystemTime) {
        let seen = match fs::metadata(path) {
            Ok(meta) => Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec())),
            Err(_absent) => None,
        };
        if seen.is_some() && seen == self.seen {
            return;
        }
        self.is_lost |= seen.is_none() && self.seen.is_some();
        self.seen = seen;
        let document = match read(path) {
            Ok(document) => pruned(document, now),
            Err(error) => {
                self.complain("read", path, &error, "RustPython is tried again; delete the file");
                Document::default()
            }
        };
        (self.decisions, self.forgotten) = (document.decisions, document.forgotten);
    }

    /// Whether it was written.
    fn change(&mut self, change: impl FnOnce(&mut Document)) -> bool {
        let Some(folder) = self.folder.clone() else { return false };
        let path = folder.join(FILE);
        let now = SystemTime::now();
        let written = self.write(&folder, &path, now, change);
        let way_out = "Name a folder that can be written in [fallback] cache_folder";
        written.map_err(|error| self.complain("written", &path, &error, way_out)).is_ok()
    }

    fn write(
        &mut self,
        folder: &Path,
        path: &Path,
        now: SystemTime,
        change: impl FnOnce(&mut Document),
    ) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let lock = File::options().create(true).append(true).open(folder.join(LOCK))?;
        // Whoever holds it only reads and writes this file; the kernel takes it from the dead.
        lock.lock()?;
        self.refresh(path, now);
        let (decisions, forgotten) = (self.decisions.clone(), self.forgotten.clone());
        let mut document = Document { decisions, forgotten };
        change(&mut document);
        let document = pruned(document, now);
        let fresh = folder.join(format!("{FILE}.new"));
        let replaced = fs::write(&fresh, serde_json::to_vec_pretty(&document)?)
            .and_then(|()| fs::rename(&fresh, path));
        if let Err(error) = replaced {
            let _never_made = fs::remove_file(&fresh);
            return Err(error);
        }
        // A coarse clock may give two versions the same time: what was written is read anew.
        self.seen = Some(Seen::default());
        (self.decisions, self.forgotten) = (document.decisions, document.forgotten);
        Ok(())
    }

    fn complain(&mut self, deed: &str, path: &Path, error: &io::Error, way_out: &str) {
        if !std::mem::replace(&mut self.has_complained, true) {
            self.trouble = Some(format!(
                "what RustPython could not run in earlier runs cannot be {deed}: {}: {error}. \
                 {way_out}, or set [fallback] remember = false",
                path.display()
            ));
        }
    }
}

fn read(path: &Path) -> io::Result<Document> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Document::default()),
        Ok(meta) if meta.len() > LONGEST => {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long to be ours"));
        }
        _ => {}
    }
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// The newest decisions that are not too old, the newest first. One of the future is not believed.
fn pruned(mut document: Document, now: SystemTime) -> Document {
    let now = seconds(now);
    let life = LIFE.as_secs();
    let Document { decisions, forgotten } = &mut document;
    decisions.retain(|d| d.decided_at <= now + 60 && d.decided_at + life > now);
    decisions.sort_by_key(|decision| std::cmp::Reverse(decision.decided_at));
    decisions.truncate(MOST);
    let spare = forgotten.len().saturating_sub(MOST_FORGOTTEN);
    forgotten.drain(..spare);
    document
}

/// Seconds since 1970.
#[must_use]
pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX - 1)
}

/// How long ago a decision was taken, in words.
#[must_use]
pub fn age(decided_at: u64) -> String {
    let (count, unit) = match seconds(SystemTime::now()).saturating_sub(decided_at) {
        past @ 0..60 => (past, "second"),
        past @ 60..3600 => (past / 60, "minute"),
        past @ 3600..86_400 => (past / 3600, "hour"),
        past => (past / 86_400, "day"),
    };
    format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
}
