//! ALTER TABLE taken apart: each action as the form that stops nobody, or as it is with the reason why there is no such form.

use std::ops::Range;

use super::piece::{Phase, Piece, Taken};
use super::world::World;
use crate::workers::migrate::classify::Clause;
use crate::workers::migrate::deed::{Action, Column, Constraint, Deed, Demand, Looks};
use crate::workers::migrate::lint::effort::rewrites;
use crate::workers::migrate::lint::scene::constraint_name;
use crate::workers::migrate::lint::squawk::unsteady_defaults;
use crate::workers::migrate::names::{canonical, chosen, last, quoted};

/// Takes an ALTER TABLE on `table`, as written, apart.
pub(crate) fn alter(world: &World<'_>, table: &str, text: &str, actions: &[Action]) -> Taken {
    let head = text.to_ascii_lowercase();
    let head = head.split(&last(table)).next().unwrap_or_default().to_owned();
    let unsteady = unsteady_defaults(text);
    let on = On { world, table, name: last(table), unsteady: &unsteady };
    let mut pieces = Vec::new();
    let mut first = Vec::new();
    let mut left = Vec::new();
    let worded = head.split_whitespace().any(|word| matches!(word, "only" | "exists"));
    if worded {
        let unsafe_ = actions.iter().any(|action| on.is_unsafe(action));
        let why = format!(
            "ALTER TABLE with ONLY or IF EXISTS on {table} is not taken apart: write it without, and ask again"
        );
        return if unsafe_ { Taken::left(text, why) } else { Taken::stays(text) };
    }
    let sets = actions.iter().any(|action| matches!(action.deed, Deed::SetNotNull { .. }));
    for action in actions {
        // The proof of a NOT NULL must not go before it, and in one ALTER it would.
        if sets && matches!(action.deed, Deed::DropConstraint { .. }) {
            pieces.push(
                Piece::action(Phase::Help, table, action.text.clone())
                    .because("not in the ALTER above: it would be dropped first, and with it the proof"),
            );
            continue;
        }
        match on.take(action) {
            Outcome::Pieces(found) => pieces.extend(found),
            // What may not be moved keeps its whole statement where it is.
            Outcome::Stays if !actions.iter().any(|action| on.is_unsafe(action)) => {
                return Taken::stays(text);
            }
            // The server drops and alters before it adds, whatever stands first.
            Outcome::Stays => first.push(Piece::action(Phase::Make, table, action.text.clone())),
            Outcome::Left(why) => {
                left.push(why);
                pieces.push(Piece::whole(Phase::Rest, table, format!("ALTER TABLE {table} {}", action.text)));
            }
        }
    }
    first.append(&mut pieces);
    Taken::Pieces { pieces: first, left }
}

/// What becomes of an action.
enum Outcome {
    Pieces(Vec<Piece>),
    /// It takes no time, and its place matters.
    Stays,
    /// It stops clients, and there is no form that does not and is the same.
    Left(String),
}

struct On<'a> {
    world: &'a World<'a>,
    /// As written.
    table: &'a str,
    name: String,
    unsteady: &'a [Range<usize>],
}

