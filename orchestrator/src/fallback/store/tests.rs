//! The file of decisions: what it keeps, what it survives, who writes it at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ipc_protocol::{ImportFault, ImportReason};

use super::super::Reason;
use super::{Decision, Document, FILE, LIFE, Lasting, MOST, MOST_FORGOTTEN, Store};
use super::{age, pruned, seconds};

fn decision(code: &str, decided_at: u64) -> Decision {
    Decision {
        code: code.to_owned(),
        surroundings: "here".to_owned(),
        program: PathBuf::from("/bin/rp"),
        reason: Lasting::Import(lacks(ImportReason::CExtension)),
        decided_at,
    }
}

fn lacks(reason: ImportReason) -> ImportFault {
    ImportFault {
        module: "numpy".to_owned(),
        root_package: "numpy".to_owned(),
        reason,
        path: String::new(),
        suggestion: String::new(),
    }
}

fn now() -> u64 {
    seconds(SystemTime::now())
}

fn store(folder: &Path) -> Store {
    Store::new(Some(folder.join("cache")))
}

fn codes(store: &mut Store) -> Vec<String> {
    let mut codes: Vec<String> = store.all().iter().map(|d| d.code.clone()).collect();
    codes.sort();
    codes
}

#[test]
fn what_one_process_decides_the_next_one_knows_until_it_is_forgotten() {
    // spec: IOP-39
    let folder = tempfile::tempdir().unwrap();
    let (mut first, mut running) = (store(folder.path()), store(folder.path()));
    assert!(running.all().is_empty());
    first.keep(decision("m:A:1", now()));
    first.keep(decision("m:B:1", now()));
    let mut second = store(folder.path());
    assert_eq!(second.find("m:A:1", "here"), Some(decision("m:A:1", first.all()[0].decided_at)));
    assert_eq!(second.find("m:A:1", "elsewhere"), None);
    assert_eq!(second.find("m:A:2", "here"), None);
    assert_eq!(codes(&mut running), ["m:A:1", "m:B:1"], "what runs already sees it too");
    assert_eq!(second.forget(Some("m:A")), 1, "by module and class");
    assert_eq!(codes(&mut store(folder.path())), ["m:B:1"]);
    assert_eq!(codes(&mut running), ["m:B:1"]);
    assert_eq!(second.forget(Some("m:C")), 0);
    assert_eq!(second.forget(None), 1);
    assert!(store(folder.path()).all().is_empty());
    assert_eq!([first, second, running].map(|mut store| store.take_trouble()), [None, None, None]);
}

#[test]
fn what_runs_hears_once_of_what_others_have_forgotten() {
    // spec: IOP-39
    let folder = tempfile::tempdir().unwrap();
    let (mut running, mut other) = (store(folder.path()), store(folder.path()));
    let named = |name: &str| Some(name.to_owned());
    assert!(running.news().is_empty());
    running.keep(decision("m:A:1", now()));
    assert!(running.news().is_empty());
    other.forget(Some("m:A"));
    other.forget(Some("m:B"));
    assert_eq!(running.news(), [named("m:A"), named("m:B")], "also of what was in no file");
    assert!(running.news().is_empty());
    other.forget(None);
    running.keep(decision("m:A:1", now()));
    assert_eq!(running.news(), [None], "whatever it wrote itself meanwhile");
    other.withdraw("m:A:1");
    assert!(other.all().is_empty() && running.news().is_empty(), "an error is nobody's wish");
    for number in 0..MOST_FORGOTTEN + 5 {
        other.forget(Some(&format!("m:C{number}")));
    }
    assert_eq!(running.news().len(), MOST_FORGOTTEN);
    fs::write(folder.path().join("cache").join(FILE), "not ours").unwrap();
    assert!(running.news().is_empty());
    fs::remove_file(folder.path().join("cache").join(FILE)).unwrap();
    assert_eq!(running.news(), [None], "who removes the file forgets everything");
    assert!(running.news().is_empty() && Store::new(None).news().is_empty());
}

#[test]
fn only_reasons_that_cannot_change_by_themselves_are_kept() {
    // spec: IOP-39
    let error = |text: &str| text.to_owned();
    let kept = [
        Reason::Import(lacks(ImportReason::CExtension)),
        Reason::Import(lacks(ImportReason::StdlibMissing)),
        Reason::Import(lacks(ImportReason::Blocked)),
        Reason::Import(lacks(ImportReason::Unsupported)),
        Reason::Load { error: error("SyntaxError: invalid syntax") },
    ];
    for reason in kept {
        assert_eq!(Lasting::of(&reason).map(Reason::from), Some(reason));
    }
    let passing = [
        Reason::Import(lacks(ImportReason::NotInstalled)),
        Reason::Load { error: error("FileNotFoundError: table.json") },
        Reason::Value { error: error("x") },
        Reason::Shipment { error: error("x") },
        Reason::Died { error: error("x") },
        Reason::Failures { count: 3, error: error("x") },
    ];
    for reason in passing {
        assert_eq!(Lasting::of(&reason), None, "{reason}");
    }
}

