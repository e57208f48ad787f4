//! Two real processes: this test binary starts itself, and speaks to it over a socket that is the
//! other's standard input, as a worker's is.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipc_protocol::codec;
use ipc_protocol::exchange::{Announcement, Exchange};
use ipc_protocol::frame::{DescriptorQueue, FrameReader, FrameWriter, ReadOutcome, Socket};
use ipc_protocol::memory::{
    Access, Arena, ArenaOptions, Segment, SegmentKind, Ticket, forked_child, remove_stale_names,
};
use ipc_protocol::patience::Report;
use ipc_protocol::share::Share;
use ipc_protocol::to_worker::Credit;
use ipc_protocol::{Limits, ToWorker, Value};

use super::support::*;

/// Tells this test binary what to do instead of testing.
const ROLE: &str = "SHM_TEST_ROLE";

/// One end of the socket between the two.
struct Link {
    stream: UnixStream,
    reader: FrameReader,
    descriptors: DescriptorQueue,
    writer: FrameWriter,
    exchange: Exchange,
}

impl Link {
    fn new(stream: UnixStream, kind: SegmentKind, is_orchestrator: bool) -> Self {
        Self {
            stream,
            reader: FrameReader::new(Limits::default()),
            descriptors: DescriptorQueue::new(),
            writer: FrameWriter::default(),
            exchange: Exchange::new(terms(kind), is_orchestrator),
        }
    }

    fn write(&mut self, message: ToWorker, descriptor: Option<OwnedFd>) {
        let frame = codec::encode(message).unwrap();
        self.writer.push(match descriptor {
            Some(descriptor) => frame.with_descriptor(descriptor),
            None => frame,
        });
        assert!(self.writer.write_to_socket(&mut Socket(self.stream.as_fd())).unwrap());
    }

    fn tell(&mut self, news: Vec<Announcement>) {
        for Announcement { share, descriptor } in news {
            self.write(ToWorker::Share(share), descriptor);
        }
    }

    fn send(&mut self, value: Value) {
        let mut message = item(value);
        let mut placement = self.exchange.place(&mut message, None, &Limits::default()).unwrap();
        self.tell(std::mem::take(&mut placement.announcements));
        let news = self.exchange.pending_news();
        self.tell(news);
        self.write(message, None);
    }

    /// The next value; `None` when the other side is gone.
    fn receive(&mut self) -> Option<Value> {
        loop {
            let mut socket = Socket(self.stream.as_fd()).reader(&mut self.descriptors);
            let frame = match self.reader.read_from(&mut socket) {
                Ok(ReadOutcome::Frame(frame)) => frame,
                Ok(ReadOutcome::Closed) => return None,
                other => panic!("{other:?}"),
            };
            match self.exchange.decode(frame, &Limits::default()).unwrap().0 {
                ToWorker::Share(share) => {
                    let has_descriptor =
                        matches!(&share, Share::Attach(attach) if attach.name.is_none());
                    let descriptor = has_descriptor.then(|| self.descriptors.pop_front()).flatten();
                    if let Some(answer) = self.exchange.handle(share, descriptor).unwrap() {
                        self.write(ToWorker::Share(answer), None);
                    }
                }
                ToWorker::Credit(_) => {
                    let news = self.exchange.pending_news();
                    self.tell(news);
                    self.write(item(Value::None), None);
                }
                message => return Some(value_of(message)),
            }
        }
    }

    /// Has the other side give back what it no longer holds.
    fn settle(&mut self) {
        self.write(ToWorker::Credit(Credit { stage: 0, outputs: 1, took: Report::ABSENT }), None);
        assert_eq!(self.receive(), Some(Value::None));
    }
}

/// The other process, killed and reaped in the end.
struct Peer {
    child: Child,
    link: Link,
}

impl Peer {
    fn start(role: &str, kind: SegmentKind) -> Self {
        let (own, other) = UnixStream::pair().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["peers::the_other_process", "--exact", "--nocapture"])
            .env(ROLE, format!("{role}:{kind:?}"))
            .stdin(OwnedFd::from(other))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, link: Link::new(own, kind, true) }
    }

    fn kill(mut self) -> Link {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let Self { link, .. } = self;
        link
    }

    fn finish(mut self) {
        drop(self.link);
        assert!(self.child.wait().unwrap().success());
    }
}

