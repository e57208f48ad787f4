//! Types are short: the `impl` blocks of a type, over all its files, are short enough to read at
//! once.

use std::collections::BTreeMap;

use tests::modules::{Module, product};
use tests::types::{TypeLength, lengths};

use super::assert_none;

/// Lines that the `impl` blocks of one type may have together, without its tests.
const MAX_LINES: usize = 400;

/// Types that are longer: crate, name, and the lines that they have. The numbers may only decrease.
const LONG: &[(&str, &str, usize)] = &[("worker-shim", "audio::view::View", 949)];

#[test]
fn types_are_short() {
    let modules = product();
    let mut crates: BTreeMap<&str, Vec<&Module>> = BTreeMap::new();
    for module in &modules {
        crates.entry(module.crate_folder).or_default().push(module);
    }
    let lengths: Vec<TypeLength> = crates.values().flat_map(|modules| lengths(modules)).collect();
    assert!(lengths.len() > 100, "only {} types were found", lengths.len());
    let allowed = |found: &TypeLength| {
        let known = LONG.iter().find(|(folder, name, _)| {
            (*folder, *name) == (found.crate_folder, found.name.as_str())
        });
        known.map_or(MAX_LINES, |(_, _, lines)| *lines)
    };
    let long = lengths.iter().filter(|found| found.lines > allowed(found));
    let long: Vec<String> = long
        .map(|found| format!("{}: {} has {} lines", found.crate_folder, found.name, found.lines))
        .collect();
    assert_none("types above 400 lines over all their files (tests/rust/tidy/types.rs)", &long);
    let is_long = |folder: &str, name: &str| {
        let found = lengths.iter().find(|found| found.crate_folder == folder && found.name == name);
        found.is_some_and(|found| found.lines > MAX_LINES)
    };
    let short = LONG.iter().filter(|(folder, name, _)| !is_long(folder, name));
    let short: Vec<String> = short.map(|(_, name, _)| (*name).to_owned()).collect();
    assert_none("types that are short by now, and still stand in the list of long ones", &short);
}
