//! The orchestrator's end of the connection to one worker: whole messages over a non-blocking
//! local socket.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;

use interprocess::os::unix::uds_local_socket::Stream;
use ipc_protocol::codec;
use ipc_protocol::error::{CodecError, FrameError};
use ipc_protocol::frame::{FrameReader, FrameWriter, ReadOutcome};
use ipc_protocol::version::Hello;
use ipc_protocol::{FromWorker, Limits, ToWorker};

/// One connection.
#[derive(Debug)]
pub struct Link {
    stream: Stream,
    reader: FrameReader,
    writer: FrameWriter,
    limits: Limits,
    has_unsent: bool,
}

/// What reading gave.
#[derive(Debug)]
pub enum Received<M> {
    /// A message.
    Message(M),
    /// Nothing more for now.
    Nothing,
    /// The worker closed its end.
    Closed,
}

/// Why a link cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The stream of frames is broken.
    #[error("the connection broke: {0}")]
    Frame(#[from] FrameError),
    /// A frame holds something that is not a message.
    #[error("the worker sent a malformed message: {0}")]
    Codec(#[from] CodecError),
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
}

impl Link {
    /// A link over one end of a socketpair.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking.
    pub fn new(stream: UnixStream, limits: Limits) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: Stream::from(stream),
            reader: FrameReader::new(limits),
            writer: FrameWriter::new(),
            limits,
            has_unsent: false,
        })
    }

    /// Encodes a message and sends what the socket takes now; the rest goes with [`Link::flush`].
    ///
    /// # Errors
    /// When the message cannot be encoded. A dead peer is noticed by reading.
    pub fn send(&mut self, message: ToWorker) -> Result<(), LinkError> {
        self.writer.push(codec::encode_within(message, &self.limits)?);
        self.flush()
    }

    /// Sends more of what is waiting.
    ///
    /// # Errors
    /// When the socket fails for another reason than the peer's end.
    pub fn flush(&mut self) -> Result<(), LinkError> {
        match self.writer.write_to(&mut &self.stream) {
            Ok(all) => self.has_unsent = !all,
            Err(error) if is_peer_gone(&error) => self.has_unsent = false,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Whether the socket must become writable before everything is sent.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        self.has_unsent
    }

    /// The next message, if one is there.
    ///
    /// # Errors
    /// When the stream is broken or the message malformed.
    pub fn receive(&mut self) -> Result<Received<FromWorker>, LinkError> {
        self.receive_as()
    }

    /// The next message, if it was read together with an earlier one. Does not touch the socket.
    ///
    /// # Errors
    /// Like [`Link::receive`].
    pub fn receive_buffered(&mut self) -> Result<Received<FromWorker>, LinkError> {
        match self.reader.next_buffered()? {
            Some(frame) => Ok(Received::Message(codec::decode(frame, &self.limits)?)),
            None => Ok(Received::Nothing),
        }
    }

    /// The worker's first message, if it is there.
    ///
    /// # Errors
    /// Like [`Link::receive`].
    pub fn receive_hello(&mut self) -> Result<Received<Hello>, LinkError> {
        self.receive_as()
    }

    fn receive_as<M: codec::Message>(&mut self) -> Result<Received<M>, LinkError> {
        match self.reader.read_from(&mut &self.stream) {
            Ok(ReadOutcome::Frame(frame)) => {
                Ok(Received::Message(codec::decode(frame, &self.limits)?))
            }
            Ok(ReadOutcome::WouldBlock) => Ok(Received::Nothing),
            Ok(ReadOutcome::Closed) | Err(FrameError::Truncated { .. }) => Ok(Received::Closed),
            Err(FrameError::Io(error)) if is_peer_gone(&error) => Ok(Received::Closed),
            Err(error) => Err(error.into()),
        }
    }
}

fn is_peer_gone(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset)
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl AsRawFd for Link {
    fn as_raw_fd(&self) -> RawFd {
        self.stream.as_fd().as_raw_fd()
    }
}
