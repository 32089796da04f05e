//! Tokens as a statement.
//!
//! It guarantees the usual order of operators, and that placeholders are values and never text.

use serde_json::Value;

use super::Refused;
use super::lex::{Token, lex, place};
use super::tree::{Direction, Expr, Op, Select};
use super::value::{Datum, interval};

const DEFAULT_LIMIT: usize = 100;
const MOST_ROWS: usize = 50_000;
const KEYWORDS: [&str; 14] = [
    "from", "where", "group", "having", "order", "limit", "offset", "as", "asc", "desc", "and", "or", "join",
    "final",
];

/// Reads a statement; `values` fill its placeholders.
pub(in super::super) fn parse(text: &str, values: &Value) -> Result<Select, Refused> {
    let tokens = lex(text)?;
    let mut parser = Parser { text, tokens, at: 0, values };
    let select = parser.select()?;
    parser.take_mark(";");
    if parser.peek().is_some() { Err(parser.unexpected("the end of the statement")) } else { Ok(select) }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(usize, Token)>,
    at: usize,
    values: &'a Value,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn offset(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |(at, _)| *at)
    }

    fn unexpected(&self, wanted: &str) -> Refused {
        let found = self.text[self.offset()..].split_whitespace().next().unwrap_or("<EOF>");
        Refused::Invalid(format!(
            "Syntax error at {}: unexpected '{found}', expecting {wanted}",
            place(self.text, self.offset())
        ))
    }

    fn word(&self) -> Option<String> {
        match self.peek() {
            Some(Token::Word(word)) => Some(word.to_ascii_lowercase()),
            _ => None,
        }
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.word().is_some_and(|next| next == word);
        self.at += usize::from(found);
        found
    }

    fn need_word(&mut self, word: &str) -> Result<(), Refused> {
        if self.take_word(word) { Ok(()) } else { Err(self.unexpected(&word.to_uppercase())) }
    }

    fn take_mark(&mut self, mark: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Mark(next)) if *next == mark);
        self.at += usize::from(found);
        found
    }

    fn need_mark(&mut self, mark: &str) -> Result<(), Refused> {
        if self.take_mark(mark) { Ok(()) } else { Err(self.unexpected(&format!("'{mark}'"))) }
    }

    fn name(&mut self) -> Result<String, Refused> {
        let name = match self.peek() {
            Some(Token::Word(name) | Token::Quoted(name)) => name.clone(),
            _ => return Err(self.unexpected("a name")),
        };
        self.at += 1;
        Ok(name)
    }

    fn whole(&mut self) -> Result<usize, Refused> {
        let expr = self.primary()?;
        let number = match expr {
            Expr::Constant(Datum::Number(number)) => Some(number),
            _ => None,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        number.map(|number| number as usize).ok_or_else(|| self.unexpected("a number"))
    }

    fn select(&mut self) -> Result<Select, Refused> {
        self.need_word("select")?;
        let distinct = self.take_word("distinct");
        let (mut columns, mut aliases) = (Vec::new(), Vec::new());
        loop {
            let from = self.offset();
            let expr = self.expression()?;
            let text = self.text[from..self.offset()].trim().to_owned();
            let alias = match self.peek() {
                Some(Token::Word(word)) if word.eq_ignore_ascii_case("as") => {
                    self.at += 1;
                    Some(self.name()?)
                }
                Some(Token::Word(word)) if !KEYWORDS.contains(&word.to_ascii_lowercase().as_str()) => {
                    Some(self.name()?)
                }
                _ => None,
            };
            if let Some(alias) = &alias {
                aliases.push((alias.clone(), expr.clone()));
            }
            columns.push((alias.unwrap_or(text), expr));
            if !self.take_mark(",") {
                break;
            }
        }
        self.need_word("from")?;
        let table = self.name()?;
        if table != "events" {
            return Err(Refused::Invalid(format!("Unknown table `{table}`.")));
        }
        if self.take_word("as") || matches!(self.word(), Some(word) if !KEYWORDS.contains(&word.as_str())) {
            self.name()?;
        }
        let condition = if self.take_word("where") { Some(self.expression()?) } else { None };
        let mut groups = Vec::new();
        if self.take_word("group") {
            self.need_word("by")?;
            groups = self.list()?;
        }
        let having = if self.take_word("having") { Some(self.expression()?) } else { None };
        let mut order = Vec::new();
        if self.take_word("order") {
            self.need_word("by")?;
            loop {
                let by = self.expression()?;
                let direction = if self.take_word("desc") { Direction::Down } else { Direction::Up };
                self.take_word("asc");
                order.push((by, direction));
                if !self.take_mark(",") {
                    break;
                }
            }
        }
        let limit = if self.take_word("limit") { self.whole()?.min(MOST_ROWS) } else { DEFAULT_LIMIT };
        let offset = if self.take_word("offset") { self.whole()? } else { 0 };
        Ok(Select { distinct, columns, aliases, condition, groups, having, order, limit, offset })
    }

    fn list(&mut self) -> Result<Vec<Expr>, Refused> {
        let mut list = vec![self.expression()?];
        while self.take_mark(",") {
            list.push(self.expression()?);
        }
        Ok(list)
    }

    fn expression(&mut self) -> Result<Expr, Refused> {
        let mut left = self.conjunction()?;
        while self.take_word("or") {
            left = Expr::Binary(Op::Or, Box::new(left), Box::new(self.conjunction()?));
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Expr, Refused> {
        let mut left = self.negation()?;
        while self.take_word("and") {
            left = Expr::Binary(Op::And, Box::new(left), Box::new(self.negation()?));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Expr, Refused> {
        if self.take_word("not") { Ok(Expr::Not(Box::new(self.negation()?))) } else { self.comparison() }
    }

    fn comparison(&mut self) -> Result<Expr, Refused> {
        let left = self.sum()?;
        if self.take_word("is") {
            let negated = self.take_word("not");
            self.need_word("null")?;
            return Ok(maybe_not(negated, Expr::IsNull(Box::new(left))));
        }
        let negated = self.word().is_some_and(|word| word == "not") && {
            self.at += 1;
            true
        };
        if self.take_word("in") {
            let list = self.operand_list()?;
            return Ok(maybe_not(negated, Expr::Binary(Op::In, Box::new(left), Box::new(list))));
        }
        if self.take_word("between") {
            let least = self.sum()?;
            self.need_word("and")?;
            let most = self.sum()?;
            let above = Expr::Binary(Op::GreaterEqual, Box::new(left.clone()), Box::new(least));
            let below = Expr::Binary(Op::LessEqual, Box::new(left), Box::new(most));
            return Ok(maybe_not(negated, Expr::Binary(Op::And, Box::new(above), Box::new(below))));
        }
        for (word, fold) in [("like", false), ("ilike", true)] {
            if self.take_word(word) {
                let right = self.sum()?;
                return Ok(maybe_not(
                    negated,
                    Expr::Binary(Op::Like { fold }, Box::new(left), Box::new(right)),
                ));
            }
        }
        if negated {
            return Err(self.unexpected("IN, LIKE or BETWEEN"));
        }
        let marks = [
            ("<=", Op::LessEqual),
            (">=", Op::GreaterEqual),
            ("!=", Op::NotEqual),
            ("<>", Op::NotEqual),
            ("==", Op::Equal),
            ("=", Op::Equal),
            ("<", Op::Less),
            (">", Op::Greater),
        ];
        for (mark, op) in marks {
            if self.take_mark(mark) {
                return Ok(Expr::Binary(op, Box::new(left), Box::new(self.sum()?)));
            }
        }
        Ok(left)
    }

    /// What stands after IN: a list, or one value that is a list.
    fn operand_list(&mut self) -> Result<Expr, Refused> {
        if !self.take_mark("(") {
            return self.primary();
        }
        let list = self.list()?;
        self.need_mark(")")?;
        Ok(Expr::List(list))
    }

    fn sum(&mut self) -> Result<Expr, Refused> {
        let mut left = self.product()?;
        loop {
            let op = match () {
                () if self.take_mark("+") => Op::Add,
                () if self.take_mark("-") => Op::Subtract,
                () => return Ok(left),
            };
            left = Expr::Binary(op, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Expr, Refused> {
        let mut left = self.primary()?;
        loop {
            let op = match () {
                () if self.take_mark("*") => Op::Multiply,
                () if self.take_mark("/") => Op::Divide,
                () if self.take_mark("%") => Op::Modulo,
                () => return Ok(left),
            };
            left = Expr::Binary(op, Box::new(left), Box::new(self.primary()?));
        }
    }

    fn primary(&mut self) -> Result<Expr, Refused> {
        let token = self.peek().cloned();
        match token {
            Some(Token::Number(number)) => Ok(self.constant(Datum::Number(number))),
            Some(Token::Text(text)) => Ok(self.constant(Datum::Text(text))),
            Some(Token::Placeholder(name)) => self.placeholder(&name),
            Some(Token::Mark("-")) => {
                self.at += 1;
                let zero = Expr::Constant(Datum::Number(0.0));
                Ok(Expr::Binary(Op::Subtract, Box::new(zero), Box::new(self.primary()?)))
            }
            Some(Token::Mark("*")) => {
                self.at += 1;
                Ok(Expr::Star)
            }
            Some(Token::Mark("(")) => {
                self.at += 1;
                let mut list = self.list()?;
                self.need_mark(")")?;
                Ok(if list.len() == 1 { list.remove(0) } else { Expr::List(list) })
            }
            Some(Token::Word(word)) => self.named(&word),
            Some(Token::Quoted(_)) => self.column(),
            _ => Err(self.unexpected("an expression")),
        }
    }

    fn constant(&mut self, datum: Datum) -> Expr {
        self.at += 1;
        Expr::Constant(datum)
    }

    fn placeholder(&mut self, name: &str) -> Result<Expr, Refused> {
        let value = self.values.get(name).ok_or_else(|| {
            Refused::Invalid(format!(
                "Unresolved placeholder: {{{name}}} at {}",
                place(self.text, self.offset())
            ))
        })?;
        self.at += 1;
        Ok(match value {
            Value::Array(list) => {
                Expr::List(list.iter().map(|one| Expr::Constant(Datum::from_json(one))).collect())
            }
            one => Expr::Constant(Datum::from_json(one)),
        })
    }

    fn named(&mut self, word: &str) -> Result<Expr, Refused> {
        match word.to_ascii_lowercase().as_str() {
            "true" => Ok(self.constant(Datum::Bool(true))),
            "false" => Ok(self.constant(Datum::Bool(false))),
            "null" => Ok(self.constant(Datum::Null)),
            "interval" => {
                self.at += 1;
                let expr = self.primary()?;
                let unit = self.name()?;
                let number = match expr {
                    Expr::Constant(Datum::Number(number)) => Some(number),
                    _ => None,
                };
                let span = number
                    .and_then(|number| interval(number, &unit))
                    .ok_or_else(|| self.unexpected("an interval"))?;
                Ok(Expr::Constant(Datum::Span(span)))
            }
            keyword if KEYWORDS.contains(&keyword) => Err(self.unexpected("an expression")),
            _ => self.column(),
        }
    }

    /// A column, or the call of a function.
    fn column(&mut self) -> Result<Expr, Refused> {
        let mut name = self.name()?;
        if matches!(self.peek(), Some(Token::Mark("("))) {
            return self.call(name);
        }
        while self.take_mark(".") {
            name.push('.');
            name.push_str(&self.name()?);
        }
        Ok(Expr::Column(name))
    }

    fn call(&mut self, name: String) -> Result<Expr, Refused> {
        let (distinct, first) = self.arguments()?;
        if !matches!(self.peek(), Some(Token::Mark("("))) {
            return Ok(Expr::Call { name, parameters: Vec::new(), distinct, arguments: first });
        }
        let (distinct, arguments) = self.arguments()?;
        Ok(Expr::Call { name, parameters: first, distinct, arguments })
    }

    fn arguments(&mut self) -> Result<(bool, Vec<Expr>), Refused> {
        self.need_mark("(")?;
        let distinct = self.take_word("distinct");
        if self.take_mark(")") {
            return Ok((distinct, Vec::new()));
        }
        let list = self.list()?;
        self.need_mark(")")?;
        Ok((distinct, list))
    }
}

fn maybe_not(negated: bool, expr: Expr) -> Expr {
    if negated { Expr::Not(Box::new(expr)) } else { expr }
}
