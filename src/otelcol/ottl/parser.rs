//! The grammar of OTTL, read into CEL: conditions, comparisons and their sides.

use super::tokens::Token;
use super::{Context, literal, negation, severity};

/// Brackets and `not` in each other.
const DEPTH_MAX: usize = 24;

/// One side of a comparison.
enum Side {
    /// A field in CEL; for a map of attributes its name and the key.
    Field {
        cel: String,
        of: Option<(&'static str, String)>,
        is_severity: bool,
    },
    Literal(String),
    Nil,
}

/// Reads tokens from the first to the last.
pub struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    context: Context,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// At the first of `tokens`.
    pub fn new(tokens: &'a [Token], context: Context) -> Parser<'a> {
        Parser { tokens, at: 0, context, depth: 0 }
    }

    /// The condition that all tokens are, in CEL.
    pub fn whole(mut self) -> Result<String, String> {
        let cel = self.or()?;
        match self.peek() {
            None => Ok(cel),
            Some(token) => Err(format!("{token:?} was not expected")),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn takes(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &str) -> bool {
        self.takes(&Token::Word(word.to_owned()))
    }

    fn sign(&mut self, sign: &'static str) -> Result<(), String> {
        match self.takes(&Token::Sign(sign)) {
            true => Ok(()),
            false => Err(format!("`{sign}` was expected")),
        }
    }

    fn or(&mut self) -> Result<String, String> {
        let mut parts = vec![self.and()?];
        while self.word("or") {
            parts.push(self.and()?);
        }
        Ok(parts.join(" || "))
    }

    fn and(&mut self) -> Result<String, String> {
        let mut parts = vec![self.not()?];
        while self.word("and") {
            parts.push(self.not()?);
        }
        Ok(parts.join(" && "))
    }

    fn not(&mut self) -> Result<String, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} brackets in each other"));
        }
        let found = if self.word("not") {
            negation(&self.not()?)
        } else if self.takes(&Token::Sign("(")) {
            let inside = self.or()?;
            self.sign(")")?;
            format!("({inside})")
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(found)
    }

    fn comparison(&mut self) -> Result<String, String> {
        for word in ["true", "false"] {
            if self.word(word) {
                return Ok(word.to_owned());
            }
        }
        if self.word("IsMatch") {
            self.sign("(")?;
            let Side::Field { cel, .. } = self.side()? else {
                return Err("IsMatch of something else than a field".to_owned());
            };
            self.sign(",")?;
            let Some(Token::Text(pattern)) = self.peek().cloned() else {
                return Err("IsMatch with a pattern that is not written out".to_owned());
            };
            self.at += 1;
            self.sign(")")?;
            return Ok(format!("{cel}.matches({})", literal(&pattern)));
        }
        let left = self.side()?;
        const SIGNS: &[&str] = &["==", "!=", ">=", "<=", ">", "<"];
        let Some(sign) = SIGNS.iter().copied().find(|sign| self.takes(&Token::Sign(sign))) else {
            return match left {
                Side::Field { cel, .. } => Ok(cel),
                _ => Err("a comparison was expected".to_owned()),
            };
        };
        let right = self.side()?;
        let (field, sign, value) = match (left, right) {
            (field @ Side::Field { .. }, value) => (field, sign, value),
            (value, field) => (field, mirrored(sign), value),
        };
        let Side::Field { cel, of, is_severity } = field else {
            return Err("a comparison without a field".to_owned());
        };
        let value = match (value, of) {
            (Side::Nil, Some((map, key))) => {
                let has = format!("{} in {map}", literal(&key));
                return match sign {
                    "==" => Ok(negation(&has)),
                    "!=" => Ok(has),
                    _ => Err("nil compared by size".to_owned()),
                };
            }
            (Side::Nil, None) => return Err("nil compared with something else than an attribute".to_owned()),
            (Side::Literal(value) | Side::Field { cel: value, .. }, _) => value,
        };
        let plain = |sign: &str| format!("{cel} {sign} {value}");
        Ok(match sign {
            // What is not set is 0 or empty there, and absent here.
            "!=" if is_severity && value == "0" => plain(">"),
            "!=" if is_severity && value == "\"\"" => plain("!="),
            ">=" if is_severity && value == "0" => "true".to_owned(),
            "!=" => negation(&plain("==")),
            "<" if is_severity => negation(&plain(">=")),
            "<=" if is_severity => negation(&plain(">")),
            "==" if is_severity && value == "0" => negation(&plain(">")),
            "==" if is_severity && value == "\"\"" => negation(&plain("!=")),
            _ => plain(sign),
        })
    }

    fn side(&mut self) -> Result<Side, String> {
        let Some(token) = self.peek().cloned() else { return Err("it ends too early".to_owned()) };
        self.at += 1;
        match token {
            Token::Text(text) => Ok(Side::Literal(literal(&text))),
            Token::Number(number) => Ok(Side::Literal(number)),
            Token::Word(word) => self.path(&word),
            Token::Sign(sign) => Err(format!("`{sign}` was not expected")),
        }
    }

    fn path(&mut self, word: &str) -> Result<Side, String> {
        if let Some(number) = severity(word) {
            return Ok(Side::Literal(number.to_string()));
        }
        let plain = |cel: &str, is_severity| Ok(Side::Field { cel: cel.to_owned(), of: None, is_severity });
        match word {
            "nil" => Ok(Side::Nil),
            "true" | "false" => Ok(Side::Literal(word.to_owned())),
            "log" => {
                self.sign(".")?;
                self.context = Context::Log;
                let Some(Token::Word(word)) = self.peek().cloned() else { return Err("`log.` alone".to_owned()) };
                self.at += 1;
                self.path(&word)
            }
            "resource" => {
                self.sign(".")?;
                match self.word("attributes") {
                    true => self.attribute("resource"),
                    false => Err("of a resource only attributes can be asked for".to_owned()),
                }
            }
            "attributes" => self.attribute(if self.context == Context::Log { "attributes" } else { "resource" }),
            "severity_number" => plain("severity_number", true),
            "severity_text" => plain("severity", true),
            "body" => {
                if self.takes(&Token::Sign(".")) && !self.word("string") {
                    return Err("of a body only the whole, or its text, can be asked for".to_owned());
                }
                match self.peek() {
                    Some(Token::Sign("[")) => Err("keys inside of a body cannot be asked for".to_owned()),
                    _ => plain("body", false),
                }
            }
            _ if self.peek() == Some(&Token::Sign("(")) => Err(format!("the function {word} has no counterpart")),
            _ => Err(format!("`{word}` cannot be asked for")),
        }
    }

    fn attribute(&mut self, map: &'static str) -> Result<Side, String> {
        self.sign("[")?;
        let Some(Token::Text(key)) = self.peek().cloned() else {
            return Err("an attribute whose key is not written out".to_owned());
        };
        self.at += 1;
        self.sign("]")?;
        if self.peek() == Some(&Token::Sign("[")) {
            return Err("values inside of an attribute cannot be asked for".to_owned());
        }
        Ok(Side::Field { cel: format!("{map}[{}]", literal(&key)), of: Some((map, key)), is_severity: false })
    }
}

fn mirrored(sign: &'static str) -> &'static str {
    match sign {
        ">=" => "<=",
        "<=" => ">=",
        ">" => "<",
        "<" => ">",
        other => other,
    }
}
