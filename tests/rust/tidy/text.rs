//! How files look: their length, their opening lines, and what may not be written in them.

use tests::lexer::{has_phrase, without_test_module};
use tests::repository::{SourceFile, text_files};

use super::assert_none;

/// Lines that a file of the product may have, without its tests.
const MAX_LINES: usize = 400;

fn sources(extensions: &[&str]) -> Vec<&'static SourceFile> {
    let has_one =
        |file: &SourceFile| extensions.iter().any(|extension| file.has_extension(extension));
    let files: Vec<_> = text_files().iter().filter(|file| has_one(file)).collect();
    assert!(!files.is_empty(), "no {extensions:?} file was looked at");
    files
}

#[test]
fn files_of_the_product_are_short() {
    let product = sources(&["rs", "py"]).into_iter().filter(|file| !file.is_test());
    let lengths = product.map(|file| (&file.path, without_test_module(&file.text).lines().count()));
    let long = lengths.filter(|(_, lines)| *lines > MAX_LINES);
    let long: Vec<String> = long.map(|(path, lines)| format!("{path}: {lines} lines")).collect();
    assert_none("files above 400 lines without their tests", &long);
}

#[test]
fn rust_modules_say_their_job() {
    let silent = sources(&["rs"]).into_iter().filter(|file| {
        let opening = file.text.lines().find(|line| !line.trim().is_empty());
        !opening.is_some_and(|line| line.starts_with("//! ") && line.len() > "//! ".len() + 8)
    });
    let silent: Vec<String> = silent.map(|file| file.path.clone()).collect();
    assert_none("Rust files that do not open with a `//!` line that says their job", &silent);
}

#[test]
fn python_modules_say_their_job() {
    let silent = sources(&["py"]).into_iter().filter(|file| {
        let mut lines = file.text.lines();
        let opening = lines.find(|line| !line.trim().is_empty() && !line.starts_with('#'));
        !opening.is_some_and(|line| line.starts_with("\"\"\"") || line.starts_with("r\"\"\""))
    });
    let silent: Vec<String> = silent.map(|file| file.path.clone()).collect();
    assert_none("Python files that do not open with a docstring", &silent);
}

#[test]
fn nothing_is_left_to_do_in_comments() {
    // Written in two parts, so that this file holds none of them.
    let markers = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let mut broken = Vec::new();
    for file in text_files() {
        for (index, line) in file.text.lines().enumerate() {
            if markers.iter().any(|marker| has_phrase(line, marker)) {
                broken.push(format!("{}:{}", file.path, index + 1));
            }
        }
    }
    assert!(!text_files().is_empty(), "no file was looked at");
    assert_none("markers of unfinished work", &broken);
}

#[test]
fn the_repository_stands_alone() {
    let foreign = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("../sha", "red"),
        concat!("/ho", "me/"),
    ];
    let mut broken = Vec::new();
    for file in text_files() {
        for (index, line) in file.text.lines().enumerate() {
            if foreign.iter().any(|path| line.contains(path)) {
                broken.push(format!("{}:{}: {}", file.path, index + 1, line.trim()));
            }
        }
    }
    assert!(!text_files().is_empty(), "no file was looked at");
    assert_none("paths of somebody's machine", &broken);
}
