//! The orchestrator's end of the connection to one worker: whole messages over a non-blocking
//! local socket, and the shared memory that goes with it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use interprocess::os::unix::uds_local_socket::Stream;
use ipc_protocol::codec;
use ipc_protocol::error::{CodecError, FrameError, LeaseError};
use ipc_protocol::exchange::{Announcement, Exchange, Placement};
use ipc_protocol::frame::{DescriptorQueue, Frame, FrameReader, FrameWriter, ReadProgress, Socket};
use ipc_protocol::from_worker::Traffic;
use ipc_protocol::share::{MemoryTerms, Share};
use ipc_protocol::version::Hello;
use ipc_protocol::{FromWorker, Limits, ToWorker};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The connection to one worker.
#[derive(Debug)]
pub struct Link {
    output: Arc<Outgoing>,
    reader: FrameReader,
    descriptors: DescriptorQueue,
    limits: Limits,
    has_unsent: bool,
}

/// The sending side of a link and its shared memory. While a session uses the link, the supervisor
/// uses these too: to return leases.
#[derive(Debug)]
pub struct Outgoing {
    stream: Stream,
    queue: Mutex<FrameWriter>,
    exchange: Option<Arc<Exchange>>,
    limits: Limits,
    /// Whether a call of [`Outgoing::give_back`] was requested and has not begun yet.
    awaits_giving_back: AtomicBool,
}

/// The result of reading from a link.
#[derive(Debug)]
pub enum Received<M> {
    /// A message.
    Message(M),
    /// No complete message has arrived.
    Nothing,
    /// The worker closed its end.
    Closed,
}

/// What happened to the memory of a message's payloads when it was sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// How much was copied and how much was shared.
    pub traffic: Traffic,
    /// Set when a node got a copy instead of shared memory: its id, and how many bytes of its
    /// inputs it still holds.
    pub over_quota: Option<(Arc<str>, usize)>,
    /// Why shared memory could not be made; set only the first time on a connection.
    pub failure: Option<std::io::Error>,
}

/// Why a link cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The stream of frames is broken.
    #[error("the connection to the worker broke: {0}")]
    Frame(#[from] FrameError),
    /// A frame holds something that is not a message.
    #[error("the worker sent a malformed message: {0}")]
    Codec(#[from] CodecError),
    /// A message of the worker about shared memory is wrong, or this process cannot map the memory.
    #[error("{}shared memory: {}", blame(.0), .0)]
    Lease(#[from] LeaseError),
    /// The socket failed.
    #[error("the connection to the worker failed: {0}")]
    Io(#[from] std::io::Error),
}

impl LinkError {
    /// Whether this process lacked memory for a message.
    #[must_use]
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            Self::Frame(error) => matches!(error, FrameError::OutOfMemory(_)),
            Self::Codec(error) => error.is_out_of_memory(),
            Self::Lease(_) | Self::Io(_) => false,
        }
    }
}

/// The words that blame the worker for an error; empty for memory that cannot be mapped, which need
/// not be the worker's fault.
fn blame(error: &LeaseError) -> &'static str {
    match error {
        LeaseError::Unmappable { .. } => "",
        _ => "the worker sent a malformed message: ",
    }
}

