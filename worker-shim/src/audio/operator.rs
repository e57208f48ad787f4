//! The operators with two operands, and what may stand beside them.

use std::cmp::Ordering;

use super::{Kind, Number, View};

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
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
    /// `<<`
    LeftShift,
    /// `>>`
    RightShift,
}

/// What stands beside an operator.
#[derive(Debug, Clone)]
pub enum Operand {
    /// Numbers with a kind of their own.
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
            Self::Xor => "^",
            Self::LeftShift => "<<",
            Self::RightShift => ">>",
        }
    }

    pub(super) fn is_comparison(self) -> bool {
        self.holds(Some(Ordering::Less)).is_some()
    }

    /// Whether it is about the bits of whole numbers.
    pub(super) fn is_of_bits(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Xor | Self::LeftShift | Self::RightShift)
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

    /// The kind that numbers of this common kind are computed in.
    pub(super) fn computed_in(self, common: Kind) -> Kind {
        match self {
            Self::Divide if common.is_whole() => Kind::F64,
            Self::FloorDivide
            | Self::Remainder
            | Self::Power
            | Self::LeftShift
            | Self::RightShift
                if common == Kind::Bool =>
            {
                Kind::I8
            }
            _ => common,
        }
    }
}
