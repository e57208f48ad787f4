//! "Did you mean ...?": the known name nearest to a misspelt one.

/// A longer text is no misspelt name, and comparing it would take time and memory.
const LONGEST_NAME: usize = 200;

/// The candidate that the writer of `name` most likely meant, or `None` when nothing is near.
///
/// Case, blanks, `-` and `_` are ignored. Similar means an edit distance of at most two or a third
/// of the name's letters, whichever is more, or that one name contains the other.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let wanted = plain(name);
    if wanted.is_empty() {
        return None;
    }
    let allowed = (wanted.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let known = plain(candidate);
            let distance = strsim::damerau_levenshtein(&wanted, &known);
            let contained = wanted.len() >= 3
                && known.len() >= 3
                && (known.contains(&wanted) || wanted.contains(&known));
            // Any short name is within two edits of any other; at least one letter must be the
            // same.
            let near = distance <= allowed && distance < known.chars().count();
            (near || contained).then_some(((!near, distance), candidate))
        })
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, candidate)| candidate)
}

/// The name in lower case, without `_`, `-` and blanks.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant() {
        let names = ["target_rate", "input_rate", "quality", "streaming"];
        assert_eq!(nearest("taget_rate", names), Some("target_rate"));
        assert_eq!(nearest("TargetRate", names), Some("target_rate"));
        assert_eq!(nearest("qualty", names), Some("quality"));
        assert_eq!(nearest("stream", names), Some("streaming"));
        assert_eq!(nearest("rate", names), Some("input_rate"));
    }

    #[test]
    fn stays_silent_when_nothing_is_near() {
        assert_eq!(nearest("colour", ["target_rate", "quality"]), None);
        assert_eq!(nearest("", ["quality"]), None);
        assert_eq!(nearest("ab", ["xy"]), None);
        assert_eq!(nearest(&"quality".repeat(1_000_000), ["quality"]), None);
    }
}
