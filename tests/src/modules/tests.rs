//! Paths and circles, on crates that are made up.

use super::*;

fn module(path: &'static [&'static str], code: &str) -> Module {
    let file = Box::leak(Box::new(SourceFile {
        path: format!("made/src/{}.rs", path.join("/")),
        text: code.to_owned(),
    }));
    Module { crate_folder: "made", path: path.to_vec(), file, code: code.to_owned() }
}

fn names(path: &'static [&'static str], code: &str) -> Vec<String> {
    let module = module(path, code);
    module.references().iter().map(|path| path.join("::")).collect()
}

#[test]
fn paths_are_found_in_use_lines_and_elsewhere() {
    let code = "pub use crate::a::{b, c::{self, D as E}};\nfn f(x: &crate::g::H) -> super::I {}";
    assert_eq!(names(&["x", "y"], code), ["a::b", "a::c::self", "a::c::D", "g::H", "x::I"]);
    assert_eq!(names(&["x", "y"], "use super::super::z::Z;"), ["z::Z"]);
    assert_eq!(names(&["x"], "use std::io;\nuse serde::de;\nfn reuse() {}"), [""; 0]);
}

#[test]
fn a_circle_is_found_through_a_name_that_the_root_passes_on() {
    let root = module(&[], "pub mod a;\npub mod b;\npub use b::{Thing, Other as Renamed};");
    let a = module(&["a", "below"], "use crate::Renamed;");
    let b = module(&["b"], "fn f() { crate::a::g() }");
    let c = module(&["c"], "use crate::{a, b};");
    let edges = edges([&root, &a, &b, &c].into_iter());
    assert_eq!(circles(&edges), [["a", "b"]]);
    assert!(edges["a"]["b"].contains("made/src/a/below.rs names Renamed"));
}

#[test]
fn layers_are_no_circle() {
    let low = module(&["low"], "use super::Nothing;");
    let high = module(&["high"], "use crate::low::Thing;");
    let edges = edges([&low, &high].into_iter());
    assert!(edges["high"].contains_key("low"));
    assert!(circles(&edges).is_empty());
}
