//! The socket by which `remotemedia pool` looks at the pools of a running program of the same user, and
//! recycles and drains them.
//!
//! It has a name in the abstract namespace, `remotemedia-UID-PID-NUMBER`, which ends with its program
//! however that ends. Such names have no owner, so each side asks the kernel whose process the other
//! is, and answers no other user. A request is one line of JSON, and so is the answer.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use super::Shared;
use crate::placement::PoolId;
use crate::worker::pool::PoolEvent;

/// Version of requests and answers: a program may run another version than the command line.
const VERSION: u64 = 1;
/// Longest request in bytes.
const MAX_REQUEST: u64 = 4_096;
/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(2);
/// Every name begins with this.
const PREFIX: &str = "remotemedia";

/// What is asked of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A snapshot of the pools.
    Status,
    /// Replace the workers of this pool.
    Recycle(String),
    /// Let this pool take no new sessions.
    Drain(String),
    /// Let it take them again.
    Resume(String),
}

impl Request {
    /// The pool that it is about; empty when it is about all.
    #[must_use]
    pub fn pool(&self) -> &str {
        match self {
            Self::Status => "",
            Self::Recycle(pool) | Self::Drain(pool) | Self::Resume(pool) => pool,
        }
    }

    fn to_json(&self) -> Json {
        let (verb, pool) = match self {
            Self::Status => ("status", None),
            Self::Recycle(pool) => ("recycle", Some(pool)),
            Self::Drain(pool) => ("drain", Some(pool)),
            Self::Resume(pool) => ("resume", Some(pool)),
        };
        json!({"version": VERSION, "do": verb, "pool": pool})
    }

    fn parse(line: &str) -> Option<Self> {
        let request: Json = serde_json::from_str(line).ok()?;
        if request["version"] != VERSION {
            return None;
        }
        let pool = || request["pool"].as_str().map(str::to_owned);
        Some(match request["do"].as_str()? {
            "status" => Self::Status,
            "recycle" => Self::Recycle(pool()?),
            "drain" => Self::Drain(pool()?),
            "resume" => Self::Resume(pool()?),
            _ => return None,
        })
    }
}

/// Answers requests until the task is ended. `None`: no socket could be made, which is no reason not to
/// run pipelines.
pub(super) fn serve(shared: &Arc<Shared>) -> Option<JoinHandle<()>> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("{PREFIX}-{}-{}-{number}", geteuid(), std::process::id());
    let listener = StdListener::bind_addr(&SocketAddr::from_abstract_name(name).ok()?).ok()?;
    listener.set_nonblocking(true).ok()?;
    let listener = UnixListener::from_std(listener).ok()?;
    let shared = Arc::downgrade(shared);
    Some(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if is_own(&stream) {
                let _gone = tokio::time::timeout(PATIENCE, answer(stream, &shared)).await;
            }
        }
    }))
}

/// Whether a process of the same user has the other end.
fn is_own(stream: &impl std::os::fd::AsFd) -> bool {
    getsockopt(stream, PeerCredentials).is_ok_and(|peer| peer.uid() == geteuid().as_raw())
}

async fn answer(stream: UnixStream, shared: &Weak<Shared>) -> io::Result<()> {
    let mut stream = tokio::io::BufReader::new(stream);
    let mut line = String::new();
    tokio::io::AsyncReadExt::take(&mut stream, MAX_REQUEST).read_line(&mut line).await?;
    let Some(shared) = shared.upgrade() else { return Ok(()) };
    let said = match Request::parse(&line) {
        Some(request) => shared.obey(&request),
        None => json!({"refused_by": env!("CARGO_PKG_VERSION")}),
    };
    stream.get_mut().write_all(format!("{said}\n").as_bytes()).await
}

impl Shared {
    fn obey(&self, request: &Request) -> Json {
        let event: (&str, fn(PoolId) -> PoolEvent) = match request {
            Request::Status => {
                let pools = self.pools();
                let shown = pools.iter().filter(|pool| !pool.is_gone());
                return json!({"pools": shown.map(super::PoolPicture::to_json).collect::<Vec<_>>()});
            }
            Request::Recycle(pool) => (pool, PoolEvent::Recycle),
            Request::Drain(pool) => (pool, |pool| PoolEvent::Drain(pool, true)),
            Request::Resume(pool) => (pool, |pool| PoolEvent::Drain(pool, false)),
        };
        let (name, event) = event;
        let options = self.options();
        match options.pools.iter().position(|pool| pool.name == name && !pool.is_removed) {
            Some(pool) => {
                self.apply(&mut self.lock(), event(pool));
                json!({"done": true})
            }
            None => {
                let known: Vec<&str> =
                    options.pools.iter().map(|pool| pool.name.as_str()).collect();
                json!({"unknown_pool": name, "known": known})
            }
        }
    }
}

/// The programs of this user that run pools: process id and number of the runtime in each.
///
/// # Errors
/// When the kernel's list of sockets cannot be read.
pub fn running() -> io::Result<Vec<(u32, u32)>> {
    let begin = format!("@{PREFIX}-{}-", geteuid());
    let sockets = fs::read_to_string("/proc/net/unix")?;
    let names = sockets.lines().filter_map(|line| line.rsplit(' ').next()?.strip_prefix(&begin));
    let mut found: Vec<(u32, u32)> = names
        .filter_map(|name| {
            let (pid, number) = name.split_once('-')?;
            Some((pid.parse().ok()?, number.parse().ok()?))
        })
        .filter(|(pid, _)| fs::exists(format!("/proc/{pid}")).unwrap_or(false))
        .collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Asks one of [`running`].
///
/// # Errors
/// When it does not answer, is not of this user, or of a version that does not know the request.
pub fn answer_of((pid, number): (u32, u32), request: &Request) -> io::Result<Json> {
    let name = format!("{PREFIX}-{}-{pid}-{number}", geteuid());
    let mut stream = StdStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
    if !is_own(&stream) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{}\n", request.to_json()).as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let answer: Json = serde_json::from_str(&line)?;
    match answer["refused_by"].as_str() {
        None => Ok(answer),
        Some(theirs) => Err(io::Error::other(format!(
            "it runs RemoteMedia {theirs}, which does not know this request of {}",
            env!("CARGO_PKG_VERSION")
        ))),
    }
}
