//! Descriptors that travel with frames over a local socket (`SCM_RIGHTS`).

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Most descriptors that may arrive with one read.
const PER_READ: usize = 8;
/// Most descriptors that may wait for the messages that refer to them.
const MAX_WAITING: usize = 64;

/// Received descriptors, in the order of their arrival.
pub type DescriptorQueue = VecDeque<OwnedFd>;

/// A Unix socket, over which descriptors can be sent.
#[derive(Debug, Clone, Copy)]
pub struct Socket<'a>(pub BorrowedFd<'a>);

impl<'a> Socket<'a> {
    /// A reader of this socket that appends received descriptors to `queue`.
    pub fn reader(self, queue: &'a mut DescriptorQueue) -> SocketReader<'a> {
        SocketReader { socket: self.0, queue, flags: RecvFlags::CMSG_CLOEXEC }
    }

    /// As [`Socket::reader`], but reads never block, whatever the socket's mode.
    pub fn eager_reader(self, queue: &'a mut DescriptorQueue) -> SocketReader<'a> {
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        SocketReader { socket: self.0, queue, flags }
    }

    /// Sends `bytes`, or a first part of them, with a descriptor; returns how many were sent.
    ///
    /// # Errors
    /// Errors of the socket.
    pub(super) fn send_with(self, bytes: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors = [descriptor];
        if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(sendmsg(self.0, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let nothing = &mut SendAncillaryBuffer::default();
        Ok(sendmsg(self.0, pieces, nothing, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads bytes and descriptors from a socket; see [`Socket::reader`].
#[derive(Debug)]
pub struct SocketReader<'a> {
    socket: BorrowedFd<'a>,
    queue: &'a mut DescriptorQueue,
    flags: RecvFlags,
}

impl Read for SocketReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PER_READ))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let pieces = &mut [IoSliceMut::new(buffer)];
        let received = recvmsg(self.socket, pieces, &mut ancillary, self.flags)?;
        let waiting = self.queue.len();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.queue.extend(descriptors);
            }
        }
        let is_cut = received.flags.contains(ReturnFlags::CTRUNC);
        if is_cut && self.queue.len() < waiting + PER_READ {
            // The buffer had room for more, so the kernel failed to install the next descriptor:
            // this process has reached its limit of open files.
            return Err(Errno::MFILE.into());
        }
        if is_cut || self.queue.len() > MAX_WAITING {
            let reason = "more descriptors came than messages refer to";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(received.bytes)
    }
}
