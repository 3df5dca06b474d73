//! From text to the crate's expression, within bounds.

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr, SourceInfo};
use cel::parser::Parser;

use super::{CONDITION_BYTES_MAX, ConditionError};

/// Deepest nesting of brackets; the parser recurses for each.
const BRACKETS_MAX: usize = 24;
/// Most signs, as operators, dots and brackets are made of. A chain of operators without brackets
/// is as deep as it is long.
const SIGNS_MAX: usize = 400;
/// Deepest expression. The interpreter recurses for each level.
const DEPTH_MAX: usize = 64;

/// A parsed text.
pub struct Parsed<'a> {
    text: &'a str,
    places: SourceInfo,
    pub expression: IdedExpr,
}

impl Parsed<'_> {
    /// An error at an expression.
    pub fn error(&self, id: u64, message: impl Into<String>, help: impl Into<String>) -> ConditionError {
        let at = self.places.offset_for(id).map_or(1, |(start, _)| start as usize + 1);
        error(at.min(self.text.chars().count() + 1), message, help)
    }
}

fn error(at: usize, message: impl Into<String>, help: impl Into<String>) -> ConditionError {
    ConditionError { at: at.max(1), message: message.into(), help: help.into() }
}

pub fn parse(text: &str) -> Result<Parsed<'_>, ConditionError> {
    if text.len() > CONDITION_BYTES_MAX {
        let message = format!("a condition has at most {CONDITION_BYTES_MAX} bytes");
        return Err(error(1, message, "write a shorter one, or give sinks one each"));
    }
    if text.trim().is_empty() {
        return Err(error(1, "the condition is empty", "write one, such as status >= 500, or remove the key"));
    }
    bounds(text)?;
    let (expression, places) = Parser::default()
        .max_recursion_depth(2 * DEPTH_MAX as u16)
        .error_recovery_limit(1)
        .parse_with_source_info(text)
        .map_err(|errors| syntax(text, errors.errors.first()))?;
    if depth(&expression) > DEPTH_MAX {
        let message = format!("the condition is more than {DEPTH_MAX} levels deep");
        return Err(error(1, message, "use `in [..]` for many values"));
    }
    Ok(Parsed { text, places, expression })
}

fn syntax(text: &str, first: Option<&cel::ParseError>) -> ConditionError {
    let (line, column) = first.map_or((1, 1), |it| it.pos);
    let before = text.split_inclusive('\n').take(usize::try_from(line - 1).unwrap_or(0));
    let at = before.map(|it| it.chars().count()).sum::<usize>() + usize::try_from(column).unwrap_or(0);
    let message = first.map_or("", |it| it.msg.lines().next().unwrap_or_default());
    let message = message.trim_start_matches("Syntax error: ").split(" expecting ").next().unwrap_or_default();
    let message: String = message.replace("'<EOF>'", "end").chars().take(100).collect();
    let from: String = text.chars().skip(at.saturating_sub(1)).take(4).collect();
    let help = match from.split_whitespace().next() {
        Some("=") => "write == to compare",
        Some("and" | "or" | "not") => "write && for and, || for or, ! for not",
        _ => "write a condition such as status >= 500 || flags != \"\"",
    };
    error(at, format!("not CEL: {message}"), help)
}

/// Refuses what would make the parser recurse too deep. Text in quotes counts as nothing.
fn bounds(text: &str) -> Result<(), ConditionError> {
    let (mut brackets, mut signs) = (0_usize, 0_usize);
    let mut quote = None;
    let mut characters = text.chars().enumerate();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (Some(_), '\\') => {
                characters.next();
            }
            (Some(open), close) if open == close => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '(' | '[' | '{') => {
                brackets += 1;
                signs += 1;
                if brackets > BRACKETS_MAX {
                    let message = format!("more than {BRACKETS_MAX} brackets in each other");
                    return Err(error(at + 1, message, "write it flatter"));
                }
            }
            (None, ')' | ']' | '}') => brackets = brackets.saturating_sub(1),
            (None, '!' | '-' | '+' | '*' | '/' | '%' | '?' | ':' | '.' | '<' | '>' | '=' | '&' | '|') => signs += 1,
            _ => {}
        }
        if signs > SIGNS_MAX {
            let message = format!("more than {SIGNS_MAX} operators");
            return Err(error(at + 1, message, "use `in [..]` for many values"));
        }
    }
    Ok(())
}

/// Levels of an expression, found without recursion.
fn depth(expression: &IdedExpr) -> usize {
    let mut deepest = 0;
    let mut left = vec![(expression, 1)];
    while let Some((expression, level)) = left.pop() {
        deepest = deepest.max(level);
        left.extend(children(expression).into_iter().map(|child| (child, level + 1)));
    }
    deepest
}

/// The expressions right below one.
pub fn children(expression: &IdedExpr) -> Vec<&IdedExpr> {
    match &expression.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Select(select) => vec![&*select.operand],
        Expr::Comprehension(it) => {
            vec![&it.iter_range, &it.accu_init, &it.loop_cond, &it.loop_step, &it.result]
        }
        Expr::Map(map) => entries(&map.entries),
        Expr::Struct(it) => entries(&it.entries),
    }
}

fn entries(entries: &[IdedEntryExpr]) -> Vec<&IdedExpr> {
    let mut found = Vec::new();
    for entry in entries {
        match &entry.expr {
            EntryExpr::MapEntry(it) => found.extend([&it.key, &it.value]),
            EntryExpr::StructField(it) => found.push(&it.value),
        }
    }
    found
}
