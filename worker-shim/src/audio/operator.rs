//! The operators of views, and what they are applied to.

use std::cmp::Ordering;

use super::{Number, Numeric, View};

/// An operator with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `//`
    FloorDivide,
    /// `%`
    Remainder,
    /// `**`
    Power,
    /// The smaller one.
    Minimum,
    /// The larger one.
    Maximum,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `&`, of truths.
    And,
    /// `|`, of truths.
    Or,
}

/// An operator with one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    /// `-`
    Negative,
    /// `+`
    Positive,
    /// `abs()`
    Absolute,
    /// `~`, of truths.
    Invert,
}

/// What stands beside an operator.
#[derive(Debug, Clone)]
pub enum Operand {
    /// Numbers with a dtype of their own.
    View(View),
    /// A number of Python, whose width is that of the other operand.
    Number(Number),
}

impl Operator {
    /// As it is written in Python.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::FloorDivide => "//",
            Self::Remainder => "%",
            Self::Power => "**",
            Self::Minimum => "min",
            Self::Maximum => "max",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::And => "&",
            Self::Or => "|",
        }
    }

    pub(super) fn is_comparison(self) -> bool {
        self.holds(Some(Ordering::Less)).is_some()
    }

    /// Whether a comparison holds for two numbers in this order; nothing for other operators.
    pub(super) fn holds(self, order: Option<Ordering>) -> Option<bool> {
        Some(match self {
            Self::Less => order == Some(Ordering::Less),
            Self::LessEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            _ => return None,
        })
    }

    /// The dtype that numbers of this common dtype are computed in.
    pub(super) fn computed_in(self, common: Numeric) -> Numeric {
        if self == Self::Divide && common.is_whole() { Numeric::F64 } else { common }
    }
}

impl Unary {
    /// As it is written in Python.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Negative => "-",
            Self::Positive => "+",
            Self::Absolute => "abs",
            Self::Invert => "~",
        }
    }
}
