//! Items of any kind: numbers, lists, requests to compute, and what no node takes.

use ipc_protocol::{Opaque, Value};
use num_bigint::BigInt;

use crate::dice::Dice;
use crate::sound::{self, UNSOUND};

const NUMBER_DTYPES: [&str; 14] = [
    "<f4", "<f8", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", ">f8", ">i4", "<f2",
    "|b1",
];

/// An item for a node that computes.
pub(crate) fn number_item(dice: &mut Dice) -> Value {
    match dice.roll(8) {
        0..3 => number(dice),
        3 => Value::List((0..dice.size(50)).map(|_| number(dice)).collect()),
        4 => {
            let numbers: Vec<f64> = (0..dice.size(200)).map(|_| float(dice)).collect();
            let dtype = dice.pick(&NUMBER_DTYPES);
            Value::Array(sound::array(dice, &numbers, (1, numbers.len()), dtype, 20))
        }
        _ => request(dice),
    }
}

/// A dict for CalculatorNode.
fn request(dice: &mut Dice) -> Value {
    const NAMES: [&str; 8] =
        ["add", "Subtract", "multiply", "divide", "power", "modulo", "sqrt", ""];
    let name = match dice.roll(50) {
        0 => Value::from("multiply ".repeat(10_000).as_str()),
        1 => Value::Int(1),
        _ => Value::from(dice.pick(&NAMES)),
    };
    let count = dice.pick(&[2, 2, 2, 2, 2, 2, 2, 0, 1, 3]);
    let numbers: Vec<Value> = (0..count).map(|_| number(dice)).collect();
    let numbers = match dice.roll(10) {
        0 => Value::Tuple(numbers),
        1 => Value::from("two numbers"),
        _ => Value::List(numbers),
    };
    let key = dice.pick(&["args", "operands", "operands", "args", "arguments"]);
    let mut entries = vec![(Value::from("operation"), name), (Value::from(key), numbers)];
    if dice.chance(50) {
        entries.remove(0);
    }
    Value::Dict(entries)
}

fn number(dice: &mut Dice) -> Value {
    match dice.roll(6) {
        0 => Value::Int(dice.pick(&[0, 1, -1, i64::MAX, i64::MIN, 2_000_000])),
        1 => Value::Float(float(dice)),
        2 => big(dice),
        3 => Value::Float(dice.share() * 100.0),
        _ => Value::Int(dice.roll(2_000).cast_signed() - 1_000),
    }
}

fn float(dice: &mut Dice) -> f64 {
    match dice.roll(4) {
        0 => dice.pick(&UNSOUND),
        1 => f64::from_bits(dice.bits()),
        _ => dice.share() * 2.0 - 1.0,
    }
}

/// Integers on both sides of what a node computes with.
fn big(dice: &mut Dice) -> Value {
    let bits = match dice.roll(2_000) {
        0 => 1_000_001,
        1 => 999_999,
        2..20 => 20_000,
        _ => 64 + dice.roll(1_000),
    };
    let number = (BigInt::from(dice.bits() | 1) << bits) + dice.bits();
    Value::BigInt(if dice.chance(300) { -number } else { number })
}

/// What is neither audio nor number.
pub(crate) fn junk(dice: &mut Dice) -> Value {
    match dice.roll(12) {
        0 => Value::None,
        1 => Value::Bool(dice.chance(500)),
        2 => Value::from(""),
        3 => Value::from("text ".repeat(dice.size(2_000)).as_str()),
        4 => Value::Bytes(vec![0xff; dice.size(2_000)].into()),
        5 => Value::Set(vec![Value::Int(1)]),
        6 => Value::FrozenSet(Vec::new()),
        7 => Value::Tuple(Vec::new()),
        8 => Value::Dict(vec![(Value::None, Value::None), (Value::from("data"), Value::None)]),
        9 => (0..60).fold(Value::Int(1), |inner, _| Value::List(vec![inner])),
        10 => Value::Opaque(Opaque {
            type_name: "a.very.long.name.".repeat(1_000),
            interpreter: "cpython-3.11".to_owned(),
            pickle: vec![0; 10].into(),
        }),
        _ => Value::List(vec![Value::from("1"), Value::None]),
    }
}
