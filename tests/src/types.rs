//! How long the types of the product are: the lines of all their `impl` blocks, over all files of a
//! crate. A type whose methods are spread over many files is as hard to understand as one long file.

use std::collections::BTreeMap;

use crate::modules::Module;

#[cfg(test)]
mod tests;

/// A type and the length of its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeLength {
    /// The folder of its crate.
    pub crate_folder: &'static str,
    /// Its name, with the modules that lead to it.
    pub name: String,
    /// Lines of its `impl` blocks.
    pub lines: usize,
}

/// The types of one crate with the lines of their `impl` blocks. Types of other crates and those that
/// macros make are left out.
#[must_use]
pub fn lengths(modules: &[&Module]) -> Vec<TypeLength> {
    let mut defined: BTreeMap<&str, Vec<&Module>> = BTreeMap::new();
    for module in modules {
        for name in definitions(&module.code) {
            defined.entry(name).or_default().push(module);
        }
    }
    let mut lengths: BTreeMap<String, TypeLength> = BTreeMap::new();
    for module in modules {
        for (name, lines) in impls(&module.code) {
            let homes = defined.get(name.as_str()).into_iter().flatten();
            let Some(home) = homes.max_by_key(|home| nearness(home, module)) else { continue };
            let name = [home.path.as_slice(), &[name.as_str()]].concat().join("::");
            let length = lengths.entry(name.clone()).or_insert(TypeLength {
                crate_folder: module.crate_folder,
                name,
                lines: 0,
            });
            length.lines += lines;
        }
    }
    lengths.into_values().collect()
}

/// Of several types with one name the one in the nearest module is meant.
fn nearness(home: &Module, user: &Module) -> (usize, std::cmp::Reverse<usize>) {
    let common = home.path.iter().zip(&user.path).take_while(|(a, b)| a == b).count();
    (common, std::cmp::Reverse(home.path.len()))
}

fn definitions(code: &str) -> impl Iterator<Item = &str> {
    let words = || {
        let words = code.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        words.filter(|word| !word.is_empty())
    };
    let pairs = words().zip(words().skip(1));
    pairs.filter(|(word, _)| matches!(*word, "struct" | "enum" | "union")).map(|(_, name)| name)
}

/// The `impl` blocks of a file: the type's name and the number of lines.
fn impls(code: &str) -> Vec<(String, usize)> {
    let mut blocks = Vec::new();
    let mut at = 0;
    for line in code.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let opening = line.trim_start();
        let opening = opening.strip_prefix("unsafe ").unwrap_or(opening);
        let Some(after) = opening.strip_prefix("impl") else { continue };
        if !after.starts_with([' ', '<', '\n']) {
            continue;
        }
        let block = &code[start..];
        let Some(open) = block.find('{') else { continue };
        let Some((_, header)) = block[..open].split_once("impl") else { continue };
        if let Some(name) = target(header) {
            blocks.push((name, block[..closing(block, open)].lines().count()));
        }
    }
    blocks
}

/// Offset behind the brace that closes the one at `open`.
fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, letter) in code.char_indices().skip_while(|(at, _)| *at < open) {
        match letter {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// The name of the type that an `impl` with this header (what stands between `impl` and the brace) is
/// for; `None` for references, tuples, slices and trait objects.
fn target(header: &str) -> Option<String> {
    let header = header.split_whitespace().collect::<Vec<_>>().join(" ");
    let header = without_generics(&header);
    let header = header.split(" where ").next()?;
    let target = header.rsplit(" for ").next()?.trim();
    let path = target.split('<').next()?.trim();
    let name = path.rsplit("::").next()?;
    let is_name = name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    (is_name && !name.is_empty()).then(|| name.to_owned())
}

/// What stands behind the type parameters at the start.
fn without_generics(header: &str) -> &str {
    let mut depth = 0_usize;
    let mut before = ' ';
    for (at, letter) in header.char_indices() {
        match letter {
            '<' => depth += 1,
            '>' if before != '-' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return if letter == '>' { &header[at + 1..] } else { header };
        }
        before = letter;
    }
    header
}
