//! The rules that squawk does not have: the traps that were reproduced on a live table, and what only a whole set of files, or a
//! catalogue, can show. One file per subject; each rule reads the scene and puts down notes, and judges no sizes.

mod alters;
mod drops;
mod keys;
mod order;
mod policies;
mod present;
pub(crate) mod whole;

pub(crate) use whole::in_batches;

use super::note::Note;
use super::scene::{Page, Scene};

/// Asks every rule about a page.
pub(crate) fn ask(scene: &Scene<'_>, page: &Page<'_>) -> Vec<Note> {
    let rules = [
        alters::checks_in_columns,
        alters::not_null_with_drop,
        alters::several_alters,
        order::not_null_check_before_backfill,
        order::lock_timeout_and_concurrently,
        order::locks_held_through,
        order::upkeep_too_early,
        order::upkeep_meets_build,
        keys::types_differ,
        keys::reference_in_new_table,
        policies::rows_hidden,
        drops::not_own,
        present::other_shape,
        present::invalid_index,
        whole::all_rows,
        whole::whole_table,
    ];
    rules.iter().flat_map(|rule| rule(scene, page)).collect()
}
