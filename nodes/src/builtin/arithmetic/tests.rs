//! Tests of AddNode and MultiplyNode.
