//! Parameters of native nodes: their declaration, and the checked values that a node is built from.
//! `params/check.rs` checks them.

mod check;
mod problem;
#[cfg(test)]
mod tests;

use num_bigint::BigInt;
use serde_json::{Map, Value as Json, json};

pub(crate) use check::{check, read_number};
pub use problem::ParamProblem;

/// One parameter of a node type.
#[derive(Debug, Clone, Copy)]
pub struct ParamSpec {
    /// Canonical name.
    pub name: &'static str,
    /// Other names of the parameter.
    pub aliases: &'static [&'static str],
    /// Type of the value.
    pub kind: ParamKind,
    /// Value when the parameter is not given; [`ParamDefault::Absent`]: none.
    pub default: ParamDefault,
    /// Smallest and largest value allowed, both included; for numbers only.
    pub range: Option<(f64, f64)>,
    /// Unit of the value (`Hz`, `ms`, `dBFS`), or empty.
    pub unit: &'static str,
    /// One sentence that describes the parameter to users.
    pub doc: &'static str,
}

/// Type of a parameter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// A finite number, kept as a float.
    Float,
    /// A whole number; a float without a fraction counts as one.
    Int,
    /// `true` or `false`.
    Bool,
    /// A number that stays an int or a float, as it was given.
    Number,
    /// One of these words, in upper or lower case.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
}

impl ParamKind {
    /// The name of the type in metadata and messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Float => "float",
            Self::Int => "int",
            Self::Bool => "bool",
            Self::Number => "number",
            Self::Choice(_) | Self::Text => "string",
        }
    }
}

/// Default value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ParamDefault {
    /// The parameter is optional and has no value unless one is given.
    Absent,
    /// For [`ParamKind::Float`] and [`ParamKind::Number`].
    Float(f64),
    /// For [`ParamKind::Int`] and [`ParamKind::Number`].
    Int(i64),
    /// For [`ParamKind::Bool`].
    Bool(bool),
    /// For [`ParamKind::Choice`] and [`ParamKind::Text`].
    Text(&'static str),
}

/// A number that is an int or a float, as it was given.
#[derive(Debug, Clone, PartialEq)]
pub enum Number {
    /// A whole number of any size.
    Int(BigInt),
    /// A float.
    Float(f64),
}

/// A checked value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ParamValue {
    Absent,
    Float(f64),
    Int(i64),
    Bool(bool),
    Number(Number),
    Text(String),
}

/// A complete, checked set of parameters: one value for each parameter of the node type.
#[derive(Debug, Clone, PartialEq)]
pub struct Params {
    node: &'static str,
    values: Vec<(&'static str, ParamValue)>,
    /// The parameters as the user wrote them, with canonical names; defaults are not in it.
    given: Map<String, Json>,
}

impl Params {
    /// The node type that the parameters belong to.
    #[must_use]
    pub fn node(&self) -> &'static str {
        self.node
    }

    /// The parameters as the user wrote them, with canonical names; without defaults.
    #[must_use]
    pub fn given(&self) -> &Map<String, Json> {
        &self.given
    }

    /// The value of a [`ParamKind::Float`] parameter.
    ///
    /// # Errors
    /// The node type declares no such parameter of that kind.
    pub fn float(&self, name: &'static str) -> Result<f64, ParamProblem> {
        self.optional_float(name)?.ok_or_else(|| self.undeclared(name, "float"))
    }

    /// The value of a [`ParamKind::Float`] parameter that may be absent.
    ///
    /// # Errors
    /// The node type declares no such parameter of that kind.
    pub fn optional_float(&self, name: &'static str) -> Result<Option<f64>, ParamProblem> {
        match self.value(name) {
            Some(ParamValue::Float(number)) => Ok(Some(*number)),
            Some(ParamValue::Absent) => Ok(None),
            _ => Err(self.undeclared(name, "float")),
        }
    }

    /// The value of a [`ParamKind::Int`] parameter.
    ///
    /// # Errors
    /// The node type declares no such parameter of that kind.
    pub fn int(&self, name: &'static str) -> Result<i64, ParamProblem> {
        match self.value(name) {
            Some(ParamValue::Int(number)) => Ok(*number),
            _ => Err(self.undeclared(name, "int")),
        }
    }