#[test]
fn the_newest_thousand_of_thirty_days_are_kept() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000_000);
    let many: Vec<Decision> =
        (0..2000).map(|n| decision(&format!("m:A:{n}"), n + 9_990_000)).collect();
    let left = pruned(Document { decisions: many, ..Document::default() }, at).decisions;
    assert_eq!(left.len(), MOST);
    assert_eq!(left[0].code, "m:A:1999", "the newest first");
    assert_eq!(left[MOST - 1].code, "m:A:1000");
    let now = seconds(at);
    let old = vec![
        decision("old", now - LIFE.as_secs()),
        decision("young", now - LIFE.as_secs() + 1),
        decision("of the future", now + 3600),
    ];
    let left = pruned(Document { decisions: old, ..Document::default() }, at).decisions;
    let left: Vec<String> = left.into_iter().map(|d| d.code).collect();
    assert_eq!(left, ["young"]);
}

#[test]
fn a_file_that_is_not_ours_is_told_once_and_replaced() {
    // spec: IOP-39
    let long = "x".repeat(5 << 20);
    for text in ["", "{", "[1, 2]", r#"{"decisions": [{"code": 1}]}"#, "\u{0}", &long] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache").join(FILE);
        fs::create_dir(folder.path().join("cache")).unwrap();
        fs::write(&path, text).unwrap();
        let mut store = store(folder.path());
        assert!(store.find("m:A:1", "here").is_none());
        let told = store.take_trouble().unwrap();
        assert!(
            told.contains(path.to_str().unwrap()) && told.contains("remember = false"),
            "{told}"
        );
        assert!(store.all().is_empty());
        store.keep(decision("m:A:1", now()));
        assert_eq!(store.take_trouble(), None, "once is enough");
        assert_eq!(codes(&mut super::tests::store(folder.path())), ["m:A:1"]);

        fs::write(&path, text).unwrap();
        let mut forgetful = super::tests::store(folder.path());
        assert_eq!(forgetful.forget(None), 0);
        assert_eq!(forgetful.take_trouble(), None, "it is gone");
        let fresh: Document = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!((fresh.decisions, fresh.forgotten.len()), (Vec::new(), 1));
    }
}

#[test]
fn a_place_that_cannot_be_written_is_told_once() {
    // spec: IOP-39
    let folder = tempfile::tempdir().unwrap();
    // A file where the folder should be is in nobody's power to write to, not even in root's.
    fs::write(folder.path().join("cache"), "").unwrap();
    let mut blocked = store(folder.path());
    blocked.keep(decision("m:A:1", now()));
    let said = blocked.take_trouble().unwrap();
    assert!(said.contains("cannot be written") && said.contains("cache_folder"), "{said}");
    blocked.keep(decision("m:A:1", now()));
    assert_eq!(blocked.take_trouble(), None);
    assert_eq!(blocked.forget(None), 0);

    let mut off = Store::new(None);
    off.keep(decision("m:A:1", now()));
    assert!(off.all().is_empty() && off.take_trouble().is_none() && !off.is_on());
}

#[test]
fn a_file_that_cannot_be_replaced_leaves_nothing_beside_it() {
    // spec: IOP-39
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    // Nobody can put a file where a folder is.
    fs::create_dir_all(cache.join(FILE).join("inside")).unwrap();
    let mut blocked = store(folder.path());
    blocked.keep(decision("m:A:1", now()));
    assert!(blocked.take_trouble().is_some());
    let mut left: Vec<_> = fs::read_dir(&cache).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [FILE, super::LOCK]);
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    // spec: IOP-39
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let path = folder.path();
            scope.spawn(move || {
                let mut store = store(path);
                for number in 0..25 {
                    store.keep(decision(&format!("m:A{writer}:{number}"), now()));
                }
                assert_eq!(store.take_trouble(), None);
            });
        }
    });
    let mut after = store(folder.path());
    assert_eq!(after.all().len(), 200);
    let mode = fs::metadata(folder.path().join("cache").join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o400, 0o400);
}

#[test]
fn ages_are_told_in_the_largest_unit() {
    let table = [
        (0, "0 seconds ago"),
        (61, "1 minute ago"),
        (7300, "2 hours ago"),
        (200_000, "2 days ago"),
    ];
    for (past, wanted) in table {
        // The clock goes on between the two looks at it, by less than what would change a unit.
        let told = age(now() - past);
        assert!(told == wanted || past == 0 && told.ends_with("ago"), "{told}");
    }
}
