//! A small language to search records with: `status:>=500 AND (path:/api/* OR "timed out")`.
//!
//! ```text
//! query  = or
//! or     = and { "OR" and }
//! and    = not { ["AND"] not }          a blank between two conditions means AND
//! not    = "NOT" not | "-" term | term
//! term   = "(" or ")" | field ":" [ ">=" | "<=" | ">" | "<" ] value | value
//! value  = word | '"' text with \" and \\ '"'
//! ```
//!
//! In words, `*` stands for any characters and `?` for one; inside of quotes they stand for
//! themselves. Texts are compared without regard to the case of ASCII letters. A value without a
//! field is looked for anywhere in the texts of a record. Queries are bounded in length, number of
//! conditions and depth; a condition takes time linear in the text times its own length at most.
//!
//! A leaf: it knows no records, they show it their fields.

use crate::limits::{SEARCH_BYTES_MAX, SEARCH_DEPTH_MAX, SEARCH_TERMS_MAX};

/// Why a query was refused; the text may be shown to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The query is too long.
    #[error("a query may have {SEARCH_BYTES_MAX} bytes")]
    TooLong,
    /// It has too many conditions.
    #[error("a query may have {SEARCH_TERMS_MAX} conditions")]
    TooMany,
    /// Parentheses or NOT stand too deep inside of each other.
    #[error("parentheses and NOT may stand {SEARCH_DEPTH_MAX} deep inside of each other")]
    TooDeep,
    /// Something is missing or left over.
    #[error("at character {at}: {what}")]
    Syntax {
        /// Counted from 1.
        at: usize,
        /// What was expected.
        what: &'static str,
    },
    /// There is no such field.
    #[error("there is no field {0:?}; the fields are {1}")]
    Field(String, String),
    /// A field that is a number is compared with something else.
    #[error("{0} is compared with a number")]
    NotANumber(String),
    /// A field that is a text is compared by size.
    #[error("{0} is no number, so it can only be compared with `field:value`")]
    NotOrdered(String),
}

/// Whether a field is compared as a text or as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// By pattern.
    Text,
    /// By size.
    Number,
}

/// The fields that records have, by name.
pub type Schema = &'static [(&'static str, Type)];

/// A record, as a query sees it.
pub trait Record {
    /// The value of a number; `None` when this record has none.
    fn number(&mut self, field: &str) -> Option<f64>;

    /// Shows every text that the field has, until `matches` answers `true`. Answers whether it did.
    fn text(&mut self, field: &str, matches: &mut dyn FnMut(&str) -> bool) -> bool;

    /// Shows every text in which a value without a field is looked for, likewise.
    fn any_text(&mut self, matches: &mut dyn FnMut(&str) -> bool) -> bool;
}

/// A query that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    root: Node,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    /// Anywhere in the record's texts.
    Bare(Pattern),
    Text(&'static str, Pattern),
    Number(&'static str, Comparison, f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A text in lower case, cut at each `*`; `None` stands for one character of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    parts: Vec<Vec<Option<char>>>,
}

impl Query {
    /// Reads a query about records with these fields. A query of blanks matches everything.
    ///
    /// # Errors
    /// [`Invalid`], with what to do about it.
    pub fn parse(text: &str, schema: Schema) -> Result<Self, Invalid> {
        if text.len() > SEARCH_BYTES_MAX {
            return Err(Invalid::TooLong);
        }
        let mut parser = Parser {
            tokens: lex(text)?,
            next: 0,
            depth: 0,
            terms: 0,
            schema,
            end: text.chars().count() + 1,
        };
        if parser.tokens.is_empty() {
            return Ok(Self {
                root: Node::All(Vec::new()),
            });
        }
        let root = parser.any()?;
        match parser.tokens.get(parser.next) {
            None => Ok(Self { root }),
            Some((at, _)) => Err(Invalid::Syntax {
                at: *at,
                what: "there is a ) without its (",
            }),
        }
    }

    /// Whether a record is one of those that are asked for.
    pub fn matches(&self, record: &mut dyn Record) -> bool {
        self.root.matches(record)
    }
}

impl Node {
    fn matches(&self, record: &mut dyn Record) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.matches(record)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(record)),
            Self::Not(node) => !node.matches(record),
            Self::Bare(pattern) => record.any_text(&mut |text| pattern.occurs_in(text)),
            Self::Text(field, pattern) => record.text(field, &mut |text| pattern.matches(text)),
            Self::Number(field, comparison, value) => record
                .number(field)
                .is_some_and(|number| comparison.holds(number, *value)),
        }
    }
}

