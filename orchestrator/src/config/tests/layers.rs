//! Several sources of settings over one another.

use std::path::Path;

use super::super::document::Document;
use super::super::layers::{Named, Sources, alone};
use super::super::merge::Merged;
use super::super::{ConfigWarning, Origin, show};

fn merged(texts: &[(&str, Origin)]) -> Merged {
    let mut merged = Merged::default();
    texts.iter().for_each(|(text, origin)| merged.add(Document::parse(text, origin.clone())));
    merged
}

#[test]
fn a_stronger_source_changes_only_the_keys_that_it_names() {
    // spec: CARD-09
    let file = |name: &str| Origin::File(Path::new("/etc").join(name));
    let merged = merged(&[
        (
            "[calls]\ntimeout = \"1 s\"\nwindow = 3\n[nodes.vad]\nretry = true\ndeadline = \"9 s\"",
            file("a"),
        ),
        ("[calls]\n\ntimeout = \"2 s\"\n[nodes.vad]\nretry = false", file("b")),
    ]);
    let merged = merged.finish().unwrap();
    assert_eq!(merged.config.calls.timeout.unwrap().as_secs(), 2);
    assert_eq!(merged.config.calls.window, 3);
    let places = ["[calls] timeout", "[calls] window", "[nodes.vad] retry", "[nodes.vad] deadline"];
    let places = places.map(|path| merged.set[path].to_string());
    assert_eq!(places, ["/etc/b:3", "/etc/a:3", "/etc/b:5", "/etc/a:6"]);
    assert!(!merged.set.contains_key("[calls] queue"));
}

#[test]
fn problems_of_all_sources_are_reported_with_file_and_line() {
    let texts = [
        ("[calls]\nwindow = 0\n", Origin::File("/a.toml".into())),
        ("\n[workers]\nmin = 9\nmax = 2\n", Origin::File("/b.toml".into())),
    ];
    let error = merged(&texts).finish().unwrap_err();
    assert_eq!(
        error.to_string(),
        "configuration: 2 problems\n  \
         - configuration file /a.toml: line 2: [calls] window: 0 is out of range: allowed is 1 to 65536\n  \
         - configuration file /b.toml: line 3: [workers]: min = 9 is more than max = 2; lower min or \
         raise max"
    );
}

#[test]
fn a_renamed_key_works_and_warns() {
    let loaded =
        alone(&Named::Text("[python]\nexecutable = \"/opt/python\"\n".to_owned())).unwrap();
    assert_eq!(loaded.config.python.interpreter.as_deref(), Some(Path::new("/opt/python")));
    let [ConfigWarning::Renamed { old, new, .. }] = loaded.warnings.as_slice() else {
        panic!("{:?}", loaded.warnings)
    };
    assert_eq!((*old, *new), ("executable", "interpreter"));
    let told = loaded.warnings[0].to_string();
    assert!(
        told.starts_with("configuration, line 2: `executable` in [python] is called"),
        "{told}"
    );
}

#[test]
fn settings_of_the_command_line_need_no_quotes() {
    let set =
        ["calls.timeout=5s", "workers.min=2", "nodes.\"a.b\".retry=true", "python.preload=[\"x\"]"];
    let sources = Sources { set: set.map(str::to_owned).to_vec(), ..Sources::default() };
    let loaded = sources.load().unwrap();
    assert_eq!(loaded.config.calls.timeout.unwrap().as_secs(), 5);
    assert_eq!((loaded.config.bounds.min, loaded.config.python.preload.len()), (2, 1));
    assert_eq!(loaded.config.nodes[0].pattern, "a.b");
    let shown = show::all(&loaded, true);
    assert!(shown.contains("timeout = \"5 s\""), "{shown}");
    assert!(shown.lines().any(|line| line.starts_with("min = 2") && line.ends_with("# --set")));
    for wrong in ["calls.timeout", "timeout=5s", "=1", "calls.timeout.x=1", "calls..x=1"] {
        let sources = Sources { set: vec![wrong.to_owned()], ..Sources::default() };
        let told = sources.load().unwrap_err().to_string();
        assert!(told.starts_with("--set: "), "{told}");
    }
}

#[test]
fn a_key_is_explained_by_its_full_name_or_alone() {
    let loaded = alone(&Named::Text("[calls]\ntimeout = \"5 s\"".to_owned())).unwrap();
    for name in ["calls.timeout", "[calls] timeout", "timeout"] {
        let told = show::explain(&loaded, name).unwrap();
        for part in ["now: \"5 s\"", "set by: configuration, line 2", "REMOTEMEDIA_CALLS_TIMEOUT"] {
            assert!(told.contains(part), "{told}");
        }
    }
    // Both pools have bounds.
    assert_eq!(show::explain(&loaded, "min").unwrap().matches("allowed:").count(), 2);
    let unknown = show::explain(&loaded, "calls.timout").unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "no key is called `calls.timout`; did you mean `calls.timeout`?"
    );
}
