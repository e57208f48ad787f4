//! Tells code from comments and literals, in Rust and in Python, byte by byte and line by line. It
//! knows just enough of both languages for that, and parses nothing.

/// What a byte of a source file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Code, blanks and line ends.
    Code,
    /// A comment.
    Comment,
    /// The inside or the quotes of a string or a character.
    Literal,
}

/// A source file with the kind of each of its bytes.
#[derive(Debug)]
pub struct Lexed<'a> {
    text: &'a str,
    kinds: Vec<Kind>,
}

impl<'a> Lexed<'a> {
    /// Reads Rust: line comments, nested block comments, strings, raw strings, characters.
    #[must_use]
    pub fn rust(text: &'a str) -> Self {
        scan(text, rust_token)
    }

    /// Reads Python: comments, and strings with one or three quotes of either sort.
    #[must_use]
    pub fn python(text: &'a str) -> Self {
        scan(text, python_token)
    }

    /// The text with every byte that is not of `kind` replaced by a blank. Line ends stay.
    #[must_use]
    pub fn only(&self, kind: Kind) -> String {
        self.keep(|found| found == kind)
    }

    /// The text with every byte of `kind` replaced by a blank. Line ends stay.
    #[must_use]
    pub fn without(&self, kind: Kind) -> String {
        self.keep(|found| found != kind)
    }

    fn keep(&self, keeps: impl Fn(Kind) -> bool) -> String {
        let bytes = self.text.bytes().zip(&self.kinds);
        let kept =
            bytes.map(|(byte, kind)| if byte == b'\n' || keeps(*kind) { byte } else { b' ' });
        // A character of several bytes is kept or blanked as a whole.
        String::from_utf8(kept.collect()).unwrap_or_default()
    }
}

/// The kind and length of the token at the start of `rest`; `before` is the byte in front of it.
type Token = fn(rest: &str, before: u8) -> (Kind, usize);

fn scan(text: &str, token: Token) -> Lexed<'_> {
    let mut kinds = Vec::with_capacity(text.len());
    while let Some(rest) = text.get(kinds.len()..).filter(|rest| !rest.is_empty()) {
        let before = kinds.len().checked_sub(1).map_or(b' ', |index| text.as_bytes()[index]);
        let (kind, length) = token(rest, before);
        kinds.resize(kinds.len() + length.clamp(1, rest.len()), kind);
    }
    Lexed { text, kinds }
}

fn rust_token(rest: &str, before: u8) -> (Kind, usize) {
    if rest.starts_with("//") {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, block_comment(rest));
    }
    if rest.starts_with('"') {
        return (Kind::Literal, quoted(rest, "\""));
    }
    if let Some(length) = raw_string(rest).filter(|_| !is_name_byte(before)) {
        return (Kind::Literal, length);
    }
    if rest.starts_with('\'')
        && let Some(length) = character(rest)
    {
        return (Kind::Literal, length);
    }
    (Kind::Code, first_char(rest))
}

