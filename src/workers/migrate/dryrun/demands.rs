//! What a statement takes for granted of tables, columns and rows that are there already, read from its parse tree. A statement
//! that is not understood demands nothing here; the levels that run it find out.

use squawk_syntax::SourceFile;
use squawk_syntax::ast::{AlterColumnOption, AlterTableAction, AstNode, Constraint, Stmt, TableArg};
use squawk_syntax::{SyntaxNode, SyntaxToken};

use crate::workers::migrate::cursor::Cursor;
use crate::workers::migrate::split::{Token, tokens};

/// A column as a statement writes it, with its type where the statement gives it one.
pub(super) type Typed = (String, Option<String>);

/// One thing that must be so for the statement to succeed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Demand {
    /// It makes this table, with these columns.
    MakesTable { name: String, columns: Vec<Typed>, lenient: bool },
    /// It adds this column, to a table that is there.
    MakesColumn { table: String, column: String, ty: String, not_null: bool, default: bool, lenient: bool },
    /// It makes this index.
    MakesIndex { table: String, name: Option<String>, columns: Vec<String>, rest: String, lenient: bool },
    /// Values must be among those of another table.
    ForeignKey { table: String, columns: Vec<Typed>, parent: String, parent_columns: Vec<String> },
    /// Rows must keep this rule.
    Check { table: String, expr: String },
    /// No row may lack this.
    NotNull { table: String, column: String },
    /// No two rows may agree in all of these.
    Unique { table: String, keys: Vec<String>, filter: Option<String>, nulls: Nulls },
    /// A rule that is there must hold for all rows.
    Validates { table: String, constraint: String },
    /// A column gets another type.
    Retypes { table: String, column: String, ty: String },
    /// A column goes.
    DropsColumn { table: String, column: String, lenient: bool, cascade: bool },
    /// A table or view goes.
    DropsRelation { name: String, lenient: bool, cascade: bool },
}

/// Whether two rows that lack a value agree in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    Distinct,
    Alike,
}

/// What the statement of this text demands, in its order.
pub(super) fn demands(text: &str) -> Vec<Demand> {
    let parse = SourceFile::parse(text);
    let Some(stmt) = parse.syntax_node().children().find_map(Stmt::cast) else { return Vec::new() };
    let mut found = Vec::new();
    match stmt {
        Stmt::CreateTable(create) => {
            let Some(table) = create.table_name().map(|name| written(name.syntax())) else { return found };
            let lenient = create.if_not_exists().is_some();
            let args: Vec<TableArg> =
                create.table_arg_list().into_iter().flat_map(|list| list.args()).collect();
            let mut columns: Vec<Typed> = Vec::new();
            for arg in &args {
                if let TableArg::Column(column) = arg {
                    let name = column.name().map(|name| written(name.syntax())).unwrap_or_default();
                    columns.push((name, column.ty().map(|ty| written(ty.syntax()))));
                }
            }
            found.push(Demand::MakesTable { name: table.clone(), columns: columns.clone(), lenient });
            for arg in &args {
                let own = match arg {
                    TableArg::Column(column) => column.name().map(|name| written(name.syntax())),
                    _ => None,
                };
                for constraint in constraints(arg.syntax()) {
                    // A new table has no rows, so only what it says of other tables matters.
                    if let Some(key @ Demand::ForeignKey { .. }) =
                        rule(&table, own.as_deref(), &constraint, &columns)
                    {
                        found.push(key);
                    }
                }
            }
        }
        Stmt::AlterTable(alter) => {
            let Some(table) = alter.table_relation_name().map(|name| relation(name.syntax())) else {
                return found;
            };
            for action in alter.actions() {
                alteration(&table, &action, &mut found);
            }
        }
        Stmt::CreateIndex(create) => {
            let Some(table) = create.table_relation_name().map(|name| relation(name.syntax())) else {
                return found;
            };
            let list = create.partition_item_list();
            let items: Vec<_> =
                list.iter().flat_map(squawk_syntax::ast::PartitionItemList::partition_items).collect();
            let keys: Vec<String> = items
                .iter()
                .filter_map(squawk_syntax::ast::PartitionItem::expr)
                .map(|expr| written(expr.syntax()))
                .collect();
            let columns = keys.iter().filter(|key| is_name(key)).cloned().collect();
            let filter = create.where_clause().map(|clause| {
                let text = written(clause.syntax());
                text.get("where".len()..).unwrap_or_default().trim().to_owned()
            });
            let from = list.as_ref().map(|list| usize::from(list.syntax().text_range().start()));
            found.push(Demand::MakesIndex {
                table: table.clone(),
                name: create.index().map(|name| written(name.syntax())),
                columns,
                rest: from
                    .and_then(|from| text.get(from..))
                    .unwrap_or_default()
                    .trim_end_matches(';')
                    .trim()
                    .to_owned(),
                lenient: create.if_not_exists().is_some(),
            });
            if create.unique_token().is_some() {
                let alike = create.nulls_distinct_option().is_some_and(|option| has(option.syntax(), "not"));
                let nulls = if alike { Nulls::Alike } else { Nulls::Distinct };
                found.push(Demand::Unique { table, keys, filter, nulls });
            }
        }
        Stmt::DropTable(drop) => {
            let (lenient, cascade) = (drop.if_exists().is_some(), has(drop.syntax(), "cascade"));
            found.extend(drop.table_name_refs().map(|name| Demand::DropsRelation {
                name: written(name.syntax()),
                lenient,
                cascade,
            }));
        }
        _ => {}
    }
    found
}

