//! The store conformance suite: the same tests over memory, SQLite in memory and in a file, and
//! PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use durable::cron::Schedule;
use durable::failure::{Failure, FailureKind};
use durable::record::{AttemptRow, Change, Outcome, RunId, RunRow, RunStatus, StepRow, StepStatus};
use durable::store::{self, Access, Filter, MemoryStore, SqliteStore, Store, StoreError};
use durable::url::{Sync, Url};
use durable::value::{Kept, digest};

fn kept(text: &str) -> Kept {
    Kept { body: Bytes::from(text.to_owned()), ..Kept::default() }
}

/// A large content; each number makes another one.
fn content(number: u8) -> Bytes {
    Bytes::from(vec![number; 100_000])
}

fn run(id: &str, created_ms: i64) -> RunRow {
    RunRow {
        id: id.into(),
        workflow: "w".to_owned(),
        version: "1".to_owned(),
        hash: "h".to_owned(),
        status: RunStatus::Running,
        input: kept("input"),
        failure: None,
        parent: None,
        created_ms,
        ended_ms: None,
    }
}

fn new(row: &RunRow) -> Change {
    Change::NewRun(Box::new(row.clone()))
}

fn ended(id: &str, ended_ms: i64) -> Change {
    let (status, failure) = (RunStatus::Completed, None);
    Change::Run { id: id.into(), status, failure, ended_ms: Some(ended_ms) }
}

fn failure() -> Failure {
    let failure = Failure::new(FailureKind::Raised, "it's \"wrong\"; DROP TABLE run".to_owned());
    Failure { type_name: "ValueError".to_owned(), task: "a".to_owned(), ..failure }
}

fn step(name: &str) -> StepRow {
    StepRow {
        status: StepStatus::Ended(Outcome::Completed),
        attempts: 2,
        raised: 1,
        crashes: 3,
        output: Some(Kept {
            body: Bytes::from_static(&[0, 255]),
            apart: vec![digest(&content(3)), "d2".into()],
            pins: Vec::new(),
        }),
        failure: Some(failure()),
        due_ms: Some(7),
        event: Some("go".to_owned()),
        started_ms: Some(8),
        ended_ms: Some(9),
        ..StepRow::new(name.to_owned())
    }
}

fn graph() -> Change {
    let (name, version) = ("w".to_owned(), "1".to_owned());
    Change::Workflow { name, version, hash: "h".to_owned(), graph: "{}".to_owned() }
}

/// Everything that a store promises.
fn conforms(store: &mut dyn Store) {
    what_is_written_is_found(store);
    rows_are_replaced_and_forgotten(store);
    runs_are_listed(store);
    schedules_are_kept(store);
    old_runs_are_pruned(store);
    what_no_row_refers_to_yet_is_not_pruned(store);
    refused_runs_are_removed(store);
}

fn what_is_written_is_found(store: &mut dyn Store) {
    let row = RunRow { parent: Some("p".into()), ..run("it's", 10) };
    let attempt = AttemptRow {
        step: "a".to_owned(),
        number: 1,
        pid: Some(4_000_000_000),
        signal: Some("SIGSEGV".to_owned()),
        result: "crashed".to_owned(),
        error: Some("gone".to_owned()),
        tail: Some("last line".to_owned()),
        started_ms: 11,
        ended_ms: 12,
    };
    let id: RunId = Arc::clone(&row.id);
    let changes = [
        graph(),
        new(&row),
        Change::Step(Arc::clone(&id), Box::new(step("a"))),
        Change::Step(Arc::clone(&id), Box::new(StepRow::new("b[1]".to_owned()))),
        Change::Attempt(Arc::clone(&id), Box::new(attempt.clone())),
        Change::Event { run: Arc::clone(&id), name: "go".to_owned(), payload: kept("first") },
    ];
    assert_eq!(store.write(&changes).unwrap(), Vec::<RunId>::new());
    let again = [
        new(&run("it's", 99)),
        new(&run("second", 20)),
        Change::Event { run: Arc::clone(&id), name: "go".to_owned(), payload: kept("late") },
    ];
    assert_eq!(store.write(&again).unwrap(), Vec::<RunId>::new(), "it has not ended");
    let found = store.find("it's").unwrap().unwrap();
    assert_eq!((found.run, found.graph.as_str()), (row, "{}"));
    assert_eq!(found.steps, [step("a"), StepRow::new("b[1]".to_owned())]);
    assert_eq!(found.events, [("go".to_owned(), kept("first"))]);
    assert_eq!(store.attempts("it's").unwrap(), [attempt]);
    assert!(store.find("nothing").unwrap().is_none());
    let unfinished = store.unfinished().unwrap();
    let ids: Vec<&str> = unfinished.iter().map(|found| &*found.run.id).collect();
    assert_eq!(ids, ["it's", "second"]);
    assert_eq!(unfinished[0].steps.len(), 2);
}