    /// The value of a [`ParamKind::Int`] parameter that lies in the range of a `u32`.
    ///
    /// # Errors
    /// The node type declares no such parameter of that kind and range.
    pub fn u32(&self, name: &'static str) -> Result<u32, ParamProblem> {
        match self.value(name) {
            Some(ParamValue::Int(number)) => {
                u32::try_from(*number).map_err(|_| self.undeclared(name, "int"))
            }
            _ => Err(self.undeclared(name, "int")),
        }
    }

    /// The value of a [`ParamKind::Int`] parameter that may be absent and whose range lies in `u32`.
    ///
    /// # Errors
    /// The node type declares no such parameter of that kind.
    pub fn optional_u32(&self, name: &'static str) -> Result<Option<u32>, ParamProblem> {
        match self.value(name) {
            Some(ParamValue::Absent) => Ok(None),
            _ => self.u32(name).map(Some),
        }
    }

    /// The value of a [`ParamKind::Bool`] parameter.
    ///
    /// # Errors
    /// The node type declares no such parameter of that kind.
    pub fn bool(&self, name: &'static str) -> Result<bool, ParamProblem> {
        match self.value(name) {
            Some(ParamValue::Bool(truth)) => Ok(*truth),
            _ => Err(self.undeclared(name, "bool")),
        }
    }

    /// The value of a [`ParamKind::Number`] parameter.
    ///
    /// # Errors
    /// The node type declares no such parameter of that kind.
    pub fn number(&self, name: &'static str) -> Result<Number, ParamProblem> {
        match self.value(name) {
            Some(ParamValue::Number(number)) => Ok(number.clone()),
            _ => Err(self.undeclared(name, "number")),
        }
    }

    /// The value of a [`ParamKind::Choice`] parameter (in its declared spelling) or of a
    /// [`ParamKind::Text`] one.
    ///
    /// # Errors
    /// The node type declares no such parameter of that kind.
    pub fn text(&self, name: &'static str) -> Result<&str, ParamProblem> {
        match self.value(name) {
            Some(ParamValue::Text(text)) => Ok(text),
            _ => Err(self.undeclared(name, "string")),
        }
    }

    /// The value of a [`ParamKind::Choice`] or [`ParamKind::Text`] parameter that may be absent.
    ///
    /// # Errors
    /// The node type declares no such parameter of that kind.
    pub fn optional_text(&self, name: &'static str) -> Result<Option<&str>, ParamProblem> {
        match self.value(name) {
            Some(ParamValue::Text(text)) => Ok(Some(text)),
            Some(ParamValue::Absent) => Ok(None),
            _ => Err(self.undeclared(name, "string")),
        }
    }

    fn value(&self, name: &str) -> Option<&ParamValue> {
        self.values.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn undeclared(&self, param: &'static str, kind: &'static str) -> ParamProblem {
        ParamProblem::Undeclared { node: self.node, param, kind }
    }
}

/// The description of a parameter as JSON; keys without a value are left out, but for `default`.
pub(crate) fn metadata(spec: &ParamSpec) -> Json {
    let mut out = Map::new();
    out.insert("type".into(), json!(spec.kind.name()));
    let default = match spec.default {
        ParamDefault::Absent => Json::Null,
        ParamDefault::Float(number) => json!(number),
        ParamDefault::Int(number) => json!(number),
        ParamDefault::Bool(truth) => json!(truth),
        ParamDefault::Text(text) => json!(text),
    };
    out.insert("default".into(), default);
    if let Some((min, max)) = spec.range {
        let bound = |number: f64| match spec.kind {
            ParamKind::Int => json!(whole(number)),
            _ => json!(number),
        };
        out.insert("range".into(), json!([bound(min), bound(max)]));
    }
    if !spec.unit.is_empty() {
        out.insert("unit".into(), json!(spec.unit));
    }
    if !spec.aliases.is_empty() {
        out.insert("aliases".into(), json!(spec.aliases));
    }
    if let ParamKind::Choice(choices) = spec.kind {
        out.insert("choices".into(), json!(choices));
    }
    out.insert("description".into(), json!(spec.doc));
    Json::Object(out)
}

/// A float without a fraction as an integer.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and bounds are small")]
fn whole(number: f64) -> i64 {
    number as i64
}
