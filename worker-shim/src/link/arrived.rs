//! A look for messages without waiting.

use std::io;

use ipc_protocol::FrameError;
use ipc_protocol::frame::ReadProgress;

use super::{Incoming, LinkError, LinkReader};

impl LinkReader {
    /// The next message, if it has arrived. The end of the connection is left to [`LinkReader::receive`].
    ///
    /// # Errors
    /// When the connection fails, or delivers an invalid message.
    pub fn arrived(&mut self) -> Result<Option<Incoming>, LinkError> {
        if let Some(incoming) = self.buffered()? {
            return Ok(Some(incoming));
        }
        match self.read(true) {
            Ok(ReadProgress::Bytes) => self.buffered(),
            Ok(ReadProgress::Closed | ReadProgress::WouldBlock) => Ok(None),
            Err(FrameError::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }
}