fn rows_are_replaced_and_forgotten(store: &mut dyn Store) {
    let id: RunId = "second".into();
    let changes = [
        Change::Step(Arc::clone(&id), Box::new(step("a"))),
        Change::Step(Arc::clone(&id), Box::new(StepRow::new("a".to_owned()))),
        Change::Step(Arc::clone(&id), Box::new(step("b"))),
        Change::ForgetStep(Arc::clone(&id), "b".to_owned()),
        Change::Run {
            id: Arc::clone(&id),
            status: RunStatus::Failed,
            failure: Some(failure()),
            ended_ms: Some(50),
        },
    ];
    store.write(&changes).unwrap();
    let found = store.find("second").unwrap().unwrap();
    assert_eq!(found.steps, [StepRow::new("a".to_owned())]);
    assert_eq!((found.run.status, found.run.failure), (RunStatus::Failed, Some(failure())));
    assert_eq!(store.unfinished().unwrap().len(), 1);
    let again = [new(&run("second", 99)), new(&run("it's", 99))];
    assert_eq!(store.write(&again).unwrap(), ["second".into()], "it has ended");
    assert_eq!(store.find("second").unwrap().unwrap().run.created_ms, 20);
    store.write(&[Change::Restart { id, hash: "h2".to_owned() }]).unwrap();
    let found = store.find("second").unwrap().unwrap();
    assert_eq!((found.run.hash.as_str(), found.steps.len()), ("h2", 0));
}

fn runs_are_listed(store: &mut dyn Store) {
    let other = RunRow { workflow: "other".to_owned(), ..run("third", 30) };
    store.write(&[new(&other), new(&run("fourth", 30))]).unwrap();
    let mut list = |filter: Filter| -> Vec<String> {
        store.list(&filter).unwrap().iter().map(|row| row.id.to_string()).collect()
    };
    assert_eq!(list(Filter::default()), ["fourth", "third", "second", "it's"]);
    assert_eq!(list(Filter { limit: Some(2), ..Filter::default() }), ["fourth", "third"]);
    let workflow = Some("other".to_owned());
    assert_eq!(list(Filter { workflow, ..Filter::default() }), ["third"]);
    let status = Some(RunStatus::Failed);
    assert_eq!(list(Filter { status, ..Filter::default() }), ["second"]);
}

fn schedules_are_kept(store: &mut dyn Store) {
    let schedule = Schedule {
        name: "nightly".to_owned(),
        hash: "h".to_owned(),
        spec: "0 0 * * *".to_owned(),
        zone: "Europe/Berlin".to_owned(),
        input: kept("i"),
        catch_up: true,
        next_ms: 5,
    };
    let later = Schedule { next_ms: 6, ..schedule.clone() };
    let other = Schedule { name: "other".to_owned(), ..schedule.clone() };
    let changes = [schedule, later.clone(), other].map(|s| Change::Schedule(Box::new(s)));
    store.write(&changes).unwrap();
    store.write(&[Change::ForgetSchedule("other".to_owned())]).unwrap();
    assert_eq!(store.schedules().unwrap(), [later]);
}

