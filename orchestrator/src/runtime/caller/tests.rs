//! What makes workers the same, and what travels with a session.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::{Caller, Settings, shares_path, wanted};
use crate::config::Config;
use crate::options::OpenOptions;
use crate::placement::{CPYTHON_POOL, Engine, RUSTPYTHON_POOL};
use crate::worker::WorkerKey;

const PYTHON: &str = "/usr/bin/python3";

fn options(variables: &[(&str, &str)]) -> OpenOptions {
    let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
    OpenOptions {
        interpreter: Some(PYTHON.into()),
        environment: variables.collect(),
        ..OpenOptions::default()
    }
}

fn settings(config: &str) -> Settings {
    Settings::new(Config::from_toml(config).unwrap())
}

fn key_of(config: &str, interpreted: Engine, options: &OpenOptions) -> WorkerKey {
    let settings = settings(config);
    let caller = Caller::new(&settings, interpreted.pool(), options);
    wanted(&settings, interpreted.pool(), options, &caller, 1).unwrap().key
}

fn key(variables: &[(&str, &str)]) -> WorkerKey {
    key_of("", Engine::CPython, &options(variables))
}

fn environment(config: &str, options: &OpenOptions) -> Vec<u8> {
    Caller::new(&settings(config), CPYTHON_POOL, options).surroundings(true).environment.into_vec()
}

/// spec: CARD-02
#[test]
fn only_what_counts_at_the_start_makes_workers_different() {
    let plain = key(&[]);
    for name in ["PYTEST_CURRENT_TEST", "TZ", "HOME", "PATH", "HF_HOME", "LANGUAGE", "OLD_PWD"] {
        assert_eq!(key(&[(name, "x")]), plain, "{name}");
    }
    let counting = [
        "PYTHONHASHSEED",
        "LD_LIBRARY_PATH",
        "LC_ALL",
        "LANG",
        "GLIBC_TUNABLES",
        "MALLOC_ARENA_MAX",
        "OMP_PROC_BIND",
        "OPENBLAS_NUM_THREADS",
        "RAYON_NUM_THREADS",
        "NUMEXPR_MAX_THREADS",
        "CUDA_VISIBLE_DEVICES",
    ];
    for name in counting {
        assert_ne!(key(&[(name, "2")]), plain, "{name}");
        assert_ne!(key(&[(name, "2")]), key(&[(name, "3")]), "{name}");
        assert_eq!(key(&[("A", "1"), (name, "2")]), key(&[(name, "2"), ("B", "1")]), "{name}");
    }
    let mut elsewhere = options(&[]);
    elsewhere.sys_path = vec!["/srv/app".into()];
    elsewhere.argv = vec!["job.py".into()];
    elsewhere.working_directory = Some("/srv".into());
    elsewhere.umask = Some(0o77);
    assert_eq!(key_of("", Engine::CPython, &elsewhere), plain);
}

#[test]
fn the_configuration_names_further_variables_that_count() {
    let of = |config, variables| key_of(config, Engine::CPython, &options(variables));
    let config = "[python]\nstart_variables = [\"GPU\", \"TF_FLAGS\"]\n";
    assert_ne!(of(config, &[("GPU", "1")]), of(config, &[]));
    assert_ne!(of(config, &[("TF_FLAGS", "1")]), of(config, &[]));
    let cuda = &[("CUDA_VISIBLE_DEVICES", "1")];
    assert_eq!(of(config, cuda), of(config, &[]), "the list replaces the default one");
    assert_eq!(of("", &[("GPU", "1")]), of("", &[]));
    let set = "[python]\nenvironment = { LANG = \"C\" }\n";
    assert_eq!(of(set, &[("LANG", "de_DE")]), of(set, &[]), "the configuration sets it anyway");
}

/// spec: CARD-02
#[test]
fn options_of_the_interpreter_make_workers_different() {
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let mut given = options(&[]);
    given.interpreter_options = words(&["-O", "-Werror", "-Xdev", "-I"]);
    assert_eq!(key_of("", Engine::CPython, &given).options, given.interpreter_options);
    assert_ne!(key_of("", Engine::CPython, &given), key(&[]));
    let other = "[python]\ninterpreter = \"/opt/python3.13\"\n";
    let portable = words(&["-O", "-Werror", "-I"]);
    assert_eq!(key_of(other, Engine::CPython, &given).options, portable);
    let rustpython = "[rustpython]\nexecutable = \"/opt/remotemedia-rustpython\"\n";
    let passed_on = key_of(rustpython, Engine::RustPython, &given).options;
    assert_eq!(passed_on, given.interpreter_options);
}

