//! The operators of views, and their operands.

use super::{Number, View};

macro_rules! operators {
    ($(#[$about:meta])+ $name:ident { $($variant:ident $symbol:literal;)+ }) => {
        $(#[$about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = concat!("`", $symbol, "`")] $variant,)+
        }

        impl $name {
            /// The operator as it is written in Python.
            pub fn symbol(self) -> &'static str {
                match self { $(Self::$variant => $symbol),+ }
            }
        }
    };
}

operators! {
    /// An operator with two operands.
    Operator {
        Add "+"; Subtract "-"; Multiply "*"; Divide "/"; Power "**"; And "&"; Or "|";
        Minimum "min"; Maximum "max";
        Less "<"; LessEqual "<="; Equal "=="; NotEqual "!="; Greater ">"; GreaterEqual ">=";
    }
}

operators! {
    /// An operator with one operand.
    Unary { Negative "-"; Absolute "abs"; Invert "~"; }
}

/// An operand of an operator.
#[derive(Debug, Clone)]
pub enum Operand {
    /// A view, which has a dtype.
    View(View),
    /// A Python number. It has no dtype; the other operand's applies, as in numpy 2.
    Number(Number),
}

impl From<&View> for Operand {
    fn from(view: &View) -> Self {
        Self::View(view.clone())
    }
}
