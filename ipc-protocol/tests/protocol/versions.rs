//! Negotiation between builds of different age.

use ipc_protocol::VersionError;
use ipc_protocol::version::{self, PROTOCOL_VERSION};

use super::samples;

fn hello() -> ipc_protocol::Hello {
    ipc_protocol::Hello { protocol: PROTOCOL_VERSION, ..samples::hello() }
}

#[test]
fn equal_versions_agree() {
    let welcome = version::negotiate(&hello()).unwrap();
    assert_eq!(welcome.protocol, PROTOCOL_VERSION);
    version::accept(&welcome).unwrap();
}

#[test]
fn every_version_since_the_oldest_is_spoken() {
    for protocol in version::OLDEST_PROTOCOL_VERSION..=PROTOCOL_VERSION {
        let hello = ipc_protocol::Hello { protocol, ..samples::hello() };
        assert_eq!(version::negotiate(&hello).unwrap().protocol, protocol);
    }
}

#[test]
fn a_newer_worker_is_told_to_update_the_caller() {
    let mut hello = hello();
    (hello.protocol, hello.package_version) = (PROTOCOL_VERSION + 1, "9.9.9".into());
    let error = version::negotiate(&hello).unwrap_err();
    let VersionError::WorkerTooNew { worker, newest, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*worker, *newest), (PROTOCOL_VERSION + 1, PROTOCOL_VERSION));
    let text = error.to_string();
    assert!(text.contains("update remotemedia to 9.9.9 in the caller's environment"), "{text}");
}

#[test]
fn an_older_worker_is_told_to_update_itself() {
    let mut hello = hello();
    (hello.protocol, hello.package_version) = (0, "0.4.0".into());
    let error = version::negotiate(&hello).unwrap_err();
    assert!(matches!(error, VersionError::WorkerTooOld { worker: 0, .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("remotemedia 0.4.0) speaks protocol 0"), "{text}");
    assert!(text.contains("in the worker's environment"), "{text}");
}

#[test]
fn a_worker_refuses_a_version_that_it_did_not_offer() {
    let mut welcome = version::negotiate(&hello()).unwrap();
    welcome.protocol += 1;
    let refused = version::accept(&welcome).unwrap_err();
    assert_eq!(
        refused,
        VersionError::NotOffered { chosen: PROTOCOL_VERSION + 1, own: PROTOCOL_VERSION }
    );
}
