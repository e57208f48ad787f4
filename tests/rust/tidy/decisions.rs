//! Decisions: each essay has the same headings and is linked from ARCHITECTURE.md, in order.

use tests::repository::{SourceFile, text_files};

use super::assert_none;

const HEADINGS: [&str; 3] = ["## Context", "## Decision", "## Rejected"];

fn essays() -> Vec<&'static SourceFile> {
    let essays: Vec<_> =
        text_files().iter().filter(|file| file.path.starts_with("docs/decisions/")).collect();
    assert!(!essays.is_empty(), "no essay was looked at");
    essays
}

#[test]
fn essays_have_their_headings() {
    let mut broken = Vec::new();
    for essay in essays() {
        let headings: Vec<&str> =
            essay.text.lines().filter(|line| line.starts_with("## ")).collect();
        let has_figure = headings.last() == Some(&"## Figure");
        let expected = &headings[..headings.len() - usize::from(has_figure)];
        if expected != HEADINGS || !essay.text.starts_with("# ") {
            broken.push(essay.path.clone());
        }
    }
    assert_none("essays without Context, Decision, Rejected (and Figure), in this order", &broken);
}

#[test]
fn architecture_links_each_essay_once_in_order() {
    let architecture = text_files().iter().find(|file| file.path == "ARCHITECTURE.md").unwrap();
    let links = architecture.text.match_indices("](docs/decisions/").map(|(at, _)| {
        let link = &architecture.text[at + 2..];
        link[..link.find(')').unwrap_or(link.len())].to_owned()
    });
    let links: Vec<String> = links.collect();
    let mut paths: Vec<String> = essays().iter().map(|essay| essay.path.clone()).collect();
    paths.sort();
    assert_eq!(links, paths);
}
