//! The operators of views, and what they are applied to.

use super::{Number, View};

macro_rules! operators {
    ($(#[$about:meta])+ $name:ident { $($variant:ident $symbol:literal;)+ }) => {
        $(#[$about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("`", $symbol, "`")] $variant,)+
        }

        impl $name {
            /// As it is written in Python.
            pub fn symbol(self) -> &'static str {
                match self {
                    $(Self::$variant => $symbol,)+
                }
            }
        }
    };
}

operators! {
    /// An operator with two operands.
    Operator {
        Add "+";
        Subtract "-";
        Multiply "*";
        Divide "/";
        Power "**";
        Minimum "min";
        Maximum "max";
        Less "<";
        LessEqual "<=";
        Equal "==";
        NotEqual "!=";
        Greater ">";
        GreaterEqual ">=";
        And "&";
        Or "|";
    }
}

operators! {
    /// An operator with one operand.
    Unary {
        Negative "-";
        Absolute "abs";
        Invert "~";
    }
}

/// What stands beside an operator.
#[derive(Debug, Clone)]
pub enum Operand {
    /// Numbers with a dtype of their own.
    View(View),
    /// A number of Python, whose width is that of the other operand.
    Number(Number),
}

impl From<&View> for Operand {
    fn from(view: &View) -> Self {
        Self::View(view.clone())
    }
}
