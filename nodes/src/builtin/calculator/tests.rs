//! Tests of CalculatorNode.
