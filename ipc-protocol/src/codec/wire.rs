//! The form of values and arrays in a message's body. None, bool, int, float and str are plain
//! MessagePack; every other value is a sequence that begins with its tag. The tags are part of the
//! protocol and never change.

use std::fmt;

use num_bigint::BigInt;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Unexpected, Visitor};
use serde::ser::{Serialize, SerializeSeq, SerializeTuple, Serializer};
use serde_bytes::ByteBuf;

use super::room;
use crate::array::{Array, Dtype, Order};
use crate::value::{Audio, Opaque, Value};

mod tag {
    pub(super) const BIG_INT: u8 = 1;
    pub(super) const BYTES: u8 = 2;
    pub(super) const LIST: u8 = 3;
    pub(super) const TUPLE: u8 = 4;
    pub(super) const DICT: u8 = 5;
    pub(super) const SET: u8 = 6;
    pub(super) const FROZEN_SET: u8 = 7;
    pub(super) const ARRAY: u8 = 8;
    pub(super) const AUDIO: u8 = 9;
    pub(super) const OPAQUE: u8 = 10;
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Float(number) => serializer.serialize_f64(*number),
            Self::Str(text) => serializer.serialize_str(text),
            Self::BigInt(number) => {
                let bytes = ByteBuf::from(number.to_signed_bytes_le());
                (tag::BIG_INT, bytes).serialize(serializer)
            }
            Self::Bytes(payload) => (tag::BYTES, payload).serialize(serializer),
            Self::List(items) => sequence(serializer, tag::LIST, items),
            Self::Tuple(items) => sequence(serializer, tag::TUPLE, items),
            Self::Set(items) => sequence(serializer, tag::SET, items),
            Self::FrozenSet(items) => sequence(serializer, tag::FROZEN_SET, items),
            Self::Dict(entries) => {
                let mut seq = serializer.serialize_seq(Some(1 + 2 * entries.len()))?;
                seq.serialize_element(&tag::DICT)?;
                for (key, value) in entries {
                    seq.serialize_element(key)?;
                    seq.serialize_element(value)?;
                }
                seq.end()
            }
            Self::Array(array) => array.serialize(serializer),
            Self::Audio(audio) => {
                (tag::AUDIO, audio.sample_rate_hz, &audio.samples).serialize(serializer)
            }
            Self::Opaque(Opaque { type_name, interpreter, pickle }) => {
                (tag::OPAQUE, type_name, interpreter, pickle).serialize(serializer)
            }
        }
    }
}

fn sequence<S: Serializer>(serializer: S, tag: u8, items: &[Value]) -> Result<S::Ok, S::Error> {
    let mut seq = serializer.serialize_seq(Some(1 + items.len()))?;
    seq.serialize_element(&tag)?;
    for item in items {
        seq.serialize_element(item)?;
    }
    seq.end()
}

impl Serialize for Array {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(7)?;
        tuple.serialize_element(&tag::ARRAY)?;
        tuple.serialize_element(&self.dtype.descr)?;
        tuple.serialize_element(&self.dtype.item_bytes)?;
        tuple.serialize_element(&self.shape)?;
        tuple.serialize_element(match self.order {
            Order::C => "C",
            Order::Fortran => "F",
        })?;
        tuple.serialize_element(&self.scalar)?;
        tuple.serialize_element(&self.data)?;
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .write_str("a value: nil, bool, int, float, str, or an array that begins with a tag")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        let too_large = |_| E::invalid_value(Unexpected::Unsigned(number), &"an int of 64 bits");
        i64::try_from(number).map(Value::Int).map_err(too_large)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        room::text(text).map(Value::Str)
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::Str(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        match next(&mut seq, "a tag")? {
            tag::BIG_INT => big_int(&mut seq),
            tag::BYTES => Ok(Value::Bytes(next(&mut seq, "the number of a blob")?)),
            tag::LIST => items(&mut seq).map(Value::List),
            tag::TUPLE => items(&mut seq).map(Value::Tuple),
            tag::DICT => entries(&mut seq).map(Value::Dict),
            tag::SET => items(&mut seq).map(Value::Set),
            tag::FROZEN_SET => items(&mut seq).map(Value::FrozenSet),
            tag::ARRAY => array(&mut seq).map(Value::Array),
            tag::AUDIO => {
                let sample_rate_hz = next(&mut seq, "the sample rate")?;
                match next(&mut seq, "the samples")? {
                    Value::Array(samples) => Ok(Value::Audio(Audio { samples, sample_rate_hz })),
                    _ => Err(de::Error::custom("the samples of audio must be an array")),
                }
            }
            tag::OPAQUE => Ok(Value::Opaque(Opaque {
                type_name: next(&mut seq, "the type's name")?,
                interpreter: next(&mut seq, "the interpreter")?,
                pickle: next(&mut seq, "the number of a blob")?,
            })),
            unknown => Err(de::Error::invalid_value(
                Unexpected::Unsigned(unknown.into()),
                &"a tag of a value, 1 to 10",
            )),
        }
    }
}

/// The next element of a sequence; an error when the sequence ends before it.
pub(super) fn next<'de, T, A>(seq: &mut A, expected: &'static str) -> Result<T, A::Error>
where
    T: Deserialize<'de>,
    A: SeqAccess<'de>,
{
    seq.next_element()?
        .ok_or_else(|| de::Error::custom(format_args!("the value ends before {expected}")))
}

fn big_int<'de, A: SeqAccess<'de>>(seq: &mut A) -> Result<Value, A::Error> {
    let bytes: ByteBuf = next(seq, "the integer's bytes")?;
    let number = BigInt::from_signed_bytes_le(&bytes);
    if i64::try_from(&number).is_ok() {
        return Err(de::Error::custom("an int that fits 64 bits must not be sent as a big int"));
    }
    Ok(Value::BigInt(number))
}

fn items<'de, A: SeqAccess<'de>>(seq: &mut A) -> Result<Vec<Value>, A::Error> {
    let (mut items, announced) = (Vec::new(), seq.size_hint().unwrap_or(0));
    while let Some(item) = seq.next_element()? {
        room::grow::<_, A::Error>(&mut items, announced)?;
        items.push(item);
    }
    Ok(items)
}

fn entries<'de, A: SeqAccess<'de>>(seq: &mut A) -> Result<Vec<(Value, Value)>, A::Error> {
    let (mut entries, announced) = (Vec::new(), seq.size_hint().unwrap_or(0) / 2);
    while let Some(key) = seq.next_element()? {
        room::grow::<_, A::Error>(&mut entries, announced)?;
        entries.push((key, next(seq, "the value of a key")?));
    }
    Ok(entries)
}

fn array<'de, A: SeqAccess<'de>>(seq: &mut A) -> Result<Array, A::Error> {
    let dtype =
        Dtype { descr: next(seq, "the dtype")?, item_bytes: next(seq, "the size of an element")? };
    Ok(Array {
        dtype,
        shape: next(seq, "the shape")?,
        order: next(seq, "the order")?,
        scalar: next(seq, "the scalar flag")?,
        data: next(seq, "the number of a blob")?,
    })
}

impl<'de> Deserialize<'de> for Order {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OrderVisitor;

        impl Visitor<'_> for OrderVisitor {
            type Value = Order;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an order, C or F")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Order, E> {
                match text {
                    "C" => Ok(Order::C),
                    "F" => Ok(Order::Fortran),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }

        deserializer.deserialize_str(OrderVisitor)
    }
}
