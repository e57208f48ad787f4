//! The lock of a SQLite database: one engine at a time. The kernel frees it when its process ends,
//! however that happens.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsRawFd, RawFd};
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

    /// Locks a database.
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

fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}
