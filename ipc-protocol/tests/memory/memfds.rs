//! What memfds alone do: seals that the kernel keeps, against every trick of a peer.

use std::os::fd::{AsFd, OwnedFd};

use ipc_protocol::memory::{Access, Segment, SegmentKind, Ticket};
use rustix::fs::{MemfdFlags, SealFlags};

use super::support::{PAGE, peek, put};

fn descriptor(segment: &Segment) -> OwnedFd {
    match segment.ticket() {
        Ok(Ticket::Descriptor(descriptor)) => descriptor,
        other => panic!("no descriptor: {other:?}"),
    }
}

fn open(fd: impl Into<OwnedFd>, bytes: usize, access: Access) -> Result<(), String> {
    let opened = Segment::open(Ticket::Descriptor(fd.into()), bytes, access);
    opened.map(|_| ()).map_err(|error| error.to_string())
}

fn memfd(bytes: usize, seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create("peer", flags).unwrap();
    rustix::fs::ftruncate(&fd, bytes as u64).unwrap();
    rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
    fd
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn nobody_changes_the_length() {
    let made = Segment::create(SegmentKind::Memfd, 4 * PAGE).unwrap();
    let opened = Segment::open(made.ticket().unwrap(), 4 * PAGE, Access::Shared).unwrap();
    for side in [&made, &opened] {
        let fd = descriptor(side);
        for length in [0, PAGE, 5 * PAGE] {
            let cut = rustix::fs::ftruncate(&fd, length as u64);
            assert_eq!(cut, Err(rustix::io::Errno::PERM), "{length}");
        }
    }
    assert_eq!(peek(made.address() + 3 * PAGE, 1), [0]);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn descriptors_that_could_harm_are_refused() {
    let refusals = [
        ("unsealed", memfd(PAGE, SealFlags::empty()), "shrinking"),
        ("only against growing", memfd(PAGE, SealFlags::GROW), "shrinking"),
        ("too short", memfd(PAGE, SealFlags::SHRINK), "not as long"),
        ("too long", memfd(3 * PAGE, SealFlags::SHRINK), "not as long"),
        ("empty", memfd(0, SealFlags::SHRINK), "not as long"),
        ("a pipe", std::io::pipe().unwrap().0.into(), "no shared memory"),
        ("a plain file", std::fs::File::open("Cargo.toml").unwrap().into(), ""),
        ("a folder", std::fs::File::open(".").unwrap().into(), ""),
        ("a socket", std::os::unix::net::UnixStream::pair().unwrap().0.into(), "no shared memory"),
    ];
    for (what, fd, reason) in refusals {
        for access in [Access::Shared, Access::Private] {
            let fd = fd.as_fd().try_clone_to_owned().unwrap();
            let refusal = open(fd, 2 * PAGE, access).expect_err(what);
            assert!(refusal.contains(reason), "{what}: {refusal}");
        }
    }
    assert_eq!(open(memfd(2 * PAGE, SealFlags::SHRINK), 2 * PAGE, Access::Shared), Ok(()));
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn a_descriptor_for_reading_alone_is_no_shared_segment() {
    let made = Segment::create(SegmentKind::Memfd, PAGE).unwrap();
    let fd = descriptor(&made);
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
    let read_only = || std::fs::File::open(&path).unwrap();
    assert!(open(read_only(), PAGE, Access::Shared).is_err());
    assert_eq!(open(read_only(), PAGE, Access::Private), Ok(()));
}

/// Whoever sealed it without the seal that matters is not believed.
#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn a_seal_that_cannot_be_put_on_is_an_error() {
    let fd = memfd(PAGE, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL);
    let opened = Segment::open(Ticket::Descriptor(fd), PAGE, Access::Shared).unwrap();
    assert!(opened.seal().is_err());
    let sealed = memfd(PAGE, SealFlags::SHRINK);
    let opened = Segment::open(
        Ticket::Descriptor(sealed.as_fd().try_clone_to_owned().unwrap()),
        PAGE,
        Access::Shared,
    )
    .unwrap();
    rustix::fs::fcntl_add_seals(&sealed, SealFlags::FUTURE_WRITE | SealFlags::SEAL).unwrap();
    opened.seal().unwrap();
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn writes_to_a_private_mapping_are_seen_by_nobody_else() {
    let made = Segment::create(SegmentKind::Memfd, 2 * PAGE).unwrap();
    let paired = Segment::open(made.ticket().unwrap(), 2 * PAGE, Access::Shared).unwrap();
    made.seal().unwrap();
    // A ticket that is given out after the sealing serves readers.
    let [first, second] =
        [(); 2].map(|()| Segment::open(made.ticket().unwrap(), 2 * PAGE, Access::Private).unwrap());
    put(made.address(), b"original");
    put(first.address(), b"changed!");
    assert_eq!(peek(first.address(), 8), b"changed!");
    for other in [&made, &paired, &second] {
        assert_eq!(peek(other.address(), 8), b"original");
    }
    put(made.address() + PAGE, b"later");
    assert_eq!(peek(first.address() + PAGE, 5), b"later", "pages that it left alone follow");
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no shared memory")]
fn descriptors_close_with_their_segment_and_on_exec() {
    let made = Segment::create(SegmentKind::Memfd, PAGE).unwrap();
    let fd = descriptor(&made);
    let flags = rustix::io::fcntl_getfd(&fd).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    let inode = rustix::fs::fstat(&fd).unwrap().st_ino;
    let opened = Segment::open(Ticket::Descriptor(fd), PAGE, Access::Private).unwrap();
    let is_refused = Segment::open(made.ticket().unwrap(), 2 * PAGE, Access::Shared).is_err();
    assert!(is_refused, "and its descriptor is closed");
    let users = || {
        let entries = std::fs::read_dir("/proc/self/fd").unwrap();
        let open = entries.filter_map(|entry| std::fs::metadata(entry.unwrap().path()).ok());
        open.filter(|file| std::os::unix::fs::MetadataExt::ino(file) == inode).count()
    };
    let mapped =
        || std::fs::read_to_string("/proc/self/maps").unwrap().contains(&format!(" {inode} "));
    assert_eq!(users(), 2);
    drop(opened);
    assert_eq!(users(), 1);
    assert!(mapped());
    drop(made);
    assert_eq!(users(), 0);
    assert!(!mapped());
}
