//! What is wrong with an expression before it sees a record.

use cel::common::ast::{Expr, IdedExpr, LiteralValue};

use super::ConditionError;
use super::compile::field;
use super::field::{Field, Kind, NAMES};
use super::parse::{Parsed, children};
use crate::config::suggest;

/// Functions that are called on a value: `path.startsWith("/api")`.
const METHODS: &[&str] = &["startsWith", "endsWith", "contains", "matches", "size"];
/// Functions that are called with a value: `size(path)`.
const FUNCTIONS: &[&str] = &["size", "int", "uint", "double", "string", "bytes", "bool", "type", "dyn", "matches"];
/// Functions that the parser replaces, and so are never seen here unless they are called wrongly.
const MACROS: &[&str] = &["has", "all", "exists", "exists_one", "map", "filter"];
/// What the parser makes of the operators.
const OPERATORS: &[&str] = &[
    "_?_:_",
    "_&&_",
    "_||_",
    "!_",
    "_-_",
    "_+_",
    "_*_",
    "_/_",
    "_%_",
    "_==_",
    "_!=_",
    "_>=_",
    "_<=_",
    "_>_",
    "_<_",
    "-_",
    "_[_]",
    "@in",
    "@not_strictly_false",
];
/// What `type(x)` is compared with.
const TYPES: &[&str] = &["int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"];

/// Names and functions exist, and the whole may be true or false.
pub fn check(parsed: &Parsed<'_>) -> Result<(), ConditionError> {
    names(parsed, &parsed.expression, &mut Vec::new())?;
    match kind(&parsed.expression) {
        None | Some(Kind::Bool) => Ok(()),
        Some(kind) => {
            let message = format!("the condition is {}, not true or false", in_words(kind));
            Err(parsed.error(parsed.expression.id, message, "compare it, such as status >= 500 or flags != \"\""))
        }
    }
}

pub fn in_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "a number",
        Kind::Text => "a text",
        Kind::Bool => "true or false",
        Kind::Other => "a list, a map or the like",
    }
}

/// `bound` are the variables that comprehensions around the expression have made.
fn names<'e>(parsed: &Parsed<'_>, expression: &'e IdedExpr, bound: &mut Vec<&'e str>) -> Result<(), ConditionError> {
    match &expression.expr {
        Expr::Ident(name) => {
            let exists = bound.contains(&name.as_str()) || Field::named(name).is_some() || TYPES.contains(&&**name);
            if !exists {
                let message = format!("there is no `{}`", shown(name));
                return Err(parsed.error(expression.id, message, suggest::accepted(name, NAMES)));
            }
        }
        Expr::Call(call) if OPERATORS.contains(&call.func_name.as_str()) => {
            if let ("_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_", [left, right]) =
                (call.func_name.as_str(), call.args.as_slice())
                && let (Some(left), Some(right)) = (kind(left), kind(right))
                && left != right
            {
                let message = format!("{} is compared with {}", in_words(left), in_words(right));
                return Err(parsed.error(expression.id, message, "write text in quotes, numbers without"));
            }
        }
        Expr::Call(call) => {
            let known = if call.target.is_some() { METHODS } else { FUNCTIONS };
            let name = call.func_name.as_str();
            if !known.contains(&name) {
                let what = if MACROS.contains(&name) { "cannot be called so" } else { "is no function here" };
                let message = format!("`{}` {what}", shown(name));
                let all: Vec<&str> = known.iter().chain(MACROS).copied().collect();
                return Err(parsed.error(expression.id, message, suggest::accepted(name, &all)));
            }
        }
        Expr::Struct(_) | Expr::Unspecified => {
            let help = "write a condition such as status >= 500";
            return Err(parsed.error(expression.id, "messages cannot be made here", help));
        }
        Expr::Comprehension(it) => {
            names(parsed, &it.iter_range, bound)?;
            names(parsed, &it.accu_init, bound)?;
            let outer = bound.len();
            let own = [Some(it.iter_var.as_str()), it.iter_var2.as_deref()];
            if let Some(taken) = own.iter().flatten().find(|name| Field::named(name).is_some()) {
                let message = format!("`{taken}` has a meaning already");
                return Err(parsed.error(expression.id, message, "give the variable another name, such as x"));
            }
            bound.extend(own.into_iter().flatten());
            bound.push(&it.accu_var);
            for part in [&it.loop_cond, &it.loop_step, &it.result] {
                names(parsed, part, bound)?;
            }
            bound.truncate(outer);
            return Ok(());
        }
        _ => {}
    }
    children(expression).into_iter().try_for_each(|child| names(parsed, child, bound))
}

fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}

/// What an expression is for every record, if that can be known.
pub fn kind(expression: &IdedExpr) -> Option<Kind> {
    if let Some(field) = field(expression) {
        return field.kind();
    }
    match &expression.expr {
        Expr::Literal(literal) => Some(literal_kind(literal)),
        Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => Some(Kind::Other),
        Expr::Select(select) if select.test => Some(Kind::Bool),
        Expr::Comprehension(it) => match &it.result.expr {
            Expr::Ident(name) if *name == it.accu_var => kind(&it.accu_init),
            _ => kind(&it.result),
        },
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            ("_?_:_", [_, yes, no]) => kind(yes).filter(|yes| kind(no) == Some(*yes)),
            ("_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_" | "@in" | "_&&_" | "_||_" | "!_", _) => Some(Kind::Bool),
            ("startsWith" | "endsWith" | "contains" | "matches" | "bool", _) => Some(Kind::Bool),
            ("_-_" | "_*_" | "_/_" | "_%_" | "-_" | "size" | "int" | "uint" | "double", _) => Some(Kind::Number),
            // Adds numbers, joins texts and lists.
            ("_+_", [left, right]) => kind(left).or_else(|| kind(right)),
            ("string", _) => Some(Kind::Text),
            ("bytes" | "type", _) => Some(Kind::Other),
            _ => None,
        },
        Expr::Unspecified | Expr::Ident(_) | Expr::Select(_) => None,
    }
}

pub fn literal_kind(literal: &LiteralValue) -> Kind {
    match literal {
        LiteralValue::Boolean(_) => Kind::Bool,
        LiteralValue::Int(_) | LiteralValue::UInt(_) | LiteralValue::Double(_) => Kind::Number,
        LiteralValue::String(_) => Kind::Text,
        LiteralValue::Bytes(_) | LiteralValue::Null => Kind::Other,
    }
}
