//! A condition of OTTL as a condition of ours.
//!
//! Both leave out what is absent, and not in the same way: in OTTL an absent attribute is `nil`,
//! which is unequal to everything, and a severity that is not set is 0 and the empty text. So `!=` becomes
//! `!(… == …)`, and `<` of a severity `!(… >= …)`. Source: the Collector's documentation of OTTL,
//! its grammar and the context `log`.

use parser::Parser;

mod parser;
mod tokens;

/// Where a bare `attributes` belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    Log,
    Resource,
}

/// The condition in CEL, or what cannot be said in it.
pub fn condition(text: &str, context: Context) -> Result<String, String> {
    Parser::new(&tokens::read(text)?, context).whole()
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
