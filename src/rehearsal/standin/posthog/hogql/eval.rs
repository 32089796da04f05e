//! A statement over rows: conditions, groups, aggregates, order.
//!
//! It guarantees ClickHouse's answers for what it knows: nothing counted is 0, a quantile over nothing is null, an aggregate
//! without GROUP BY gives one row. Where rows stand for several (a sampled window), counts and sums are weighted.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::functions;
use super::tree::{Direction, Expr, Op, Select};
use super::{Datum, Refused};

/// What a statement is asked of.
pub(in super::super) trait Table {
    /// A column of a row, or `None` for one that there is not.
    fn column(&self, row: usize, name: &str) -> Option<Datum>;
    /// How many a row stands for.
    fn weight(&self) -> f64;
    /// How many rows there are.
    fn rows(&self) -> usize;
}

/// An answer: names, types and rows.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Answer {
    pub(in super::super) columns: Vec<String>,
    pub(in super::super) types: Vec<&'static str>,
    pub(in super::super) rows: Vec<Vec<Value>>,
    pub(in super::super) more: bool,
    pub(in super::super) limit: usize,
    pub(in super::super) offset: usize,
}

const AGGREGATES: [&str; 11] =
    ["count", "uniq", "uniqExact", "sum", "avg", "min", "max", "any", "median", "quantile", "quantiles"];

/// The aggregate's name without `If`, where it is one.
fn aggregate(name: &str) -> Option<(&'static str, bool)> {
    let plain = |name: &str| AGGREGATES.iter().find(|known| **known == name).copied();
    plain(name).map(|name| (name, false)).or_else(|| Some((plain(name.strip_suffix("If")?)?, true)))
}

fn aggregates(expr: &Expr) -> bool {
    match expr {
        Expr::Call { name, arguments, .. } => aggregate(name).is_some() || arguments.iter().any(aggregates),
        Expr::Binary(_, left, right) => aggregates(left) || aggregates(right),
        Expr::Not(inner) | Expr::IsNull(inner) => aggregates(inner),
        Expr::List(list) => list.iter().any(aggregates),
        Expr::Constant(_) | Expr::Column(_) | Expr::Star => false,
    }
}

impl Select {
    /// The lower bound on time, from the conditions that hold for every row.
    pub(in super::super) fn since(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, Refused> {
        fn bound(expr: &Expr, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
            match expr {
                Expr::Binary(Op::And, left, right) => bound(left, now).max(bound(right, now)),
                Expr::Binary(Op::Greater | Op::GreaterEqual, left, right) if is_timestamp(left) => {
                    constant(right, now)
                }
                Expr::Binary(Op::Less | Op::LessEqual, left, right) if is_timestamp(right) => {
                    constant(left, now)
                }
                _ => None,
            }
        }
        fn is_timestamp(expr: &Expr) -> bool {
            matches!(expr, Expr::Column(name) if name == "timestamp" || name.ends_with(".timestamp"))
        }
        fn constant(expr: &Expr, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
            let nothing = Nothing;
            let scope = Scope { table: &nothing, aliases: &[], now };
            scope.scalar(expr, 0, 0).ok()?.time()
        }
        self.condition.as_ref().and_then(|condition| bound(condition, now)).ok_or(Refused::Unbounded)
    }

    fn is_aggregated(&self) -> bool {
        !self.groups.is_empty() || self.columns.iter().any(|(_, expr)| aggregates(expr))
    }
}

struct Nothing;

impl Table for Nothing {
    fn column(&self, _: usize, _: &str) -> Option<Datum> {
        None
    }

    fn weight(&self) -> f64 {
        1.0
    }

    fn rows(&self) -> usize {
        0
    }
}

struct Scope<'a, T> {
    table: &'a T,
    aliases: &'a [(String, Expr)],
    now: DateTime<Utc>,
}

