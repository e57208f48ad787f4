//! The JSON parser: numbers, escapes, and the places of errors.

use proptest::prelude::{prop_assert, proptest};
use serde_json::Value as Json;

use crate::manifest::json::{JsonErrorKind, parse as parse_json};

#[test]
fn json_keeps_every_digit_and_every_escape() {
    let text = r#"[9223372036854775807, -9223372036854775808, 123456789012345678901234567890,
        1.0, -0, 1e3, "\u00e9\ud83d\ude00\n\"", {"b": null, "a": true}]"#;
    let parsed = parse_json(text).unwrap();
    let ipc_protocol::Value::List(items) = parsed.value else { panic!("a list") };
    assert_eq!(items[0], i64::MAX.into());
    assert_eq!(items[1], i64::MIN.into());
    let ipc_protocol::Value::BigInt(big) = &items[2] else { panic!("a big integer") };
    assert_eq!(big.to_string(), "123456789012345678901234567890");
    assert_eq!(items[3], 1.0.into());
    assert_eq!(items[4], 0_i64.into());
    assert_eq!(items[5], 1000.0.into());
    assert_eq!(items[6], "é😀\n\"".into());
    let kind = parse_json("1e999").unwrap_err().kind;
    assert_eq!(kind, JsonErrorKind::BadNumber { text: "1e999".to_owned() });
}

#[test]
fn the_place_of_an_error_is_where_it_stands() {
    for (text, column, message) in [
        ("[1,]", 4, "expected a value, found ']'"),
        ("[1", 3, "the text ends where ',' or ']' should be"),
        ("{\"a\" 1}", 6, "expected ':', found '1'"),
        ("{a: 1}", 2, "expected a key in double quotes, found 'a'"),
        ("[tru]", 2, "expected a value, found 't'"),
        ("[NaN]", 2, "expected a value, found 'N'"),
        ("[-x]", 2, "'-x' is not a number in JSON"),
        ("[1.]", 2, "'1.' is not a number in JSON"),
        (
            "\"ü\u{1}\"",
            3,
            "a string must not contain a unescaped control character; write it as an escape",
        ),
        ("\"ü\\x\"", 3, "bad escape in a string"),
        ("\"\\ud800\\u0041\"", 8, "bad escape in a string"),
        ("\"ü", 3, "the text ends where the end of a string should be"),
    ] {
        let error = parse_json(text).unwrap_err();
        assert_eq!((error.line, error.column), (1, column), "{text}: {error}");
        assert_eq!(error.kind.to_string(), message, "{text}");
    }
}

proptest! {
    /// Accepts what serde_json accepts, and every error has its place in the text.
    #[test]
    fn any_text_is_json_or_has_a_place_that_is_not(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "{", "}", "[", "]", "\"a\":", "\"", "\\", "\\u00e9", "\\ud83d", "\\ude00", "ü", "1", "0", "-",
            ".5", "e3", "e999", ",", ":", " ", "\n", "true", "nul", "null", "NaN", "Infinity",
        ]), 0..12),
    ) {
        let text = parts.concat();
        let judged = serde_json::from_str::<Json>(&text);
        match parse_json(&text) {
            Ok(_) => prop_assert!(judged.is_ok(), "{text:?}"),
            Err(error) => {
                prop_assert!(judged.is_err(), "{text:?}: {error}");
                let line = text.split('\n').nth(error.line - 1);
                let length = line.map(|line| line.chars().count());
                prop_assert!(length.is_some_and(|length| error.column <= length + 1), "{text:?}: {error}");
            }
        }
    }
}
