//! Memory that Rust code has filled, such as a vector of numbers. Its last holder may write to it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// Memory whose place does not change as long as it lives.
pub trait OwnMemory: Send + Sync + 'static {
    /// Its contents.
    fn bytes(&self) -> &[u8];
    /// Its contents, to be written to.
    fn bytes_mut(&mut self) -> &mut [u8];
}

impl<T: bytemuck::Pod + Send + Sync> OwnMemory for Vec<T> {
    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(self)
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(self)
    }
}

/// A holder of such memory.
#[derive(Clone)]
pub struct Owned(Arc<dyn OwnMemory>);

impl Owned {
    /// The first holder.
    #[must_use]
    pub fn new(memory: impl OwnMemory) -> Self {
        Self(Arc::new(memory))
    }

    /// The contents.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.0.bytes()
    }

    /// The contents, to be written to; `None` while there are other holders.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> Option<&mut [u8]> {
        Arc::get_mut(&mut self.0).map(OwnMemory::bytes_mut)
    }

    /// Another holder.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        Bytes::from_owner(self.clone())
    }
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for Owned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Owned({} bytes)", self.as_slice().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_holder_may_write() {
        let mut owned = Owned::new(vec![1_u16, 2]);
        let bytes = owned.to_bytes();
        assert_eq!(owned.as_mut_slice(), None);
        assert_eq!(bytes, bytemuck::cast_slice::<u16, u8>(&[1, 2]));
        drop(bytes);
        owned.as_mut_slice().unwrap().fill(0);
        assert_eq!(owned.as_slice(), [0; 4]);
    }
}
