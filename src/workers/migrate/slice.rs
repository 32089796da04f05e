//! Cuts a statement that changes many rows so that it can be run for a range of keys: the same words, with the range as one
//! more condition. A statement whose meaning would change by that is refused with the reason. No database here.

use std::sync::Arc;

use squawk_syntax::ast::{
    AstNode, InsertSource, RelationFromItem, Select, SelectTailClause, SelectVariant, Stmt,
    WhereClauseOrCurrentOf,
};
use squawk_syntax::{SourceFile, SyntaxNode};

/// A statement with a gap for a condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slice {
    head: Arc<str>,
    tail: Arc<str>,
    /// The table whose keys are walked, as the statement writes it.
    pub(crate) table: Arc<str>,
    /// The key's column, as the mark writes it.
    pub(crate) column: Arc<str>,
    /// The key, as the statement can refer to it.
    pub(crate) key: Arc<str>,
}

impl Slice {
    /// The statement for the rows of which that holds.
    pub(crate) fn sql(&self, condition: &str) -> String {
        format!("{}{condition}{}", self.head, self.tail)
    }
}

/// Where the condition goes: around one that is there, or after a clause.
enum Gap {
    Beside { from: usize, to: usize },
    After(usize),
}

/// Cuts a statement by a key, which may be qualified by a table or its alias.
pub(crate) fn slice(text: &str, key: &str) -> Result<Slice, String> {
    let parse = SourceFile::parse(text);
    let stmt = parse.syntax_node().children().find_map(Stmt::cast);
    let (gap, sources) = match stmt {
        Some(Stmt::Update(update)) => {
            let filter = update.where_clause_or_current_of();
            let last = update.from_clause().map(|clause| clause.syntax().clone());
            let last = last.or_else(|| update.set_clause().map(|clause| clause.syntax().clone()));
            let name = update.relation_name().and_then(|name| name.relation_name_ref());
            let target = (
                words(name.map(|name| name.syntax().clone())),
                alias(update.alias().and_then(|alias| alias.name())),
            );
            (gap(filter, last)?, vec![target])
        }
        Some(Stmt::Delete(delete)) => {
            let filter = delete.where_clause_or_current_of();
            let last = delete.using_clause().map(|clause| clause.syntax().clone());
            let last = last.or_else(|| delete.alias().map(|alias| alias.syntax().clone()));
            let last = last.or_else(|| delete.relation_name().map(|name| name.syntax().clone()));
            let name = delete.relation_name().and_then(|name| name.relation_name_ref());
            let target = (
                words(name.map(|name| name.syntax().clone())),
                alias(delete.alias().and_then(|alias| alias.name())),
            );
            (gap(filter, last)?, vec![target])
        }
        Some(Stmt::Insert(insert)) => match insert.insert_source() {
            Some(InsertSource::SelectVariant(SelectVariant::Select(select))) => {
                plain(&select)?;
                let from = select.from_clause().ok_or("it selects from nothing")?;
                let inner = |item: &RelationFromItem| {
                    item.syntax()
                        .ancestors()
                        .find_map(Select::cast)
                        .is_some_and(|own| own.syntax() == select.syntax())
                };
                let sources =
                    from.syntax().descendants().filter_map(RelationFromItem::cast).filter(inner).map(
                        |item| {
                            let name = words(item.relation_name_ref().map(|name| name.syntax().clone()));
                            (name, alias(item.alias()))
                        },
                    );
                let sources = sources.collect();
                let filter = select.where_clause().map(WhereClauseOrCurrentOf::WhereClause);
                (gap(filter, Some(from.syntax().clone()))?, sources)
            }
            _ => return Err("it inserts no SELECT of rows".into()),
        },
        _ => return Err("it is no UPDATE, DELETE or INSERT … SELECT".into()),
    };
    let (table, column, key) = whose(key, &sources)?;
    let (head, tail) = match gap {
        Gap::Beside { from, to } => {
            let (head, condition, tail) = (text.get(..from), text.get(from..to), text.get(to..));
            let head = format!("{}({}) AND (", head.unwrap_or_default(), condition.unwrap_or_default());
            (head, format!("){}", tail.unwrap_or_default()))
        }
        Gap::After(at) => {
            let head = format!("{} WHERE (", text.get(..at).unwrap_or_default());
            (head, format!("){}", text.get(at..).unwrap_or_default()))
        }
    };
    Ok(Slice {
        head: head.into(),
        tail: tail.into(),
        table: table.into(),
        column: column.into(),
        key: key.into(),
    })
}

fn words(node: Option<SyntaxNode>) -> String {
    node.map_or_else(String::new, |node| node.text().to_string().trim().to_owned())
}

/// An alias without its AS and its columns.
fn alias(node: Option<impl AstNode>) -> Option<String> {
    let text = words(node.map(|node| node.syntax().clone()));
    let mut words = text.split_whitespace();
    let first = words.next()?;
    let name = if first.eq_ignore_ascii_case("as") { words.next()? } else { first };
    Some(name.split('(').next().unwrap_or(name).to_owned())
}

