//! What changes the surroundings of a decision, and what does not.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Program, Surroundings};

struct Place {
    folder: tempfile::TempDir,
    environment: Vec<(OsString, OsString)>,
    settings: BTreeMap<String, String>,
    injected: BTreeMap<String, String>,
    node: String,
    file: &'static str,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self {
            folder,
            environment: Vec::new(),
            settings: BTreeMap::new(),
            injected: BTreeMap::new(),
            node: "gain 2".to_owned(),
            file: "own/nodes.py",
        };
        place.write("program", "\x7fELF 1");
        place.write("own/nodes.py", "import helper\nload('dynamic')\n");
        place.write("own/helper.py", "def f():\n    from deep import x\n");
        place.write("own/deep.py", "x = 1\n");
        place.write("own/dynamic.py", "y = 1\n");
        place.write("own/unrelated.py", "z = 1\n");
        place.write("own/package/__init__.py", "");
        place.write("own/package/node.py", "from . import beside\n");
        place.write("own/package/beside.py", "");
        place.write("lib/site-packages/numpy/__init__.py", "");
        // Clocks of files are coarse: what changes it later must give it another time.
        let packages = fs::File::open(place.path("lib/site-packages")).unwrap();
        packages.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn digest(&self) -> Option<String> {
        let program = Program::of(&self.path("program")).unwrap();
        let text = |name: &str| self.path(name).display().to_string();
        let sys_path = [text("own"), text("lib/site-packages"), text("absent")].map(OsString::from);
        let (settings, injected) = (&self.settings, &self.injected);
        Surroundings::new(&program, &self.environment, settings, injected, &sys_path)?
            .digest(&[self.path(self.file)], &self.node)
    }
}

#[test]
fn whatever_a_decision_depends_on_changes_its_surroundings() {
    // spec: IOP-39
    type Change = fn(&mut Place);
    let changes: [(&str, Change); 12] = [
        ("the node's file", |p| p.write("own/nodes.py", "import helper, dynamic\n#\n")),
        ("a module that it imports", |p| p.write("own/helper.py", "from deep import x, y\n")),
        ("a module that this one imports in a function", |p| p.write("own/deep.py", "x = 2\n")),
        ("a module that is named in a text", |p| p.write("own/dynamic.py", "y = 2\n")),
        ("a module that was not there", |p| p.write("own/load.py", "")),
        ("an installed package", |p| p.write("lib/site-packages/numpy-3.dist-info/x", "")),
        ("another program", |p| p.write("program", "\x7fELF 1.1")),
        ("the object", |p| p.node = "gain 3".to_owned()),
        ("a setting", |p| drop(p.settings.insert("A".to_owned(), "1".to_owned()))),
        ("allowed modules", |p| {
            p.environment.push(("REMOTEMEDIA_ALLOW_MODULES".into(), "ctypes".into()));
        }),
        ("an injected module", |p| {
            let file = p.path("own/unrelated.py").display().to_string();
            p.injected.insert("settings".to_owned(), file);
        }),
        ("the file", |p| p.file = "own/package/node.py"),
    ];
    for (what, change) in changes {
        let mut place = Place::new();
        let before = place.digest().unwrap();
        assert_eq!(place.digest().unwrap(), before, "nothing changed");
        change(&mut place);
        assert_ne!(place.digest().unwrap(), before, "{what}");
    }
}

#[test]
fn what_a_decision_does_not_depend_on_changes_nothing() {
    // spec: IOP-39
    let mut place = Place::new();
    let before = place.digest().unwrap();
    place.write("own/unrelated.py", "z = 2\n");
    place.write("own/__pycache__/nodes.pyc", "");
    place.write("own/result.wav", "");
    place.environment.push(("LANG".into(), "C".into()));
    assert_eq!(place.digest().unwrap(), before);
}

#[test]
fn modules_of_the_same_package_count_without_being_named_in_full() {
    // spec: IOP-39
    let mut place = Place::new();
    place.file = "own/package/node.py";
    let before = place.digest().unwrap();
    place.write("own/package/beside.py", "import numpy\n");
    assert_ne!(place.digest().unwrap(), before);
}

#[test]
fn what_cannot_be_looked_through_has_no_digest() {
    // spec: IOP-39
    let mut place = Place::new();
    place.file = "own/gone.py";
    assert_eq!(place.digest(), None);
    place.file = "own/nodes.py";
    place.write("own/helper.py", &"#".repeat(usize::try_from(super::MOST_TEXT).unwrap()));
    assert_eq!(place.digest(), None);
    place.write("own/helper.py", "");
    assert!(place.digest().is_some());
    for number in 0..=super::MOST_FILES {
        fs::write(place.path("own").join(number.to_string()), "").unwrap();
    }
    assert_eq!(place.digest(), None);
}

#[test]
fn a_script_that_starts_the_program_is_told_from_it() {
    // spec: IOP-39
    let place = Place::new();
    assert!(Program::of(&place.path("program")).unwrap().is_binary);
    place.write("wrapper", "#!/bin/sh\nexec program\n");
    place.write("short", "");
    for name in ["wrapper", "short"] {
        assert!(!Program::of(&place.path(name)).unwrap().is_binary, "{name}");
    }
    assert_eq!(Program::of(Path::new("/nowhere/at all")), None);
}
