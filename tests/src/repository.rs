//! The files of the repository as git sees them: tracked, or new and not ignored. It reads them
//! once; what they must look like is decided by the tidy tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A text file of the repository.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Path below the repository's root, with `/` between its parts.
    pub path: String,
    /// The whole text.
    pub text: String,
}

impl SourceFile {
    /// True for files whose name ends in `.extension`.
    #[must_use]
    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|found| found == extension)
    }

    /// True for files that only tests are made of, so that rules for the product do not hold there.
    #[must_use]
    pub fn is_test(&self) -> bool {
        let mut folders = self.path.split('/').rev().skip(1);
        let in_test_folder = folders.any(|part| matches!(part, "tests" | "fuzz"));
        in_test_folder || self.path.ends_with("/tests.rs") || self.path.starts_with("benches/")
    }
}

/// The root of the repository.
///
/// # Panics
/// When this crate does not lie in a folder of the repository.
#[must_use]
pub fn root() -> &'static Path {
    match Path::new(env!("CARGO_MANIFEST_DIR")).parent() {
        Some(root) => root,
        None => panic!("the tests crate lies below the repository's root"),
    }
}

/// Every text file of the repository, sorted by path.
///
/// # Panics
/// When git cannot list the files: the rules could not be checked then.
#[must_use]
pub fn text_files() -> &'static [SourceFile] {
    static FILES: OnceLock<Vec<SourceFile>> = OnceLock::new();
    FILES.get_or_init(|| paths().into_iter().filter_map(read_text).collect())
}

/// The files with one extension.
pub fn files_with_extension(extension: &str) -> impl Iterator<Item = &'static SourceFile> {
    text_files().iter().filter(move |file| file.has_extension(extension))
}

fn read_text(path: String) -> Option<SourceFile> {
    // A file that git tracks may have been deleted, and recordings are not text: both are left out.
    let text = String::from_utf8(std::fs::read(root().join(&path)).ok()?).ok()?;
    Some(SourceFile { path, text })
}

fn paths() -> Vec<String> {
    let listing = Command::new("git")
        // The checkout may belong to another user than the one who tests, as in containers.
        .args(["-c", "safe.directory=*", "-C"])
        .arg(root())
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output();
    let listing = match listing {
        Ok(output) if output.status.success() => output.stdout,
        Ok(output) => panic!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => panic!("git is needed to list the repository's files: {error}"),
    };
    let listing = String::from_utf8_lossy(&listing);
    let mut paths: Vec<String> =
        listing.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// The absolute path of a file of the repository.
#[must_use]
pub fn absolute(path: &str) -> PathBuf {
    root().join(path)
}
