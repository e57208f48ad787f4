//! The zygote of a kind of workers: a process of their interpreter that has imported what they need, and
//! forks them. It is their parent, so it is the one that learns how they ended. It runs no node.

mod message;

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use ipc_protocol::kin::Mark;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, recvmsg, sendmsg, shutdown,
};
use tokio::io::unix::AsyncFd;

use super::WorkerId;
use super::exit::Exit;
use super::process::{Spawned, WorkerEnds, await_readable};
use message::{Answer, Request};

/// How long a zygote may take to fork a worker, or to reap one, before it is given up. It takes a
/// few milliseconds; the rest is for a busy machine.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest packet that a zygote sends, in bytes.
const MAX_ANSWER_BYTES: usize = 4096;
/// Descriptors that a worker gets: descriptors 0 to 2, and its flight recorder.
const GIVEN: usize = 4;

/// A zygote that is ready.
#[derive(Debug)]
pub struct Zygote {
    /// Means its process.
    pidfd: Arc<OwnedFd>,
    connection: tokio::sync::Mutex<Connection>,
}

/// Why a zygote did not become ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotReady {
    /// This module cannot be in a process that forks.
    LeavesOut {
        /// Its name.
        module: String,
        /// What its import left: threads, child processes, sockets.
        what: String,
    },
    /// It is of another build, whose version this is.
    OtherBuild(String),
    /// It ended, or sent something else.
    Failed,
}

/// What a zygote says about a worker that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaped {
    /// How it ended.
    pub exit: Exit,
    /// Its highest resident memory.
    pub peak_memory_bytes: u64,
}

/// Why a zygote gave no worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotForked {
    /// A file that it has loaded has changed.
    Stale(String),
    /// The system refused it, or it is not single-threaded any more.
    Failed(String),
    /// It is gone, does not answer, or no descriptor is left for a worker.
    Unavailable,
}

impl Zygote {
    /// Waits until a new zygote has imported these modules.
    ///
    /// # Errors
    /// When it cannot be used.
    pub async fn prepare(
        connection: OwnedFd,
        pidfd: Arc<OwnedFd>,
        modules: &[String],
    ) -> Result<Self, NotReady> {
        let mut connection = Connection::new(connection).map_err(|_| NotReady::Failed)?;
        match connection.receive().await {
            Ok((Answer::Zygote, _)) => {}
            Ok((Answer::OtherZygote(version), _)) => return Err(NotReady::OtherBuild(version)),
            _ => return Err(NotReady::Failed),
        }
        connection.send(Request::Import(modules), &[]).map_err(|_| NotReady::Failed)?;
        match connection.receive().await {
            Ok((Answer::Ready, _)) => {
                Ok(Self { pidfd, connection: tokio::sync::Mutex::new(connection) })
            }
            Ok((Answer::Left { module, what }, _)) => Err(NotReady::LeavesOut { module, what }),
            _ => Err(NotReady::Failed),
        }
    }

    /// Forks a worker.
    ///
    /// # Errors
    /// When there is no worker.
    pub async fn fork(&self, id: WorkerId, mark: Mark) -> Result<Spawned, NotForked> {
        let (ends, theirs) = WorkerEnds::new(mark).map_err(|_| NotForked::Unavailable)?;
        let [stdin, stdout, stderr] = &theirs;
        let given = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd(), ends.blackbox.as_fd()];
        match self.ask(Request::Fork(mark), &given).await {
            Some((Answer::Forked(pid), Some(pidfd))) => {
                let zygote = Some(Arc::clone(&self.pidfd));
                Ok(ends.joined(id, pid, Arc::new(pidfd), zygote))
            }
            Some((Answer::Stale(file), _)) => Err(NotForked::Stale(file)),
            Some((Answer::Failed(reason), _)) => Err(NotForked::Failed(reason)),
            _ => Err(NotForked::Unavailable),
        }
    }

    /// Reaps an ended worker. `None` when its status is lost, as when the zygote died first.
    pub async fn reap(&self, pid: u32) -> Option<Reaped> {
        match self.ask(Request::Reap(pid), &[]).await {
            Some((Answer::Reaped(reaped, how), _)) if reaped == pid => how,
            _ => None,
        }
    }

    /// Kills it. Its workers go on.
    fn kill(&self) {
        let _gone = rustix::process::pidfd_send_signal(&*self.pidfd, rustix::process::Signal::KILL);
    }

    async fn ask(
        &self,
        request: Request<'_>,
        given: &[BorrowedFd<'_>],
    ) -> Option<(Answer, Option<OwnedFd>)> {
        let mut connection = self.connection.lock().await;
        let asked = async {
            connection.send(request, given)?;
            connection.receive().await
        };
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, asked).await.ok().and_then(Result::ok);
        if answer.is_none() {
            // Its next answer might be to this request.
            self.kill();
        }
        answer
    }
}

/// The socket to a zygote: a packet is a message.
#[derive(Debug)]
struct Connection(AsyncFd<Arc<OwnedFd>>);

impl Connection {
    fn new(socket: OwnedFd) -> std::io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        await_readable(Arc::new(socket)).map(Self)
    }

    /// Never blocks: as each request waits for its answer, the socket has room.
    fn send(&self, request: Request<'_>, given: &[BorrowedFd<'_>]) -> std::io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(GIVEN))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !given.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(given)) {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        let packet = request.packet();
        sendmsg(self.0.get_ref(), &[IoSlice::new(&packet)], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    /// The next answer, with the descriptor that came with it.
    async fn receive(&mut self) -> std::io::Result<(Answer, Option<OwnedFd>)> {
        loop {
            let mut ready = self.0.readable().await?;
            match receive_now(ready.get_inner().as_fd()) {
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok((packet, descriptor)) => {
                    let answer = Answer::parse(&packet);
                    let answer = answer.ok_or(std::io::ErrorKind::InvalidData)?;
                    return Ok((answer, descriptor));
                }
            }
        }
    }
}

impl Drop for Connection {
    /// The zygote ends, also while a forked child of this process holds the socket.
    fn drop(&mut self) {
        let _already_gone = shutdown(self.0.get_ref(), Shutdown::Both);
    }
}

fn receive_now(socket: BorrowedFd<'_>) -> rustix::io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let mut packet = vec![0; MAX_ANSWER_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut packet)], &mut ancillary, flags)?;
    packet.truncate(received.bytes);
    let mut descriptor = None;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
            descriptor = descriptors.next();
        }
    }
    Ok((packet, descriptor))
}
