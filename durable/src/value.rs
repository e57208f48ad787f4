//! Values as they are kept: a short body, and large arrays and bytes apart from it by the digest of
//! their content, so that one that passes through ten tasks is kept once.

mod pins;

use std::fmt;

use bytes::Bytes;
use ipc_protocol::array::{Array, Dtype, Order, Payload};
use ipc_protocol::codec::{decode, encode};
use ipc_protocol::kept::Kept as Message;
use ipc_protocol::{Audio, CodecError, Limits, Opaque, Value};
use pins::Pin;
pub use pins::Pins;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Arrays, bytes and texts of at least this size are kept apart, in bytes.
pub const APART_BYTES: usize = 64 << 10;
/// The longest body of a value, in bytes. Both databases refuse rows of 1 GB.
const BODY_MAX: usize = 512 << 20;
/// Stands in for what is kept apart. Objects of Python, which have the same form, are never kept.
const APART: &str = "remotemedia.apart";

/// Where large contents are kept, by their digest.
pub trait Blobs: fmt::Debug + Send + Sync {
    /// Keeps a content; does nothing if it is there.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put(&self, digest: &str, content: &Bytes) -> Result<(), BlobError>;

    /// The content with this digest.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    fn get(&self, digest: &str) -> Result<Bytes, BlobError>;

    /// The contents that values of this process refer to, which are not to be removed.
    fn pins(&self) -> &Pins;
}

/// A content could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("the content {digest} of a value cannot be {action}: {reason}")]
pub struct BlobError {
    /// Its digest.
    pub digest: String,
    /// What was tried.
    pub action: &'static str,
    /// Why it failed.
    pub reason: String,
    /// Whether it may succeed later: the disk is full, the server is not there.
    pub may_pass: bool,
}

/// A value that cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// It is an object of a type that only a program can hold.
    #[error("{path} {}", why(.type_name))]
    Object {
        /// The part of the value: `a.b[0]`.
        path: String,
        /// Its type.
        type_name: String,
    },
    /// It is nested too deep, or an array contradicts itself.
    #[error("the value cannot be kept in a database: {0}")]
    Codec(#[from] CodecError),
    /// It is too long for a row.
    #[error(
        "{name} takes {} MB, which is too much for a row of a database: return arrays, bytes or texts, \
         which lie apart, or give its parts to several tasks",
        .bytes >> 20
    )]
    TooLong {
        /// The value.
        name: String,
        /// Its size.
        bytes: usize,
    },
    /// A large part of it could not be written.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// Why an object cannot be kept. Objects of types that can be have contents that cannot.
fn why(type_name: &str) -> String {
    match type_name {
        "list" | "tuple" | "dict" | "set" | "frozenset" => format!(
            "is a {type_name} that contains itself or is nested too deep, which cannot be kept in a \
             database"
        ),
        "str" => "is a text with half of a surrogate pair, which cannot be kept in a database: \
                  decode it with errors=\"replace\""
            .to_owned(),
        _ => format!(
            "is of type {type_name}, which cannot be kept in a database: return numbers, texts, \
             bytes, lists, tuples, dicts, sets, numpy arrays"
        ),
    }
}

/// A value in the form in which it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// The value without what is kept apart.
    pub body: Bytes,
    /// Digests of what is kept apart.
    pub apart: Vec<String>,
    /// Keeps what is apart until a row refers to it. A value that was read has none.
    pub pins: Vec<Pin>,
}

/// What stands in for an array or bytes that are kept apart.
#[derive(Debug, Serialize, Deserialize)]
struct StandIn {
    digest: String,
    /// `None` for bytes and texts.
    array: Option<ArrayForm>,
    #[serde(default)]
    is_text: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct ArrayForm {
    descr: String,
    item_bytes: u32,
    shape: Vec<u64>,
    is_fortran: bool,
    sample_rate_hz: Option<u32>,
}

impl Kept {
    /// Keeps a value. `name` begins the path in errors.
    ///
    /// # Errors
    /// [`KeepError`] names the part that cannot be kept.
    pub fn new(value: Value, name: &str, blobs: &dyn Blobs) -> Result<Self, KeepError> {
        Self::bounded(value, name, blobs, BODY_MAX)
    }

