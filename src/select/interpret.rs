//! What is not compiled, left to the interpreter of the crate.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::objects::{Key, Map};
use cel::{Context, Env, ExecutionError, Value};

use super::Verdict;
use super::compile::field;
use super::field::{Field, flags, joined_flags};
use crate::record::{RecordRef, ValueRef};

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// An expression whose fields have become variables `@0`, `@1`, …, which nobody can write.
#[derive(Clone, Debug)]
pub struct Program {
    expression: IdedExpr,
    fields: Vec<Field>,
}

impl Program {
    pub fn new(expression: &IdedExpr) -> Program {
        let mut program = Program { expression: expression.clone(), fields: Vec::new() };
        rewrite(&mut program.expression, &mut program.fields);
        program
    }

    pub fn verdict(&self, record: &RecordRef<'_>) -> Verdict {
        let variables = Variables { fields: &self.fields, record };
        let mut context = Context::with_env(Arc::clone(&ENV));
        context.set_variable_resolver(&variables);
        match Value::resolve(&self.expression, &context) {
            Ok(Value::Bool(it)) => Verdict::of(it),
            // The check has seen that all names exist: what is undeclared is absent.
            Err(ExecutionError::UndeclaredReference(_) | ExecutionError::NoSuchKey(_)) => Verdict::No,
            Ok(_) | Err(_) => Verdict::Failed,
        }
    }
}

fn rewrite(expression: &mut IdedExpr, fields: &mut Vec<Field>) {
    if let Some(field) = field(expression) {
        replace(expression, field, fields);
        return;
    }
    match &mut expression.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Call(call) => {
            match (call.func_name.as_str(), call.args.as_mut_slice()) {
                ("@in", [_, list]) | ("_[_]", [list, _]) => as_list(list, fields),
                _ => {}
            }
            call.target.as_deref_mut().into_iter().chain(&mut call.args).for_each(|it| rewrite(it, fields));
        }
        Expr::Comprehension(it) => {
            as_list(&mut it.iter_range, fields);
            let parts = [&mut it.iter_range, &mut it.accu_init, &mut it.loop_cond, &mut it.loop_step, &mut it.result];
            parts.into_iter().for_each(|it| rewrite(it, fields));
        }
        Expr::List(list) => list.elements.iter_mut().for_each(|it| rewrite(it, fields)),
        Expr::Select(select) => rewrite(&mut select.operand, fields),
        Expr::Map(map) => map.entries.iter_mut().for_each(|it| rewrite_entry(it, fields)),
        Expr::Struct(it) => it.entries.iter_mut().for_each(|it| rewrite_entry(it, fields)),
    }
}

fn rewrite_entry(entry: &mut IdedEntryExpr, fields: &mut Vec<Field>) {
    match &mut entry.expr {
        EntryExpr::MapEntry(it) => {
            rewrite(&mut it.key, fields);
            rewrite(&mut it.value, fields);
        }
        EntryExpr::StructField(it) => rewrite(&mut it.value, fields),
    }
}

/// The flags are a list where a list is needed.
fn as_list(expression: &mut IdedExpr, fields: &mut Vec<Field>) {
    if field(expression) == Some(Field::Flags) {
        replace(expression, Field::FlagList, fields);
    }
}

fn replace(expression: &mut IdedExpr, field: Field, fields: &mut Vec<Field>) {
    let at = fields.iter().position(|it| *it == field).unwrap_or_else(|| {
        fields.push(field);
        fields.len() - 1
    });
    expression.expr = Expr::Ident(format!("@{at}"));
}

/// The fields that an expression reads, made into values when they are read.
struct Variables<'a, 'r> {
    fields: &'a [Field],
    record: &'a RecordRef<'r>,
}

impl VariableResolver for Variables<'_, '_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let field = self.fields.get(variable.strip_prefix('@')?.parse::<usize>().ok()?)?;
        let value = match field {
            Field::Flags => text(&joined_flags(self.record)),
            Field::FlagList => Value::List(Arc::new(flags(self.record).map(text).collect())),
            field => value(field.value(self.record)?),
        };
        let value: Box<dyn Val> = value.try_into().ok()?;
        Some(CowVal::Owned(value))
    }
}

fn value(value_ref: ValueRef<'_>) -> Value {
    match value_ref {
        ValueRef::Empty => Value::Null,
        ValueRef::Bool(it) => Value::Bool(it),
        ValueRef::Int(it) => Value::Int(it),
        ValueRef::Double(it) => Value::Float(it),
        ValueRef::Text(it) => text(it),
        ValueRef::Bytes(it) => Value::Bytes(Arc::new(it.to_vec())),
        ValueRef::Array(items) => Value::List(Arc::new(items.map(|(_, item)| value(item)).collect())),
        ValueRef::Kvlist(members) => {
            let mut map = HashMap::new();
            for (key, member) in members {
                let key = Key::String(Arc::new(String::from_utf8_lossy(key).into_owned()));
                // The empty value is absent, and takes an earlier one of its key with it.
                match member {
                    ValueRef::Empty => map.remove(&key),
                    member => map.insert(key, value(member)),
                };
            }
            Value::Map(Map { map: Arc::new(map) })
        }
    }
}

fn text(bytes: &[u8]) -> Value {
    Value::String(Arc::new(String::from_utf8_lossy(bytes).into_owned()))
}
