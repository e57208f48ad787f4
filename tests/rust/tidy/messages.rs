//! No code decides by the text of a message: better wording must never change what the product
//! does. The test finds searches in variables with usual names of messages, not in every text.

use super::{assert_none, product_python, product_rust};

/// Names of variables that hold texts for people.
const MESSAGES: [&str; 13] = [
    "message",
    "reason",
    "error",
    "failure",
    "told",
    "stderr",
    "traceback",
    "suggestion",
    "advice",
    "feature",
    "problem",
    "raised",
    "stack",
];
/// Methods that search in a text, in Rust and in Python.
const RUST: [&str; 10] = [
    ".contains(",
    ".starts_with(",
    ".ends_with(",
    ".find(",
    ".find_map(",
    ".rfind(",
    ".split_once(",
    ".splitn(",
    ".strip_prefix(",
    ".strip_suffix(",
];
const PYTHON: [&str; 8] = [
    ".startswith(",
    ".endswith(",
    ".find(",
    ".index(",
    ".partition(",
    ".rpartition(",
    ".split(",
    ".removeprefix(",
];

/// Allowed searches: file, code and reason.
const ALLOWED: [(&str, &str, &str); 2] = [
    ("python/remotemedia/_forward.py", "message.rpartition(", "a mark ends a record's own text"),
    ("python/remotemedia/_forward.py", "message.split(", "shows what a node printed by lines"),
];

/// The expression that ends before `at`: names, dots, calls and what is in their brackets.
fn receiver(code: &str, at: usize) -> &str {
    let mut depth = 0_usize;
    let mut start = at;
    for (index, letter) in code[..at].char_indices().rev() {
        match letter {
            ')' | ']' => depth += 1,
            '(' | '[' if depth == 0 => break,
            '(' | '[' => depth -= 1,
            _ if depth > 0 || letter.is_alphanumeric() || "_.?".contains(letter) => {}
            _ => break,
        }
        start = index;
    }
    &code[start..at]
}

/// Whether an expression is a message: whether its last name that is not a method of texts is one
/// of `MESSAGES`.
fn is_message(expression: &str) -> bool {
    let mut names = expression.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    let plain = [
        "as_str",
        "to_string",
        "to_owned",
        "as_ref",
        "clone",
        "str",
        "strip",
        "lower",
        "",
        "lines",
    ];
    let last = names.rfind(|name| !plain.contains(name));
    last.is_some_and(|name| MESSAGES.contains(&name))
}

/// Places in code where one of `searches` looks into a message, with their lines.
fn searched<'a>(code: &'a str, searches: &'a [&str]) -> impl Iterator<Item = (usize, String)> + 'a {
    searches.iter().flat_map(move |search| {
        code.match_indices(search).filter_map(move |(at, _)| {
            let expression = receiver(code, at);
            let line = code[..at].matches('\n').count() + 1;
            is_message(expression).then(|| (line, format!("{expression}{search}")))
        })
    })
}

/// Places where Python asks whether a text is in a message: `x in message`, `x in str(error)`.
fn contained(code: &str) -> Vec<(usize, String)> {
    let lines = code.lines().enumerate();
    let found = lines.flat_map(|(number, line)| {
        line.match_indices(" in ").filter_map(move |(at, phrase)| {
            let before = line[..at].trim_end();
            // `for x in messages`, also within brackets.
            let is_loop = before.rsplit_once("for ").is_some_and(|(_, names)| {
                names.chars().all(|c| c.is_alphanumeric() || "_, ()".contains(c))
            });
            let rest = &line[at + phrase.len()..];
            let end = rest.find(|c: char| !(c.is_alphanumeric() || "_.()".contains(c)));
            let expression = &rest[..end.unwrap_or(rest.len())];
            let is_text = !is_loop && is_message(expression);
            is_text.then(|| (number + 1, format!("in {expression}")))
        })
    });
    found.collect()
}

/// Joins a chain of calls over several lines into one line.
fn unbroken(code: &str) -> String {
    let mut unbroken = String::with_capacity(code.len());
    for line in code.lines() {
        if line.trim_start().starts_with('.') {
            unbroken.push_str(line.trim_start());
        } else {
            unbroken.push('\n');
            unbroken.push_str(line);
        }
    }
    unbroken
}

#[test]
fn nothing_is_decided_by_the_words_of_a_message() {
    let mut found: Vec<(&str, String)> = Vec::new();
    for (file, code) in product_rust() {
        let code = unbroken(&code);
        found.extend(searched(&code, &RUST).map(|(_, what)| (file.path.as_str(), what)));
    }
    for (file, code) in product_python() {
        let places = searched(&code, &PYTHON).chain(contained(&code));
        found.extend(places.map(|(_, what)| (file.path.as_str(), what)));
    }
    let is_allowed = |(path, what): &(&str, String)| {
        ALLOWED.iter().any(|(file, text, _)| file == path && what.contains(text))
    };
    let unused = ALLOWED.iter().filter(|(file, text, _)| {
        !found.iter().any(|(path, what)| path == file && what.contains(text))
    });
    let unused: Vec<String> = unused.map(|(file, text, _)| format!("{file}: {text}")).collect();
    assert_none("allowed, and not there any more", &unused);
    let broken = found.iter().filter(|place| !is_allowed(place));
    let broken: Vec<String> = broken.map(|(path, what)| format!("{path}: {what}")).collect();
    assert_none("a message is searched; carry the fact as data instead", &broken);
}

#[test]
fn searches_in_messages_are_found() {
    let rust = "if failure.message.contains(x) || told\n    .starts_with(y) {}\nnames.contains(z)";
    let rust: Vec<String> = searched(&unbroken(rust), &RUST).map(|(_, what)| what).collect();
    assert_eq!(rust, ["failure.message.contains(", "told.starts_with("]);
    let python = "if x in str(error) and y in z:\nfor x in message:\n    a = b in self.reason";
    let python: Vec<String> = contained(python).into_iter().map(|(_, what)| what).collect();
    assert_eq!(python, ["in str(error)", "in self.reason"]);
}