    fn bounded(
        mut value: Value,
        name: &str,
        blobs: &dyn Blobs,
        body_max: usize,
    ) -> Result<Self, KeepError> {
        let (mut apart, mut pins) = (Vec::new(), Vec::new());
        take_apart(&mut value, &mut name.to_owned(), &mut |content: Bytes| {
            let digest = digest(&content);
            pins.push(blobs.pins().pin(&digest));
            blobs.put(&digest, &content)?;
            apart.push(digest.clone());
            Ok(digest)
        })?;
        let body = encode(Message { value })?.to_bytes();
        if body.len() > body_max {
            return Err(KeepError::TooLong { name: name.to_owned(), bytes: body.len() });
        }
        Ok(Self { body, apart, pins })
    }

    /// `None`, which tasks return that return nothing.
    #[must_use]
    pub fn none() -> Self {
        let body = encode(Message { value: Value::None }).map(|frame| frame.to_bytes());
        Self { body: body.unwrap_or_default(), ..Self::default() }
    }

    /// A part of a value whose large parts are kept apart already: of an outline.
    ///
    /// # Errors
    /// When it is nested too deep.
    pub fn of_outline(value: Value) -> Result<Self, CodecError> {
        let body = encode(Message { value })?.to_bytes();
        Ok(Self { body, ..Self::default() })
    }

    /// The value without what is kept apart: stand-ins are in its place.
    ///
    /// # Errors
    /// When the body is damaged.
    pub fn outline(&self) -> Result<Value, CodecError> {
        outline(&self.body)
    }

    /// The whole value.
    ///
    /// # Errors
    /// When the body is damaged, or what is kept apart is missing.
    pub fn open(&self, blobs: &dyn Blobs) -> Result<Value, KeepError> {
        let mut value = self.outline()?;
        complete(&mut value, blobs)?;
        Ok(value)
    }
}

fn outline(body: &Bytes) -> Result<Value, CodecError> {
    decode::<Message>(body.clone(), &Limits::default()).map(|message| message.value)
}

/// The SHA-256 of a content, in hexadecimal digits.
#[must_use]
pub fn digest(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A content that was read, if it has its digest: a database outlives damaged disks and other programs.
///
/// # Errors
/// When it has another one.
pub fn checked(digest: &str, content: Bytes, place: &str) -> Result<Bytes, BlobError> {
    if self::digest(&content) == digest {
        return Ok(content);
    }
    Err(BlobError {
        digest: digest.to_owned(),
        action: "read",
        reason: format!("{place} has been damaged or replaced: it has other bytes"),
        may_pass: false,
    })
}

type Put<'a> = &'a mut dyn FnMut(Bytes) -> Result<String, BlobError>;

/// Replaces large arrays and bytes by stand-ins, and refuses objects.
fn take_apart(value: &mut Value, path: &mut String, put: Put<'_>) -> Result<(), KeepError> {
    match value {
        Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                within(path, &format!("[{index}]"), |path| take_apart(item, path, put))?;
            }
        }
        Value::Dict(entries) => {
            for (key, item) in entries {
                within(path, ".(key)", |path| take_apart(key, path, put))?;
                let step = match key {
                    Value::Str(name) => format!(".{name}"),
                    Value::Int(number) => format!("[{number}]"),
                    other => format!("[{}]", other.type_name()),
                };
                within(path, &step, |path| take_apart(item, path, put))?;
            }
        }
        Value::Bytes(content) if content.len() >= APART_BYTES => {
            let digest = put(content.to_bytes())?;
            *value = stand_in(&StandIn { digest, array: None, is_text: false });
        }
        Value::Str(text) if text.len() >= APART_BYTES => {
            let digest = put(Bytes::from(std::mem::take(text)))?;
            *value = stand_in(&StandIn { digest, array: None, is_text: true });
        }
        Value::Array(array) if array.data.len() >= APART_BYTES => {
            let digest = put(array.data.to_bytes())?;
            let array = Some(form(array, None));
            *value = stand_in(&StandIn { digest, array, is_text: false });
        }
        Value::Audio(audio) if audio.samples.data.len() >= APART_BYTES => {
            let digest = put(audio.samples.data.to_bytes())?;
            let array = Some(form(&audio.samples, Some(audio.sample_rate_hz)));
            *value = stand_in(&StandIn { digest, array, is_text: false });
        }
        Value::Opaque(object) => {
            let (path, type_name) = (path.clone(), object.type_name.clone());
            return Err(KeepError::Object { path, type_name });
        }
        _ => {}
    }
    Ok(())
}

