//! The store under load, under two processes, and under bad files.
