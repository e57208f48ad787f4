//! The worker's end of its connection: whole messages over a blocking local socket. One reader,
//! any number of writers whose frames never mix.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use interprocess::os::unix::uds_local_socket::Stream;
use ipc_protocol::codec::{self, Message};
use ipc_protocol::frame::{FrameReader, FrameWriter, ReadOutcome};
use ipc_protocol::{CodecError, FrameError, Limits};
use nix::sys::socket::{MsgFlags, recv};
use thiserror::Error;

/// How long a worker looks for its next message before it blocks, if the last one came that soon.
const SPIN: Duration = Duration::from_micros(50);

/// Why a message could not be sent or received.
#[derive(Debug, Error)]
pub enum LinkError {
    /// The bytes that came are no frames.
    #[error("the orchestrator sent no valid frame: {0}")]
    Frame(#[from] FrameError),
    /// A frame that came holds no message.
    #[error("the orchestrator sent no valid message: {0}")]
    Received(#[source] CodecError),
    /// A message has no encoding within the limits. Nothing was sent.
    #[error("{0}")]
    Unsendable(#[source] CodecError),
    /// Writing failed: the orchestrator is gone.
    #[error("the orchestrator is gone: {0}")]
    Gone(#[source] io::Error),
}

/// Makes both ends of a link over one end of a socketpair. The limits are the defaults until
/// [`LinkReader::set_limits`] and [`LinkWriter::with_limits`].
///
/// # Errors
/// When the socket cannot be made blocking.
pub fn link(socket: UnixStream) -> io::Result<(LinkReader, LinkWriter)> {
    socket.set_nonblocking(false)?;
    let stream = Arc::new(Stream::from(socket));
    let limits = Limits::default();
    let output = Arc::new(Output { stream: Arc::clone(&stream), queue: Mutex::default() });
    let frames = FrameReader::new(limits);
    let reader = LinkReader { stream, frames, limits, last_wait: Duration::MAX };
    Ok((reader, LinkWriter { output, limits }))
}

/// The receiving half.
#[derive(Debug)]
pub struct LinkReader {
    stream: Arc<Stream>,
    frames: FrameReader,
    limits: Limits,
    last_wait: Duration,
}

/// The same socket, which does not block this time.
struct Unblocked<'a>(&'a Stream);

impl Read for Unblocked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(recv(self.0.as_fd().as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT)?)
    }
}

impl LinkReader {
    /// The socket, to wait on. Readable means that a read will not block; a frame that was read
    /// ahead does not show here, see [`LinkReader::buffered`].
    #[must_use]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Replaces the limits, for the frames from the next one on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.frames.set_limits(limits);
    }

    /// The next message, if it has been read already.
    ///
    /// # Errors
    /// When what was read is no message.
    pub fn buffered<M: Message>(&mut self) -> Result<Option<M>, LinkError> {
        let frame = self.frames.next_buffered()?;
        frame
            .map(|frame| codec::decode(frame, &self.limits).map_err(LinkError::Received))
            .transpose()
    }

    /// Waits for the next message; `None` when the orchestrator closed the connection between two
    /// messages. When the last wait was short it spins through this one, as long as that may be
    /// cheaper than to sleep and be woken.
    ///
    /// # Errors
    /// When the connection ends inside a message, fails, or brings something else than messages.
    pub fn receive<M: Message>(&mut self) -> Result<Option<M>, LinkError> {
        let began = Instant::now();
        let mut spins = self.last_wait <= SPIN;
        loop {
            let outcome = if spins {
                self.frames.read_from(&mut Unblocked(&self.stream))
            } else {
                self.frames.read_from(&mut &*self.stream)
            };
            match outcome {
                Ok(ReadOutcome::Frame(frame)) => {
                    self.last_wait = began.elapsed();
                    let message = codec::decode(frame, &self.limits);
                    return message.map(Some).map_err(LinkError::Received);
                }
                Ok(ReadOutcome::Closed) => return Ok(None),
                Ok(ReadOutcome::WouldBlock) => {
                    thread::yield_now();
                    spins = began.elapsed() <= SPIN;
                }
                Err(FrameError::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The sending half; clones send over the same socket, from any thread.
#[derive(Debug, Clone)]
pub struct LinkWriter {
    output: Arc<Output>,
    limits: Limits,
}

#[derive(Debug)]
struct Output {
    stream: Arc<Stream>,
    queue: Mutex<FrameWriter>,
}

impl LinkWriter {
    /// The same writer within other limits.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        Self { output: Arc::clone(&self.output), limits }
    }

    /// Sends one message, and returns when the kernel has taken all of it.
    ///
    /// # Errors
    /// [`LinkError::Unsendable`] before anything is written, [`LinkError::Gone`] when writing fails.
    pub fn send<M: Message>(&self, message: M) -> Result<(), LinkError> {
        self.send_all([message])
    }

    /// Sends messages one after another with nothing between them, in one system call if they are
    /// small. All are encoded before the first is written.
    ///
    /// # Errors
    /// As [`LinkWriter::send`].
    pub fn send_all<M: Message>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<(), LinkError> {
        let frames = messages
            .into_iter()
            .map(|message| codec::encode_within(message, &self.limits))
            .collect::<Result<Vec<_>, _>>()
            .map_err(LinkError::Unsendable)?;
        let mut queue = self.output.queue.lock().unwrap_or_else(PoisonError::into_inner);
        frames.into_iter().for_each(|frame| queue.push(frame));
        while !queue.write_to(&mut &*self.output.stream).map_err(LinkError::Gone)? {}
        Ok(())
    }
}