fn alteration(table: &str, action: &AlterTableAction, found: &mut Vec<Demand>) {
    let table = table.to_owned();
    match action {
        AlterTableAction::AddColumn(add) => {
            let Some(column) = add.column_name().map(|name| written(name.syntax())) else { return };
            let ty = add.ty().map(|ty| written(ty.syntax())).unwrap_or_default();
            let rules: Vec<Constraint> = constraints(add.syntax());
            let serial = ty.to_ascii_lowercase().contains("serial");
            found.push(Demand::MakesColumn {
                table: table.clone(),
                column: column.clone(),
                ty: ty.clone(),
                not_null: rules.iter().any(|rule| {
                    matches!(rule, Constraint::NotNullConstraint(_) | Constraint::PrimaryKeyConstraint(_))
                }),
                default: serial
                    || rules.iter().any(|rule| {
                        matches!(rule, Constraint::DefaultConstraint(_) | Constraint::GeneratedConstraint(_))
                    }),
                lenient: add.if_not_exists().is_some(),
            });
            let own = [(column.clone(), Some(ty))];
            for constraint in rules {
                // What is said of the new column alone holds for its default, or for nothing at all, in every row.
                if let Some(key @ Demand::ForeignKey { .. }) = rule(&table, Some(&column), &constraint, &own)
                {
                    found.push(key);
                }
            }
        }
        AlterTableAction::AddConstraint(add) => {
            found.extend(add.constraint().and_then(|constraint| rule(&table, None, &constraint, &[])));
            if let Some(Constraint::PrimaryKeyConstraint(key)) = add.constraint() {
                let columns = group(&tokens(key.syntax()), 0);
                found.extend(
                    columns.into_iter().map(|column| Demand::NotNull { table: table.clone(), column }),
                );
            }
        }
        AlterTableAction::AlterColumn(alter) => {
            let Some(column) = alter.column_name_ref().map(|name| written(name.syntax())) else { return };
            match alter.option() {
                Some(AlterColumnOption::SetNotNull(_)) => found.push(Demand::NotNull { table, column }),
                Some(AlterColumnOption::SetType(set)) => {
                    let ty = set.ty().map(|ty| written(ty.syntax())).unwrap_or_default();
                    found.push(Demand::Retypes { table, column, ty });
                }
                _ => {}
            }
        }
        AlterTableAction::DropColumn(drop) => {
            let Some(column) = drop.column_name_ref().map(|name| written(name.syntax())) else { return };
            let (lenient, cascade) = (drop.if_exists().is_some(), has(drop.syntax(), "cascade"));
            found.push(Demand::DropsColumn { table, column, lenient, cascade });
        }
        AlterTableAction::ValidateConstraint(validate) => {
            let words = tokens(validate.syntax());
            let mut at = Cursor::new(&words);
            at.eat(&["validate", "constraint"]);
            found.extend(at.name().map(|name| Demand::Validates { table, constraint: name.to_string() }));
        }
        _ => {}
    }
}

