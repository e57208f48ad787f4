//! Parameters for a node type, made from its own declaration: those that fit, or anything.

use nodes::{NodeType, ParamKind, ParamSpec};
use serde_json::{Map, Value as Json, json};

use crate::dice::Dice;

/// Rates between which resampling is cheap.
pub(crate) const USUAL_RATES_HZ: [u32; 7] = [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

/// Parameters that the type accepts, edges of ranges among them.
pub(crate) fn fitting(dice: &mut Dice, node_type: &NodeType) -> Map<String, Json> {
    let mut params = Map::new();
    for spec in node_type.params {
        if dice.chance(500) {
            params.insert(name(dice, spec), fitting_value(dice, spec));
        }
    }
    for (_, second) in node_type.exclusive {
        params.retain(|name, _| name != second);
    }
    params
}

/// Anything: unknown names, wrong types, values beyond the edges.
pub(crate) fn wild(dice: &mut Dice, node_type: &NodeType) -> Map<String, Json> {
    let mut params = fitting(dice, node_type);
    for spec in node_type.params {
        if dice.chance(300) {
            params.insert(name(dice, spec), near_the_edge(dice, spec));
        }
        if dice.chance(200) {
            params.insert(name(dice, spec), anything(dice));
        }
    }
    if dice.chance(200) {
        let name = dice.pick(&["qualty", "", "sample rate", "\u{0}", "名前", "__class__"]);
        params.insert(name.to_owned(), anything(dice));
    }
    if dice.chance(50) {
        params.insert("x".repeat(100_000), anything(dice));
    }
    params
}

fn name(dice: &mut Dice, spec: &ParamSpec) -> String {
    match spec.aliases {
        [] => spec.name,
        aliases if dice.chance(300) => dice.pick(aliases),
        _ => spec.name,
    }
    .to_owned()
}

fn fitting_value(dice: &mut Dice, spec: &ParamSpec) -> Json {
    let (low, high) = spec.range.unwrap_or((-10.0, 10.0));
    let inside = low + dice.share() * (high - low);
    match spec.kind {
        // Most pairs of rates need huge blocks: one in two thousand shows what they do.
        ParamKind::Int if spec.unit == "Hz" => match dice.roll(2_000) {
            0 => json!(inside.round()),
            1 => json!(low),
            2 => json!(high),
            _ => json!(dice.pick(&USUAL_RATES_HZ)),
        },
        ParamKind::Int => json!(dice.pick(&[low, high, inside.round()])),
        ParamKind::Float => json!(dice.pick(&[low, high, inside])),
        ParamKind::Bool => json!(dice.chance(500)),
        ParamKind::Number => number(dice),
        ParamKind::Choice(choices) => {
            let choice = dice.pick(choices);
            json!(if dice.chance(500) { choice.to_owned() } else { choice.to_uppercase() })
        }
        ParamKind::Text => json!("text"),
    }
}

/// Numbers that sit on the edges of their types.
fn number(dice: &mut Dice) -> Json {
    match dice.roll(8) {
        0 => json!(dice.pick(&[0_i64, 1, -1, 2, 3, 10, 1_000_000, i64::MAX, i64::MIN])),
        1 => json!(dice.pick(&[0.0, -0.0, 0.5, -1.5, f64::MAX, f64::MIN, 5e-324, 1e-310])),
        2 => json!(u64::MAX),
        3 => json!(dice.bits()),
        4 => json!(f64::from_bits(dice.bits())),
        _ => json!(dice.roll(200).cast_signed() - 100),
    }
}

fn near_the_edge(dice: &mut Dice, spec: &ParamSpec) -> Json {
    let (low, high) = spec.range.unwrap_or((0.0, 1.0));
    match dice.roll(6) {
        0 => json!(low - 1.0),
        1 => json!(high + 1.0),
        2 => json!(low.next_down()),
        3 => json!(high.next_up()),
        4 => json!(low + 0.5),
        _ => json!(-high),
    }
}

/// Any JSON. NaN and infinities have no JSON form: `json!` makes null of them.
fn anything(dice: &mut Dice) -> Json {
    match dice.roll(9) {
        0 => Json::Null,
        1 => json!(dice.chance(500)),
        2 => json!(dice.pick(&["", "high", "NaN", "inf", "-1", "\u{0}", "übel"])),
        3 => json!("long ".repeat(20_000)),
        4 => json!([1, 2]),
        5 => json!({"a": {"b": []}}),
        6 => json!(f64::from_bits(dice.bits())),
        7 => json!(dice.bits().cast_signed()),
        _ => number(dice),
    }
}
