//! How the catalogue defines what has a name but is no table and no index: views, sequences, functions, types, extensions,
//! policies, triggers. Read before and after, so that a step can say what it found, and what it put in its place.

use std::sync::Arc;

use sqlx::postgres::PgConnection;

use super::database::run;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thing {
    View,
    MaterializedView,
    Sequence,
    Function,
    Type,
    Extension,
    Policy,
    Trigger,
}

/// What happens when the name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The server raises an error.
    Refused,
    /// IF NOT EXISTS: it says nothing and goes on.
    Skipped,
    /// OR REPLACE: the new definition takes the place of the old.
    Replaced,
}

impl Thing {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::MaterializedView => "materialized view",
            Self::Sequence => "sequence",
            Self::Function => "function",
            Self::Type => "type",
            Self::Extension => "extension",
            Self::Policy => "policy",
            Self::Trigger => "trigger",
        }
    }

    /// A query of the definition: `$1` the name, `$2` the table that it is on.
    const fn query(self) -> &'static str {
        match self {
            // Each takes both parameters, so that they can be bound alike.
            Self::View | Self::MaterializedView => {
                "SELECT pg_get_viewdef(c.oid) FROM pg_class c WHERE c.oid = to_regclass($1) AND c.relkind IN ('v', 'm') AND $2::text IS NOT NULL"
            }
            Self::Sequence => {
                "SELECT concat_ws(' ', format_type(s.seqtypid, NULL), 'START', s.seqstart, 'INCREMENT', s.seqincrement, 'MIN', s.seqmin,
                                  'MAX', s.seqmax, 'CACHE', s.seqcache, CASE WHEN s.seqcycle THEN 'CYCLE' END)
                 FROM pg_sequence s WHERE s.seqrelid = to_regclass($1) AND $2::text IS NOT NULL"
            }
            Self::Function => {
                "SELECT string_agg(pg_get_functiondef(p.oid), E'\\n' ORDER BY p.oid) FROM pg_proc p
                 JOIN pg_namespace n ON n.oid = p.pronamespace, parse_ident($1) AS i (parts)
                 WHERE p.prokind IN ('f', 'p') AND p.proname = i.parts[cardinality(i.parts)] AND $2::text IS NOT NULL
                   AND CASE WHEN cardinality(i.parts) > 1 THEN n.nspname = i.parts[1] ELSE pg_function_is_visible(p.oid) END"
            }
            Self::Type => {
                "SELECT CASE t.typtype
                   WHEN 'e' THEN 'ENUM (' || (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
                                              FROM pg_enum e WHERE e.enumtypid = t.oid) || ')'
                   WHEN 'd' THEN concat_ws(' ', 'DOMAIN', format_type(t.typbasetype, t.typtypmod), CASE WHEN t.typnotnull THEN 'NOT NULL' END,
                                  (SELECT string_agg(pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname) FROM pg_constraint k WHERE k.contypid = t.oid))
                   WHEN 'c' THEN '(' || (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
                                         FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) || ')'
                   ELSE 'of kind ' || t.typtype::text END
                 FROM pg_type t WHERE t.oid = to_regtype($1) AND $2::text IS NOT NULL"
            }
            Self::Extension => {
                "SELECT concat('version ', e.extversion, ' in ', e.extnamespace::regnamespace) FROM pg_extension e
                 WHERE e.extname = (parse_ident($1))[1] AND $2::text IS NOT NULL"
            }
            Self::Policy => {
                "SELECT concat_ws(' ', CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, 'FOR', p.polcmd,
                                  'TO', (SELECT string_agg(CASE WHEN r.oid = 0 THEN 'public' ELSE pg_get_userbyid(r.oid)::text END, ', ')
                                         FROM unnest(p.polroles) AS r (oid)),
                                  'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
                                  'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
                 FROM pg_policy p WHERE p.polname = (parse_ident($1))[1] AND p.polrelid = to_regclass($2)"
            }
            Self::Trigger => {
                "SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t
                 WHERE t.tgname = (parse_ident($1))[1] AND t.tgrelid = to_regclass($2) AND NOT t.tgisinternal"
            }
        }
    }
}

/// How it is defined, if it is there.
pub(crate) async fn definition(
    session: &mut PgConnection,
    thing: Thing,
    name: &str,
    on: Option<&Arc<str>>,
) -> Result<Option<String>, sqlx::Error> {
    let found: Option<Option<String>> = sqlx::query_scalar(sqlx::AssertSqlSafe(thing.query()))
        .bind(name)
        .bind(on.map_or("", |on| &**on))
        .fetch_optional(session)
        .await?;
    Ok(found.flatten())
}

/// What the statement would define, if nothing of that name were there: made under another name in a savepoint, read, and taken
/// back. Nothing where that cannot be told.
pub(crate) async fn wanted(
    session: &mut PgConnection,
    thing: Thing,
    tail: &str,
) -> Result<Option<String>, sqlx::Error> {
    const NAME: &str = "gonogo.shape";
    let tail = tail.trim().trim_end_matches(';').trim_end();
    let make = match thing {
        Thing::Sequence => format!("CREATE SEQUENCE {NAME} {tail}"),
        Thing::MaterializedView => {
            let tail = tail.to_owned();
            let lower = tail.to_lowercase();
            let bare = lower.strip_suffix("with no data").or_else(|| lower.strip_suffix("with data"));
            let end = bare.map_or(tail.len(), str::len);
            format!("CREATE MATERIALIZED VIEW {NAME} {} WITH NO DATA", tail.get(..end).unwrap_or(&tail))
        }
        _ => return Ok(None),
    };
    run(session, "SAVEPOINT gonogo_shape").await?;
    let made = match run(session, &make).await {
        Ok(_) => definition(session, thing, NAME, None).await,
        // The server will say it of the statement itself.
        Err(_) => Ok(None),
    };
    run(session, "ROLLBACK TO SAVEPOINT gonogo_shape").await?;
    made
}

/// How far two definitions differ, in a line.
pub(crate) fn difference(was: &str, is: &str) -> String {
    let diff = similar::TextDiff::from_lines(was, is);
    let line = |tag: similar::ChangeTag| {
        let mut lines = diff.iter_all_changes().filter(move |change| change.tag() == tag);
        let first = lines.next().map(|change| change.value().trim().to_owned());
        (first, lines.count())
    };
    let side = |(first, more): (Option<String>, usize)| match first {
        None => "nothing".to_owned(),
        Some(first) if more == 0 => format!("`{first}`"),
        Some(first) if more == 1 => format!("`{first}` and 1 more line"),
        Some(first) => format!("`{first}` and {more} more lines"),
    };
    let (gone, come) = (line(similar::ChangeTag::Delete), line(similar::ChangeTag::Insert));
    format!("it was {}, and is now {}", side(gone), side(come))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_said_in_a_line() {
        assert_eq!(difference("a\nb\nc\n", "a\nB\nc\nd\n"), "it was `b`, and is now `B` and 1 more line");
        assert_eq!(difference("a\n", "a\nb\n"), "it was nothing, and is now `b`");
    }
}