/// What a constraint demands; `own` is the column that it stands behind, `columns` those whose types are known.
fn rule(table: &str, own: Option<&str>, constraint: &Constraint, columns: &[Typed]) -> Option<Demand> {
    let table = table.to_owned();
    let typed = |name: String| {
        let ty = columns.iter().find(|(other, _)| *other == name).and_then(|(_, ty)| ty.clone());
        (name, ty)
    };
    let words = tokens(constraint.syntax());
    match constraint {
        Constraint::CheckConstraint(check) => {
            Some(Demand::Check { table, expr: check.expr().map(|expr| written(expr.syntax()))? })
        }
        Constraint::NotNullConstraint(not_null) => {
            let column =
                not_null.column_name_ref().map(|name| written(name.syntax())).or(own.map(str::to_owned))?;
            Some(Demand::NotNull { table, column })
        }
        Constraint::UniqueConstraint(unique) => {
            if unique.using_index().is_some() {
                return None;
            }
            let nulls = if words.windows(3).any(|three| {
                three.iter().zip(["nulls", "not", "distinct"]).all(|(token, word)| token.is(word))
            }) {
                Nulls::Alike
            } else {
                Nulls::Distinct
            };
            Some(Demand::Unique { table, keys: keys(&words, own), filter: None, nulls })
        }
        Constraint::PrimaryKeyConstraint(key) => {
            if key.using_index().is_some() {
                return None;
            }
            Some(Demand::Unique { table, keys: keys(&words, own), filter: None, nulls: Nulls::Distinct })
        }
        Constraint::ForeignKeyConstraint(_) | Constraint::ReferencesConstraint(_) => {
            let at = words.iter().position(|token| token.is("references"))?;
            let mut after = Cursor::new(words.get(at + 1..)?);
            let parent = after.name()?.to_string();
            let parent_columns = if after.peek().is_some_and(|token| token.text == "(") {
                group(words.get(at..)?, 0)
            } else {
                Vec::new()
            };
            let children = match own {
                Some(own) => vec![own.to_owned()],
                None => group(words.get(..at)?, 0),
            };
            let columns = children.into_iter().map(typed).collect();
            Some(Demand::ForeignKey { table, columns, parent, parent_columns })
        }
        _ => None,
    }
}

fn keys(words: &[Token], own: Option<&str>) -> Vec<String> {
    let listed = group(words, 0);
    if listed.is_empty() { own.map(str::to_owned).into_iter().collect() } else { listed }
}

/// What stands in the nth pair of parentheses, by its commas.
fn group(words: &[Token], nth: usize) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    let (mut depth, mut seen) = (0, 0);
    for word in words {
        match word.text.as_str() {
            "(" => {
                depth += 1;
                if depth == 1 {
                    if seen == nth {
                        items.push(String::new());
                    }
                    seen += 1;
                    continue;
                }
            }
            ")" => {
                depth -= 1;
                if depth == 0 && seen > nth {
                    return items;
                }
            }
            "," if depth == 1 && seen == nth + 1 => {
                items.push(String::new());
                continue;
            }
            _ => {}
        }
        if depth > 0
            && seen == nth + 1
            && let Some(last) = items.last_mut()
        {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(&word.text);
        }
    }
    items
}

fn constraints(node: &SyntaxNode) -> Vec<Constraint> {
    node.descendants().filter_map(Constraint::cast).collect()
}

/// A node as it is written, without comments.
fn written(node: &SyntaxNode) -> String {
    use squawk_syntax::SyntaxKind;
    let parts = node.descendants_with_tokens().filter_map(squawk_syntax::SyntaxElement::into_token);
    let mut text = String::new();
    for token in parts {
        let token: SyntaxToken = token;
        if token.kind() == SyntaxKind::COMMENT {
            text.push(' ');
        } else {
            text.push_str(token.text());
        }
    }
    text.trim().to_owned()
}

/// A table's name without ONLY and the star.
fn relation(node: &SyntaxNode) -> String {
    let words = tokens(node);
    let mut at = Cursor::new(&words);
    at.eat(&["only"]);
    at.name().map(|name| name.to_string()).unwrap_or_default()
}

fn has(node: &SyntaxNode, word: &str) -> bool {
    tokens(node).iter().any(|token| token.is(word))
}

