//! The small parts that panes are made of. They know cells, styles and widths; of a run only what they are handed.

pub mod bar;
pub mod frame;
pub mod gauge;
pub mod steps;
pub mod text;

pub use frame::{Panel, panel};
pub use text::Row;
