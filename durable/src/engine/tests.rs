//! Tests of the engine core: a small world carries out what it wants, in virtual time.

mod random;
mod rules;
mod world;
