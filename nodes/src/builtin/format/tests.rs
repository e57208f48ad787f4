//! Tests of FormatConverterNode.
