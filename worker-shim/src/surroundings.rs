//! Compares the environment variables of this process with those that a session wants.

use std::collections::HashMap;
use std::env;
use std::os::unix::ffi::OsStrExt;

/// Returns the environment variables as the C library has them, or `None` if they equal `wanted` in
/// any order. A node's C code may have changed them without its interpreter noticing. Both are
/// `NAME=value` entries, each ended by a zero byte.
#[must_use]
pub fn environment_unless(wanted: &[u8]) -> Option<Vec<u8>> {
    let present: Vec<_> = env::vars_os().collect();
    let pairs = present.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let names: HashMap<&[u8], &[u8]> = pairs.collect();
    let mut wanted_count = 0;
    let is_there = |entry: &[u8]| {
        wanted_count += 1;
        let at = entry.iter().position(|byte| *byte == b'=');
        at.is_some_and(|at| names.get(&entry[..at]) == Some(&&entry[at + 1..]))
    };
    let mut entries = wanted.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    if entries.all(is_there) && wanted_count == present.len() {
        return None;
    }
    let mut encoded = Vec::with_capacity(wanted.len());
    for (name, value) in &present {
        for part in [name.as_bytes(), b"=", value.as_bytes(), b"\0"] {
            encoded.extend_from_slice(part);
        }
    }
    Some(encoded)
}

#[cfg(test)]
mod tests {
    use super::environment_unless;

    #[test]
    fn the_present_environment_is_told_apart_from_others() {
        let present = environment_unless(b"").unwrap();
        assert_eq!(environment_unless(&present), None);
        let mut entries: Vec<&[u8]> = present.split_inclusive(|byte| *byte == 0).collect();
        entries.reverse();
        assert_eq!(environment_unless(&entries.concat()), None, "the order does not count");
        assert_eq!(environment_unless(&entries[1..].concat()), Some(present.clone()));
        let more = [&present[..], b"WARM_TEST=1\0"].concat();
        assert_eq!(environment_unless(&more), Some(present.clone()));
        let other = [b"PATH=elsewhere\0", &present[..]].concat();
        assert_eq!(environment_unless(&other), Some(present.clone()));
    }
}