/// Runs a statement over a table.
pub(in super::super) fn run(
    select: &Select,
    table: &impl Table,
    now: DateTime<Utc>,
) -> Result<Answer, Refused> {
    let scope = Scope { table, aliases: &select.aliases, now };
    let mut kept = Vec::new();
    for row in 0..table.rows() {
        let holds = select.condition.as_ref().map(|condition| scope.scalar(condition, row, 0)).transpose()?;
        if holds.is_none_or(|datum| datum.truth()) {
            kept.push(row);
        }
    }
    let groups = scope.groups(select, kept)?;
    let mut lines: Vec<(Vec<Datum>, Vec<Datum>)> = Vec::new();
    for group in groups {
        if let Some(having) = &select.having
            && !scope.over(having, &group, 0)?.truth()
        {
            continue;
        }
        let line: Result<Vec<_>, _> =
            select.columns.iter().map(|(_, expr)| scope.over(expr, &group, 0)).collect();
        let keys: Result<Vec<_>, _> =
            select.order.iter().map(|(expr, _)| scope.over(expr, &group, 0)).collect();
        lines.push((keys?, line?));
    }
    lines.sort_by(|(a, _), (b, _)| {
        let each = a.iter().zip(b).zip(&select.order).map(|((a, b), (_, direction))| {
            let order = a.compare(b).unwrap_or(std::cmp::Ordering::Equal);
            if *direction == Direction::Down { order.reverse() } else { order }
        });
        each.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
    let mut data: Vec<Vec<Datum>> = lines.into_iter().map(|(_, line)| line).collect();
    if select.distinct {
        let mut seen = BTreeSet::new();
        data.retain(|line| seen.insert(format!("{line:?}")));
    }
    let more = data.len() > select.offset + select.limit;
    let shown: Vec<Vec<Datum>> = data.into_iter().skip(select.offset).take(select.limit).collect();
    let types = select.columns.iter().enumerate().map(|(place, (_, expr))| {
        let counted = matches!(expr, Expr::Call { name, .. } if matches!(aggregate(name), Some(("count" | "uniq" | "uniqExact", _))));
        if counted { "UInt64" } else { shown.first().map_or("String", |line| line[place].kind()) }
    });
    Ok(Answer {
        columns: select.columns.iter().map(|(name, _)| name.clone()).collect(),
        types: types.collect(),
        rows: shown.iter().map(|line| line.iter().map(Datum::to_json).collect()).collect(),
        more,
        limit: select.limit,
        offset: select.offset,
    })
}

impl<T: Table> Scope<'_, T> {
    fn groups(&self, select: &Select, kept: Vec<usize>) -> Result<Vec<Vec<usize>>, Refused> {
        if !select.is_aggregated() {
            return Ok(kept.into_iter().map(|row| vec![row]).collect());
        }
        if select.groups.is_empty() {
            return Ok(vec![kept]);
        }
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for row in kept {
            let key: Result<Vec<_>, _> =
                select.groups.iter().map(|expr| Ok(self.scalar(expr, row, 0)?.to_json())).collect();
            groups.entry(Value::from(key?).to_string()).or_default().push(row);
        }
        Ok(groups.into_values().collect())
    }

    /// What a name stands for, if it is an alias and not the column that it names.
    fn alias(&self, name: &str) -> Option<&Expr> {
        let (_, expr) = self.aliases.iter().find(|(alias, _)| alias == name)?;
        (*expr != Expr::Column(name.to_owned())).then_some(expr)
    }

    fn column(&self, name: &str, row: usize) -> Result<Datum, Refused> {
        let bare = name
            .split_once('.')
            .filter(|(table, _)| *table == "events" || *table == "e")
            .map_or(name, |(_, rest)| rest);
        self.table
            .column(row, bare)
            .ok_or_else(|| Refused::Invalid(format!("Unable to resolve field: {name}")))
    }

    /// An expression over a group of rows.
    fn over(&self, expr: &Expr, rows: &[usize], depth: u8) -> Result<Datum, Refused> {
        if depth > 32 {
            return Err(Refused::Invalid("Cyclic aliases".into()));
        }
        match expr {
            Expr::Call { name, parameters, distinct, arguments } => {
                if let Some((kind, conditional)) = aggregate(name) {
                    return self.aggregate(kind, conditional, *distinct, parameters, arguments, rows);
                }
                let given: Result<Vec<_>, _> =
                    arguments.iter().map(|one| self.over(one, rows, depth + 1)).collect();
                self.call(name, &given?)
            }
            Expr::Column(name) => match (self.alias(name), rows.first()) {
                (Some(expr), _) => self.over(expr, rows, depth + 1),
                (None, Some(row)) => self.column(name, *row),
                (None, None) => Ok(Datum::Null),
            },
            Expr::Binary(op, left, right) if *op != Op::In => {
                Ok(binary(*op, &self.over(left, rows, depth + 1)?, &self.over(right, rows, depth + 1)?))
            }
            Expr::Not(inner) => Ok(Datum::Bool(!self.over(inner, rows, depth + 1)?.truth())),
            Expr::IsNull(inner) => Ok(Datum::Bool(self.over(inner, rows, depth + 1)? == Datum::Null)),
            Expr::Constant(datum) => Ok(datum.clone()),
            other => self.scalar(other, rows.first().copied().unwrap_or(usize::MAX), depth),
        }
    }

    /// An expression over one row.
    fn scalar(&self, expr: &Expr, row: usize, depth: u8) -> Result<Datum, Refused> {
        if depth > 32 {
            return Err(Refused::Invalid("Cyclic aliases".into()));
        }
        match expr {
            Expr::Constant(datum) => Ok(datum.clone()),
            Expr::Column(name) => match self.alias(name) {
                Some(expr) => self.scalar(expr, row, depth + 1),
                None => self.column(name, row),
            },
            Expr::Not(inner) => Ok(Datum::Bool(!self.scalar(inner, row, depth)?.truth())),
            Expr::IsNull(inner) => Ok(Datum::Bool(self.scalar(inner, row, depth)? == Datum::Null)),
            Expr::Binary(Op::In, left, right) => {
                let value = self.scalar(left, row, depth)?;
                let list = if let Expr::List(list) = &**right {
                    list.as_slice()
                } else {
                    std::slice::from_ref(&**right)
                };
                for one in list {
                    if value.compare(&self.scalar(one, row, depth)?).is_some_and(std::cmp::Ordering::is_eq) {
                        return Ok(Datum::Bool(true));
                    }
                }
                Ok(Datum::Bool(false))
            }
            Expr::Binary(op, left, right) => {
                let left = self.scalar(left, row, depth)?;
                match (op, left.truth()) {
                    (Op::And, false) => Ok(Datum::Bool(false)),
                    (Op::Or, true) => Ok(Datum::Bool(true)),
                    _ => Ok(binary(*op, &left, &self.scalar(right, row, depth)?)),
                }
            }
            Expr::Call { name, .. } if aggregate(name).is_some() => {
                Err(Refused::Invalid(format!("Aggregation '{name}' cannot be nested or used in WHERE")))
            }
            Expr::Call { name, arguments, .. } => {
                let given: Result<Vec<_>, _> =
                    arguments.iter().map(|one| self.scalar(one, row, depth)).collect();
                self.call(name, &given?)
            }
            Expr::Star | Expr::List(_) => {
                Err(Refused::Invalid("`*` and lists are not supported here".into()))
            }
        }
    }

    fn call(&self, name: &str, given: &[Datum]) -> Result<Datum, Refused> {
        functions::call(name, given, self.now)
            .ok_or_else(|| Refused::Invalid(format!("Unsupported function call '{name}(...)'.")))
    }

    fn aggregate(
        &self,
        kind: &str,
        conditional: bool,
        distinct: bool,
        parameters: &[Expr],
        arguments: &[Expr],
        rows: &[usize],
    ) -> Result<Datum, Refused> {
        let (condition, arguments) = match (conditional, arguments.split_last()) {
            (true, Some((condition, rest))) => (Some(condition), rest),
            (true, None) => {
                return Err(Refused::Invalid(format!("Aggregation '{kind}If' expects a condition")));
            }
            (false, _) => (None, arguments),
        };
        let mut values = Vec::new();
        for row in rows {
            if let Some(condition) = condition
                && !self.scalar(condition, *row, 0)?.truth()
            {
                continue;
            }
            match arguments.first() {
                None | Some(Expr::Star) => values.push(Datum::Bool(true)),
                Some(expr) => values.push(self.scalar(expr, *row, 0)?),
            }
        }
        values.retain(|value| *value != Datum::Null);
        if kind == "uniq" || kind == "uniqExact" || distinct {
            let different: BTreeSet<String> = values.iter().filter_map(Datum::text).collect();
            return Ok(Datum::Number(different.len() as f64));
        }
        let share = match parameters.first() {
            Some(parameter) => self.scalar(parameter, 0, 0)?.number().unwrap_or(0.5),
            None => 0.5,
        };
        let of_time = matches!(arguments, [Expr::Column(name)] if name == "timestamp");
        if values.is_empty() && of_time && matches!(kind, "min" | "max") {
            // A time cannot be null there: nothing is the beginning of 1970.
            return Ok(Datum::Time(DateTime::UNIX_EPOCH));
        }
        Ok(fold(kind, values, share, self.table.weight()))
    }
}

fn fold(kind: &str, values: Vec<Datum>, share: f64, weight: f64) -> Datum {
    let mut numbers: Vec<f64> = values.iter().filter_map(Datum::number).collect();
    let sum: f64 = numbers.iter().sum();
    let by = |a: &Datum, b: &Datum| a.compare(b).unwrap_or(std::cmp::Ordering::Equal);
    match kind {
        "count" => Datum::Number(values.len() as f64 * weight),
        "sum" => Datum::Number(sum * weight),
        "avg" if numbers.is_empty() => Datum::Null,
        "avg" => Datum::Number(sum / numbers.len() as f64),
        "min" => values.into_iter().min_by(by).unwrap_or(Datum::Null),
        "max" => values.into_iter().max_by(by).unwrap_or(Datum::Null),
        "any" => values.into_iter().next().unwrap_or(Datum::Null),
        _ if numbers.is_empty() => Datum::Null,
        _ => {
            numbers.sort_by(f64::total_cmp);
            let place = share.clamp(0.0, 1.0) * (numbers.len() - 1) as f64;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an index below the length"
            )]
            let (low, high) = (place.floor() as usize, place.ceil() as usize);
            Datum::Number(numbers[low] + (numbers[high] - numbers[low]) * place.fract())
        }
    }
}