fn old_runs_are_pruned(store: &mut dyn Store) {
    let blobs = store.blobs();
    for content in [content(3), content(4)] {
        let digest = digest(&content);
        blobs.put(&digest, &content).unwrap();
        blobs.put(&digest, &content).unwrap();
        assert_eq!(blobs.get(&digest).unwrap(), content);
    }
    let (used, gone) = (digest(&content(3)), digest(&content(4)));
    let id: RunId = "fourth".into();
    let mut row = step("a");
    row.output = Some(Kept { apart: vec![gone.clone()], ..Kept::default() });
    let changes = [Change::Step(Arc::clone(&id), Box::new(row)), ended("fourth", 60)];
    store.write(&changes).unwrap();
    assert_eq!(store.prune(60).unwrap(), 1, "the second, which ended at 50");
    assert!(blobs.get(&gone).is_ok());
    assert_eq!(store.prune(61).unwrap(), 1);
    assert!(store.find("fourth").unwrap().is_none());
    assert!(blobs.get(&gone).unwrap_err().to_string().contains(&gone));
    assert_eq!(blobs.get(&used).unwrap(), content(3), "it is still used");
    assert_eq!(store.list(&Filter::default()).unwrap().len(), 2, "runs that have not ended stay");
}

fn what_no_row_refers_to_yet_is_not_pruned(store: &mut dyn Store) {
    let blobs = store.blobs();
    let value = ipc_protocol::Value::from("x".repeat(100_000).as_str());
    let given = Kept::new(value.clone(), "result", &*blobs).unwrap();
    store.prune(0).unwrap();
    assert_eq!(given.open(&*blobs).unwrap(), value, "the write of its row is to come");
    let gone = given.apart[0].clone();
    drop(given);
    store.prune(0).unwrap();
    assert!(blobs.get(&gone).is_err());
}

fn refused_runs_are_removed(store: &mut dyn Store) {
    let forget = |created_ms| Change::ForgetRun { id: "refused".into(), created_ms };
    let written = step("a");
    store
        .write(&[new(&run("refused", 70)), Change::Step("refused".into(), written.into())])
        .unwrap();
    store.write(&[forget(71)]).unwrap();
    assert!(store.find("refused").unwrap().is_some(), "another one of this name");
    let again =
        [forget(70), new(&run("refused", 72)), Change::Step("refused".into(), step("b").into())];
    assert!(store.write(&again).unwrap().is_empty());
    let found = store.find("refused").unwrap().unwrap();
    assert_eq!((found.run.created_ms, found.steps), (72, vec![step("b")]));
    store.write(&[ended("refused", 80), forget(72)]).unwrap();
    assert!(store.find("refused").unwrap().is_some(), "it has ended, so it was no refused one");
    let restarted = Change::Restart { id: "refused".into(), hash: "h".to_owned() };
    store.write(&[restarted, Change::Step("refused".into(), step("c").into())]).unwrap();
    assert_eq!(store.find("refused").unwrap().unwrap().steps, [step("c")]);
    store.prune(81).unwrap();
}

#[test]
fn memory_conforms() {
    // spec: CLO-05
    conforms(&mut MemoryStore::default());
}

#[test]
fn sqlite_in_memory_conforms() {
    // spec: CLO-05
    conforms(&mut SqliteStore::in_memory().unwrap());
}

#[test]
fn sqlite_in_a_file_conforms_and_keeps() {
    // spec: CLO-05
    // spec: CLO-06
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    for sync in [Sync::Full, Sync::Normal] {
        let path = path.with_extension(format!("{sync:?}"));
        conforms(&mut SqliteStore::open(&path, sync).unwrap());
        let mut again = SqliteStore::open(&path, sync).unwrap();
        assert_eq!(again.unfinished().unwrap().len(), 2);
        let error = SqliteStore::open(&path, sync).unwrap_err();
        let own = std::process::id();
        assert!(matches!(error, StoreError::InUse { pid: Some(pid), .. } if pid == own), "{error}");
        assert_eq!(SqliteStore::look(&path).unwrap().unfinished().unwrap().len(), 2);
        assert!(again.write(&[]).is_ok());
        assert!(SqliteStore::look(&path).unwrap().write(&[graph()]).is_err());
    }
}