/// Whether it is a plain name, and no expression.
fn is_name(text: &str) -> bool {
    (text.starts_with('"') && text.ends_with('"'))
        || text.chars().all(|c| c.is_alphanumeric() || c == '_')
            && !text.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_table_speaks_only_of_others() {
        let found = demands(
            "CREATE TABLE IF NOT EXISTS notes (id uuid PRIMARY KEY, contact_id int NOT NULL REFERENCES public.contacts (id),
             a text, org bigint, CHECK (a <> ''), FOREIGN KEY (org, a) REFERENCES organizations (id, name) ON DELETE CASCADE)",
        );
        let key = |columns: &[(&str, &str)], parent: &str, parent_columns: &[&str]| Demand::ForeignKey {
            table: "notes".into(),
            columns: columns.iter().map(|(name, ty)| ((*name).to_owned(), Some((*ty).to_owned()))).collect(),
            parent: parent.into(),
            parent_columns: parent_columns.iter().map(|&name| name.to_owned()).collect(),
        };
        let columns = [("id", "uuid"), ("contact_id", "int"), ("a", "text"), ("org", "bigint")]
            .map(|(name, ty)| (name.to_owned(), Some(ty.to_owned())))
            .to_vec();
        assert_eq!(
            found,
            [
                Demand::MakesTable { name: "notes".into(), columns, lenient: true },
                key(&[("contact_id", "int")], "public.contacts", &["id"]),
                key(&[("org", "bigint"), ("a", "text")], "organizations", &["id", "name"]),
            ]
        );
    }

    #[test]
    fn an_alter_demands_of_rows() {
        let found = demands(
            "ALTER TABLE ONLY contacts ADD CONSTRAINT c CHECK (city <> 'x' /* never */) NOT VALID, ALTER COLUMN email SET NOT NULL,
             ADD UNIQUE NULLS NOT DISTINCT (email, lower_name), ADD COLUMN IF NOT EXISTS n int NOT NULL DEFAULT 3, DROP COLUMN IF EXISTS old CASCADE,
             ALTER phone TYPE varchar(9), VALIDATE CONSTRAINT d, ADD PRIMARY KEY (id)",
        );
        let table = || "contacts".to_owned();
        assert_eq!(
            found,
            [
                Demand::Check { table: table(), expr: "city <> 'x'".into() },
                Demand::NotNull { table: table(), column: "email".into() },
                Demand::Unique {
                    table: table(),
                    keys: vec!["email".into(), "lower_name".into()],
                    filter: None,
                    nulls: Nulls::Alike
                },
                Demand::MakesColumn {
                    table: table(),
                    column: "n".into(),
                    ty: "int".into(),
                    not_null: true,
                    default: true,
                    lenient: true
                },
                Demand::DropsColumn { table: table(), column: "old".into(), lenient: true, cascade: true },
                Demand::Retypes { table: table(), column: "phone".into(), ty: "varchar(9)".into() },
                Demand::Validates { table: table(), constraint: "d".into() },
                Demand::Unique {
                    table: table(),
                    keys: vec!["id".into()],
                    filter: None,
                    nulls: Nulls::Distinct
                },
                Demand::NotNull { table: table(), column: "id".into() },
            ]
        );
    }

    #[test]
    fn an_index_demands_its_columns_and_that_rows_differ() {
        let found = demands(
            "CREATE UNIQUE INDEX CONCURRENTLY u ON public.contacts (lower(email), phone DESC) WHERE is_active AND email <> ''",
        );
        let [
            Demand::MakesIndex { table, name, columns, rest, lenient },
            Demand::Unique { keys, filter, nulls, .. },
        ] = &found[..]
        else {
            panic!("{found:?}");
        };
        assert_eq!(
            (table.as_str(), name.as_deref(), *lenient, *nulls),
            ("public.contacts", Some("u"), false, Nulls::Distinct)
        );
        assert_eq!(columns, &["phone"]);
        assert_eq!(keys, &["lower(email)", "phone"]);
        assert_eq!(filter.as_deref(), Some("is_active AND email <> ''"));
        assert!(rest.starts_with("(lower(email), phone DESC) WHERE"), "{rest}");
        assert_eq!(
            demands("DROP TABLE IF EXISTS a, public.b CASCADE"),
            ["a", "public.b"].map(|name| Demand::DropsRelation {
                name: name.into(),
                lenient: true,
                cascade: true
            })
        );
        assert_eq!(demands("SELECT 1"), []);
    }
}
