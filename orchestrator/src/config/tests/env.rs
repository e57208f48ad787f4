//! Where interpreters, folders and the umask are found.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::config::env::{
    RustPythonPlaces, at_home_in, find_python_in, find_rustpython_in, umask_in,
};

#[test]
fn python_is_found_in_the_virtual_environment_first_and_links_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let bin = folder.path().join(name).join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        bin
    };
    let (environment, path) = (make("venv"), make("usr"));
    let real = path.join("python3");
    std::fs::write(&real, "").unwrap();
    let search =
        |venv: Option<&Path>| find_python_in(venv.map(Path::as_os_str), Some(path.as_os_str()));
    assert_eq!(search(None), None, "a file that cannot be executed is no interpreter");
    std::fs::set_permissions(&real, PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(search(None), Some(real.clone()));
    let venv = environment.parent().unwrap();
    assert_eq!(search(Some(venv)), Some(real.clone()), "no python3 in it yet");
    symlink(&real, environment.join("python3")).unwrap();
    assert_eq!(search(Some(venv)), Some(environment.join("python3")));
}

#[test]
fn a_tilde_is_the_home_folder() {
    let path = |text, home: &str| at_home_in(text, Some(home.as_ref()));
    assert_eq!(path("~/bin/python", "/users/ann"), Path::new("/users/ann/bin/python"));
    for text in ["bin/~/python", "/~/python", "~ann/python", "python"] {
        assert_eq!(path(text, "/users/ann"), Path::new(text), "{text}");
    }
    assert_eq!(path("~/python", "relative"), Path::new("~/python"));
    assert_eq!(at_home_in("~/python", None), Path::new("~/python"));
}

#[test]
fn rustpython_is_found_in_the_documented_order_or_every_place_is_named() {
    // spec: CARD-07
    let folder = tempfile::tempdir().unwrap();
    let program = |name: &str| {
        let bin = folder.path().join(name).join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let path = bin.join("remotemedia-rustpython");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    };
    let paths = ["named", "caller", "own", "venv", "path"].map(program);
    let [named, caller, own, venv, path] = &paths;
    let beside = |program: &Path| program.with_file_name("python3");
    let (callers, owns) = (beside(caller), beside(own));
    let places = || RustPythonPlaces {
        named: Some(named.clone()),
        beside: [Some(&callers), Some(&owns)],
        virtual_env: Some(venv.parent().unwrap().parent().unwrap().into()),
        path: Some(path.parent().unwrap().into()),
    };
    assert_eq!(find_rustpython_in(&places()), Ok(named.clone()));
    let unnamed = || RustPythonPlaces { named: None, ..places() };
    for found in [caller, own, venv, path] {
        assert_eq!(find_rustpython_in(&unnamed()), Ok(found.clone()));
        std::fs::remove_file(found).unwrap();
    }
    let tried = [caller, own, venv, path].map(Clone::clone).to_vec();
    assert_eq!(find_rustpython_in(&unnamed()), Err(tried));
    std::fs::remove_file(named).unwrap();
    assert_eq!(
        find_rustpython_in(&places()),
        Err(vec![named.clone()]),
        "no other is taken instead"
    );
}

#[test]
fn the_umask_is_the_one_of_the_process() {
    assert_eq!(umask_in("Name:\tcat\nUmask:\t0027\nState:\tR\n"), Some(0o27));
    assert_eq!(umask_in("Name:\tcat\n"), None, "kernels before 4.7 do not tell");
}
