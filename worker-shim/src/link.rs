//! The worker's end of its connection: messages over a blocking local socket, with the shared memory
//! that belongs to it. There is one reader and any number of writers, whose frames never interleave.

mod arrived;
pub mod batch;
mod idle;

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use interprocess::os::unix::uds_local_socket::Stream;
use ipc_protocol::codec;
use ipc_protocol::error::LeaseError;
use ipc_protocol::exchange::Exchange;
use ipc_protocol::frame::{DescriptorQueue, Frame, FrameReader, ReadProgress, Socket};
use ipc_protocol::from_worker::Traffic;
use ipc_protocol::patience::{End, Patience};
use ipc_protocol::share::Share;
use ipc_protocol::to_worker::{Credit, Item, Step};
use ipc_protocol::visit::Message;
use ipc_protocol::{CodecError, FrameError, FromWorker, Limits, ToWorker};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{Shutdown, shutdown};
use nix::sys::time::TimeSpec;
use thiserror::Error;

use batch::Batch;
pub use idle::Alarm;
use idle::{Idle, Woken};

/// Why a message could not be sent or received.
#[derive(Debug, Error)]
pub enum LinkError {
    /// The received bytes are not a valid frame.
    #[error("received an invalid frame from the orchestrator: {0}")]
    Frame(#[from] FrameError),
    /// A received frame does not contain a valid message.
    #[error("received an invalid message from the orchestrator: {0}")]
    Received(#[source] CodecError),
    /// A message about shared memory contradicts the state of this side.
    #[error("received an invalid message about shared memory from the orchestrator: {0}")]
    Lease(#[from] LeaseError),
    /// A message cannot be encoded within the limits. Nothing was sent.
    #[error("{0}")]
    Unsendable(#[source] CodecError),
    /// Writing failed: the orchestrator is gone.
    #[error("cannot write to the orchestrator: {0}")]
    Gone(#[source] io::Error),
}

/// Makes the reader and the writer of a link over one end of a socketpair. They use the default
/// limits until [`LinkReader::set_limits`] and [`LinkWriter::with_limits`] are called.
///
/// # Errors
/// When the socket cannot be made blocking, or no descriptor is left.
pub fn link(socket: UnixStream) -> io::Result<(LinkReader, LinkWriter)> {
    socket.set_nonblocking(false)?;
    let limits = Limits::default();
    let batch = Batch::new(Stream::from(socket));
    let output = Arc::new(Outgoing { batch, exchange: OnceLock::new() });
    let reader = LinkReader {
        output: Arc::clone(&output),
        frames: FrameReader::new(limits),
        descriptors: DescriptorQueue::new(),
        limits,
        idle: Idle::new()?,
        patience: Patience::new(End::Worker, Duration::ZERO),
        has_asked: false,
        shared_bytes: 0,
    };
    Ok((reader, LinkWriter { output, limits }))
}

/// The receiving half. It handles messages about shared memory itself and returns all others.
#[derive(Debug)]
pub struct LinkReader {
    output: Arc<Outgoing>,
    frames: FrameReader,
    descriptors: DescriptorQueue,
    limits: Limits,
    idle: Idle,
    patience: Patience,
    /// `patience` knows that the wait for the next message has begun.
    has_asked: bool,
    /// Bytes of the last message's payloads in shared memory.
    shared_bytes: u64,
}

/// A received message.
#[derive(Debug)]
pub struct Incoming {
    /// The message.
    pub message: ToWorker,
    /// How its payloads travelled: bytes copied on this side and inside the frame.
    pub traffic: Traffic,
}

/// How a wait for a message ended.
#[derive(Debug)]
pub enum Received {
    /// The next message.
    Message(Incoming),
    /// The alarm: the guest's event loop has something to run.
    Alarm,
    /// The orchestrator closed the connection between two messages.
    End,
}

impl LinkReader {
    /// Replaces the limits, beginning with the next frame.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.frames.set_limits(limits);
    }

    /// The shared memory of the connection, once it has been agreed on.
    #[must_use]
    pub fn exchange(&self) -> Option<&Arc<Exchange>> {
        self.output.exchange.get()
    }

    /// The next message, if its bytes have already been read from the socket.
    ///
    /// # Errors
    /// When those bytes are not a valid message.
    pub fn buffered(&mut self) -> Result<Option<Incoming>, LinkError> {
        while let Some(frame) = self.frames.next_buffered()? {
            let (message, traffic) = match self.output.exchange.get() {
                Some(exchange) => {
                    exchange.decode(frame, &self.limits).map_err(LinkError::Received)?
                }
                None => {
                    let message = codec::decode(frame, &self.limits);
                    (message.map_err(LinkError::Received)?, Traffic::default())
                }
            };
            match message {
                ToWorker::SharedMemory(terms) => {
                    let exchange = Arc::new(Exchange::new(terms, false));
                    self.idle.watch(&exchange);
                    let _first_stays = self.output.exchange.set(exchange);
                }
                ToWorker::Share(share) => self.handle(share)?,
                ToWorker::Spin(micros) => {
                    self.patience.set_bound(Duration::from_micros(micros.into()));
                }
                message => {
                    self.learn(&message, traffic);
                    // The orchestrator has counted what it lent.
                    let traffic = Traffic { shared_bytes: 0, ..traffic };
                    return Ok(Some(Incoming { message, traffic }));
                }
            }
        }
        Ok(None)
    }

    fn learn(&mut self, message: &ToWorker, traffic: Traffic) {
        let now = Instant::now();
        match message {
            ToWorker::Item(Item { step: Step { took, .. }, .. })
            | ToWorker::Start(Step { took, .. })
            | ToWorker::Flush(Step { took, .. })
            | ToWorker::Credit(Credit { took, .. }) => self.patience.answered(now, *took),
            ToWorker::Close => self.patience.forget(),
            ToWorker::Open(_) => self.patience.opened(now),
            _ => self.patience.noticed(now),
        }
        (self.has_asked, self.shared_bytes) = (false, traffic.shared_bytes);
    }

    fn handle(&mut self, share: Share) -> Result<(), LinkError> {
        let exchange = self.output.exchange.get().ok_or(LeaseError::NoSharedMemory)?;
        let has_descriptor = matches!(&share, Share::Attach(attach) if attach.name.is_none());
        let descriptor = if has_descriptor { self.descriptors.pop_front() } else { None };
        if let Some(answer) = exchange.handle(share, descriptor)? {
            self.output.send_share(answer, &self.limits)?;
        }
        Ok(())
    }

    /// Waits for the next message or the alarm. Busy-waits for as long as [`Patience`] allows.
    ///
    /// # Errors
    /// When the connection fails, ends inside a message, or delivers an invalid message.
    pub fn receive(&mut self, alarm: Option<Alarm>) -> Result<Received, LinkError> {
        let began = Instant::now();
        if !std::mem::replace(&mut self.has_asked, true) {
            self.patience.ask(began, self.shared_bytes);
        }
        let unheard = alarm.map(|alarm| alarm.may_be_unheard());
        let mut looked = began;
        let mut is_awake = self.is_awake(began, began, unheard);
        loop {
            if let Some(incoming) = self.buffered()? {
                return Ok(Received::Message(incoming));
            }
            if !is_awake && self.is_rung(alarm.map(|alarm| alarm.after(began.elapsed())))? {
                return Ok(Received::Alarm);
            }
            match self.read(is_awake) {
                Ok(ReadProgress::Closed) => return Ok(Received::End),
                Ok(ReadProgress::Bytes) => {}
                Ok(ReadProgress::WouldBlock) => {
                    thread::yield_now();
                    let now = Instant::now();
                    self.patience.yielded(now - looked);
                    looked = now;
                    is_awake = self.is_awake(began, now, unheard);
                }
                Err(FrameError::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(Received::End);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether to keep busy-waiting. With an alarm, busy-waiting ends after the time `unheard`.
    fn is_awake(&mut self, began: Instant, now: Instant, unheard: Option<Duration>) -> bool {
        unheard.is_none_or(|unheard| now - began < unheard) && !self.patience.awake(now).is_zero()
    }

    /// Sleeps until a read would not block or the alarm rings; returns whether the alarm rang.
    /// Sends messages about leases meanwhile.
    fn is_rung(&self, alarm: Option<Alarm>) -> Result<bool, LinkError> {
        let exchange = self.output.exchange.get().map(AsRef::as_ref);
        let socket = self.output.batch.stream().as_fd();
        loop {
            match (self.idle.wait(socket, exchange, alarm.as_ref()), exchange) {
                (Woken::News, Some(exchange)) => self.output.send_news(exchange, &self.limits)?,
                (woken, _) => return Ok(woken == Woken::Alarm),
            }
        }
    }

    fn read(&mut self, is_awake: bool) -> Result<ReadProgress, FrameError> {
        let socket = Socket(self.output.batch.stream().as_fd());
        if is_awake {
            self.frames.read_some(&mut socket.eager_reader(&mut self.descriptors))
        } else {
            self.frames.read_some(&mut socket.reader(&mut self.descriptors))
        }
    }
}

/// The sending half; clones send over the same socket, from any thread.
#[derive(Debug, Clone)]
pub struct LinkWriter {
    output: Arc<Outgoing>,
    limits: Limits,
}

#[derive(Debug)]
struct Outgoing {
    batch: Batch,
    exchange: OnceLock<Arc<Exchange>>,
}

/// An encoded message, after the announcements of segments that it needs.
#[derive(Debug)]
pub struct Prepared {
    frames: Vec<Frame>,
    /// How its payloads travel: bytes copied on this side, in shared memory and inside the frame.
    pub traffic: Traffic,
}

impl LinkWriter {
    /// A writer to the same socket with other limits.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        Self { output: Arc::clone(&self.output), limits }
    }

    /// Sends one message; returns when the kernel has taken all its bytes.
    ///
    /// # Errors
    /// [`LinkError::Unsendable`] before anything is written, [`LinkError::Gone`] when writing
    /// fails.
    pub fn send<M: Message>(&self, message: M) -> Result<(), LinkError> {
        let prepared = self.prepare(message)?;
        self.write([prepared])
    }

    /// Moves large payloads of a message to shared memory and encodes the message.
    ///
    /// # Errors
    /// [`LinkError::Unsendable`]: the message was not sent and its payloads were released.
    pub fn prepare<M: Message>(&self, mut message: M) -> Result<Prepared, LinkError> {
        let Some(exchange) = self.output.exchange.get() else {
            let frame = codec::encode_within(message, &self.limits);
            let frames = vec![frame.map_err(LinkError::Unsendable)?];
            return Ok(Prepared { frames, traffic: Traffic::default() });
        };
        let mut placement =
            exchange.place(&mut message, None, &self.limits).map_err(LinkError::Unsendable)?;
        let mut frames = Vec::with_capacity(1);
        for announcement in placement.announcements.drain(..) {
            let frame = codec::encode_within(FromWorker::Share(announcement.share), &self.limits);
            let frame = frame.map_err(LinkError::Unsendable)?;
            frames.push(match announcement.descriptor {
                Some(descriptor) => frame.with_descriptor(descriptor),
                None => frame,
            });
        }
        match codec::encode_within(message, &self.limits) {
            Ok(frame) => frames.push(frame),
            Err(error) => {
                exchange.undo(placement);
                // New segments must still be announced, because later messages may use them.
                self.write([Prepared { frames, traffic: Traffic::default() }])?;
                return Err(LinkError::Unsendable(error));
            }
        }
        Ok(Prepared { frames, traffic: placement.traffic })
    }

    /// Sends prepared messages with no other frame between them, in one system call if they are
    /// small.
    ///
    /// # Errors
    /// [`LinkError::Gone`] when writing fails.
    pub fn write(&self, ready: impl IntoIterator<Item = Prepared>) -> Result<(), LinkError> {
        let frames = self.with_news(ready)?;
        self.output.batch.write(frames).map_err(LinkError::Gone)
    }

    /// Sends an output, possibly together with outputs that follow shortly; see [`batch`].
    ///
    /// # Errors
    /// [`LinkError::Gone`] when writing fails.
    pub fn write_soon(&self, ready: Prepared) -> Result<(), LinkError> {
        let frames = self.with_news([ready])?;
        self.output.batch.write_soon(frames).map_err(LinkError::Gone)
    }

    /// Sends the outputs that [`LinkWriter::write_soon`] has queued.
    ///
    /// # Errors
    /// [`LinkError::Gone`] when writing fails.
    pub fn flush(&self) -> Result<(), LinkError> {
        self.output.batch.flush().map_err(LinkError::Gone)
    }

    /// Makes every further send fail: the orchestrator no longer reads, and a print during the
    /// worker's clean-up must not block on a full socket. Then waits until the orchestrator closes
    /// its end, at most for `patience`.
    pub fn shut_down(&self, patience: Duration) {
        let socket = self.output.batch.stream().as_fd();
        let _already_closed = shutdown(socket.as_raw_fd(), Shutdown::Write);
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // poll(2) reports POLLHUP even if no events are requested.
            let mut watched = [PollFd::new(socket, PollFlags::empty())];
            if ppoll(&mut watched, Some(TimeSpec::from_duration(left)), None) != Err(Errno::EINTR) {
                return;
            }
        }
    }

    fn with_news(
        &self,
        ready: impl IntoIterator<Item = Prepared>,
    ) -> Result<Vec<Frame>, LinkError> {
        let mut frames = Vec::new();
        if let Some(exchange) = self.output.exchange.get()
            && exchange.has_news()
        {
            frames.extend(news(exchange, &self.limits)?);
        }
        frames.extend(ready.into_iter().flat_map(|prepared| prepared.frames));
        Ok(frames)
    }
}

/// The pending messages about leases and segments, encoded.
fn news(exchange: &Exchange, limits: &Limits) -> Result<Vec<Frame>, LinkError> {
    let news = exchange.pending_news().into_iter();
    news.map(|news| codec::encode_within(FromWorker::Share(news.share), limits))
        .collect::<Result<_, _>>()
        .map_err(LinkError::Unsendable)
}

impl Outgoing {
    fn send_share(&self, share: Share, limits: &Limits) -> Result<(), LinkError> {
        let frame = codec::encode_within(FromWorker::Share(share), limits);
        let frame = frame.map_err(LinkError::Unsendable)?;
        self.batch.write([frame]).map_err(LinkError::Gone)
    }

    fn send_news(&self, exchange: &Exchange, limits: &Limits) -> Result<(), LinkError> {
        self.batch.write(news(exchange, limits)?).map_err(LinkError::Gone)
    }
}