impl Comparison {
    fn holds(self, number: f64, value: f64) -> bool {
        match self {
            Self::Equal => (number - value).abs() < f64::EPSILON,
            Self::Less => number < value,
            Self::LessOrEqual => number <= value,
            Self::Greater => number > value,
            Self::GreaterOrEqual => number >= value,
        }
    }
}

impl Pattern {
    fn new(value: &Value) -> Self {
        let mut parts = vec![Vec::new()];
        for c in value.text.chars() {
            match c {
                '*' if !value.quoted => parts.push(Vec::new()),
                '?' if !value.quoted => parts.last_mut().expect("never empty").push(None),
                c => parts
                    .last_mut()
                    .expect("never empty")
                    .push(Some(c.to_ascii_lowercase())),
            }
        }
        Self { parts }
    }

    /// Whether all of `text` is of this form.
    fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().map(|c| c.to_ascii_lowercase()).collect();
        let [first, rest @ ..] = &*self.parts else {
            return false;
        };
        if !begins_with(&text, first) {
            return false;
        }
        let Some((last, middle)) = rest.split_last() else {
            return text.len() == first.len();
        };
        let mut at = first.len();
        for part in middle {
            let Some(found) = find(&text[at..], part) else {
                return false;
            };
            at += found + part.len();
        }
        let tail = text.len().checked_sub(last.len());
        tail.is_some_and(|tail| tail >= at && begins_with(&text[tail..], last))
    }

    /// Whether a part of `text` is of this form.
    fn occurs_in(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().map(|c| c.to_ascii_lowercase()).collect();
        let mut at = 0;
        for part in &self.parts {
            let Some(found) = find(&text[at..], part) else {
                return false;
            };
            at += found + part.len();
        }
        true
    }
}

fn begins_with(text: &[char], part: &[Option<char>]) -> bool {
    let mut pairs = text.iter().zip(part);
    text.len() >= part.len() && pairs.all(|(c, wanted)| wanted.is_none_or(|wanted| wanted == *c))
}

/// Where a part occurs first. Taking the first place for each part finds a match if there is one:
/// what follows has the most room then.
fn find(text: &[char], part: &[Option<char>]) -> Option<usize> {
    let last = text.len().checked_sub(part.len())?;
    (0..=last).find(|&at| begins_with(&text[at..], part))
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    /// `-` right before a condition.
    Minus,
    Term(Option<String>, Comparison, Value),
}

#[derive(Debug, Clone, PartialEq)]
struct Value {
    text: String,
    /// Nothing in it stands for anything else.
    quoted: bool,
}

/// The tokens, each with the number of its first character from 1.
fn lex(text: &str) -> Result<Vec<(usize, Token)>, Invalid> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let from = at;
        let token = match chars[at] {
            c if c.is_whitespace() => {
                at += 1;
                continue;
            }
            '(' => {
                at += 1;
                Token::Open
            }
            ')' => {
                at += 1;
                Token::Close
            }
            '-' if chars
                .get(at + 1)
                .is_some_and(|c| !c.is_whitespace() && *c != ')') =>
            {
                at += 1;
                Token::Minus
            }
            _ => lex_term(&chars, &mut at)?,
        };
        tokens.push((from + 1, token));
    }
    Ok(tokens)
}

fn lex_term(chars: &[char], at: &mut usize) -> Result<Token, Invalid> {
    let first = lex_value(chars, at, true)?;
    if !first.quoted {
        match first.text.as_str() {
            "AND" | "&&" => return Ok(Token::And),
            "OR" | "||" => return Ok(Token::Or),
            "NOT" => return Ok(Token::Not),
            _ => {}
        }
    }
    if first.quoted || chars.get(*at) != Some(&':') {
        return Ok(Token::Term(None, Comparison::Equal, first));
    }
    *at += 1;
    let comparison = match (chars.get(*at), chars.get(*at + 1)) {
        (Some('>'), Some('=')) => Comparison::GreaterOrEqual,
        (Some('<'), Some('=')) => Comparison::LessOrEqual,
        (Some('>'), _) => Comparison::Greater,
        (Some('<'), _) => Comparison::Less,
        _ => Comparison::Equal,
    };
    *at += match comparison {
        Comparison::Equal => 0,
        Comparison::Less | Comparison::Greater => 1,
        Comparison::LessOrEqual | Comparison::GreaterOrEqual => 2,
    };
    let value = lex_value(chars, at, false)?;
    if value.text.is_empty() && !value.quoted {
        return Err(Invalid::Syntax {
            at: *at + 1,
            what: "a value is missing after the colon",
        });
    }
    Ok(Token::Term(Some(first.text), comparison, value))
}

