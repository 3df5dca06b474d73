//! Comparisons of a field with what is written out, as CEL has them.

use std::borrow::Cow;
use std::cmp::Ordering;

use cel::common::ast::LiteralValue;
use memchr::memmem;
use regex::Regex;

use super::Verdict;
use super::field::{Field, flags, joined_flags};
use crate::record::{RecordRef, ValueRef};

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Order {
    /// The one the parser calls so.
    pub fn of(operator: &str) -> Option<Order> {
        Some(match operator {
            "_==_" => Order::Equal,
            "_!=_" => Order::NotEqual,
            "_<_" => Order::Less,
            "_<=_" => Order::AtMost,
            "_>_" => Order::Greater,
            "_>=_" => Order::AtLeast,
            _ => return None,
        })
    }

    /// The same with its sides exchanged.
    pub fn flipped(self) -> Order {
        match self {
            Order::Less => Order::Greater,
            Order::AtMost => Order::AtLeast,
            Order::Greater => Order::Less,
            Order::AtLeast => Order::AtMost,
            Order::Equal | Order::NotEqual => self,
        }
    }

    fn is_equality(self) -> bool {
        matches!(self, Order::Equal | Order::NotEqual)
    }

    /// `None`: the values have no order, as text and numbers, or a number and NaN.
    #[inline]
    fn verdict(self, ordering: Option<Ordering>) -> Verdict {
        Verdict::of(match (self, ordering) {
            (Order::Equal, it) => it == Some(Ordering::Equal),
            (Order::NotEqual, it) => it != Some(Ordering::Equal),
            (_, None) => return Verdict::Failed,
            (Order::Less, Some(it)) => it.is_lt(),
            (Order::AtMost, Some(it)) => it.is_le(),
            (Order::Greater, Some(it)) => it.is_gt(),
            (Order::AtLeast, Some(it)) => it.is_ge(),
        })
    }
}

/// A value that is written out in a condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Vec<u8>),
}

impl Literal {
    /// `None` for what is left to the interpreter: bytes, null, unsigned numbers, and the
    /// character that stands for what is not UTF-8.
    pub fn of(literal: &LiteralValue) -> Option<Literal> {
        match literal {
            LiteralValue::Boolean(it) => Some(Literal::Bool(*it.inner())),
            LiteralValue::Int(it) => Some(Literal::Int(*it.inner())),
            LiteralValue::Double(it) => Some(Literal::Double(*it.inner())),
            LiteralValue::String(it) => plain(it.inner()).map(|it| Literal::Text(it.to_vec())),
            LiteralValue::Bytes(_) | LiteralValue::Null | LiteralValue::UInt(_) => None,
        }
    }

    /// True when the comparison can be done here.
    pub fn compiles(&self, order: Order) -> bool {
        !matches!(self, Literal::Bool(_)) || order.is_equality()
    }

    #[inline]
    pub fn compare(&self, order: Order, value: ValueRef<'_>) -> Verdict {
        order.verdict(match (value, self) {
            (ValueRef::Int(value), Literal::Int(it)) => Some(value.cmp(it)),
            (ValueRef::Text(value), Literal::Text(it)) => Some(text(value, it, order)),
            (ValueRef::Int(value), Literal::Double(it)) => (value as f64).partial_cmp(it),
            (ValueRef::Double(value), Literal::Int(it)) => value.partial_cmp(&(*it as f64)),
            (ValueRef::Double(value), Literal::Double(it)) => value.partial_cmp(it),
            (ValueRef::Bool(value), Literal::Bool(it)) => Some(value.cmp(it)),
            _ => None,
        })
    }

    /// The same for the flags as one text.
    pub fn compare_flags(&self, order: Order, record: &RecordRef<'_>) -> Verdict {
        match self {
            // Whether there are any, which most conditions ask, needs no joined text.
            Literal::Text(it) if it.is_empty() && order.is_equality() => {
                Verdict::of(flags(record).next().is_none() == (order == Order::Equal))
            }
            Literal::Text(it) => order.verdict(Some(text(&joined_flags(record), it, order))),
            _ => order.verdict(None),
        }
    }
}

/// Text that is not UTF-8 is ordered as its repair is; it never equals what is.
fn text(value: &[u8], literal: &[u8], order: Order) -> Ordering {
    let repaired = if order.is_equality() { Cow::Borrowed(value) } else { repaired(value) };
    repaired.as_ref().cmp(literal)
}

fn repaired(value: &[u8]) -> Cow<'_, [u8]> {
    match String::from_utf8_lossy(value) {
        Cow::Borrowed(it) => Cow::Borrowed(it.as_bytes()),
        Cow::Owned(it) => Cow::Owned(it.into_bytes()),
    }
}

/// The bytes of a text that a repair cannot have put there.
fn plain(text: &str) -> Option<&[u8]> {
    (!text.contains('\u{fffd}')).then_some(text.as_bytes())
}

/// What is looked for in a text.
#[derive(Clone, Debug)]
pub enum Search {
    Start(Vec<u8>),
    End(Vec<u8>),
    Within(Box<memmem::Finder<'static>>),
    Regex(Box<Regex>),
}

impl Search {
    /// `None` for other functions. The error says what is wrong with a regular expression.
    pub fn new(function: &str, text: &str) -> Result<Option<Search>, String> {
        if function == "matches" {
            return match Regex::new(text) {
                Ok(regex) => Ok(Some(Search::Regex(Box::new(regex)))),
                Err(error) => {
                    let last = error.to_string();
                    let last = last.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                    Err(format!("not a regular expression: {last}"))
                }
            };
        }
        let Some(text) = plain(text) else { return Ok(None) };
        Ok(match function {
            "startsWith" => Some(Search::Start(text.to_vec())),
            "endsWith" => Some(Search::End(text.to_vec())),
            "contains" => Some(Search::Within(Box::new(memmem::Finder::new(text).into_owned()))),
            _ => None,
        })
    }

    pub fn verdict(&self, field: &Field, record: &RecordRef<'_>) -> Verdict {
        if *field == Field::Flags {
            return Verdict::of(self.finds(&joined_flags(record)));
        }
        match field.value(record) {
            None => Verdict::No,
            Some(ValueRef::Text(text)) => Verdict::of(self.finds(text)),
            Some(_) => Verdict::Failed,
        }
    }

    fn finds(&self, text: &[u8]) -> bool {
        match self {
            Search::Start(it) => text.starts_with(it),
            Search::End(it) => text.ends_with(it),
            Search::Within(it) => it.find(text).is_some(),
            Search::Regex(it) => it.is_match(&String::from_utf8_lossy(text)),
        }
    }
}
