//! What a statement does, action by action, in owned words with their places: what the linter judges and the rewriter takes apart.
//! Read from the parser's tree, which never leaves this room; no judgement, no database.

use std::ops::Range;

use squawk_syntax::ast::{self, AlterColumnOption, AlterTableAction, AstNode, Stmt};
use squawk_syntax::{SourceFile, SyntaxNode};

use super::classify::Clause;
use super::names::{last, parts};
use super::split::{Token, tokens};

/// One action of a statement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Action {
    /// Its bytes within the statement.
    pub(crate) at: Range<usize>,
    /// Its words.
    pub(crate) text: String,
    /// What it does.
    pub(crate) deed: Deed,
}

/// What an action does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Deed {
    /// ADD COLUMN, or a column of CREATE TABLE.
    AddColumn(Box<Column>),
    /// ADD CONSTRAINT, or a constraint of CREATE TABLE.
    AddConstraint(Constraint),
    /// VALIDATE CONSTRAINT.
    Validate { name: String },
    /// ALTER COLUMN SET NOT NULL.
    SetNotNull { column: String },
    /// ALTER COLUMN SET DEFAULT.
    SetDefault,
    /// ALTER COLUMN TYPE.
    SetType { column: String, ty: String },
    /// DROP COLUMN.
    DropColumn { column: String },
    /// DROP CONSTRAINT.
    DropConstraint { name: String },
    /// ENABLE ROW LEVEL SECURITY.
    EnableRls,
    /// Whatever else takes no time.
    Plain,
}

/// A column that is added.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    /// As written.
    pub(crate) written: String,
    /// As the server folds it.
    pub(crate) name: String,
    /// Its type, as written.
    pub(crate) ty: String,
    /// Whether IF NOT EXISTS stands there.
    pub(crate) exists: Clause,
    /// Its default and the default's bytes within the statement.
    pub(crate) default: Option<(String, Range<usize>)>,
    /// Whether NOT NULL stands there.
    pub(crate) not_null: bool,
    /// Whether the server computes it: GENERATED, IDENTITY.
    pub(crate) generated: bool,
    /// Checks, keys and references, each with its bytes within the statement.
    pub(crate) constraints: Vec<(Range<usize>, Constraint)>,
    /// Collation, storage and the like, as written.
    pub(crate) rest: Vec<String>,
}

impl Column {
    /// Whether its type brings a sequence with it.
    pub(crate) fn is_serial(&self) -> bool {
        matches!(
            self.ty.to_ascii_lowercase().as_str(),
            "serial" | "bigserial" | "smallserial" | "serial2" | "serial4" | "serial8"
        )
    }
}

/// A constraint that is added.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Constraint {
    /// Its name, as written.
    pub(crate) name: Option<String>,
    /// Without its name and its options.
    pub(crate) body: String,
    /// DEFERRABLE, NO INHERIT and the like, without NOT VALID.
    pub(crate) options: Vec<String>,
    /// Whether the rows that are there are looked at.
    pub(crate) looks: Looks,
    /// What it demands.
    pub(crate) kind: Demand,
}

/// Whether rows that are there are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looks {
    /// At once.
    Now,
    /// NOT VALID: later, or never.
    Later,
}

/// What a constraint demands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Demand {
    /// CHECK, with the columns it names.
    Check { names: Vec<String> },
    /// CHECK (column IS NOT NULL).
    NotNullCheck { column: String },
    /// FOREIGN KEY or REFERENCES; empty columns where the statement leaves them to the server.
    Reference { from: Vec<String>, table: String, to: Vec<String> },
    /// UNIQUE.
    Unique { columns: Vec<String> },
    /// PRIMARY KEY.
    Primary { columns: Vec<String> },
    /// UNIQUE or PRIMARY KEY on an index that is there.
    UsingIndex,
    /// EXCLUDE, or a NOT NULL of PostgreSQL 18.
    Other,
}