/// A word or a text in quotes. `name`: it may be the name of a field, so it ends at a colon.
fn lex_value(chars: &[char], at: &mut usize, name: bool) -> Result<Value, Invalid> {
    let from = *at;
    let mut text = String::new();
    if chars.get(from) == Some(&'"') {
        *at += 1;
        loop {
            match chars.get(*at) {
                None => {
                    return Err(Invalid::Syntax {
                        at: from + 1,
                        what: "this quote is not closed",
                    });
                }
                Some('"') => break,
                Some('\\') if matches!(chars.get(*at + 1), Some('"' | '\\')) => {
                    text.push(chars[*at + 1]);
                    *at += 2;
                }
                Some(c) => {
                    text.push(*c);
                    *at += 1;
                }
            }
        }
        *at += 1;
        return Ok(Value { text, quoted: true });
    }
    while let Some(c) = chars.get(*at) {
        if c.is_whitespace() || matches!(c, '(' | ')' | '"') || (name && *c == ':') {
            break;
        }
        text.push(*c);
        *at += 1;
    }
    // What begins with a colon has no name: it is a word.
    if name && text.is_empty() {
        return lex_value(chars, at, false);
    }
    Ok(Value {
        text,
        quoted: false,
    })
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
    terms: usize,
    schema: Schema,
    /// The number of the character behind the last one.
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }

    fn any(&mut self) -> Result<Node, Invalid> {
        let mut nodes = vec![self.all()?];
        while self.peek() == Some(&Token::Or) {
            self.next += 1;
            nodes.push(self.all()?);
        }
        Ok(one_or(nodes, Node::Any))
    }

    fn all(&mut self) -> Result<Node, Invalid> {
        let mut nodes = vec![self.not()?];
        loop {
            match self.peek() {
                Some(Token::And) => self.next += 1,
                None | Some(Token::Or | Token::Close) => break,
                Some(_) => {}
            }
            nodes.push(self.not()?);
        }
        Ok(one_or(nodes, Node::All))
    }

    fn not(&mut self) -> Result<Node, Invalid> {
        if !matches!(self.peek(), Some(Token::Not | Token::Minus)) {
            return self.term();
        }
        self.next += 1;
        let inner = self.deeper(Self::not)?;
        Ok(Node::Not(Box::new(inner)))
    }

    fn term(&mut self) -> Result<Node, Invalid> {
        let at = self.at();
        match self.peek().cloned() {
            Some(Token::Open) => {
                self.next += 1;
                let inner = self.deeper(Self::any)?;
                if self.peek() != Some(&Token::Close) {
                    return Err(Invalid::Syntax {
                        at,
                        what: "this ( is not closed",
                    });
                }
                self.next += 1;
                Ok(inner)
            }
            Some(Token::Term(field, comparison, value)) => {
                self.next += 1;
                self.terms += 1;
                if self.terms > SEARCH_TERMS_MAX {
                    return Err(Invalid::TooMany);
                }
                self.condition(field, comparison, &value)
            }
            _ => Err(Invalid::Syntax {
                at,
                what: "a condition is missing here",
            }),
        }
    }

    /// Reads what stands inside of something else.
    fn deeper(&mut self, read: fn(&mut Self) -> Result<Node, Invalid>) -> Result<Node, Invalid> {
        self.depth += 1;
        if self.depth > SEARCH_DEPTH_MAX {
            return Err(Invalid::TooDeep);
        }
        let node = read(self)?;
        self.depth -= 1;
        Ok(node)
    }

    fn condition(
        &self,
        field: Option<String>,
        comparison: Comparison,
        value: &Value,
    ) -> Result<Node, Invalid> {
        let Some(field) = field else {
            return Ok(Node::Bare(Pattern::new(value)));
        };
        let known = self.schema.iter().find(|(name, _)| *name == field);
        let Some((name, kind)) = known else {
            let names: Vec<&str> = self.schema.iter().map(|(name, _)| *name).collect();
            return Err(Invalid::Field(field, names.join(", ")));
        };
        match (kind, comparison) {
            (Type::Text, Comparison::Equal) => Ok(Node::Text(name, Pattern::new(value))),
            (Type::Text, _) => Err(Invalid::NotOrdered(field)),
            // Whether there is one at all.
            (Type::Number, Comparison::Equal) if !value.quoted && value.text == "*" => Ok(
                Node::Number(name, Comparison::GreaterOrEqual, f64::NEG_INFINITY),
            ),
            (Type::Number, _) => {
                let number = value.text.parse::<f64>().ok().filter(|n| n.is_finite());
                let number = number.ok_or(Invalid::NotANumber(field))?;
                Ok(Node::Number(name, comparison, number))
            }
        }
    }
}

fn one_or(mut nodes: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    match nodes.len() {
        1 => nodes.remove(0),
        _ => many(nodes),
    }
}

#[cfg(test)]
mod tests;
