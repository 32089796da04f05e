//! What a statement puts in the place of something else: a comment, a default, a view's options, somebody's rights. Read from the
//! catalogue before and after it, so that its step can say what was there. What cannot be told is not said; a look never fails
//! the step, and what was there comes back by the recorded inverse.

use sqlx::postgres::PgConnection;

use super::classify::Kind;
use super::cursor::Cursor;
use super::database::run;
use super::deed::words_of;
use super::define::difference;
use super::names::{last, parts, shown};
use super::split::{Statement, Token};

/// A value that a statement may replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    kind: Held,
    /// What has it, for messages; empty where the statement's own title says it.
    of: String,
    sql: &'static str,
    /// What the query is about: its names, part by part.
    names: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    Comment,
    Default,
    Options,
    Rights,
}

const COLUMN_COMMENT: &str = "SELECT col_description(a.attrelid, a.attnum::int) FROM pg_attribute a
    WHERE a.attrelid = to_regclass(($1::text[])[1]) AND a.attname = ($1::text[])[2] AND NOT a.attisdropped";
const FUNCTION_COMMENT: &str = "SELECT max(obj_description(p.oid, 'pg_proc')) FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.proname = ($1::text[])[cardinality($1::text[])]
      AND CASE WHEN cardinality($1::text[]) > 1 THEN n.nspname = ($1::text[])[1] ELSE pg_function_is_visible(p.oid) END HAVING count(*) = 1";
/// The first name is what kind of thing it is.
const COMMENT: &str =
    "SELECT d.description FROM pg_get_object_address(($1::text[])[1], ($1::text[])[2:], '{}') a
    JOIN pg_description d ON (d.classoid, d.objoid, d.objsubid) = (a.classid, a.objid, a.objsubid)";
const DEFAULT: &str = "SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a
    JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = to_regclass(($1::text[])[1]) AND a.attname = ($1::text[])[2] AND NOT a.attisdropped";
const OPTIONS: &str =
    "SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = to_regclass(($1::text[])[1])";

macro_rules! rights {
    ($acl:literal) => {
        concat!(
            "SELECT string_agg(who || ': ' || what, E'\\n' ORDER BY who) FROM (
               SELECT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee)::text END AS who,
                      string_agg(x.privilege_type || CASE WHEN x.is_grantable THEN ' with grant option' ELSE '' END, ', '
                                 ORDER BY x.privilege_type) AS what
               FROM ",
            $acl,
            " AND x.grantee <> o.owner GROUP BY 1) AS w"
        )
    };
}

const TABLE_RIGHTS: &str = rights!(
    "(SELECT oid, relowner AS owner, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::\"char\" ELSE 'r'::\"char\" END, relowner)) AS acl
      FROM pg_class) o CROSS JOIN LATERAL aclexplode(o.acl) x WHERE o.oid = to_regclass(($1::text[])[1])"
);
const SCHEMA_RIGHTS: &str = rights!(
    "(SELECT nspname, nspowner AS owner, coalesce(nspacl, acldefault('n', nspowner)) AS acl FROM pg_namespace) o
     CROSS JOIN LATERAL aclexplode(o.acl) x WHERE o.nspname = ($1::text[])[1]"
);

/// The values that a statement may replace; none where its words do not tell.
pub(crate) fn values(statement: &Statement) -> Vec<Value> {
    if !matches!(statement.shape.kind, Kind::AlterTable { .. } | Kind::Other) {
        return Vec::new();
    }
    let words = words_of(&statement.text);
    let mut at = Cursor::new(&words);
    if at.eat(&["comment", "on"]) {
        comment(at).into_iter().collect()
    } else if at.eat(&["alter", "view"]) || at.eat(&["alter", "materialized", "view"]) {
        options(at).into_iter().collect()
    } else if at.eat(&["alter", "table"]) {
        defaults(at)
    } else if at.eat(&["grant"]) || at.eat(&["revoke"]) {
        rights(at)
    } else {
        Vec::new()
    }
}

fn comment(mut at: Cursor<'_>) -> Option<Value> {
    let value =
        |sql: &'static str, names: Vec<String>| Value { kind: Held::Comment, of: String::new(), sql, names };
    if at.eat(&["column"]) {
        let name = at.name()?;
        let (table, column) = name.rsplit_once('.')?;
        return Some(value(COLUMN_COMMENT, vec![table.to_owned(), last(column)]));
    }
    if at.eat(&["function"]) || at.eat(&["procedure"]) {
        return Some(value(FUNCTION_COMMENT, parts(&at.name()?)));
    }
    let kinds: [(&[&str], &str); 10] = [
        (&["table"], "table"),
        (&["view"], "view"),
        (&["materialized", "view"], "materialized view"),
        (&["index"], "index"),
        (&["sequence"], "sequence"),
        (&["schema"], "schema"),
        (&["extension"], "extension"),
        (&["constraint"], "table constraint"),
        (&["trigger"], "trigger"),
        (&["policy"], "policy"),
    ];
    let kind = kinds.iter().find_map(|(words, kind)| at.eat(words).then_some(*kind));
    let types = kind.is_none() && (at.eat(&["type"]) || at.eat(&["domain"]));
    let name = at.name()?;
    if types {
        // The server reads the name of a type as one text.
        return Some(value(COMMENT, vec!["type".to_owned(), name.to_string()]));
    }
    let mut names = vec![kind?.to_owned()];
    if at.eat(&["on"]) {
        names.extend(parts(&at.name()?));
        names.push(last(&name));
    } else {
        names.extend(parts(&name));
    }
    Some(value(COMMENT, names))
}

