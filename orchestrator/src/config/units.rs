//! Sizes and durations with units: `64 MiB`, `1.5 GB`, `250 ms`, `2 min`. Libraries read them; they are
//! shown exactly, which the libraries do not.

use std::time::Duration;

use bytesize::ByteSize;

const SIZE_UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

const DURATION_UNITS: [(&str, u64); 5] = [
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Parses a size such as `64 MiB`, `1.5 GB`, `512 B` or `0` to bytes; `None` if the text has
/// another form or the result does not fit. Units may be in upper or lower case; only 0 needs none.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    let bytes = text.replace('_', "").parse::<ByteSize>().ok()?.as_u64();
    Some(bytes).filter(|bytes| *bytes != u64::MAX && (has_unit || *bytes == 0))
}

/// Parses a time such as `250 ms`, `30 s`, `2 min` or `0`; `None` if the text has another form or
/// the result does not fit. Only 0 needs no unit.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text.trim().replace('_', "").as_str()).ok()
}

/// A size in the largest unit that expresses it exactly.
pub(super) fn show_size(bytes: u64) -> String {
    let exact = |&&(_, factor): &&(&str, u64)| bytes != 0 && bytes.is_multiple_of(factor);
    match SIZE_UNITS.iter().find(exact) {
        Some((unit, factor)) => format!("{} {unit}", bytes / factor),
        None if bytes == 0 => "0".to_owned(),
        None => format!("{bytes} B"),
    }
}

/// A duration in the largest unit that expresses it exactly; parts of a microsecond are dropped.
pub(super) fn show_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let exact = |&&(_, factor): &&(&str, u64)| nanos != 0 && nanos.is_multiple_of(factor.into());
    match DURATION_UNITS.iter().rev().find(exact) {
        Some((unit, factor)) => format!("{} {unit}", nanos / u128::from(*factor)),
        None if nanos == 0 => "0".to_owned(),
        None => format!("{} us", nanos / 1_000),
    }
}
