//! CREATE TABLE without its keys to tables that others use: the new table locks nobody, and the key comes after it, NOT VALID.

use std::ops::Range;

use super::piece::{Phase, Piece, Taken};
use super::world::World;
use crate::workers::migrate::deed::{Action, Constraint, Deed, Demand};
use crate::workers::migrate::lint::scene::constraint_name;
use crate::workers::migrate::names::{canonical, last, quoted};

pub(crate) fn create(world: &World<'_>, name: &str, text: &str, actions: &[Action]) -> Taken {
    let own = canonical(name);
    let foreign = |constraint: &Constraint| match &constraint.kind {
        Demand::Reference { table, .. } => {
            let table = canonical(table);
            table != own && !world.is_made(&table)
        }
        _ => false,
    };
    let mut cuts: Vec<Range<usize>> = Vec::new();
    let mut keys = Vec::new();
    for (place, action) in actions.iter().enumerate() {
        match &action.deed {
            Deed::AddConstraint(constraint) if foreign(constraint) => {
                let next = actions.get(place + 1).map(|next| next.at.start);
                let before =
                    place.checked_sub(1).and_then(|before| actions.get(before)).map(|before| before.at.end);
                // With the comma behind it, or, where it is the last, the one before it.
                cuts.push(match (next, before) {
                    (Some(next), _) => action.at.start..next,
                    (None, Some(before)) => before..action.at.end,
                    (None, None) => action.at.clone(),
                });
                keys.push((constraint, constraint.body.clone()));
            }
            Deed::AddColumn(column) => {
                for (at, constraint) in
                    column.constraints.iter().filter(|(_, constraint)| foreign(constraint))
                {
                    let blank =
                        text.get(..at.start).map_or(0, |before| before.len() - before.trim_end().len());
                    cuts.push(at.start - blank..at.end);
                    keys.push((
                        constraint,
                        format!("FOREIGN KEY ({}) {}", quoted(&column.name), constraint.body),
                    ));
                }
            }
            _ => {}
        }
    }
    if keys.is_empty() {
        return Taken::pieces(vec![Piece::whole(Phase::Make, name, text)]);
    }
    let mut rest = text.to_owned();
    // From behind, so that the places before stay true.
    cuts.sort_by_key(|cut| std::cmp::Reverse(cut.start));
    for cut in cuts {
        rest.replace_range(cut, "");
    }
    let mut pieces = vec![
        Piece::whole(Phase::Make, name, rest)
            .because("without its keys to tables that others use: those would lock out their writers until the end of the transaction"),
    ];
    for (constraint, body) in keys {
        let ident = quoted(&constraint_name(constraint, &last(name)));
        let options = constraint.options.iter().fold(String::new(), |all, one| all + " " + one);
        pieces.push(Piece::action(
            Phase::Key,
            name,
            format!("ADD CONSTRAINT {ident} {body}{options} NOT VALID"),
        ));
        pieces.push(Piece::action(Phase::KeyValidate, name, format!("VALIDATE CONSTRAINT {ident}")));
    }
    Taken::pieces(pieces)
}
