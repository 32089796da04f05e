//! The screen, seen from outside: snapshots of panes and whole applications driven by scripted keys.

mod ahead;
mod app;
mod looks;
mod rig;
