//! Finds `spec: ID[, ID...]` in the tests and the test function that each citation belongs to. A
//! citation counts in a comment (Rust) or a comment or docstring (Python), in a test's body or right
//! above it. What the ids mean is the ledger's.

use crate::lexer::{Kind, Lexed};

/// One id cited by one test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Citation {
    /// The id, such as `IOP-24`.
    pub id: String,
    /// The test, as `path::name` or `path::Class::name`.
    pub test: String,
    /// Its place among the ids that the test cites, from 0 on.
    pub place: usize,
}

/// What was found in one file.
#[derive(Debug, Default)]
pub struct Found {
    /// Citations with their tests.
    pub citations: Vec<Citation>,
    /// Places (`path:line`) of citations that belong to no test.
    pub stray: Vec<String>,
}

/// Looks through a Rust file.
#[must_use]
pub fn in_rust(path: &str, text: &str) -> Found {
    let lexed = Lexed::rust(text);
    let (code, comments) = (lexed.only(Kind::Code), lexed.only(Kind::Comment));
    let mut scan = Scan::new(path);
    let (mut depth, mut is_marked, mut attribute) = (0_usize, false, 0_usize);
    // The test being read: its name, the depth of braces around it, whether its body has begun.
    let mut test: Option<(String, usize, bool)> = None;
    for (index, (code, comment)) in code.lines().zip(comments.lines()).enumerate() {
        let code = code.trim();
        if test.is_some() {
            // Only the end of the test matters inside it.
        } else if attribute > 0 || code.starts_with('#') {
            is_marked |= is_test_attribute(code);
            attribute = nesting(attribute, code, "[(", "])");
        } else if let Some(name) = rust_function(code) {
            if is_marked {
                scan.settle(name);
                test = Some((name.to_owned(), depth, false));
            } else {
                scan.give_up();
            }
            is_marked = false;
        } else if !code.is_empty() {
            scan.give_up();
        }
        scan.cite(index, comment, test.as_ref().map(|(name, ..)| name.as_str()));
        depth = nesting(depth, code, "{", "}");
        if let Some((_, outside, has_begun)) = &mut test {
            *has_begun |= code.contains('{');
            if *has_begun && depth <= *outside {
                test = None;
            }
        }
    }
    scan.finish()
}

/// Looks through a Python file.
#[must_use]
pub fn in_python(path: &str, text: &str) -> Found {
    let lexed = Lexed::python(text);
    let (code, prose) = (lexed.only(Kind::Code), lexed.without(Kind::Code));
    let mut scan = Scan::new(path);
    // Enclosing tests and test classes: how far each is indented, and its name.
    let mut scopes: Vec<(usize, String)> = Vec::new();
    let mut brackets = 0_usize;
    for (index, ((code, prose), line)) in
        code.lines().zip(prose.lines()).zip(text.lines()).enumerate()
    {
        let indent = line.len() - line.trim_start().len();
        let code = code.trim();
        let starts_statement = brackets == 0 && !code.is_empty();
        brackets = nesting(brackets, code, "([{", ")]}");
        if starts_statement || prose.contains("spec:") {
            // A docstring is indented like the body that it opens, a comment like what follows.
            scopes.retain(|(outside, _)| *outside < indent);
        }
        if starts_statement && let Some(name) = python_test(code) {
            let name =
                scopes.last().map_or(name.to_owned(), |(_, scope)| format!("{scope}::{name}"));
            if code.starts_with("class ") {
                scan.give_up();
            } else {
                scan.settle(&name);
            }
            scopes.push((indent, name));
        } else if starts_statement && !code.starts_with('@') && scopes.is_empty() {
            scan.give_up();
        }
        // What stands in a class outside its tests belongs to the next of them.
        let test = scopes.last().map(|(_, name)| name.as_str());
        scan.cite(index, prose, test.filter(|name| !is_class(name)));
    }
    scan.finish()
}

/// How deep brackets are nested after a line of code.
fn nesting(before: usize, code: &str, opening: &str, closing: &str) -> usize {
    let count = |brackets: &str| code.chars().filter(|c| brackets.contains(*c)).count();
    (before + count(opening)).saturating_sub(count(closing))
}

fn is_class(name: &str) -> bool {
    name.rsplit("::").next().is_some_and(|last| last.starts_with("Test"))
}

/// True for `#[test]` and the attributes of test frameworks that end in it.
fn is_test_attribute(code: &str) -> bool {
    ["#[test]", "::test]", "::test("].iter().any(|attribute| code.contains(attribute))
}

fn rust_function(code: &str) -> Option<&str> {
    let words = ["pub ", "pub(crate) ", "async ", "const ", "unsafe "];
    let mut rest = code;
    while let Some(shorter) = words.iter().find_map(|word| rest.strip_prefix(word)) {
        rest = shorter;
    }
    name_at(rest.strip_prefix("fn ")?)
}

fn python_test(code: &str) -> Option<&str> {
    let code = code.strip_prefix("async ").unwrap_or(code);
    let function =
        code.strip_prefix("def ").and_then(name_at).filter(|name| name.starts_with("test"));
    function
        .or_else(|| code.strip_prefix("class ").and_then(name_at).filter(|n| n.starts_with("Test")))
}

fn name_at(rest: &str) -> Option<&str> {
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    Some(&rest[..end]).filter(|name| !name.is_empty())
}

/// Ids after `spec:` in a comment; text after the last id is prose.
fn ids(comment: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, marker) in comment.match_indices("spec:") {
        for part in comment[at + marker.len()..].split(',') {
            let word = part.split_whitespace().next().unwrap_or_default();
            let id = word.trim_end_matches(|c: char| !c.is_ascii_digit());
            if !is_id(id) {
                break;
            }
            found.push(id.to_owned());
        }
    }
    found
}

fn is_id(word: &str) -> bool {
    word.split_once('-').is_some_and(|(family, number)| {
        family.len() >= 3
            && family.bytes().all(|byte| byte.is_ascii_uppercase())
            && number.len() >= 2
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

struct Scan<'a> {
    path: &'a str,
    found: Found,
    /// Ids above a test whose name is not known yet, with their lines.
    pending: Vec<(usize, String)>,
}

impl<'a> Scan<'a> {
    fn new(path: &'a str) -> Self {
        Self { path, found: Found::default(), pending: Vec::new() }
    }

    fn cite(&mut self, index: usize, comment: &str, test: Option<&str>) {
        for id in ids(comment) {
            match test {
                Some(name) => self.push(id, name),
                None => self.pending.push((index + 1, id)),
            }
        }
    }

    fn settle(&mut self, test: &str) {
        for (_, id) in std::mem::take(&mut self.pending) {
            self.push(id, test);
        }
    }

    fn push(&mut self, id: String, test: &str) {
        let test = format!("{}::{test}", self.path);
        let place = self.found.citations.iter().filter(|earlier| earlier.test == test).count();
        self.found.citations.push(Citation { id, test, place });
    }

    fn give_up(&mut self) {
        let path = self.path;
        let stray = self.pending.drain(..).map(|(line, id)| format!("{path}:{line} ({id})"));
        self.found.stray.extend(stray);
    }

    fn finish(mut self) -> Found {
        self.give_up();
        self.found
    }
}

#[cfg(test)]
mod tests;