#[test]
fn the_log_of_sqlite_is_bounded_and_gone_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let mut store = SqliteStore::open(&path, Sync::Normal).unwrap();
    for number in 0..20_000 {
        store.write(&[new(&run(&format!("run-{number}"), number))]).unwrap();
    }
    let log = path.with_extension("db-wal");
    // A commit without a checkpoint writes about four pages: 320 MB here.
    let bytes = std::fs::metadata(&log).unwrap().len();
    assert!(bytes < 200_000_000, "{bytes}");
    drop(store);
    assert!(!log.exists());
    assert_eq!(SqliteStore::look(&path).unwrap().unfinished().unwrap().len(), 20_000);
}

#[test]
fn files_that_cannot_be_used_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| SqliteStore::open(&folder.path().join(name), Sync::Normal);
    let missing = open("missing/x.db").unwrap_err().to_string();
    assert!(missing.contains("x.db") && missing.contains("No such file"), "{missing}");
    std::fs::write(folder.path().join("text.db"), "no database, but a long text".repeat(100))
        .unwrap();
    let text = open("text.db").unwrap_err().to_string();
    assert!(text.contains("text.db") && text.contains("not a database"), "{text}");
    let look = SqliteStore::look(&folder.path().join("none.db")).unwrap_err();
    assert!(matches!(look, StoreError::Missing(_)));
}

/// A server for this test, stopped when it is dropped.
struct Server<'a>(&'a Path);

impl Server<'_> {
    fn script(&self, word: &str) -> std::process::Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/postgres.sh");
        Command::new(script).arg(word).arg(self.0).output().unwrap()
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _stopped = self.script("stop");
    }
}

#[test]
fn postgres_conforms_and_survives_its_server() {
    // spec: CLO-05
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    // The server may run as another user.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let place = folder.path().join("server");
    let server = Server(&place);
    let started = server.script("start");
    if started.status.code() == Some(3) && std::env::var_os("CI").is_none() {
        // The Python tests of workflows say so where it is not installed.
        std::mem::forget(server);
        return;
    }
    let address = String::from_utf8(started.stdout).unwrap();
    let url = Url::parse(&format!("{}?schema=one&sync=normal", address.trim())).unwrap();
    let mut store = store::open(&url, Access::Engine).unwrap();
    conforms(&mut *store);
    let second = store::open(&url, Access::Engine).unwrap_err();
    assert!(matches!(second, StoreError::InUse { .. }), "{second}");
    assert_eq!(store::open(&url, Access::Look).unwrap().unfinished().unwrap().len(), 2);
    let other = Url::parse(&format!("{}?schema=two", address.trim())).unwrap();
    let look = store::open(&other, Access::Look).unwrap_err().to_string();
    assert!(look.ends_with("it holds no workflows"), "{look}");
    assert_eq!(store::open(&other, Access::Engine).unwrap().unfinished().unwrap().len(), 0);
    // The server dies, and comes back on the same port.
    server.script("kill");
    store.write(&[graph()]).unwrap();
    assert_eq!(store.unfinished().unwrap().len(), 2);
    assert_eq!(store.blobs().get(&digest(&content(3))).unwrap().len(), 100_000);
}

#[test]
fn an_unreachable_server_is_named_without_the_password() {
    // spec: CLO-22
    let url = Url::parse("postgresql://user:secret@127.0.0.1:1/d").unwrap();
    let error = store::open(&url, Access::Engine).unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1") && !error.contains("secret"), "{error}");
}