fn gap(filter: Option<WhereClauseOrCurrentOf>, last: Option<SyntaxNode>) -> Result<Gap, String> {
    match filter {
        Some(WhereClauseOrCurrentOf::WhereCurrentOf(_)) => Err("WHERE CURRENT OF needs a cursor".into()),
        Some(WhereClauseOrCurrentOf::WhereClause(clause)) => {
            let expr = clause.expr().ok_or("its WHERE says nothing")?;
            let range = expr.syntax().text_range();
            Ok(Gap::Beside { from: range.start().into(), to: range.end().into() })
        }
        None => {
            let last = last.ok_or("it names no table")?;
            let end = super::split::last_word(&last).ok_or("it names no table")?;
            Ok(Gap::After(end))
        }
    }
}

/// A SELECT of which a part of the rows gives a part of the result.
fn plain(select: &Select) -> Result<(), String> {
    let aggregates = select.group_by_clause().is_some() || select.having_clause().is_some();
    let distinct = select.select_clause().is_some_and(|clause| clause.select_quantifier().is_some());
    let limited = select.tail_clauses().any(|tail| {
        matches!(
            tail,
            SelectTailClause::LimitClause(_)
                | SelectTailClause::OffsetClause(_)
                | SelectTailClause::FetchClause(_)
        )
    });
    if aggregates || distinct || limited || select.window_clause().is_some() {
        return Err(
            "DISTINCT, GROUP BY, HAVING, WINDOW and LIMIT mean something else for a part of the rows".into(),
        );
    }
    Ok(())
}

/// The table of a key, its column, and the key in full.
fn whose(key: &str, sources: &[(String, Option<String>)]) -> Result<(String, String, String), String> {
    let (of, column) = match key.rsplit_once('.') {
        Some((of, column)) => (Some(of), column),
        None => (None, key),
    };
    let matching: Vec<_> = sources
        .iter()
        .filter(|(table, alias)| {
            let short = table.rsplit('.').next().unwrap_or(table);
            of.is_none_or(|of| {
                alias.as_deref().map_or(of == table.as_str() || of == short, |alias| of == alias)
            })
        })
        .collect();
    match matching.as_slice() {
        [(table, alias)] => {
            let of = alias.as_deref().unwrap_or(table);
            Ok((table.clone(), column.to_owned(), format!("{of}.{column}")))
        }
        [] => Err(format!("no table in it has the key {key}")),
        _ => Err(format!("several tables may have {key}: say which, as in `by {}.{column}`", sources[0].0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_one_more_condition() {
        let cases = [
            (
                "UPDATE public.contacts SET a = b OR c",
                "id",
                "UPDATE public.contacts SET a = b OR c WHERE (public.contacts.id > 5)",
            ),
            (
                "UPDATE contacts AS c SET a = s.a FROM staged s WHERE s.id = c.id OR s.old RETURNING 1",
                "id",
                "UPDATE contacts AS c SET a = s.a FROM staged s WHERE (s.id = c.id OR s.old) AND (c.id > 5) RETURNING 1",
            ),
            ("DELETE FROM t", "t.k", "DELETE FROM t WHERE (t.k > 5)"),
            (
                "DELETE FROM t USING u WHERE u.id = t.id -- why\n",
                "id",
                "DELETE FROM t USING u WHERE (u.id = t.id) AND (t.id > 5) -- why\n",
            ),
            (
                "INSERT INTO m (a) SELECT c.id FROM contacts c JOIN x ON x.id = c.id ORDER BY c.id ON CONFLICT DO NOTHING",
                "c.id",
                "INSERT INTO m (a) SELECT c.id FROM contacts c JOIN x ON x.id = c.id WHERE (c.id > 5) ORDER BY c.id ON CONFLICT DO NOTHING",
            ),
        ];
        for (text, key, wanted) in cases {
            let slice = slice(text, key).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(slice.sql(&format!("{} > 5", slice.key)), wanted);
            assert!(SourceFile::parse(&slice.sql("true")).errors().is_empty(), "{text}");
        }
    }

    #[test]
    fn what_would_mean_something_else_is_refused() {
        let cases = [
            ("INSERT INTO m SELECT DISTINCT a FROM t", "a", "DISTINCT"),
            ("INSERT INTO m SELECT a FROM t LIMIT 5", "a", "LIMIT"),
            ("INSERT INTO m SELECT count(*) FROM t GROUP BY a", "a", "GROUP BY"),
            ("INSERT INTO m VALUES (1)", "a", "no SELECT"),
            ("INSERT INTO m SELECT 1 FROM t, u", "id", "several tables"),
            ("UPDATE t SET a = 1", "u.id", "no table in it"),
            ("SELECT 1", "id", "no UPDATE"),
        ];
        for (text, key, why) in cases {
            let refused = slice(text, key).expect_err(text);
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }
}
