//! Tests of VADNode.