fn binary(op: Op, left: &Datum, right: &Datum) -> Datum {
    let order = |holds: fn(std::cmp::Ordering) -> bool| {
        left.compare(right).map_or(Datum::Null, |order| Datum::Bool(holds(order)))
    };
    match op {
        Op::And => Datum::Bool(left.truth() && right.truth()),
        Op::Or => Datum::Bool(left.truth() || right.truth()),
        Op::Equal | Op::In => order(std::cmp::Ordering::is_eq),
        Op::NotEqual => order(std::cmp::Ordering::is_ne),
        Op::Less => order(std::cmp::Ordering::is_lt),
        Op::LessEqual => order(std::cmp::Ordering::is_le),
        Op::Greater => order(std::cmp::Ordering::is_gt),
        Op::GreaterEqual => order(std::cmp::Ordering::is_ge),
        Op::Like { fold } => match (left.text(), right.text()) {
            (Some(text), Some(pattern)) if fold => {
                Datum::Bool(functions::like(&text.to_lowercase(), &pattern.to_lowercase()))
            }
            (Some(text), Some(pattern)) => Datum::Bool(functions::like(&text, &pattern)),
            _ => Datum::Null,
        },
        Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Modulo => arithmetic(op, left, right),
    }
}

fn arithmetic(op: Op, left: &Datum, right: &Datum) -> Datum {
    if let (Some(at), Datum::Span(span)) = (left.time(), right) {
        return Datum::Time(if op == Op::Add { at + *span } else { at - *span });
    }
    let (Some(a), Some(b)) = (left.number(), right.number()) else { return Datum::Null };
    let number = match op {
        Op::Add => a + b,
        Op::Subtract => a - b,
        Op::Multiply => a * b,
        Op::Divide => a / b,
        _ => a % b,
    };
    if number.is_finite() { Datum::Number(number) } else { Datum::Null }
}