impl On<'_> {
    fn action(&self, phase: Phase, text: impl Into<String>) -> Piece {
        Piece::action(phase, self.table, text)
    }

    fn is_unsafe(&self, action: &Action) -> bool {
        match &action.deed {
            Deed::AddColumn(column) => rewrites(column, self.unsteady) || !column.constraints.is_empty(),
            Deed::AddConstraint(constraint) => {
                constraint.looks == Looks::Now && constraint.kind != Demand::UsingIndex
            }
            Deed::SetNotNull { column } => !self.world.is_proven(&canonical(self.table), column),
            _ => false,
        }
    }

    fn take(&self, action: &Action) -> Outcome {
        match &action.deed {
            Deed::AddColumn(column) => self.column(column, &action.text),
            Deed::AddConstraint(constraint) => self.constraint(constraint, &action.text),
            Deed::Validate { .. } => Outcome::Pieces(vec![self.action(Phase::Validate, action.text.clone())]),
            Deed::SetNotNull { column } => Outcome::Pieces(self.not_null(column)),
            Deed::SetDefault => Outcome::Pieces(vec![self.action(Phase::Add, action.text.clone())]),
            Deed::SetType { column, ty } => self.set_type(column, ty),
            Deed::DropColumn { .. } | Deed::DropConstraint { .. } | Deed::EnableRls | Deed::Plain => {
                Outcome::Stays
            }
        }
    }

    fn column(&self, column: &Column, text: &str) -> Outcome {
        let rewritten = rewrites(column, self.unsteady);
        if column.constraints.is_empty() && !rewritten {
            return Outcome::Pieces(vec![self.action(Phase::Add, text)]);
        }
        let called = format!("{}.{}", self.name, column.name);
        if column.exists == Clause::Lenient {
            return Outcome::Left(format!(
                "{called} is added IF NOT EXISTS: what would follow depends on whether it is there; say which, and ask again"
            ));
        }
        if column.generated {
            return Outcome::Left(format!(
                "{called} is computed by the server: no other form has the same end. A plain column with a trigger, or an index on \
                 the expression, would serve without writing the table anew"
            ));
        }
        if column.is_serial() {
            return Outcome::Left(format!(
                "{called} is a serial: the rows that are there would get their numbers in another order. A plain column, a \
                 sequence as its default, and a backfill would serve"
            ));
        }
        let ident = quoted(&column.name);
        let mut plain = vec!["ADD COLUMN".to_owned(), column.written.clone(), column.ty.clone()];
        plain.extend(column.rest.iter().cloned());
        let mut pieces = Vec::new();
        let filled = rewritten && column.default.is_some();
        match &column.default {
            Some((default, _)) if rewritten => {
                let Some(key) = self.world.key(&canonical(self.table)) else {
                    return Outcome::Left(format!(
                        "{called} has a default that is worked out row by row; to fill it in batches needs a key of one column, \
                         and none is known{}",
                        self.world.why_no_key()
                    ));
                };
                pieces.push(self.action(Phase::Add, plain.join(" ")).because(format!(
                    "{} gets its default without a rewrite; the rows that are there are filled after it",
                    column.name
                )));
                pieces.push(self.action(Phase::Add, format!("ALTER COLUMN {ident} SET DEFAULT {default}")));
                let sql = format!("UPDATE {} SET {ident} = {default} WHERE {ident} IS NULL", self.table);
                let form = super::piece::Form::Batches { key, sql };
                pieces.push(
                    Piece { phase: Phase::Fill, table: self.table.to_owned(), form, why: None }
                        .because("each batch is a transaction of its own, so nobody waits for the last row"),
                );
                if column.not_null {
                    pieces.extend(self.not_null(&column.name));
                }
            }
            default => {
                plain.extend(default.as_ref().map(|(default, _)| format!("DEFAULT {default}")));
                if column.not_null {
                    plain.push("NOT NULL".into());
                }
                pieces.push(self.action(Phase::Add, plain.join(" ")));
            }
        }
        for (_, constraint) in &column.constraints {
            match self.demand(constraint, filled, Some(&column.name)) {
                Outcome::Pieces(found) => pieces.extend(found),
                other => return other,
            }
        }
        Outcome::Pieces(pieces)
    }

    fn constraint(&self, constraint: &Constraint, text: &str) -> Outcome {
        if constraint.looks == Looks::Later {
            let phase = match &constraint.kind {
                Demand::Reference { .. } => Phase::Key,
                kind => self.check_phase(kind, false),
            };
            return Outcome::Pieces(vec![self.action(phase, text)]);
        }
        if constraint.kind == Demand::UsingIndex {
            return Outcome::Pieces(vec![self.action(Phase::Using, text)]);
        }
        self.demand(constraint, false, None)
    }

    /// A check that new rows pass from the start goes in with the columns; one that a backfill makes true comes after it.
    fn check_phase(&self, kind: &Demand, filled: bool) -> Phase {
        let on_old = match kind {
            Demand::Check { names } => {
                let table = canonical(self.table);
                !names.iter().all(|name| self.world.is_added(&table, name))
                    || self.world.is_filled(&table, names)
            }
            _ => true,
        };
        if filled || on_old { Phase::Check } else { Phase::Add }
    }

    fn demand(&self, constraint: &Constraint, filled: bool, column: Option<&str>) -> Outcome {
        let name = constraint_name(constraint, &self.name);
        let ident = quoted(&name);
        let options = constraint.options.iter().fold(String::new(), |all, one| all + " " + one);
        match &constraint.kind {
            Demand::Check { .. } | Demand::NotNullCheck { .. } => {
                let phase = self.check_phase(&constraint.kind, filled);
                Outcome::Pieces(vec![
                    self.action(
                        phase,
                        format!("ADD CONSTRAINT {ident} {}{options} NOT VALID", constraint.body),
                    )
                    .because("NOT VALID looks at no row, and VALIDATE stops nobody while it does"),
                    self.action(Phase::Validate, format!("VALIDATE CONSTRAINT {ident}")),
                ])
            }
            Demand::Reference { .. } => {
                let body = match column {
                    Some(column) => format!("FOREIGN KEY ({}) {}", quoted(column), constraint.body),
                    None => constraint.body.clone(),
                };
                Outcome::Pieces(vec![
                    self.action(Phase::Key, format!("ADD CONSTRAINT {ident} {body}{options} NOT VALID"))
                        .because("NOT VALID looks up no key, and VALIDATE stops no writer while it does"),
                    self.action(Phase::KeyValidate, format!("VALIDATE CONSTRAINT {ident}")),
                ])
            }
            Demand::Unique { columns } => self.unique(constraint, &ident, "UNIQUE", columns, &options),
            Demand::Primary { columns } => {
                let mut pieces: Vec<Piece> = Vec::new();
                for column in
                    columns.iter().filter(|column| !self.world.is_not_null(&canonical(self.table), column))
                {
                    pieces.extend(self.not_null(column));
                }
                match self.unique(constraint, &ident, "PRIMARY KEY", columns, &options) {
                    Outcome::Pieces(found) => {
                        pieces.extend(found);
                        Outcome::Pieces(pieces)
                    }
                    other => other,
                }
            }
            Demand::UsingIndex => Outcome::Stays,
            Demand::Other => Outcome::Left(format!(
                "{name} on {}: an exclusion constraint cannot take a finished index, so there is no form that stops nobody",
                self.name
            )),
        }
    }

    fn unique(
        &self,
        constraint: &Constraint,
        ident: &str,
        word: &str,
        columns: &[String],
        options: &str,
    ) -> Outcome {
        if self.world.is_partitioned(&canonical(self.table)) {
            return Outcome::Left(format!(
                "{} is partitioned: an index cannot be built concurrently on all partitions at once; build it on each, then attach them",
                self.name
            ));
        }
        // An inline UNIQUE names no columns: they are what stands in front of it.
        let listed = columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
        let tail = match constraint.body.find('(') {
            Some(open) => constraint.body.get(open..).unwrap_or_default().to_owned(),
            None => format!("({listed})"),
        };
        let head = constraint.body.split('(').next().unwrap_or_default().to_ascii_uppercase();
        let tail = if head.contains("NOT DISTINCT") { format!("{tail} NULLS NOT DISTINCT") } else { tail };
        if tail.to_ascii_uppercase().contains("USING INDEX TABLESPACE") {
            return Outcome::Left(format!(
                "{ident} names a tablespace for its index: build it by hand, concurrently"
            ));
        }
        let build = format!("CREATE UNIQUE INDEX CONCURRENTLY {ident} ON {} {tail}", self.table);
        Outcome::Pieces(vec![
            Piece::whole(Phase::Index, self.table, build)
                .because("the build stops nobody, and the constraint takes it as it is"),
            self.action(Phase::Using, format!("ADD CONSTRAINT {ident} {word} USING INDEX {ident}{options}")),
        ])
    }

    /// Check NOT VALID, VALIDATE, SET NOT NULL, and the check goes in an ALTER of its own.
    fn not_null(&self, column: &str) -> Vec<Piece> {
        let ident = quoted(column);
        let set = self.action(Phase::NotNull, format!("ALTER COLUMN {ident} SET NOT NULL"));
        if self.world.is_proven(&canonical(self.table), column) {
            return vec![set];
        }
        let helper = quoted(&chosen(&self.name, column, "gonogo_not_null"));
        vec![
            self.action(
                Phase::Check,
                format!("ADD CONSTRAINT {helper} CHECK ({ident} IS NOT NULL) NOT VALID"),
            )
            .because("a valid check proves NOT NULL, so that SET NOT NULL looks at no row"),
            self.action(Phase::Validate, format!("VALIDATE CONSTRAINT {helper}")),
            set,
            self.action(Phase::Help, format!("DROP CONSTRAINT {helper}"))
                .because("not in the ALTER above: it would be dropped first"),
        ]
    }

    fn set_type(&self, column: &str, ty: &str) -> Outcome {
        let called = format!("{}.{column}", self.name);
        if self.world.widens(&canonical(self.table), column, ty) {
            return Outcome::Stays;
        }
        Outcome::Left(format!(
            "{called} gets the type {ty}: the table is written anew. A second column, kept equal by a trigger, filled in batches and \
             exchanged would stop nobody, but needs the application's help"
        ))
    }
}
