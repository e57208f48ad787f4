//! Large contents in files beside the database, each under its digest. A file is written under
//! another name first, so that one with a digest is always whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::store::StoreError;
use crate::url::Sync;
use crate::value::{BlobError, Blobs, Pins, checked};

/// The files of one database.
#[derive(Debug)]
pub struct FileBlobs {
    folder: PathBuf,
    sync: Sync,
    /// Numbers the files that are being written.
    written: AtomicU64,
    pins: Pins,
}

impl FileBlobs {
    pub(super) fn beside(database: &Path, sync: Sync) -> Self {
        let mut folder = database.as_os_str().to_owned();
        folder.push(".values");
        let (folder, written) = (PathBuf::from(folder), AtomicU64::new(0));
        Self { folder, sync, written, pins: Pins::default() }
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(&digest[..2.min(digest.len())]).join(digest)
    }

    fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder)?;
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let partial = self.folder.join(format!("partial-{}-{number}", std::process::id()));
        let mut file = File::create(&partial)?;
        let written = file.write_all(content).and_then(|()| match self.sync {
            Sync::Full => file.sync_all(),
            Sync::Normal => Ok(()),
        });
        let renamed = written.and_then(|()| fs::rename(&partial, path));
        if renamed.is_err() {
            let _removed = fs::remove_file(&partial);
        }
        renamed?;
        match self.sync {
            Sync::Full => File::open(folder)?.sync_all(),
            Sync::Normal => Ok(()),
        }
    }

    /// Removes all contents but those that are used or pinned, and what an engine that was killed has
    /// left.
    pub(super) fn retain(&self, is_used: impl Fn(&str) -> bool) -> Result<(), StoreError> {
        let failed = |source| StoreError::Os {
            what: format!("removing contents in {}", self.folder.display()),
            source,
        };
        let pinned = self.pins.held();
        let own = format!("partial-{}-", std::process::id());
        let folders = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            folders => folders.map_err(failed)?,
        };
        for folder in folders {
            let folder = folder.map_err(failed)?;
            let is_written_now = folder.file_name().to_string_lossy().starts_with(&own);
            let folder = folder.path();
            if !folder.is_dir() {
                if !is_written_now {
                    fs::remove_file(&folder).map_err(failed)?;
                }
                continue;
            }
            for file in fs::read_dir(&folder).map_err(failed)? {
                let file = file.map_err(failed)?;
                let is_needed = |digest: &str| is_used(digest) || pinned.contains(digest);
                if !file.file_name().to_str().is_some_and(is_needed) {
                    fs::remove_file(file.path()).map_err(failed)?;
                }
            }
        }
        Ok(())
    }
}

impl Blobs for FileBlobs {
    fn put(&self, digest: &str, content: &Bytes) -> Result<(), BlobError> {
        let path = self.path(digest);
        // A file with other bytes was damaged, and is replaced.
        if fs::read(&path).is_ok_and(|known| known == content[..]) {
            return Ok(());
        }
        let written = self.write(&path, content);
        written.map_err(|error| BlobError { may_pass: true, ..failed(digest, "written", &error) })
    }

    fn get(&self, digest: &str) -> Result<Bytes, BlobError> {
        let path = self.path(digest);
        let content = fs::read(&path).map_err(|error| failed(digest, "read", &error))?;
        checked(digest, content.into(), &format!("the file {}", path.display()))
    }

    fn pins(&self) -> &Pins {
        &self.pins
    }
}

fn failed(digest: &str, action: &'static str, error: &io::Error) -> BlobError {
    BlobError { digest: digest.to_owned(), action, reason: error.to_string(), may_pass: false }
}
