//! From an expression to a tree that is evaluated without allocating, as far as that goes.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};

use super::check::{in_words, kind};
use super::compare::{Literal, Order, Search};
use super::field::{Field, Kind};
use super::interpret::Program;
use super::parse::Parsed;
use super::{ConditionError, Verdict};
use crate::record::{RecordRef, ValueRef};

/// What becomes of the parts between `&&`, `||` and `!`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// Compiled where they can be.
    Compiled,
    /// All interpreted: what the compiled ones are tested against.
    #[cfg(test)]
    Interpreted,
}

/// A condition, or a part of one.
#[derive(Clone, Debug)]
pub enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Constant(bool),
    /// A field that is true or false itself.
    Is(Field),
    /// A field is there.
    Has(Field),
    Compare(Field, Order, Literal),
    /// A field equals one of these.
    OneOf(Field, Vec<Literal>),
    /// The flags have this one.
    Flag(Vec<u8>),
    Search(Field, Search),
    Interpret(Box<Program>),
}

impl Node {
    #[inline]
    pub fn verdict(&self, record: &RecordRef<'_>) -> Verdict {
        match self {
            Node::Compare(Field::Flags, order, literal) => literal.compare_flags(*order, record),
            Node::Compare(field, order, literal) => {
                field.value(record).map_or(Verdict::No, |value| literal.compare(*order, value))
            }
            Node::And(nodes) => decided(nodes, record, Verdict::No, Verdict::Yes),
            Node::Or(nodes) => decided(nodes, record, Verdict::Yes, Verdict::No),
            Node::Not(node) => match node.verdict(record) {
                Verdict::Yes => Verdict::No,
                Verdict::No => Verdict::Yes,
                Verdict::Failed => Verdict::Failed,
            },
            Node::Constant(it) => Verdict::of(*it),
            Node::Is(field) => match field.value(record) {
                None => Verdict::No,
                Some(ValueRef::Bool(it)) => Verdict::of(it),
                Some(_) => Verdict::Failed,
            },
            Node::Has(field) => Verdict::of(field.value(record).is_some()),
            Node::OneOf(Field::Flags, literals) => {
                Verdict::of(literals.iter().any(|it| it.compare_flags(Order::Equal, record) == Verdict::Yes))
            }
            Node::OneOf(field, literals) => {
                let value = field.value(record);
                let equals = |value, it: &Literal| it.compare(Order::Equal, value) == Verdict::Yes;
                Verdict::of(value.is_some_and(|value| literals.iter().any(|it| equals(value, it))))
            }
            Node::Flag(flag) => Verdict::of(super::field::flags(record).any(|it| it == flag.as_slice())),
            Node::Search(field, search) => search.verdict(field, record),
            Node::Interpret(program) => program.verdict(record),
        }
    }
}

/// One that is `decisive` decides, whatever the others are; then one that failed; then `otherwise`.
fn decided(nodes: &[Node], record: &RecordRef<'_>, decisive: Verdict, otherwise: Verdict) -> Verdict {
    let mut result = otherwise;
    for node in nodes {
        match node.verdict(record) {
            verdict if verdict == decisive => return decisive,
            Verdict::Failed => result = Verdict::Failed,
            _ => {}
        }
    }
    result
}

/// Compiles the whole, which has been checked.
pub fn compile(parsed: &Parsed<'_>, leaves: Leaves) -> Result<Node, ConditionError> {
    Compiler { parsed, leaves }.node(&parsed.expression)
}

struct Compiler<'a> {
    parsed: &'a Parsed<'a>,
    leaves: Leaves,
}

