//! Lengths of types in code that is made up.

use super::*;
use crate::repository::SourceFile;

fn module(path: &'static [&'static str], code: &str) -> Module {
    let file = Box::leak(Box::new(SourceFile { path: String::new(), text: String::new() }));
    Module { crate_folder: "made", path: path.to_vec(), file, code: code.to_owned() }
}

fn found(modules: &[Module]) -> Vec<(String, usize)> {
    let modules: Vec<_> = modules.iter().collect();
    lengths(&modules).into_iter().map(|length| (length.name, length.lines)).collect()
}

#[test]
fn a_type_is_as_long_as_all_its_blocks() {
    let code =
        "pub struct A<T>(T);\nimpl<T: Fn() -> X> A<T>\nwhere\n    T: B,\n{\n    fn f() {}\n}\n";
    let elsewhere = "impl fmt::Debug for super::A<u8> {\n    fn g() { { } }\n}\nimpl B for &A {}\n";
    let found = found(&[module(&["a"], code), module(&["a", "below"], elsewhere)]);
    assert_eq!(found, [("a::A".to_owned(), 6 + 3)]);
}

#[test]
fn types_of_one_name_are_told_apart_by_their_modules() {
    let low = module(&["low"], "enum State {}\nimpl State {}\n");
    let high = module(&["high"], "struct State;\n");
    let below = module(&["high", "below"], "impl Other for State {\n}\nimpl Foreign {}\n");
    let found = found(&[low, high, below]);
    assert_eq!(found, [("high::State".to_owned(), 2), ("low::State".to_owned(), 1)]);
}
