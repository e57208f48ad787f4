//! The lock of a SQLite database: one engine at a time. The kernel frees it when its process ends,
//! however that happens.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use super::StoreError;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct FileLock {
    held: Flock<File>,
}

impl FileLock {
    /// The descriptor that holds it.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.held.as_raw_fd()
    }

    /// Locks a database, by its name without links (see [`real_path`]).
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another engine has locked it.
    pub fn take(database: &Path) -> Result<Self, StoreError> {
        let path = lock_path(database);
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(|error| StoreError::Unusable {
            database: database.display().to_string(),
            reason: format!("its lock {} cannot be made: {error}", path.display()),
        })?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut held) => {
                // The number helps people; the lock does not need it.
                let _written = held
                    .set_len(0)
                    .and_then(|()| held.rewind())
                    .and_then(|()| writeln!(held, "{}", std::process::id()));
                Ok(Self { held })
            }
            Err((mut file, _taken)) => {
                let mut text = String::new();
                let _read = file.read_to_string(&mut text);
                let pid = text.trim().parse().ok();
                Err(StoreError::InUse { database: database.display().to_string(), pid })
            }
        }
    }
}

/// The one name of a database: absolute, and without symbolic links, so that its lock, its log and its
/// large values are the same by whatever name it is opened. The file need not exist.
///
/// # Errors
/// [`StoreError::Unusable`] when there is no such folder, or the file has other names (hard links):
/// SQLite would keep a log under each.
pub(super) fn real_path(database: &Path) -> Result<PathBuf, StoreError> {
    let unusable =
        |reason: String| StoreError::Unusable { database: database.display().to_string(), reason };
    let real = followed(database).map_err(|error| unusable(error.to_string()))?;
    match fs::metadata(&real) {
        Ok(found) if found.is_file() && found.nlink() > 1 => Err(unusable(format!(
            "the file has {} names (hard links), under which several engines could use it; keep one",
            found.nlink()
        ))),
        _ => Ok(real),
    }
}

fn followed(database: &Path) -> io::Result<PathBuf> {
    let mut path = database.to_owned();
    loop {
        match fs::canonicalize(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found,
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        // A link may name a file that is yet to be made. Circles are an error of `canonicalize`.
        if let Ok(target) = fs::read_link(&path) {
            path = folder.join(target);
            continue;
        }
        let name = path.file_name().map(ToOwned::to_owned).unwrap_or_default();
        return Ok(fs::canonicalize(folder)?.join(name));
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_database_has_one_name() {
        // spec: CLO-05
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let real = base.join("runs.db");
        symlink("runs.db", base.join("link.db")).unwrap();
        symlink("link.db", base.join("second.db")).unwrap();
        symlink(".", base.join("here")).unwrap();
        for _ in ["before it is made", "afterwards"] {
            for name in ["runs.db", "link.db", "second.db", "here/runs.db", "here/./link.db"] {
                assert_eq!(real_path(&base.join(name)).unwrap(), real, "{name}");
            }
            fs::write(&real, "").unwrap();
        }
        fs::hard_link(&real, base.join("hard.db")).unwrap();
        for name in ["runs.db", "hard.db", "link.db"] {
            let error = real_path(&base.join(name)).unwrap_err().to_string();
            assert!(error.contains("has 2 names (hard links)"), "{error}");
        }
        symlink("circle", base.join("circle")).unwrap();
        assert!(real_path(&base.join("circle")).is_err());
        assert!(real_path(&base.join("nowhere/runs.db")).is_err());
    }
}