/// What the other process does; a test that tests nothing in this one.
#[test]
#[cfg_attr(miri, ignore = "Miri has no processes")]
fn the_other_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (role, kind) = role.split_once(':').unwrap();
    let kind = *kinds().iter().find(|known| format!("{known:?}") == kind).unwrap();
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let mut link = Link::new(stdin.into(), kind, false);
    match role {
        "worker" => work(&mut link),
        "names" => leave_names(&mut link),
        "child" => be_a_child(),
        "full" => fill_up(),
        "descriptors" => count_descriptors(),
        other => panic!("no role: {other}"),
    }
}

/// Adds one to every byte: in place where it may, else in a result of its own. Keeps the first of
/// the bytes that are marked.
fn work(link: &mut Link) {
    let mut kept = Vec::new();
    while let Some(value) = link.receive() {
        let bytes = bytes_of(&value);
        let answer = match shared_of(value) {
            Some(shared) if bytes[0] == 0 => {
                (0..shared.len()).for_each(|index| poke(&shared, index, bytes[index] + 1));
                lent(shared)
            }
            Some(shared) => {
                kept.push(shared);
                let bytes: Vec<_> = bytes.iter().map(|byte| byte.wrapping_add(1)).collect();
                lent(result_in(&link.exchange, &bytes))
            }
            None => Value::None,
        };
        link.send(answer);
    }
}

/// spec: CARD-05, CARD-11: arrays cross between two processes in memory that both have mapped, for
/// memfds and for the named segments of the shared_memory crate.
#[test]
#[cfg_attr(miri, ignore = "Miri has no processes")]
fn two_processes_share_blocks() {
    for kind in [SegmentKind::Memfd, SegmentKind::Named] {
        let mut peer = Peer::start("worker", kind);
        for length in [100, 5000, 100_000] {
            // Written in place and returned: the same block, and the writes of the other process.
            let input = result_in(&peer.link.exchange, &vec![0; length]);
            let address = input.address();
            peer.link.send(lent(input));
            let back = shared_of(peer.link.receive().unwrap()).unwrap();
            assert_eq!(back.address(), address, "{kind:?}: {length}");
            assert_eq!(back.as_slice(), vec![1; length]);
            drop(back);
            // Kept there, and answered with a result that was made there.
            peer.link.send(private(pattern(1, length)));
            let result = shared_of(peer.link.receive().unwrap()).unwrap();
            assert!(!result.is_of(peer.link.exchange.arena()));
            assert_eq!(result.as_slice(), pattern(2, length), "{kind:?}: {length}");
        }
        assert_eq!(peer.link.exchange.loans().len(), 3);
        peer.link.settle();
        assert_eq!(names_of(peer.child.id()), 0, "sealed by now");
        peer.finish();
    }
}

/// spec: CARD-05: the death of a process leaves what it made to those who look at it, and nothing
/// behind.
#[test]
#[cfg_attr(miri, ignore = "Miri has no processes")]
fn a_killed_process_takes_nothing_along() {
    for kind in [SegmentKind::Memfd, SegmentKind::Named] {
        let mut peer = Peer::start("worker", kind);
        peer.link.send(private(pattern(1, 100_000)));
        let result = shared_of(peer.link.receive().unwrap()).unwrap();
        // By its answer it has heard that its segment is mapped, and has removed the name.
        peer.link.settle();
        let pid = peer.child.id();
        let Link { exchange, .. } = peer.kill();
        assert_eq!(result.as_slice(), pattern(2, 100_000), "{kind:?}");
        let arena = exchange.arena().clone();
        assert_ne!(arena.stats().used_bytes, 0, "the dead process may look for ever");
        drop(exchange);
        assert_eq!(arena.stats().used_bytes, 0);
        assert_eq!(result.as_slice(), pattern(2, 100_000));
        assert_eq!(names_of(pid), 0);
    }
}

