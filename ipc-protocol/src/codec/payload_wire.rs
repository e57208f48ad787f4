//! The form of a payload in a message's body: the number of a blob, or a place in shared memory.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

use super::wire::next;
use crate::array::{LeaseTerms, Placed};
use crate::array::{Payload, Storage};

/// First element of a place whose bytes the sender lends.
const LENT: u8 = 1;
/// First element of a place whose bytes the sender returns.
const RETURNED: u8 = 2;

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Storage::Blob(index) => serializer.serialize_u32(index),
            Storage::Placed(Placed::Lent { lease, segment, offset, length, terms }) => {
                (LENT, lease, segment, offset, length, terms.number()).serialize(serializer)
            }
            Storage::Placed(Placed::Returned { lease, offset, length }) => {
                (RETURNED, lease, offset, length).serialize(serializer)
            }
            Storage::Memory(_) | Storage::Owned(_) | Storage::Shared(_) => {
                Err(serde::ser::Error::custom("only the codec can serialize a payload"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PayloadVisitor).map(Self)
    }
}

struct PayloadVisitor;

impl<'de> Visitor<'de> for PayloadVisitor {
    type Value = Storage;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the number of a blob, or a place in shared memory")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Storage, E> {
        let too_large = |_| E::invalid_value(Unexpected::Unsigned(number), &self);
        u32::try_from(number).map(Storage::Blob).map_err(too_large)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Storage, A::Error> {
        match next(&mut seq, "the kind of place")? {
            LENT => Ok(Storage::Placed(Placed::Lent {
                lease: next(&mut seq, "the lease")?,
                segment: next(&mut seq, "the segment")?,
                offset: next(&mut seq, "the offset")?,
                length: next(&mut seq, "the length")?,
                terms: LeaseTerms::from_number(next(&mut seq, "the terms")?)
                    .ok_or_else(|| de::Error::custom("the terms of a lease must be 0, 1 or 2"))?,
            })),
            RETURNED => Ok(Storage::Placed(Placed::Returned {
                lease: next(&mut seq, "the lease")?,
                offset: next(&mut seq, "the offset")?,
                length: next(&mut seq, "the length")?,
            })),
            unknown => Err(de::Error::invalid_value(
                Unexpected::Unsigned(u64::from(unknown)),
                &"a kind of place, 1 or 2",
            )),
        }
    }
}

impl LeaseTerms {
    fn number(self) -> u8 {
        match self {
            Self::Writable => 0,
            Self::ReadOnly => 1,
            Self::CopyOut => 2,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Writable),
            1 => Some(Self::ReadOnly),
            2 => Some(Self::CopyOut),
            _ => None,
        }
    }
}
