//! About how much memory the objects of Python take that are made of values, and values that are made of
//! objects. Used to ask for it before.

use ipc_protocol::Value;

/// An object without parts, and what the allocator adds.
const OBJECT_BYTES: usize = 64;
/// An entry of a list or tuple, twice: it is gathered first.
const ELEMENT_BYTES: usize = 2 * size_of::<usize>();
/// An entry of a set or dict, whose tables have free places and are copied when they grow.
const ENTRY_BYTES: usize = 96;
/// An allocation beside the value itself.
const ALLOCATION_BYTES: usize = 32;
/// What belongs to an array besides its elements: dtype, shape, a handle on its memory.
pub const ARRAY_BYTES: usize = 256;

/// The object of a value, without those of its parts. The elements of arrays do not count: their memory is
/// asked for by numpy.
#[must_use]
pub fn of_object(value: &Value) -> usize {
    OBJECT_BYTES
        + match value {
            Value::Str(text) => text.len(),
            Value::List(parts) | Value::Tuple(parts) => parts.len() * ELEMENT_BYTES,
            Value::Set(parts) | Value::FrozenSet(parts) => parts.len() * ENTRY_BYTES,
            Value::Dict(entries) => entries.len() * ENTRY_BYTES,
            Value::Array(_) | Value::Audio(_) => ARRAY_BYTES,
            _ => 0,
        }
}

/// The value of a text with this many bytes.
#[must_use]
pub fn of_text(bytes: usize) -> usize {
    bytes + ALLOCATION_BYTES
}

/// The values of this many elements, and references to the objects while they are read.
#[must_use]
pub fn of_elements(count: usize) -> usize {
    count * (size_of::<Value>() + size_of::<usize>())
}

/// The same for the entries of a dict.
#[must_use]
pub fn of_entries(count: usize) -> usize {
    2 * of_elements(count)
}