impl Compiler<'_> {
    fn node(&self, expression: &IdedExpr) -> Result<Node, ConditionError> {
        if let Some(kind) = kind(expression).filter(|kind| *kind != Kind::Bool) {
            let message = format!("this is {}, not true or false", in_words(kind));
            return Err(self.parsed.error(expression.id, message, "compare it, such as status >= 500"));
        }
        if let Expr::Call(CallExpr { func_name, args, .. }) = &expression.expr {
            match (func_name.as_str(), args.as_slice()) {
                ("_&&_", [left, right]) => return Ok(Node::And(self.pair(left, right)?)),
                ("_||_", [left, right]) => return Ok(Node::Or(self.pair(left, right)?)),
                ("!_", [operand]) => return Ok(Node::Not(Box::new(self.node(operand)?))),
                _ => {}
            }
        }
        let compiled = match self.leaves {
            Leaves::Compiled => self.leaf(expression)?,
            #[cfg(test)]
            Leaves::Interpreted => None,
        };
        Ok(compiled.unwrap_or_else(|| Node::Interpret(Box::new(Program::new(expression)))))
    }

    fn pair(&self, left: &IdedExpr, right: &IdedExpr) -> Result<Vec<Node>, ConditionError> {
        Ok(vec![self.node(left)?, self.node(right)?])
    }

    /// `None` when it is for the interpreter.
    fn leaf(&self, expression: &IdedExpr) -> Result<Option<Node>, ConditionError> {
        if let Some(field) = field(expression) {
            return Ok(Some(Node::Is(field)));
        }
        Ok(match &expression.expr {
            Expr::Literal(LiteralValue::Boolean(it)) => Some(Node::Constant(*it.inner())),
            Expr::Select(select) if select.test => member(&select.operand, &select.field).map(Node::Has),
            Expr::Call(CallExpr { func_name, target: Some(target), args }) => {
                match (field(target), args.first().map(|it| &it.expr)) {
                    (Some(field), Some(Expr::Literal(LiteralValue::String(text)))) if args.len() == 1 => {
                        let search = Search::new(func_name, text.inner()).map_err(|message| {
                            self.parsed.error(expression.id, message, "write a regular expression as RE2 has them")
                        })?;
                        search.map(|search| Node::Search(field, search))
                    }
                    _ => None,
                }
            }
            Expr::Call(CallExpr { func_name, target: None, args }) => match (func_name.as_str(), args.as_slice()) {
                ("@in", [left, right]) => contained(left, right),
                (operator, [left, right]) => compared(operator, left, right),
                _ => None,
            },
            _ => None,
        })
    }
}

fn compared(operator: &str, left: &IdedExpr, right: &IdedExpr) -> Option<Node> {
    let order = Order::of(operator)?;
    let (field, order, literal) = match (field(left), field(right)) {
        (Some(field), None) => (field, order, literal(right)?),
        (None, Some(field)) => (field, order.flipped(), literal(left)?),
        _ => return None,
    };
    let compiles = literal.compiles(order) && !matches!(field, Field::Attributes | Field::Resources);
    compiles.then_some(Node::Compare(field, order, literal))
}

fn contained(left: &IdedExpr, right: &IdedExpr) -> Option<Node> {
    if let (Some(Literal::Text(text)), Some(container)) = (literal(left), field(right)) {
        return match container {
            Field::Flags => Some(Node::Flag(text)),
            Field::Attributes => Some(Node::Has(Field::Attribute(String::from_utf8(text).ok()?))),
            Field::Resources => Some(Node::Has(Field::Resource(String::from_utf8(text).ok()?))),
            _ => None,
        };
    }
    let (field, Expr::List(list)) = (field(left)?, &right.expr) else { return None };
    let literals: Option<Vec<Literal>> = list.elements.iter().map(literal).collect();
    let compiles = list.optional_indices.is_empty() && !matches!(field, Field::Attributes | Field::Resources);
    compiles.then_some(Node::OneOf(field, literals?))
}

fn literal(expression: &IdedExpr) -> Option<Literal> {
    match &expression.expr {
        Expr::Literal(literal) => Literal::of(literal),
        _ => None,
    }
}

/// The field an expression names: a short name, `attributes["key"]`, `resource.key`.
pub fn field(expression: &IdedExpr) -> Option<Field> {
    match &expression.expr {
        Expr::Ident(name) => Field::named(name),
        Expr::Select(select) if !select.test => member(&select.operand, &select.field),
        Expr::Call(CallExpr { func_name, target: None, args }) if func_name == "_[_]" => match args.as_slice() {
            [of, IdedExpr { expr: Expr::Literal(LiteralValue::String(key)), .. }] => member(of, key.inner()),
            _ => None,
        },
        _ => None,
    }
}

fn member(of: &IdedExpr, key: &str) -> Option<Field> {
    match &of.expr {
        Expr::Ident(name) if name == "attributes" => Some(Field::Attribute(key.to_owned())),
        Expr::Ident(name) if name == "resource" => Some(Field::Resource(key.to_owned())),
        _ => None,
    }
}