impl Link {
    /// A link over one end of a socketpair, without shared memory.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking.
    pub fn new(stream: UnixStream, limits: Limits) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        let output = Outgoing {
            stream: Stream::from(stream),
            queue: Mutex::default(),
            exchange: None,
            limits,
            awaits_giving_back: AtomicBool::new(false),
        };
        Ok(Self {
            output: Arc::new(output),
            reader: FrameReader::new(limits),
            descriptors: DescriptorQueue::new(),
            limits,
            has_unsent: false,
        })
    }

    /// Sends payloads in shared memory on these terms from now on. Must be called before
    /// [`Link::output`] is shared with the supervisor.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn share_memory(&mut self, terms: MemoryTerms) -> Result<(), LinkError> {
        self.send(ToWorker::SharedMemory(terms), None)?;
        if let Some(output) = Arc::get_mut(&mut self.output) {
            output.exchange = Some(Arc::new(Exchange::new(terms, true)));
        }
        Ok(())
    }

    /// Whether the worker has closed its end, as it does when it dies. Reads nothing.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let mut polled = [PollFd::new(self.as_fd(), PollFlags::empty())];
        // Polls only for the end of the connection; everything else is noticed by reading.
        poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// The sending side, which the supervisor shares.
    #[must_use]
    pub fn output(&self) -> &Arc<Outgoing> {
        &self.output
    }

    /// Encodes a message and sends what the socket takes now; the rest goes with [`Link::flush`].
    /// `holder` is the id of the node that gets the message's payloads.
    ///
    /// # Errors
    /// When the message cannot be encoded. A dead peer is noticed by reading.
    pub fn send(
        &mut self,
        mut message: ToWorker,
        holder: Option<&Arc<str>>,
    ) -> Result<Sent, LinkError> {
        let output = Arc::clone(&self.output);
        let placement = match &output.exchange {
            Some(exchange) => exchange.place(&mut message, holder, &self.limits)?,
            None => Placement::default(),
        };
        let Placement { traffic, .. } = placement;
        let sent = self.send_placed(message, placement);
        sent.map(|(over_quota, failure)| Sent { traffic, over_quota, failure })
    }

    #[expect(clippy::type_complexity, reason = "a pair of notices that only `send` unpacks")]
    fn send_placed(
        &mut self,
        message: ToWorker,
        mut placement: Placement,
    ) -> Result<(Option<(Arc<str>, usize)>, Option<std::io::Error>), LinkError> {
        let output = Arc::clone(&self.output);
        let mut frames = output.news()?;
        for announcement in placement.announcements.drain(..) {
            frames.push(output.encode_news(announcement)?);
        }
        let notices = (placement.over_quota.take(), placement.failure.take());
        match codec::encode_within(message, &self.limits) {
            Ok(frame) => frames.push(frame),
            Err(error) => {
                if let Some(exchange) = &output.exchange {
                    exchange.undo(placement);
                }
                // The segments are announced in any case: later messages rely on that.
                self.has_unsent = output.write(frames)?;
                return Err(error.into());
            }
        }
        self.has_unsent = output.write(frames)?;
        Ok(notices)
    }

    /// Sends more of the queued frames, as far as the socket takes them.
    ///
    /// # Errors
    /// When the socket fails for another reason than the peer's end.
    pub fn flush(&mut self) -> Result<(), LinkError> {
        self.has_unsent = self.output.write([])?;
        Ok(())
    }

    /// Whether frames are still queued, waiting for the socket to become writable.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        self.has_unsent
    }

    /// The next message, if there is one. Messages about shared memory are handled here and not
    /// returned.
    ///
    /// # Errors
    /// When the stream is broken or the message malformed.
    pub fn receive(&mut self) -> Result<Received<FromWorker>, LinkError> {
        loop {
            match self.receive_buffered()? {
                Received::Nothing => {}
                message => return Ok(message),
            }
            if let Some(end) = self.read()? {
                return Ok(end);
            }
        }
    }

    /// The next message, if it was read together with an earlier one. Does not touch the socket.
    ///
    /// # Errors
    /// Like [`Link::receive`].
    pub fn receive_buffered(&mut self) -> Result<Received<FromWorker>, LinkError> {
        while let Some(frame) = self.reader.next_buffered()? {
            let message = match &self.output.exchange {
                Some(exchange) => exchange.decode(frame, &self.limits)?.0,
                None => codec::decode(frame, &self.limits)?,
            };
            match message {
                FromWorker::Share(share) => self.handle(share)?,
                message => return Ok(Received::Message(message)),
            }
        }
        Ok(Received::Nothing)
    }

    fn handle(&mut self, share: Share) -> Result<(), LinkError> {
        let output = Arc::clone(&self.output);
        let exchange = output.exchange.as_ref().ok_or(LeaseError::NoSharedMemory)?;
        let has_descriptor = matches!(&share, Share::Attach(attach) if attach.name.is_none());
        let descriptor = if has_descriptor { self.descriptors.pop_front() } else { None };
        if let Some(share) = exchange.handle(share, descriptor)? {
            let answer = output.encode_news(Announcement { share, descriptor: None })?;
            self.has_unsent = output.write([answer])?;
        }
        Ok(())
    }

    /// The worker's first message, if it has arrived.
    ///
    /// # Errors
    /// Like [`Link::receive`].
    pub fn receive_hello(&mut self) -> Result<Received<Hello>, LinkError> {
        loop {
            if let Some(frame) = self.reader.next_buffered()? {
                return Ok(Received::Message(codec::decode(frame, &self.limits)?));
            }
            if let Some(end) = self.read()? {
                return Ok(end);
            }
        }
    }

    /// Reads from the socket once. `None` when bytes came, otherwise the reason why none did.
    fn read<M>(&mut self) -> Result<Option<Received<M>>, LinkError> {
        let socket = Socket(self.output.stream.as_fd());
        match self.reader.read_some(&mut socket.reader(&mut self.descriptors)) {
            Ok(ReadProgress::Bytes) => Ok(None),
            Ok(ReadProgress::WouldBlock) => Ok(Some(Received::Nothing)),
            Ok(ReadProgress::Closed) | Err(FrameError::Truncated { .. }) => {
                Ok(Some(Received::Closed))
            }
            Err(FrameError::Io(error)) if is_peer_gone(&error) => Ok(Some(Received::Closed)),
            Err(error) => Err(error.into()),
        }
    }
}

