//! Sizes and durations with units: `64 MiB`, `1.5 GB`, `250 ms`, `2 min`.

use std::time::Duration;

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
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" if is_zero(number) => 1,
        unit if unit.eq_ignore_ascii_case("B") => 1,
        unit => find(&SIZE_UNITS, |name| name.eq_ignore_ascii_case(unit))?,
    };
    scaled(number, factor)
}

/// Parses a time such as `250 ms`, `30 s`, `2 min` or `0`; `None` if the text has another form or
/// the result does not fit. Only 0 needs no unit.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" if is_zero(number) => 1,
        unit => find(&DURATION_UNITS, |name| name == unit)?,
    };
    scaled(number, factor).map(Duration::from_nanos)
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

fn find(units: &[(&str, u64)], matches: impl Fn(&str) -> bool) -> Option<u64> {
    units.iter().find(|(name, _)| matches(name)).map(|(_, factor)| *factor)
}

fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'));
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    (!number.is_empty()).then_some((number, unit.trim()))
}

fn is_zero(number: &str) -> bool {
    number.chars().all(|c| c == '0')
}

/// `number * factor` in integers, so that `1.5 GB` is exact.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let number = number.replace('_', "");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    if whole.is_empty() || (number.contains('.') && fraction.is_empty()) || fraction.len() > 9 {
        return None;
    }
    let mut total = u128::from(whole.parse::<u64>().ok()?).checked_mul(factor.into())?;
    if !fraction.is_empty() {
        let places = u32::try_from(fraction.len()).ok()?;
        total +=
            u128::from(fraction.parse::<u64>().ok()?) * u128::from(factor) / 10_u128.pow(places);
    }
    u64::try_from(total).ok()
}
