//! What the kernel says about memory where this program and its workers are: how often it has killed
//! a process because none was left, and the limit. Both come from the control group of this program
//! (version 2), which counts groups below it too; without one, from the whole machine.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const ROOT: &str = "/sys/fs/cgroup";

/// How many processes the kernel has killed so far because memory ran out; `None` if it does not say.
#[must_use]
pub fn kills() -> Option<u64> {
    let events = folder().and_then(|folder| number_of(&folder.join("memory.events"), "oom_kill"));
    events.or_else(|| number_of(Path::new("/proc/vmstat"), "oom_kill"))
}

/// The most memory that this program and its workers may have together, in bytes.
#[must_use]
pub fn limit_bytes() -> Option<u64> {
    // A group above may have the smallest limit.
    let groups = folder()?.ancestors().take_while(|group| group.starts_with(ROOT));
    let limit =
        |group: &Path| fs::read_to_string(group.join("memory.max")).ok()?.trim().parse().ok();
    groups.filter_map(limit).min()
}

/// The folder of the control group; `None` if there is none.
fn folder() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let folder = Path::new(ROOT).join(path);
        folder.join("cgroup.procs").exists().then_some(folder)
    };
    FOLDER.get_or_init(find).as_deref()
}

/// The number behind a name, in a file with one of each per line.
fn number_of(file: &Path, name: &str) -> Option<u64> {
    // The kernel counts again for each read, so the whole text is taken with one.
    let mut text = String::with_capacity(1 << 14);
    File::open(file).ok()?.read_to_string(&mut text).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{kills, number_of};

    #[test]
    fn a_number_is_found_by_its_whole_name() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"oom 3\noom_kill_group 1\noom_kill 7\n").unwrap();
        assert_eq!(number_of(file.path(), "oom_kill"), Some(7));
        assert_eq!(number_of(file.path(), "max"), None);
    }

    #[test]
    fn linux_counts_kills() {
        assert!(kills().is_some());
    }
}