fn within<R>(path: &mut String, step: &str, inner: impl FnOnce(&mut String) -> R) -> R {
    let length = path.len();
    path.push_str(step);
    let result = inner(path);
    path.truncate(length);
    result
}

fn form(array: &Array, sample_rate_hz: Option<u32>) -> ArrayForm {
    ArrayForm {
        descr: array.dtype.descr.clone(),
        item_bytes: array.dtype.item_bytes,
        shape: array.shape.clone(),
        is_fortran: array.order == Order::Fortran,
        sample_rate_hz,
    }
}

fn stand_in(what: &StandIn) -> Value {
    let text = serde_json::to_vec(what).unwrap_or_default();
    Value::Opaque(Opaque {
        type_name: APART.to_owned(),
        interpreter: String::new(),
        pickle: Payload::from(Bytes::from(text)),
    })
}

/// The sample rate of audio that is kept apart, from its stand-in; `None` for all else.
#[must_use]
pub fn audio_rate(apart: &Opaque) -> Option<u32> {
    serde_json::from_slice::<StandIn>(apart.pickle.as_slice()).ok()?.array?.sample_rate_hz
}

/// Replaces stand-ins by what they stand for.
///
/// # Errors
/// When that is missing or damaged.
pub fn complete(value: &mut Value, blobs: &dyn Blobs) -> Result<(), KeepError> {
    match value {
        Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => {
            items.iter_mut().try_for_each(|item| complete(item, blobs))
        }
        Value::Dict(entries) => entries.iter_mut().try_for_each(|(key, item)| {
            complete(key, blobs)?;
            complete(item, blobs)
        }),
        Value::Opaque(object) => {
            let damaged = |reason: String| BlobError {
                digest: String::new(),
                action: "read",
                reason: format!("its stand-in is damaged: {reason}"),
                may_pass: false,
            };
            let what: StandIn = serde_json::from_slice(object.pickle.as_slice())
                .map_err(|error| damaged(error.to_string()))?;
            let content = blobs.get(&what.digest)?;
            *value = what.filled(content).map_err(|error| damaged(error.to_string()))?;
            Ok(())
        }
        _ => Ok(()),
    }
}