fn names_of(pid: u32) -> usize {
    let prefix = format!("remotemedia-{pid}-");
    let entries = std::fs::read_dir("/dev/shm").unwrap();
    entries
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(&prefix))
        .count()
}

/// Makes segments in every state that a name can be in, says so, and waits to be killed.
fn leave_names(link: &mut Link) {
    let make = || Segment::create(SegmentKind::Named, PAGE).unwrap();
    let (first, second, sealed) = (make(), make(), make());
    sealed.seal().unwrap();
    drop(make());
    link.write(item(Value::None), None);
    assert_eq!(link.receive(), None);
    drop((first, second, sealed));
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no processes")]
fn names_go_with_their_process() {
    let mut peer = Peer::start("names", SegmentKind::Named);
    let pid = peer.child.id();
    assert_eq!(peer.link.receive(), Some(Value::None));
    assert_eq!(names_of(pid), 2);
    peer.finish();
    assert_eq!(names_of(pid), 0);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no processes")]
fn the_names_of_a_killed_process_can_be_removed() {
    let own = Segment::create(SegmentKind::Named, PAGE).unwrap();
    let killed: Vec<_> = (0..2)
        .map(|_| {
            let mut peer = Peer::start("names", SegmentKind::Named);
            assert_eq!(peer.link.receive(), Some(Value::None));
            let pid = peer.child.id();
            drop(peer.kill());
            assert_eq!(names_of(pid), 2, "nobody was left to remove them");
            pid
        })
        .collect();
    let living = Peer::start("names", SegmentKind::Named);
    let mut living = living;
    assert_eq!(living.link.receive(), Some(Value::None));
    assert_eq!(remove_stale_names(Some(killed[0])).unwrap(), 2);
    assert_eq!((names_of(killed[0]), names_of(killed[1])), (0, 2));
    assert!(remove_stale_names(None).unwrap() >= 2);
    assert_eq!(names_of(killed[1]), 0);
    assert_eq!(names_of(living.child.id()), 2, "the living keep theirs");
    assert!(matches!(own.ticket(), Ok(Ticket::Name(_))) && names_of(std::process::id()) > 0);
    living.finish();
}

/// What a child does with what it inherited, in a process of its own, as the count of forks is one
/// for the whole process.
fn be_a_child() {
    let options = ArenaOptions {
        kind: SegmentKind::Memfd,
        ring_bytes: RING,
        ring_block_max_bytes: RING_BLOCK_MAX,
        max_bytes: 1 << 20,
        idle_max_bytes: 1 << 20,
    };
    let arena = Arena::new(options);
    let (address, _) = arena.allocate_address(PAGE).unwrap();
    // Memory of others lies between the arena's segments, as malloc's does.
    let (claims, others): (Vec<_>, Vec<_>) = (0..8)
        .map(|_| {
            let other = Segment::create(SegmentKind::Memfd, PAGE).unwrap();
            (arena.allocate(100_000).unwrap(), other)
        })
        .unzip();
    let is_between = |other: &&Arc<Segment>| arena.may_hold(other.address());
    let between = others.iter().find(is_between).unwrap().address();
    let pair = Pair::new(SegmentKind::Memfd);
    let wakes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&wakes);
    pair.far.releases().set_waker(0, move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let (value, ..) = hop(&pair.near, &pair.far, private(pattern(1, 5000)));
    let named = Segment::create(SegmentKind::Named, PAGE).unwrap();
    let Ok(Ticket::Name(name)) = named.ticket() else { panic!("no name") };
    let used = arena.stats().used_bytes;

    forked_child();

    assert!(arena.allocate(1).is_err() && arena.allocate_address(1).is_err());
    assert!(arena.claim_at(address, 1).is_none());
    assert_eq!((arena.holds(address), arena.block_bytes(address)), (true, Some(PAGE)));
    assert!(!claims[0].is_sole());
    assert!(arena.release_at(address).is_some(), "taken, so that nobody else frees it");
    assert!(
        !arena.holds(between) && arena.release_at(between).is_none(),
        "only its owner may free it"
    );
    drop(claims);
    arena.hold_for_fork();
    arena.end_fork_hold();
    assert_eq!(arena.stats().used_bytes, used, "nothing is given back");
    drop(value);
    assert!(!pair.far.has_news() && pair.far.pending_news().is_empty());
    assert_eq!(wakes.load(Ordering::Relaxed), 0, "it would wake its parent's connection");
    drop(named);
    let still = Segment::open(Ticket::Name(name), PAGE, Access::Shared);
    assert!(still.is_ok(), "the parent's name stays");
    remove_stale_names(Some(std::process::id())).unwrap();
    let own = Arena::new(options);
    drop(own.allocate(PAGE).unwrap());
    assert_eq!(own.stats().used_bytes, 0, "what it makes itself works");
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no processes")]
fn a_forked_child_gives_nothing_back() {
    Peer::start("child", SegmentKind::Memfd).finish();
}

/// In a small `/dev/shm`: memory is refused where it is asked for, not where it is touched.
fn fill_up() {
    let arena = Arena::new(ArenaOptions {
        kind: SegmentKind::Named,
        ring_bytes: 64 << 20,
        ring_block_max_bytes: 1 << 20,
        max_bytes: 1 << 30,
        idle_max_bytes: 0,
    });
    let mut blocks = Vec::new();
    let refusal = loop {
        match arena.allocate(300_000) {
            Ok(mut claim) => {
                assert!(claim.write(&pattern(1, 300_000)));
                blocks.push(claim);
            }
            Err(error) => break error,
        }
        assert!(blocks.len() < 100, "the file system is not small");
    };
    assert_eq!(refusal.kind(), std::io::ErrorKind::StorageFull, "{refusal}");
    assert!(!blocks.is_empty());
    let large = arena.allocate(8 << 20).unwrap_err();
    assert_eq!(large.kind(), std::io::ErrorKind::StorageFull, "{large}");
    assert_eq!(arena.stats().segments, 1, "what could not be had is not kept");
    let count = blocks.len();
    blocks.clear();
    for _ in 0..count {
        blocks.push(arena.allocate(300_000).unwrap());
    }
}

/// Skipped where a process may not have a file system of its own.
#[test]
#[cfg_attr(miri, ignore = "Miri has no processes")]
fn a_full_file_system_is_an_error_and_no_signal() {
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let mount = "mount -t tmpfs -o size=4m tmpfs /dev/shm";
    if !unshare(mount).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: no file system can be mounted here");
        return;
    }
    let mut command =
        unshare(&format!("{mount} && exec \"$TEST_BINARY\" --exact peers::the_other_process"));
    command.env("TEST_BINARY", std::env::current_exe().unwrap()).env(ROLE, "full:Named");
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}: {said}");
}

/// Sends and receives much, in a process of its own, where nobody else opens anything.
fn count_descriptors() {
    let open = || {
        let entries = std::fs::read_dir("/proc/self/fd").unwrap();
        let is_ours = |path: std::path::PathBuf| {
            let target = std::fs::read_link(path).unwrap_or_default();
            let target = target.to_string_lossy();
            target.contains("/remotemedia-") || target.starts_with("/memfd:remotemedia")
        };
        entries.filter(|entry| is_ours(entry.as_ref().unwrap().path())).count()
    };
    for kind in [SegmentKind::Memfd, SegmentKind::Named] {
        let mut peer = Peer::start("worker", kind);
        for _ in 0..20 {
            peer.link.send(lent(result_in(&peer.link.exchange, &[0; 100_000])));
            drop(peer.link.receive().unwrap());
        }
        assert_eq!(peer.link.exchange.stats().segments, 1, "{kind:?}: one block serves all");
        assert!((1..=2).contains(&open()), "{kind:?}: {}", open());
        assert_eq!(names_of(std::process::id()), 0, "{kind:?}: sealed by now");
        peer.finish();
        assert_eq!(open(), 0, "{kind:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "Miri has no processes")]
fn descriptors_do_not_pile_up() {
    Peer::start("descriptors", SegmentKind::Memfd).finish();
}
