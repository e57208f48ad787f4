//! Tests of parameter checking.
