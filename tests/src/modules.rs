//! The modules of the product's crates: which file is which, and what each names of its own crate. It
//! reads paths, not types, so that it is quick and needs no compiler.

use std::collections::{BTreeMap, BTreeSet};

use crate::lexer::{Kind, Lexed, without_test_module};
use crate::repository::{SourceFile, files_with_extension};

#[cfg(test)]
mod tests;

/// One file of a crate, as the module that it is.
#[derive(Debug)]
pub struct Module {
    /// The folder of the crate, such as `worker-shim/rustpython`.
    pub crate_folder: &'static str,
    /// Names of the modules that lead to it; empty for the root of the crate.
    pub path: Vec<&'static str>,
    /// The file.
    pub file: &'static SourceFile,
    /// Its code: comments, literals and tests are blanks.
    pub code: String,
}

/// All modules of the product, tests left out.
#[must_use]
pub fn product() -> Vec<Module> {
    let files = files_with_extension("rs").filter(|file| !file.is_test());
    files.filter_map(Module::of).collect()
}

impl Module {
    fn of(file: &'static SourceFile) -> Option<Self> {
        let (crate_folder, below) = file.path.split_once("/src/")?;
        let mut path: Vec<&str> = below.trim_end_matches(".rs").split('/').collect();
        if matches!(path.as_slice(), ["lib" | "main"]) {
            path.clear();
        }
        let code = Lexed::rust(without_test_module(&file.text)).only(Kind::Code);
        Some(Self { crate_folder, path, file, code })
    }

    /// Paths of its own crate that it names, from the crate's root.
    #[must_use]
    pub fn references(&self) -> Vec<Vec<String>> {
        let (mut paths, rest) = uses(&self.code);
        paths.extend(inline_paths(&rest));
        paths.iter().filter_map(|path| absolute(path, &self.path)).collect()
    }
}

/// Everything that `use` brings in, one path a name (`a::b as c` as it stands), and the code without
/// these lines.
#[must_use]
pub fn uses(code: &str) -> (Vec<String>, String) {
    let mut paths = Vec::new();
    let mut rest = String::with_capacity(code.len());
    let mut at = 0;
    for (start, _) in code.match_indices("use ") {
        if start < at || code[..start].chars().next_back().is_some_and(is_name) {
            continue;
        }
        let Some(length) = code[start..].find(';') else { continue };
        rest.push_str(&code[at..start]);
        expand(&code[start + "use ".len()..start + length], "", &mut paths);
        at = start + length;
    }
    rest.push_str(&code[at..]);
    (paths, rest)
}

/// Takes the braces out of a `use` tree.
fn expand(tree: &str, prefix: &str, paths: &mut Vec<String>) {
    let (mut depth, mut start) = (0_usize, 0);
    let mut parts = Vec::new();
    for (at, letter) in tree.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&tree[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tree[start..]);
    for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
        match (part.find('{'), part.rfind('}')) {
            (Some(open), Some(close)) => {
                expand(&part[open + 1..close], &format!("{prefix}{}", &part[..open]), paths);
            }
            _ => paths.push(format!("{prefix}{part}")),
        }
    }
}

/// Paths that begin with `crate` or `super` anywhere in code.
fn inline_paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for word in ["crate::", "super::"] {
        for (start, _) in code.match_indices(word) {
            let before = code[..start].chars().next_back();
            // The middle of a path belongs to the path that begins in front of it.
            if !before.is_some_and(|letter| is_name(letter) || letter == ':') {
                let path = code[start..].split(|letter| !is_name(letter) && letter != ':');
                paths.extend(path.take(1).map(|path| path.trim_end_matches(':').to_owned()));
            }
        }
    }
    paths
}

fn is_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// A path from the crate's root, named by the module `from`; `None` for paths of other crates.
fn absolute(path: &str, from: &[&str]) -> Option<Vec<String>> {
    let path = path.split(" as ").next().unwrap_or(path);
    let mut segments = path.split("::").map(str::trim).peekable();
    let mut base = match *segments.peek()? {
        "crate" => {
            segments.next();
            Vec::new()
        }
        "super" => from.iter().map(|name| (*name).to_owned()).collect(),
        _ => return None,
    };
    while segments.next_if_eq(&"super").is_some() {
        base.pop();
    }
    base.extend(segments.map(str::to_owned));
    Some(base)
}

/// Who names whom among the top-level modules of one crate, and where: `from` to `to` to the places.
pub type Edges = BTreeMap<&'static str, BTreeMap<&'static str, BTreeSet<String>>>;

/// The edges between the top-level modules of a crate. What lies below one counts to it; names that the
/// root passes on count to the module that they come from.
#[must_use]
pub fn edges<'a>(modules: impl Iterator<Item = &'a Module> + Clone) -> Edges {
    let tops: BTreeSet<&'static str> =
        modules.clone().filter_map(|module| module.path.first().copied()).collect();
    let roots = modules.clone().filter(|module| module.path.is_empty());
    let passed_on: BTreeMap<String, &'static str> =
        roots.flat_map(|root| uses(&root.code).0).filter_map(|path| source(&path, &tops)).collect();
    let mut edges = Edges::new();
    for module in modules {
        let Some(&from) = module.path.first() else { continue };
        for path in module.references() {
            let Some(first) = path.first() else { continue };
            let named = match tops.get(first.as_str()) {
                Some(&top) => vec![top],
                // Everything that the root passes on.
                None if first == "*" => passed_on.values().copied().collect(),
                None => passed_on.get(first).copied().into_iter().collect(),
            };
            for to in named.into_iter().filter(|to| *to != from) {
                let place = format!("{} names {}", module.file.path, path.join("::"));
                edges.entry(from).or_default().entry(to).or_default().insert(place);
            }
        }
    }
    edges
}

/// A name that the root passes on, and the module that it comes from.
fn source(path: &str, tops: &BTreeSet<&'static str>) -> Option<(String, &'static str)> {
    let path = path.trim_start_matches("crate::").trim_start_matches("self::");
    let top = tops.get(path.split("::").next()?)?;
    let name = path.rsplit([' ', ':']).next()?;
    Some((name.to_owned(), top))
}

/// Sets of modules that reach each other, each in the order of the alphabet.
#[must_use]
pub fn circles(edges: &Edges) -> Vec<Vec<&'static str>> {
    let reached: BTreeMap<&str, BTreeSet<&'static str>> =
        edges.keys().map(|from| (*from, reach(edges, from))).collect();
    let mut circles = BTreeSet::new();
    for (&from, there) in &reached {
        if there.contains(from) {
            let back = |to: &&&str| reached.get(**to).is_some_and(|there| there.contains(from));
            circles.insert(there.iter().filter(back).copied().collect());
        }
    }
    circles.into_iter().collect()
}

fn reach(edges: &Edges, from: &str) -> BTreeSet<&'static str> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        for &to in edges.get(next).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(to) {
                open.push(to);
            }
        }
    }
    seen
}
