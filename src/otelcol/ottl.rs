//! A condition of OTTL as a condition of ours.
//!
//! Both leave out what is absent, and not in the same way: in OTTL an absent attribute is `nil`,
//! which is unequal to everything, and a severity that is not set is 0 and the empty text. So `!=` becomes
//! `!(… == …)`, and `<` of a severity `!(… >= …)`. Source: the Collector's documentation of OTTL,
//! its grammar and the context `log`.

/// Brackets and `not` in each other.
const DEPTH_MAX: usize = 24;

/// Where a bare `attributes` belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    Log,
    Resource,
}

/// The condition in CEL, or what cannot be said in it.
pub fn condition(text: &str, context: Context) -> Result<String, String> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, context, depth: 0 };
    let cel = parser.or()?;
    match parser.peek() {
        None => Ok(cel),
        Some(token) => Err(format!("{token:?} was not expected")),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(String),
    Sign(&'static str),
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    const SIGNS: &[&str] = &["==", "!=", ">=", "<=", ">", "<", "(", ")", "[", "]", ",", "."];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '"' {
            let (value, after) = quoted(&rest[1..])?;
            tokens.push(Token::Text(value));
            rest = after;
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else if first.is_ascii_digit() || first == '-' {
            let end = rest[1..].find(|c: char| !c.is_ascii_digit() && c != '.').map_or(rest.len(), |at| at + 1);
            let number = &rest[..end];
            number.parse::<f64>().map_err(|_| format!("'{number}' is no number"))?;
            tokens.push(Token::Number(number.to_owned()));
            rest = &rest[end..];
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            return Err(format!("'{first}' has no counterpart"));
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

/// The text up to the quote, as it is meant, and what stands behind it.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match letters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, letter @ ('"' | '\\'))) => value.push(letter),
                // What OTTL takes as it stands, such as `\d` and `\.`.
                Some((_, letter)) => value.extend(['\\', letter]),
                None => break,
            },
            letter => value.push(letter),
        }
    }
    Err("a text without its second quote".to_owned())
}

/// A text as CEL writes it.
pub fn literal(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// The opposite of a condition.
pub fn negation(cel: &str) -> String {
    format!("!({cel})")
}

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

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    context: Context,
    depth: usize,
}

impl Parser<'_> {
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

/// `SEVERITY_NUMBER_WARN2` and the like (OpenTelemetry, the log data model).
pub fn severity(word: &str) -> Option<u8> {
    let name = word.strip_prefix("SEVERITY_NUMBER_").unwrap_or_default();
    if name == "UNSPECIFIED" {
        return Some(0);
    }
    let (name, step) = match name.strip_suffix(['2', '3', '4']) {
        Some(shorter) => (shorter, name.bytes().last().unwrap_or(b'1') - b'1'),
        None => (name, 0),
    };
    let first = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"].iter().position(|it| *it == name)?;
    Some(first as u8 * 4 + 1 + step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::Condition;

    fn check(text: &str, expected: &str) {
        match condition(text, Context::Log) {
            Ok(cel) => {
                assert_eq!(cel, expected, "{text}");
                Condition::compile(&cel).map_err(|error| error.to_string()).unwrap();
                Condition::compile(&negation(&cel)).map_err(|error| error.to_string()).unwrap();
            }
            Err(error) => assert!(!expected.is_empty() && error.contains(expected), "{text}: {error}"),
        }
    }

    #[test]
    fn conditions() {
        check(r#"severity_number < SEVERITY_NUMBER_WARN"#, "!(severity_number >= 13)");
        check(r#"severity_number >= SEVERITY_NUMBER_ERROR2"#, "severity_number >= 18");
        check(r#"log.severity_number == SEVERITY_NUMBER_UNSPECIFIED"#, "!(severity_number > 0)");
        check(r#"severity_number != SEVERITY_NUMBER_UNSPECIFIED"#, "severity_number > 0");
        check(r#"severity_text == """#, r#"!(severity != "")"#);
        check(r#"attributes["http.route"] == "/health""#, r#"attributes["http.route"] == "/health""#);
        check(r#"log.attributes["k"] != "v""#, r#"!(attributes["k"] == "v")"#);
        check(
            r#"resource.attributes["service.name"] == "a" or body == "x""#,
            r#"resource["service.name"] == "a" || body == "x""#,
        );
        check(r#"IsMatch(body, ".*password.*")"#, r#"body.matches(".*password.*")"#);
        check(r#"IsMatch(attributes["p"], "^/v\\d+/")"#, r#"attributes["p"].matches("^/v\\d+/")"#);
        check(r#"attributes["k"] == nil"#, r#"!("k" in attributes)"#);
        check(r#"nil != attributes["k"]"#, r#""k" in attributes"#);
        check(
            r#"not (attributes["a"] == 1 and attributes["b"] > 2.5)"#,
            r#"!((attributes["a"] == 1 && attributes["b"] > 2.5))"#,
        );
        check(
            r#"attributes["a"] == 1 and (body == "x" or body == "y")"#,
            r#"attributes["a"] == 1 && (body == "x" || body == "y")"#,
        );
        check(r#"500 <= attributes["status"]"#, r#"attributes["status"] >= 500"#);
        check(r#"attributes["ok"] == true"#, r#"attributes["ok"] == true"#);
        check(r#"attributes["a"]["b"] == 1"#, "values inside");
        check(r#"IsMap(body)"#, "the function IsMap");
        check(r#"trace_id == 1"#, "`trace_id`");
        check(r#"instrumentation_scope.name == "a""#, "`instrumentation_scope`");
        check(r#"body["a"] == 1"#, "keys inside");
        check(r#"attributes["a"#, "second quote");
        check(&"(".repeat(100), "brackets");
        check("", "too early");
    }

    proptest::proptest! {
        #[test]
        fn any_text(text in r#"(attributes\["k"\]|severity_number|body|nil|and|or|not|==|<|\(|\)|"x"|5|IsMatch|,| ){0,20}"#) {
            let _ = condition(&text, Context::Log);
        }
    }

    #[test]
    fn severities() {
        let check = |word: &str, expected: Option<u8>| assert_eq!(severity(word), expected, "{word}");
        check("SEVERITY_NUMBER_UNSPECIFIED", Some(0));
        check("SEVERITY_NUMBER_TRACE", Some(1));
        check("SEVERITY_NUMBER_INFO", Some(9));
        check("SEVERITY_NUMBER_ERROR4", Some(20));
        check("SEVERITY_NUMBER_FATAL", Some(21));
        check("SEVERITY_NUMBER_", None);
        check("INFO", None);
    }
}