/// The actions of an ALTER TABLE or CREATE TABLE, in order; none of anything else.
pub(crate) fn actions(text: &str) -> Vec<Action> {
    let parse = SourceFile::parse(text);
    match parse.syntax_node().children().find_map(Stmt::cast) {
        Some(Stmt::AlterTable(alter)) => alter.actions().map(|action| alter_action(&action)).collect(),
        Some(Stmt::CreateTable(create)) => {
            let args = create.table_arg_list().map(|list| list.args().collect::<Vec<_>>());
            args.unwrap_or_default().iter().map(table_arg).collect()
        }
        _ => Vec::new(),
    }
}

fn alter_action(action: &AlterTableAction) -> Action {
    let node = action.syntax();
    let deed = match action {
        AlterTableAction::AddColumn(add) => {
            let exists = if add.if_not_exists().is_some() { Clause::Lenient } else { Clause::Strict };
            Deed::AddColumn(Box::new(column(node, exists)))
        }
        AlterTableAction::AddConstraint(add) => {
            add.constraint().map_or(Deed::Plain, |found| Deed::AddConstraint(constraint(&found)))
        }
        AlterTableAction::ValidateConstraint(validate) => Deed::Validate {
            name: validate.constraint_name_ref().map_or_else(String::new, |n| folded(n.syntax())),
        },
        AlterTableAction::DropColumn(drop) => Deed::DropColumn {
            column: drop.column_name_ref().map_or_else(String::new, |n| folded(n.syntax())),
        },
        AlterTableAction::DropConstraint(drop) => Deed::DropConstraint {
            name: drop.constraint_name_ref().map_or_else(String::new, |n| folded(n.syntax())),
        },
        AlterTableAction::EnableRls(_) => Deed::EnableRls,
        AlterTableAction::AlterColumn(alter) => {
            let column = alter.column_name_ref().map_or_else(String::new, |n| folded(n.syntax()));
            match alter.option() {
                Some(AlterColumnOption::SetNotNull(_)) => Deed::SetNotNull { column },
                Some(AlterColumnOption::SetDefault(_)) => Deed::SetDefault,
                Some(AlterColumnOption::SetType(set)) => {
                    Deed::SetType { column, ty: set.ty().map_or_else(String::new, |ty| words(ty.syntax())) }
                }
                _ => Deed::Plain,
            }
        }
        _ => Deed::Plain,
    };
    Action { at: span(node), text: words(node), deed }
}

fn table_arg(arg: &ast::TableArg) -> Action {
    let node = arg.syntax();
    let deed = match arg {
        ast::TableArg::Column(_) => Deed::AddColumn(Box::new(column(node, Clause::Strict))),
        ast::TableArg::TableConstraint(found) => ast::Constraint::cast(found.syntax().clone())
            .map_or(Deed::Plain, |found| Deed::AddConstraint(constraint(&found))),
        ast::TableArg::LikeClause(_) => Deed::Plain,
    };
    Action { at: span(node), text: words(node), deed }
}

fn column(node: &SyntaxNode, exists: Clause) -> Column {
    let mut found = Column {
        written: String::new(),
        name: String::new(),
        ty: String::new(),
        exists,
        default: None,
        not_null: false,
        generated: false,
        constraints: Vec::new(),
        rest: Vec::new(),
    };
    for child in node.children() {
        if let Some(name) = ast::ColumnName::cast(child.clone()) {
            found.written = words(name.syntax());
            found.name = last(&found.written);
        } else if ast::Type::can_cast(child.kind()) {
            found.ty = words(&child);
        } else if let Some(clause) = ast::Constraint::cast(child.clone()) {
            match &clause {
                ast::Constraint::DefaultConstraint(default) => {
                    found.default = default.expr().map(|expr| (words(expr.syntax()), span(expr.syntax())));
                }
                ast::Constraint::NotNullConstraint(_) => found.not_null = true,
                ast::Constraint::NullConstraint(_) => {}
                ast::Constraint::GeneratedConstraint(_) => found.generated = true,
                _ => found.constraints.push((span(&child), constraint(&clause))),
            }
        } else if !ast::IfNotExists::can_cast(child.kind()) {
            found.rest.push(words(&child));
        }
    }
    for (_, clause) in &mut found.constraints {
        match &mut clause.kind {
            Demand::Unique { columns }
            | Demand::Primary { columns }
            | Demand::Reference { from: columns, .. }
                if columns.is_empty() =>
            {
                columns.push(found.name.clone());
            }
            _ => {}
        }
    }
    found
}