#[test]
fn the_environment_of_a_session_is_the_callers_with_the_changes_of_the_configuration() {
    let mut callers = options(&[
        ("A", "1"),
        ("", "no name"),
        ("=C:", "no name either"),
        ("A", "second"),
        ("B", "x=y"),
        ("REMOTEMEDIA_ALLOW_MODULES", "of another worker"),
        ("OMP_NUM_THREADS", "8"),
        ("HF_HOME", "/callers"),
    ]);
    let bytes = OsString::from_vec(vec![0xff]);
    callers.environment.push((bytes.clone(), bytes));
    let config = "[python]\nenvironment = { HF_HOME = \"/models\" }\nthreads = 3\n\
                  modules = { settings = \"/etc/settings.py\" }\n";
    let expected = b"A=1\0B=x=y\0OMP_NUM_THREADS=8\0\xff=\xff\0HF_HOME=/models\0\
                     OPENBLAS_NUM_THREADS=3\0MKL_NUM_THREADS=3\0";
    assert_eq!(environment(config, &callers), expected);
}

#[test]
fn sessions_of_one_path_and_folder_have_one_place() {
    let settings = settings("");
    let place = |path: &[&str], folder: &str| {
        let mut options = options(&[]);
        options.sys_path = path.iter().map(OsString::from).collect();
        options.working_directory = Some(folder.into());
        Caller::new(&settings, CPYTHON_POOL, &options).place()
    };
    assert_eq!(place(&["/a", "/b"], "/"), place(&["/a", "/b"], "/"));
    assert_ne!(place(&["/a", "/b"], "/"), place(&["/b", "/a"], "/"));
    assert_ne!(place(&["/a"], "/"), place(&["/a"], "/srv"));
}

#[test]
fn only_the_interpreter_of_the_caller_takes_the_path_as_it_is() {
    let mut callers = options(&[]);
    let shares =
        |config, options: &OpenOptions| shares_path(settings(config).pool(CPYTHON_POOL), options);
    assert!(!shares("", &callers), "the command line has a folder and no interpreter");
    callers.is_sys_path_complete = true;
    assert!(shares("", &callers));
    assert!(!shares("[python]\ninterpreter = \"/opt/python3.13\"\n", &callers));
    assert!(!shares_path(settings("").pool(RUSTPYTHON_POOL), &callers));
}

/// spec: CARD-09
#[test]
fn a_pool_with_a_name_has_workers_and_surroundings_of_its_own() {
    let config = "[python.environment]\nA = \"all\"\n\
                  [pools.gpu]\ninterpreter = \"/opt/py\"\nenvironment = { A = \"gpu\" }\nthreads = 3\n\
                  sys_path = [\"/models\"]\nworking_directory = \"/usr\"\nnice = 5\ncpu_affinity = \"0-1\"\n";
    let settings = settings(config);
    let mut callers = options(&[("B", "1")]);
    callers.sys_path = vec!["/app".into()];
    let caller = Caller::new(&settings, 2, &callers);
    let workers = wanted(&settings, 2, &callers, &caller, 1).unwrap();
    assert_eq!((workers.key.pool, workers.key.interpreter), (2, "/opt/py".into()));
    assert_eq!(workers.key.setting, "[pools.gpu] interpreter");
    assert_eq!((workers.start.nice, workers.start.processors.as_slice()), (5, [0, 1].as_slice()));
    assert_eq!(workers.start.working_directory.as_deref(), Some("/usr".as_ref()));
    let surroundings = caller.surroundings(false);
    let path: Vec<Vec<u8>> =
        surroundings.sys_path.into_iter().map(|entry| entry.into_vec()).collect();
    assert_eq!(path, [b"/models".to_vec(), b"/app".to_vec()]);
    let variables = String::from_utf8(surroundings.environment.into_vec()).unwrap();
    assert!(
        variables.contains("A=gpu\0") && variables.contains("OMP_NUM_THREADS=3\0"),
        "{variables}"
    );
    let plain = wanted(&settings, 0, &callers, &Caller::new(&settings, 0, &callers), 1).unwrap();
    assert_eq!((plain.key.pool, plain.start.nice), (0, 0));
}
