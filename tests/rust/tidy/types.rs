//! Types are short: the `impl` blocks of a type, over all its files, are short enough to read at
//! once.

use std::collections::BTreeMap;

use tests::modules::{Module, product};
use tests::types::{TypeLength, lengths};

use super::assert_none;

/// Lines that the `impl` blocks of one type may have together, without its tests.
const MAX_LINES: usize = 400;

#[test]
fn types_are_short() {
    let modules = product();
    let mut crates: BTreeMap<&str, Vec<&Module>> = BTreeMap::new();
    for module in &modules {
        crates.entry(module.crate_folder).or_default().push(module);
    }
    let lengths: Vec<TypeLength> = crates.values().flat_map(|modules| lengths(modules)).collect();
    assert!(lengths.len() > 100, "only {} types were found", lengths.len());
    let long = lengths.iter().filter(|found| found.lines > MAX_LINES);
    let long: Vec<String> = long
        .map(|found| format!("{}: {} has {} lines", found.crate_folder, found.name, found.lines))
        .collect();
    assert_none("types above 400 lines over all their files (tests/rust/tidy/types.rs)", &long);
}
