//! What a decision of earlier runs depends on beside a node's own code: the interpreter's program, what
//! the configuration tells workers, the installed packages, the caller's own modules. When any of it
//! changes, RustPython is tried anew; trying once too often costs a worker's start, once too seldom
//! costs the interpreter that the caller asked for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

#[cfg(test)]
mod tests;

/// More files and folders than this are not looked through; what depends on them is not remembered.
const MOST_FILES: usize = 2_000;
/// The same of the text of modules, in bytes: it is read at every opening until RustPython ran them.
const MOST_TEXT: u64 = 8 << 20;
/// Environment variables that decide what a worker's code can import.
const VARIABLES: [&str; 3] =
    ["REMOTEMEDIA_ALLOW_MODULES", "REMOTEMEDIA_INJECT_MODULES", "PYTHONPATH"];

/// The program of an interpreter, as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    /// Path and state of the file: changed by whatever replaces it.
    pub(super) identity: String,
    /// It is a program, not a script that starts one that we do not see.
    pub(super) is_binary: bool,
}

impl Program {
    pub(super) fn of(path: &Path) -> Option<Self> {
        use std::io::Read;
        let meta = fs::metadata(path).ok()?;
        let mut start = [0; 4];
        let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
        let changed = (meta.ctime(), meta.ctime_nsec());
        let identity = format!("{} {:?} {changed:?}", path.display(), stamp(&meta));
        Some(Self { identity, is_binary: read.is_ok() && start == *b"\x7fELF" })
    }
}

/// What nodes find around them.
#[derive(Debug)]
pub(super) struct Surroundings {
    common: u64,
    /// The caller's modules and packages by the name that imports them.
    modules: HashMap<Vec<u8>, Vec<PathBuf>>,
    /// Files that may still be looked at.
    budget: usize,
    /// Text that may still be read.
    text_budget: u64,
}

impl Surroundings {
    /// `environment` is what workers get, `settings` are those of them that the configuration made,
    /// `injected` files of modules that it names. None when there is too much to look through.
    pub(super) fn new(
        program: &Program,
        environment: &[(OsString, OsString)],
        settings: &BTreeMap<String, String>,
        injected: &BTreeMap<String, String>,
        sys_path: &[OsString],
    ) -> Option<Self> {
        let mut state = DefaultHasher::new();
        program.identity.hash(&mut state);
        settings.hash(&mut state);
        for (name, value) in environment {
            if VARIABLES.iter().any(|known| name == known) {
                (name, value).hash(&mut state);
            }
        }
        for (name, file) in injected {
            (name, file, fs::read(file).ok()).hash(&mut state);
        }
        let mut known =
            Self { common: 0, modules: HashMap::new(), budget: MOST_FILES, text_budget: MOST_TEXT };
        for entry in sys_path {
            entry.hash(&mut state);
            let folder = Path::new(entry);
            if is_installed(folder) {
                // Installing, replacing and removing packages changes the folder.
                fs::metadata(folder).ok().map(|meta| stamp(&meta)).hash(&mut state);
            } else {
                known.list(folder)?;
            }
        }
        known.common = state.finish();
        Some(known)
    }

    /// The digest for a node whose code begins in these files, with what it is made of. The modules
    /// of the caller that the files name anywhere count, and those that these name, and so on.
    pub(super) fn digest(&mut self, files: &[PathBuf], state_of_node: &str) -> Option<String> {
        let mut state = DefaultHasher::new();
        (self.common, state_of_node).hash(&mut state);
        let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
        let mut waiting: Vec<PathBuf> = files.to_vec();
        // Inside a package modules name each other without it.
        let packages = self.modules.values().flatten().filter(|path| path.is_dir());
        waiting.extend(packages.filter(|top| files.iter().any(|f| f.starts_with(top))).cloned());
        let mut contents: BTreeMap<PathBuf, u64> = BTreeMap::new();
        while let Some(path) = waiting.pop() {
            if !seen.insert(path.clone()) {
                continue;
            }
            if path.is_dir() {
                for path in entries(&path) {
                    self.budget = self.budget.checked_sub(1)?;
                    waiting.extend((is_module(&path) || path.is_dir()).then_some(path));
                }
                continue;
            }
            let meta = fs::metadata(&path).ok()?;
            if path.extension().is_some_and(|extension| extension == "so") {
                let mut content = DefaultHasher::new();
                stamp(&meta).hash(&mut content);
                contents.insert(path, content.finish());
                continue;
            }
            self.text_budget = self.text_budget.checked_sub(meta.len())?;
            let text = fs::read(&path).ok()?;
            let mut content = DefaultHasher::new();
            text.hash(&mut content);
            contents.insert(path, content.finish());
            let words: BTreeSet<&[u8]> = text.split(|byte| !is_word(*byte)).collect();
            let named = words.into_iter().filter_map(|word| self.modules.get(word));
            waiting.extend(named.flatten().cloned());
        }
        contents.hash(&mut state);
        Some(format!("{:016x}", state.finish()))
    }

    /// Notes what a folder of the caller has for importing. A file is a module by the part of its
    /// name before the first dot, as those of extensions have several.
    fn list(&mut self, folder: &Path) -> Option<()> {
        for path in entries(folder) {
            self.budget = self.budget.checked_sub(1)?;
            if is_module(&path) || path.is_dir() {
                let name = path.file_name().unwrap_or_default().as_encoded_bytes();
                let stem = name.split(|byte| *byte == b'.').next().unwrap_or_default();
                self.modules.entry(stem.to_vec()).or_default().push(path);
            }
        }
        Some(())
    }
}

/// Whether a folder of the search path holds what was installed, rather than the caller's own code.
fn is_installed(folder: &Path) -> bool {
    let names = ["site-packages", "dist-packages", "lib-dynload"];
    folder.components().any(|part| names.iter().any(|name| part.as_os_str() == *name))
        || folder.join("os.py").is_file()
        || folder.is_file()
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| !path.ends_with("__pycache__"))
}

fn is_module(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "py" || extension == "so")
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn stamp(meta: &Metadata) -> (u64, i64, i64) {
    (meta.len(), meta.mtime(), meta.mtime_nsec())
}