fn options(mut at: Cursor<'_>) -> Option<Value> {
    at.eat(&["if", "exists"]);
    let view = at.name()?;
    let sets = at.eat(&["set", "("]) || at.eat(&["reset", "("]);
    sets.then(|| Value {
        kind: Held::Options,
        of: String::new(),
        sql: OPTIONS,
        names: vec![view.to_string()],
    })
}

/// Each column whose default an ALTER TABLE sets or drops.
fn defaults(mut at: Cursor<'_>) -> Vec<Value> {
    at.eat(&["if", "exists"]);
    at.eat(&["only"]);
    let Some(table) = at.name() else { return Vec::new() };
    let mut found = Vec::new();
    while let Some(token) = at.next() {
        if !token.is("alter") {
            continue;
        }
        at.eat(&["column"]);
        let Some(column) = at.next().map(|column| last(&column.text)) else { break };
        if at.eat(&["set", "default"]) || at.eat(&["drop", "default"]) {
            let names = vec![table.to_string(), column.clone()];
            found.push(Value { kind: Held::Default, of: format!(" of {column}"), sql: DEFAULT, names });
        }
    }
    found
}

/// Each table, sequence or schema whose rights are given or taken; not those of single columns, nor of ALL.
fn rights(mut at: Cursor<'_>) -> Vec<Value> {
    loop {
        match at.next() {
            Some(token) if token.is("on") => break,
            Some(token) if token.is("(") => return Vec::new(),
            Some(_) => {}
            // A role that is given has no ON.
            None => return Vec::new(),
        }
    }
    let sql = if at.eat(&["schema"]) { SCHEMA_RIGHTS } else { TABLE_RIGHTS };
    if !at.eat(&["table"]) && !at.eat(&["sequence"]) && sql == TABLE_RIGHTS {
        let others = [
            "all",
            "function",
            "procedure",
            "routine",
            "database",
            "domain",
            "foreign",
            "language",
            "large",
            "type",
            "parameter",
            "tablespace",
        ];
        if at.peek().is_none_or(|token: &Token| others.iter().any(|other| token.is(other))) {
            return Vec::new();
        }
    }
    let mut found = Vec::new();
    while let Some(name) = at.name() {
        let names = if sql == SCHEMA_RIGHTS { vec![last(&name)] } else { vec![name.to_string()] };
        found.push(Value { kind: Held::Rights, of: shown(&name).to_owned(), sql, names });
        if !at.eat(&[","]) {
            break;
        }
    }
    found
}

/// How each is now; nothing where it is not there or cannot be told. Runs inside of the step's transaction.
pub(crate) async fn read(
    session: &mut PgConnection,
    values: &[Value],
) -> Result<Vec<Option<String>>, sqlx::Error> {
    let mut found = Vec::new();
    for value in values {
        run(session, "SAVEPOINT gonogo_was").await?;
        let asked = sqlx::query_scalar::<_, Option<String>>(value.sql);
        let asked = asked.bind(&value.names).fetch_optional(&mut *session).await;
        run(session, "ROLLBACK TO SAVEPOINT gonogo_was; RELEASE SAVEPOINT gonogo_was").await?;
        // The server says of the statement itself what it does not know.
        found.push(asked.ok().flatten().flatten());
    }
    Ok(found)
}

/// What was replaced, in words; nothing where nothing was there.
pub(crate) fn said(values: &[Value], was: &[Option<String>], is: &[Option<String>]) -> Vec<String> {
    let each = values.iter().zip(was.iter().zip(is));
    each.filter_map(|(value, (was, is))| one(value, was.as_deref(), is.as_deref())).collect()
}

fn one(value: &Value, was: Option<&str>, is: Option<&str>) -> Option<String> {
    let of = &value.of;
    let (word, quoted) = match value.kind {
        Held::Rights if was == is => return Some(format!("rights on {of} were these already")),
        Held::Rights => {
            let how = difference(was.unwrap_or_default(), is.unwrap_or_default());
            return Some(format!("rights on {of}: {how}"));
        }
        Held::Comment => ("comment", was.map(|was| format!("'{was}'"))),
        Held::Default => ("default", was.map(str::to_owned)),
        Held::Options => ("options", was.map(str::to_owned)),
    };
    let quoted = quoted?.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(match is {
        None => format!("took away {word} {quoted}{of}"),
        Some(_) if was == is => format!("{word} {quoted}{of} was there already"),
        Some(_) => format!("replaced {word} {quoted}{of}"),
    })
}
