//! The word list: phrases that a native engineer would not write, and how often each still stands in
//! the product's code and documents. The numbers only shrink.

use tests::lexer::without_test_module;
use tests::repository::{SourceFile, text_files};

use super::assert_none;

/// Each phrase, what to write instead, and its budget: exactly its uses today.
const PHRASES: &[(&str, &str, usize)] = &[
    ("anew", "\"again\", or what is made", 0),
    ("anybody", "who it is", 0),
    ("as ever", "\"as usual\"", 0),
    ("be had", "why it fails: refused, missing, none left", 0),
    ("be told", "who gets what", 0),
    ("buried", "\"removed\"", 0),
    ("bury", "\"remove\"", 0),
    ("came of", "\"result\" or \"caused\"", 0),
    ("comes of", "\"results in\"", 0),
    ("everybody", "who it is", 0),
    ("farewell", "\"closed\" or \"answer\"", 0),
    ("for nothing", "what is lost", 0),
    ("for want of", "\"without\"", 0),
    ("gave back", "\"returned\"", 0),
    ("gives back", "\"returns\"", 0),
    ("hands on", "\"passes on\"", 0),
    ("in vain", "\"without success\"", 0),
    ("is through with", "\"has completed\"", 0),
    ("is told", "who gets what: \"gets the error\", \"is logged\"", 1),
    ("judge", "\"classify\"", 2),
    ("last words", "what it is: output, an exception", 0),
    ("learns from", "\"measures\"", 0),
    ("nevertheless", "\"still\"", 0),
    ("nobody", "\"no caller\", \"no thread\": the noun", 5),
    ("nothing to tell", "that it is not reported", 0),
    ("of no use", "\"unusable\", or what has ended", 0),
    ("others' business", "who does it", 0),
    ("reconsider", "\"retract\"", 0),
    ("reported for duty", "\"completed its handshake\"", 0),
    ("said hello", "\"completed the handshake\"", 0),
    ("shall", "\"must\", or the present tense", 0),
    ("somebody", "who it is", 0),
    ("sure to come", "\"certain to come\"", 0),
    ("take along", "\"include\"", 0),
    ("takes along", "\"includes\"", 0),
    ("tells of", "\"reports\"", 0),
    ("the business of", "who does it", 0),
    ("told of", "\"reported\"", 0),
    ("weigh", "\"record\" or \"decide\"", 0),
    ("what becomes of", "\"what happens to\"", 0),
    ("what is said of", "\"the text about\"", 0),
    ("whoever", "\"the caller\", \"the reader\": the noun", 0),
];

/// Marks of comments, which stand between the words of a phrase that goes over a line's end.
const MARKS: [&str; 5] = ["///", "//!", "//", "#", "-"];

fn is_read(file: &SourceFile) -> bool {
    let has_words =
        ["rs", "py", "pyi", "md", "toml", "sh"].iter().any(|end| file.has_extension(end));
    // The pages of conformance are made of the names of tests.
    has_words && !file.is_test() && !file.path.starts_with("docs/conformance")
}

/// The words of a file in lower case, with one blank in between.
fn words(file: &SourceFile) -> String {
    let text = without_test_module(&file.text).to_lowercase();
    let words: Vec<&str> = text.split_whitespace().filter(|word| !MARKS.contains(word)).collect();
    words.join(" ")
}

/// Uses of a phrase as whole words. An underscore ends a word, so that parts of names count.
fn uses(text: &str, phrase: &str) -> usize {
    let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let stands_alone = |(at, _): &(usize, &str)| {
        let before = at.checked_sub(1).and_then(|index| bytes.get(index));
        !is_letter(before) && !is_letter(bytes.get(at + phrase.len()))
    };
    text.match_indices(phrase).filter(stands_alone).count()
}

#[test]
fn the_word_list_only_shrinks() {
    let files: Vec<(&str, String)> = text_files()
        .iter()
        .filter(|file| is_read(file))
        .map(|file| (file.path.as_str(), words(file)))
        .collect();
    assert!(files.len() > 200, "only {} files were looked at", files.len());
    let mut broken = Vec::new();
    for (phrase, instead, budget) in PHRASES {
        let found: Vec<(&str, usize)> = files
            .iter()
            .map(|(path, text)| (*path, uses(text, phrase)))
            .filter(|(_, count)| *count > 0)
            .collect();
        let count: usize = found.iter().map(|(_, count)| count).sum();
        if count > *budget {
            let places: Vec<&str> = found.iter().map(|(path, _)| *path).collect();
            broken.push(format!(
                "\"{phrase}\" stands {count} times, above its budget of {budget}; write {instead}. \
                 It is in {}",
                places.join(", ")
            ));
        } else if count < *budget {
            broken.push(format!(
                "\"{phrase}\" stands {count} times, below its budget of {budget}: lower the budget"
            ));
        }
    }
    assert_none("the word list (tests/rust/tidy/words.rs)", &broken);
}

#[test]
fn phrases_count_as_whole_words_and_parts_of_names() {
    assert_eq!(uses("judge, judges and judge_all", "judge"), 2);
    assert_eq!(uses("for nothing. for nothingness", "for nothing"), 1);
}
