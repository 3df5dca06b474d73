//! Written in its own slice.