fn constraint(found: &ast::Constraint) -> Constraint {
    let node = found.syntax();
    let name = found.constraint_name().map(|name| words(name.syntax()));
    let options: Vec<ast::ConstraintOption> = found.constraint_options().collect();
    let looks = if found.is_not_valid() { Looks::Later } else { Looks::Now };
    let whole = node.text().to_string();
    let base = usize::from(node.text_range().start());
    let clause = node.children().find_map(ast::ConstraintNameClause::cast);
    let begins = clause.map_or(0, |clause| span(clause.syntax()).end - base);
    let ends = options.first().map_or(whole.len(), |option| span(option.syntax()).start - base);
    let body = whole.get(begins..ends).unwrap_or_default().trim().to_owned();
    let options = options
        .iter()
        .filter(|option| !matches!(option, ast::ConstraintOption::NotValid(_)))
        .map(|option| words(option.syntax()))
        .collect();
    Constraint { name, body, options, looks, kind: demand(found) }
}

fn demand(found: &ast::Constraint) -> Demand {
    match found {
        ast::Constraint::CheckConstraint(check) => check.expr().map_or(Demand::Other, |expr| {
            let said = tokens(expr.syntax());
            not_null_column(&said).map_or_else(
                || Demand::Check { names: named(expr.syntax()) },
                |column| Demand::NotNullCheck { column },
            )
        }),
        ast::Constraint::ForeignKeyConstraint(key) => Demand::Reference {
            from: key.from_columns().map(|list| listed(list.syntax())).unwrap_or_default(),
            table: key.table_name_ref().map_or_else(String::new, |table| words(table.syntax())),
            to: key.to_columns().map(|list| listed(list.syntax())).unwrap_or_default(),
        },
        ast::Constraint::ReferencesConstraint(key) => Demand::Reference {
            from: Vec::new(),
            table: key.table().map_or_else(String::new, |table| words(table.syntax())),
            to: key.column().map(|column| folded(column.syntax())).into_iter().collect(),
        },
        ast::Constraint::UniqueConstraint(unique) if unique.using_index().is_none() => {
            Demand::Unique { columns: key_columns(unique.index_parameters()) }
        }
        ast::Constraint::PrimaryKeyConstraint(primary) if primary.using_index().is_none() => {
            Demand::Primary { columns: key_columns(primary.index_parameters()) }
        }
        ast::Constraint::UniqueConstraint(_) | ast::Constraint::PrimaryKeyConstraint(_) => Demand::UsingIndex,
        _ => Demand::Other,
    }
}

fn key_columns(parameters: Option<ast::IndexParameters>) -> Vec<String> {
    parameters.and_then(|it| it.column_list()).map(|list| listed(list.syntax())).unwrap_or_default()
}

/// `column IS NOT NULL`, in however many brackets.
fn not_null_column(said: &[Token]) -> Option<String> {
    let bare: Vec<&Token> = said.iter().filter(|token| !matches!(token.text.as_str(), "(" | ")")).collect();
    match bare.as_slice() {
        [column, is, not, null] if is.is("is") && not.is("not") && null.is("null") => {
            Some(last(&column.text))
        }
        _ => None,
    }
}