fn python_token(rest: &str, _before: u8) -> (Kind, usize) {
    if rest.starts_with('#') {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    let quotes = ["\"\"\"", "'''", "\"", "'"];
    match quotes.iter().find(|quote| rest.starts_with(**quote)) {
        Some(quote) => (Kind::Literal, quoted(rest, quote)),
        None => (Kind::Code, first_char(rest)),
    }
}

/// Length of a literal from its opening quote to its closing one; backslashes escape.
fn quoted(rest: &str, quote: &str) -> usize {
    let mut at = quote.len();
    while at < rest.len() {
        let tail = &rest.as_bytes()[at..];
        if tail.starts_with(quote.as_bytes()) {
            return at + quote.len();
        }
        at += if tail[0] == b'\\' { 2 } else { 1 };
    }
    rest.len()
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = rest.as_bytes();
    while at < bytes.len() {
        match &bytes[at..bytes.len().min(at + 2)] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" if depth == 1 => return at + 2,
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

/// Length of `r"..."`, `r#"..."#`, `br"..."` and so on, or `None` when `rest` opens none.
fn raw_string(rest: &str) -> Option<usize> {
    let after_prefix = ["br", "cr", "r"].iter().find_map(|prefix| rest.strip_prefix(prefix))?;
    let hashes = after_prefix.bytes().take_while(|byte| *byte == b'#').count();
    let body = after_prefix[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&close).map_or(body.len(), |at| at + close.len());
    Some(rest.len() - body.len() + end)
}

/// Length of a character literal, or `None` when the quote opens a lifetime.
fn character(rest: &str) -> Option<usize> {
    let inside = &rest[1..];
    if inside.starts_with('\\') {
        return Some(quoted(rest, "'"));
    }
    let length = first_char(inside);
    inside[length..].starts_with('\'').then_some(length + 2)
}

fn first_char(rest: &str) -> usize {
    rest.chars().next().map_or(1, char::len_utf8)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// True when `code` holds `phrase` as whole words: no name goes on at an end that is a name.
#[must_use]
pub fn has_phrase(code: &str, phrase: &str) -> bool {
    let bytes = code.as_bytes();
    let opens_name = phrase.bytes().next().is_some_and(is_name_byte);
    let closes_name = phrase.bytes().last().is_some_and(is_name_byte);
    code.match_indices(phrase).any(|(at, _)| {
        let before = at.checked_sub(1).is_some_and(|index| is_name_byte(bytes[index]));
        let after = bytes.get(at + phrase.len()).is_some_and(|byte| is_name_byte(*byte));
        !(opens_name && before || closes_name && after)
    })
}

/// A Rust file up to the `#[cfg(test)] mod tests` at its end; the whole file when there is none.
#[must_use]
pub fn without_test_module(text: &str) -> &str {
    let mut start = 0;
    let mut marked = None;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if trimmed == "#[cfg(test)]" {
            marked = Some(start);
        } else if let Some(at) = marked.filter(|_| trimmed.starts_with("mod tests {")) {
            return &text[..at];
        } else if !trimmed.starts_with("#[") {
            marked = None;
        }
        start += line.len();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Lexed::rust(text).only(Kind::Code).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_literals_of_rust_are_not_code() {
        assert_eq!(code("a // unsafe\nb /* x /* y */ z */ c"), "a b c");
        assert_eq!(code(r#"f("unsafe \" \\"), g"#), "f( ), g");
        assert_eq!(code("r#\"un\"safe\"#; br\"x\"; h"), "; ; h");
        assert_eq!(code(r"let q = '\''; let s = '/'; fn f<'a>(x: &'a str) {}"), {
            "let q = ; let s = ; fn f<'a>(x: &'a str) {}"
        });
        assert_eq!(code("let ä = 'ä'; // ö"), "let ä = ;");
    }

    #[test]
    fn comments_and_literals_of_python_are_not_code() {
        let text = "import os  # why\n\"\"\"doc 'x' \"y\" \"\"\"\nz = f'it\\'s' + \"#\"\n";
        let lexed = Lexed::python(text);
        let code = lexed.only(Kind::Code);
        assert_eq!(
            code.split_whitespace().collect::<Vec<_>>(),
            ["import", "os", "z", "=", "f", "+"]
        );
        assert!(lexed.only(Kind::Comment).contains("# why"));
        assert!(!lexed.without(Kind::Comment).contains("why"));
        assert_eq!(code.lines().count(), text.lines().count());
    }

    #[test]
    fn phrases_are_whole_words() {
        assert!(has_phrase("use pyo3::prelude;", "pyo3"));
        assert!(has_phrase("std::env::var_os(x)", "env::var_os"));
        assert!(has_phrase("(rustpython_vm::x)", "rustpython_vm::"));
        assert!(!has_phrase("my_pyo3 pyo3x", "pyo3"));
    }

    #[test]
    fn the_test_module_at_the_end_is_cut_off() {
        let product = "fn a() {}\n#[cfg(test)]\nfn b() {}\n";
        let tests = "#[cfg(test)]\n#[allow(x)]\nmod tests {\n}\n";
        assert_eq!(without_test_module(&format!("{product}{tests}")), product);
        assert_eq!(without_test_module(product), product);
        let in_a_file_of_its_own = "#[cfg(test)]\nmod tests;\nfn a() {}\n";
        assert_eq!(without_test_module(in_a_file_of_its_own), in_a_file_of_its_own);
    }
}