impl StandIn {
    fn filled(self, content: Bytes) -> Result<Value, std::string::FromUtf8Error> {
        if self.is_text {
            return String::from_utf8(content.into()).map(Value::Str);
        }
        let Some(form) = self.array else { return Ok(Value::Bytes(Payload::from(content))) };
        let array = Array {
            dtype: Dtype { descr: form.descr, item_bytes: form.item_bytes },
            shape: form.shape,
            order: if form.is_fortran { Order::Fortran } else { Order::C },
            scalar: false,
            data: Payload::from(content),
        };
        Ok(match form.sample_rate_hz {
            Some(sample_rate_hz) => Value::Audio(Audio { samples: array, sample_rate_hz }),
            None => Value::Array(array),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Shelf(Mutex<HashMap<String, Bytes>>, Pins);

    impl Blobs for Shelf {
        fn put(&self, digest: &str, content: &Bytes) -> Result<(), BlobError> {
            self.0.lock().unwrap().insert(digest.to_owned(), content.clone());
            Ok(())
        }

        fn get(&self, digest: &str) -> Result<Bytes, BlobError> {
            let missing = || BlobError {
                digest: digest.to_owned(),
                action: "read",
                reason: "it is not there".to_owned(),
                may_pass: false,
            };
            self.0.lock().unwrap().get(digest).cloned().ok_or_else(missing)
        }

        fn pins(&self) -> &Pins {
            &self.1
        }
    }

    fn samples(count: usize) -> Array {
        Array {
            dtype: Dtype { descr: "<f4".to_owned(), item_bytes: 4 },
            shape: vec![2, count as u64 / 2],
            order: Order::C,
            scalar: false,
            data: Payload::from(Bytes::from(vec![7_u8; count * 4])),
        }
    }

    #[test]
    fn large_parts_are_kept_once_and_come_back() {
        let shelf = Shelf::default();
        let audio = Value::Audio(Audio { samples: samples(50_000), sample_rate_hz: 16_000 });
        let value = Value::Dict(vec![
            ("audio".into(), audio),
            ("again".into(), Value::Array(samples(50_000))),
            ("small".into(), Value::Array(samples(10))),
            ("bytes".into(), Value::Bytes(Payload::from(Bytes::from(vec![1; APART_BYTES])))),
            ("text".into(), Value::Tuple(vec![Value::Str("é".into()), Value::None])),
            ("long text".into(), Value::Str("é".repeat(APART_BYTES))),
        ]);
        let kept = Kept::new(value.clone(), "result", &shelf).unwrap();
        assert!(kept.body.len() < 2000, "{} bytes", kept.body.len());
        assert_eq!(shelf.0.lock().unwrap().len(), 3);
        assert_eq!(kept.open(&shelf).unwrap(), value);
        let error = kept.open(&Shelf::default()).unwrap_err();
        assert!(error.to_string().contains("it is not there"), "{error}");
    }

    #[test]
    fn contents_are_pinned_until_their_value_is_gone() {
        let shelf = Shelf::default();
        let kept = Kept::new(Value::Array(samples(50_000)), "result", &shelf).unwrap();
        let other = kept.clone();
        drop(kept);
        assert_eq!(shelf.pins().held().digests(), other.apart);
        assert!(shelf.pins().held().contains(&other.apart[0]));
        drop(other);
        assert_eq!(shelf.pins().held().digests(), Vec::<String>::new());
    }

    #[test]
    fn what_is_too_long_for_a_row_is_refused() {
        // spec: CLO-03
        let numbers = Value::List((0..1000).map(Value::Int).collect());
        let error = Kept::bounded(numbers, "result", &Shelf::default(), 1000).unwrap_err();
        assert!(error.to_string().starts_with("result takes 0 MB, which is too much"), "{error}");
    }

    #[test]
    fn what_was_changed_outside_is_not_believed() {
        // spec: CLO-05
        let content = Bytes::from_static(b"content");
        assert_eq!(checked(&digest(&content), content.clone(), "f").unwrap(), content);
        let error = checked(&digest(b"other"), content, "the file f").unwrap_err().to_string();
        assert!(error.ends_with("the file f has been damaged or replaced: it has other bytes"));
    }

    #[test]
    fn objects_are_refused_with_their_path() {
        // spec: CLO-03
        let object = Value::Opaque(Opaque {
            type_name: "threading.Lock".to_owned(),
            interpreter: "cpython-3.12".to_owned(),
            pickle: Payload::from(Bytes::new()),
        });
        let inner = Value::Dict(vec![("b".into(), Value::List(vec![Value::Int(1), object]))]);
        let value = Value::Dict(vec![("a".into(), inner)]);
        let error = Kept::new(value, "result", &Shelf::default()).unwrap_err();
        assert!(
            error.to_string().starts_with("result.a.b[1] is of type threading.Lock"),
            "{error}"
        );
    }
}
