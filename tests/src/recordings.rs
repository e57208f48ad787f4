//! Where recordings come from that are not in the repository.

use std::path::PathBuf;

/// Where Debian's package codec2-examples puts its recordings of speech.
const CODEC2_EXAMPLES: &str = "/usr/share/codec2";

/// The folder of codec2-examples, or `None` where the package is not installed.
///
/// # Panics
/// On CI (`CI` is set to anything but an empty string, `0` or `false`) when the package is missing:
/// a test that is skipped there would never run at all.
#[must_use]
pub fn codec2_examples() -> Option<PathBuf> {
    let folder = PathBuf::from(CODEC2_EXAMPLES);
    if folder.join("raw").is_dir() || folder.join("wav").is_dir() {
        return Some(folder);
    }
    assert!(!on_ci(), "CI needs the Debian package codec2-examples: run .ci/setup");
    None
}

/// True where `CI` asks that no test is skipped.
#[must_use]
pub fn on_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}