/// The names in an expression that may be columns, each once.
fn named(node: &SyntaxNode) -> Vec<String> {
    let mut names = Vec::new();
    for name in node.descendants().filter_map(ast::NameRef::cast) {
        let called = name.syntax().parent().is_some_and(|parent| ast::CallExpr::can_cast(parent.kind()));
        let folded = name.text();
        if !called && !names.contains(&folded) {
            names.push(folded);
        }
    }
    names
}

/// The names between a list's brackets.
fn listed(node: &SyntaxNode) -> Vec<String> {
    let said = tokens(node);
    let inner = said.iter().filter(|token| !matches!(token.text.as_str(), "(" | ")" | ","));
    inner.map(|token| last(&token.text)).collect()
}

fn folded(node: &SyntaxNode) -> String {
    parts(&words(node)).pop().unwrap_or_default()
}

/// First word to last word: a comment behind the last would swallow what is put after it.
fn words(node: &SyntaxNode) -> String {
    let (whole, base, at) = (node.text().to_string(), usize::from(node.text_range().start()), span(node));
    whole.get(at.start - base..at.end - base).unwrap_or_default().to_owned()
}

fn span(node: &SyntaxNode) -> Range<usize> {
    let mut said = node
        .descendants_with_tokens()
        .filter_map(squawk_syntax::SyntaxElement::into_token)
        .filter(|token| !token.kind().is_trivia());
    let whole = node.text_range();
    let first = said.next().map_or(whole, |token| token.text_range());
    let end = said.last().map_or(first.end(), |token| token.text_range().end());
    usize::from(first.start())..usize::from(end)
}

/// A statement that writes rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Write {
    /// UPDATE or DELETE.
    pub(crate) verb: Verb,
    /// The table, as written.
    pub(crate) table: String,
    /// The columns that an UPDATE sets.
    pub(crate) sets: Vec<String>,
    /// Whether a WHERE narrows it.
    pub(crate) narrowed: bool,
    /// Whether it joins, returns, or stands on a WITH: then it is more than a pass over one table.
    pub(crate) joins: bool,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Update,
    Delete,
}

/// What an UPDATE or DELETE writes; none of anything else.
pub(crate) fn write(text: &str) -> Option<Write> {
    let parse = SourceFile::parse(text);
    match parse.syntax_node().children().find_map(Stmt::cast)? {
        Stmt::Update(update) => {
            let list = update.set_clause().and_then(|set| set.set_column_list());
            Some(Write {
                verb: Verb::Update,
                table: words(update.relation_name()?.relation_name_ref()?.syntax()),
                sets: list.map(|list| assigned(&tokens(list.syntax()))).unwrap_or_default(),
                narrowed: update.where_clause_or_current_of().is_some(),
                joins: update.from_clause().is_some()
                    || update.returning_clause().is_some()
                    || update.with_clause().is_some(),
            })
        }
        Stmt::Delete(delete) => Some(Write {
            verb: Verb::Delete,
            table: words(delete.relation_name()?.relation_name_ref()?.syntax()),
            sets: Vec::new(),
            narrowed: delete.where_clause_or_current_of().is_some(),
            joins: delete.using_clause().is_some()
                || delete.returning_clause().is_some()
                || delete.with_clause().is_some(),
        }),
        _ => None,
    }
}

/// The names before the equals signs that stand outside of all brackets.
fn assigned(said: &[Token]) -> Vec<String> {
    let (mut depth, mut names, mut fresh) = (0_i32, Vec::new(), true);
    for token in said {
        match token.text.as_str() {
            "(" | "[" => depth += 1,
            ")" | "]" => depth -= 1,
            "," if depth == 0 => fresh = true,
            _ if fresh && depth <= 1 => {
                names.push(last(&token.text));
                // `(a, b) = (…)` names several.
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

/// The words and signs of a statement.
pub(crate) fn words_of(text: &str) -> Vec<Token> {
    tokens(&SourceFile::parse(text).syntax_node())
}
