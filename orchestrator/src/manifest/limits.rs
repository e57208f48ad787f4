//! Reads the limits that a node sets for its own worker.

use super::fields::{Fields, Problems, describe, shortened};
use super::problem::ProblemKind;
use crate::config::units::{parse_duration, parse_size};
use crate::limits::{ALL, Limit, Unit};

const NAMES: &[&str] = &[
    "memory",
    "memory_hard",
    "cpu_time",
    "open_files",
    "output_size",
    "child_processes",
    "log_rate",
];

/// Reads `limits` of a node, in the order of the limits.
pub(super) fn read(node: &Fields<'_>, problems: &mut Problems) -> Vec<(Limit, u64)> {
    let Some(fields) = node.object("limits", problems) else { return Vec::new() };
    fields.only(NAMES, &[], problems);
    ALL.iter().filter_map(|limit| Some((*limit, value(*limit, &fields, problems)?))).collect()
}

fn value(limit: Limit, fields: &Fields<'_>, problems: &mut Problems) -> Option<u64> {
    let name = limit.name();
    let (parsed, rule) = match limit.unit() {
        Unit::Count => {
            let rule = "a whole number up to 1048576";
            return fields.integer(name, 0..=*limit.range().end(), rule, problems);
        }
        Unit::Bytes => {
            let rule = "a size has a unit, such as \"512 MB\" or \"2 GiB\"";
            (parse_size(fields.text(name, problems)?), rule)
        }
        Unit::Time => {
            let rule = "a time has a unit, such as \"500 ms\" or \"2 s\"";
            let time = parse_duration(fields.text(name, problems)?);
            // A time below a millisecond must not become 0, which is no limit.
            let milliseconds = time.map(|time| time.as_micros().div_ceil(1000));
            (milliseconds.map(|count| u64::try_from(count).unwrap_or(u64::MAX)), rule)
        }
    };
    let Some(parsed) = parsed else {
        let found = shortened(fields.text(name, problems)?);
        fields.report(name, ProblemKind::BadText { found, rule }, problems);
        return None;
    };
    if parsed != 0 && !limit.range().contains(&parsed) {
        let found = fields.get(name).map(describe).unwrap_or_default();
        fields.report(name, ProblemKind::OutOfRange { found, rule: range(limit) }, problems);
        return None;
    }
    Some(parsed)
}

/// The range of a limit in words.
fn range(limit: Limit) -> &'static str {
    match limit {
        Limit::Memory | Limit::MemoryHard => "32 MiB to 1 PiB, or 0 for no limit",
        Limit::CpuTime => "1 ms to a year, or 0 for no limit",
        Limit::LogRate => "1 KiB to 1 TiB, or 0 for no limit",
        Limit::OutputSize => "up to 1 TiB, or 0 for no limit",
        Limit::OpenFiles | Limit::ChildProcesses => "up to 1048576, or 0 for no limit",
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, NAMES};

    #[test]
    fn names_are_those_of_the_limits() {
        assert_eq!(ALL.map(crate::limits::Limit::name), NAMES);
    }
}
