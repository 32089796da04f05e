//! The thin binary: arguments, signals, dispatch.

fn main() {}
