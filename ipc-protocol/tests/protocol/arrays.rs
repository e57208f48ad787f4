//! Arrays as Rust sees them: made from numbers, read as numbers, checked.

use std::borrow::Cow;

use bytes::Bytes;
use ipc_protocol::array::{Array, ArrayError, Dtype, Order};

fn dtype(descr: &str, item_bytes: u32) -> Dtype {
    Dtype { descr: descr.into(), item_bytes }
}

#[test]
fn numbers_become_an_array_without_a_copy() {
    let numbers = vec![1.0f32, 2.0, 3.0, 4.0];
    let memory = numbers.as_ptr().cast::<u8>();
    let array = Array::from_f32(numbers, [2, 2]).unwrap();
    assert_eq!(array.data.as_slice().as_ptr(), memory);
    assert_eq!(array.dtype, dtype("<f4", 4));
    assert_eq!(array.len_elements(), 4);
    let read = array.as_f32().unwrap();
    assert!(matches!(read, Cow::Borrowed([1.0, 2.0, 3.0, 4.0])), "{read:?}");
    assert_eq!(array.as_f64(), None, "float32 is not read as float64");
    assert_eq!(array.as_i32(), None, "float32 is not read as int32");
}

#[test]
fn unaligned_and_big_endian_elements_are_read_by_copy() {
    let mut bytes = vec![0];
    bytes.extend([1.5f64, -2.0].map(f64::to_le_bytes).as_flattened());
    let unaligned = Bytes::from(bytes);
    let offset = usize::from(unaligned.as_ptr().addr() % 8 != 7);
    let array = Array::from_f64(unaligned.slice(1..), [2]).unwrap();
    assert_eq!(array.as_f64().unwrap(), [1.5, -2.0].as_slice());
    assert!(offset == 0 || matches!(array.as_f64(), Some(Cow::Owned(_))));

    let big = [1i16, -2, 300].map(i16::to_be_bytes).as_flattened().to_vec();
    let array = Array::new(dtype(">i2", 2), [3], Order::C, big).unwrap();
    assert_eq!(array.as_i16().unwrap(), [1, -2, 300].as_slice());
    assert!(array.dtype.is::<i16>());
    assert!(!array.dtype.is::<u16>());
}

#[test]
fn every_plain_dtype_has_one_size() {
    let good = [
        ("|b1", 1),
        ("|i1", 1),
        ("|u1", 1),
        ("<i2", 2),
        (">u8", 8),
        ("<f2", 2),
        ("<f4", 4),
        (">f8", 8),
        ("<f16", 16),
        ("<c8", 8),
        ("<c16", 16),
        ("<m8[s]", 8),
        ("<M8[ns]", 8),
        ("<M8", 8),
        (">M8[25us]", 8),
        ("|S5", 5),
        ("<U10", 40),
        ("|V8", 8),
        ("[('a', '<f4')]", 4),
    ];
    for (descr, size) in good {
        dtype(descr, size).check().unwrap_or_else(|error| panic!("{descr}: {error}"));
        if !descr.starts_with('[') {
            let wrong = dtype(descr, size + 1).check();
            assert!(matches!(wrong, Err(ArrayError::ItemBytes { .. })), "{descr}: {wrong:?}");
        }
        let empty = dtype(descr, 0).check();
        assert!(matches!(empty, Err(ArrayError::ItemBytes { .. })), "{descr}: {empty:?}");
    }
}

#[test]
fn what_is_no_dtype_is_refused() {
    let bad = [
        "",
        "<",
        "<f",
        "f4",
        "=f4",
        "<f4x",
        "<f4[ns]",
        "<M8[",
        "<M8[]",
        "|f4",
        "<f3",
        "<i16",
        "<x4",
        "<é4",
        "<f+4",
        "<f-4",
        "<U99999999999999999999",
        "float32",
        "[",
        "(('<f4', 2))",
        "<b4",
    ];
    for descr in bad {
        let result = dtype(descr, 4).check();
        assert!(matches!(result, Err(ArrayError::UnknownDtype { .. })), "{descr}: {result:?}");
    }
    for descr in ["|O", "O", "|O8", "[('a', '|O')]", "[('a', '<f4'), ('b', '|O', (2,))]"] {
        let result = dtype(descr, 8).check();
        assert!(matches!(result, Err(ArrayError::ObjectDtype { .. })), "{descr}: {result:?}");
    }
    assert!(matches!(dtype("|V0", 0).check(), Err(ArrayError::ItemBytes { .. })));
}

#[test]
fn shape_and_data_must_agree() {
    let make = |shape: &[u64], bytes: usize| {
        Array::new(dtype("<f4", 4), shape, Order::C, vec![0u8; bytes])
    };
    make(&[], 4).unwrap();
    make(&[2, 3], 24).unwrap();
    make(&[0, 1 << 40], 0).unwrap();
    let wrong = make(&[2, 3], 23).unwrap_err();
    assert_eq!(wrong, ArrayError::DataLength { shape: vec![2, 3], expected: 24, found: 23 });
    for shape in [[1 << 62, 4], [u64::MAX, u64::MAX], [1 << 61, 1], [1 << 62, 0]] {
        let result = make(&shape, 0);
        assert!(matches!(result, Err(ArrayError::TooLarge { .. })), "{shape:?}: {result:?}");
    }
    assert_eq!(make(&[1; 65], 4), Err(ArrayError::TooManyAxes { axes: 65 }));
    let scalar = Array { scalar: true, ..make(&[1], 4).unwrap() };
    assert_eq!(scalar.check(), Err(ArrayError::ScalarShape { shape: vec![1] }));
}