impl Outgoing {
    /// The connection's shared memory, if it uses any.
    #[must_use]
    pub fn exchange(&self) -> Option<&Arc<Exchange>> {
        self.exchange.as_ref()
    }

    fn lock(&self) -> MutexGuard<'_, FrameWriter> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether [`Outgoing::give_back`] must be requested now; false while an earlier request is
    /// pending. So not every large result wakes a thread, which would cost as much as a message.
    #[must_use]
    pub fn wants_giving_back(&self) -> bool {
        !self.awaits_giving_back.swap(true, Ordering::AcqRel)
    }

    /// Returns released leases to the worker that no message has returned yet. What the socket does
    /// not take now goes with the session's next message.
    pub fn give_back(&self) {
        // Cleared first, so that leases released from now on request another call.
        self.awaits_giving_back.store(false, Ordering::Release);
        let Ok(news) = self.news() else { return };
        if !news.is_empty() {
            // A broken socket is noticed by its reader.
            let _noticed_by_reading = self.write(news);
        }
    }

    fn news(&self) -> Result<Vec<Frame>, LinkError> {
        let Some(exchange) = self.exchange.as_ref().filter(|exchange| exchange.has_news()) else {
            return Ok(Vec::new());
        };
        exchange.pending_news().into_iter().map(|news| self.encode_news(news)).collect()
    }

    fn encode_news(&self, news: Announcement) -> Result<Frame, LinkError> {
        let frame = codec::encode_within(ToWorker::Share(news.share), &self.limits)?;
        Ok(match news.descriptor {
            Some(descriptor) => frame.with_descriptor(descriptor),
            None => frame,
        })
    }

    /// Queues frames and sends what the socket takes; true when something is left in the queue.
    fn write(&self, frames: impl IntoIterator<Item = Frame>) -> Result<bool, LinkError> {
        let mut queue = self.lock();
        frames.into_iter().for_each(|frame| queue.push(frame));
        let mut socket = Socket(self.stream.as_fd());
        match queue.write_to_socket(&mut socket) {
            Ok(all) => Ok(!all),
            Err(error) if is_peer_gone(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn is_peer_gone(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset)
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.output.stream.as_fd()
    }
}

impl AsRawFd for Link {
    fn as_raw_fd(&self) -> RawFd {
        self.output.stream.as_fd().as_raw_fd()
    }
}
