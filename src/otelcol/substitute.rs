//! `${…}` of the Collector, as a configuration of logboom writes it.
//!
//! Source: the Collector's documentation of environment variables and of `confmap`: `${env:NAME}`,
//! `${env:NAME:-default}`, `${NAME}`, the older `$NAME`, and `$$` for a dollar sign.

/// A text as it is to be written.
#[derive(Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// With the substitutions of logboom; a literal `${` is `$${`.
    pub text: String,
    /// What logboom cannot put in; it stands in the text literally.
    pub foreign: Option<String>,
}

/// Rewrites one scalar.
pub fn rewritten(text: &str) -> Rewritten {
    let mut out = String::with_capacity(text.len());
    let mut foreign = None;
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            // The brace behind it is a letter like any other.
            out.push_str(if after.starts_with('{') { "$$" } else { "$" });
            rest = after;
        } else if let Some((inside, after)) = rest.strip_prefix('{').and_then(|it| it.split_once('}')) {
            match expression(inside) {
                Some(ours) => out.push_str(&ours),
                None => {
                    out.push_str(&format!("$${{{inside}}}"));
                    foreign.get_or_insert_with(|| format!("${{{inside}}}"));
                }
            }
            rest = after;
        } else {
            let length = rest.find(|c: char| !is_name_letter(c)).unwrap_or(rest.len());
            match is_name(&rest[..length]) {
                true => out.push_str(&format!("${{env:{}}}", &rest[..length])),
                false => {
                    out.push_str(if rest.starts_with('{') { "$$" } else { "$" });
                    out.push_str(&rest[..length]);
                }
            }
            rest = &rest[length..];
        }
    }
    out.push_str(rest);
    Rewritten { text: out, foreign }
}

/// What stands between the braces.
fn expression(inside: &str) -> Option<String> {
    if let Some(path) = inside.strip_prefix("file:") {
        return Some(format!("${{file:{path}}}"));
    }
    let variable = inside.strip_prefix("env:").unwrap_or(inside);
    let name = variable.split_once(":-").map_or(variable, |(name, _)| name);
    // A default with a substitution in it ends at the wrong brace.
    (is_name(name) && !variable.contains("${")).then(|| format!("${{env:{variable}}}"))
}

fn is_name_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(is_name_letter)
}

/// A text with a digit in the place of each substitution: what it looks like when it is filled.
pub fn filled(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        match after.find('}').filter(|_| !before.ends_with('$')) {
            Some(end) => {
                out.push('1');
                rest = &after[end + 1..];
            }
            None => {
                out.push_str("${");
                rest = &after[2..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The variables that must be set for a text of logboom: those without a default, in order, each once.
pub fn needed(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (at, _) in text.match_indices("${env:").filter(|(at, _)| !text[..*at].ends_with('$')) {
        let inside = text[at + 6..].split('}').next().unwrap_or_default();
        if !inside.contains(":-") && !names.iter().any(|it| it == inside) {
            names.push(inside.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms() {
        let check = |text: &str, expected: &str, foreign: Option<&str>| {
            let got = rewritten(text);
            assert_eq!((got.text.as_str(), got.foreign.as_deref()), (expected, foreign), "{text}");
        };
        check("plain", "plain", None);
        check("${env:A}:4317", "${env:A}:4317", None);
        check("${A}", "${env:A}", None);
        check("$A:${env:B}", "${env:A}:${env:B}", None);
        check("${A:-x y}", "${env:A:-x y}", None);
        check("${env:A:-}", "${env:A:-}", None);
        check("${file:/run/token}", "${file:/run/token}", None);
        check("a$$b", "a$b", None);
        check("$${A}", "$${A}", None);
        // One dollar sign, and then the value.
        check("$$ $A", "$ ${env:A}", None);
        check("end$", "end$", None);
        check("^x$\"", "^x$\"", None);
        check("$1", "$1", None);
        check("${", "$${", None);
        check("${yaml:a}", "$${yaml:a}", Some("${yaml:a}"));
        check("${env:A:-${env:B}}", "$${env:A:-${env:B}}", Some("${env:A:-${env:B}"));
        check("é$é", "é$é", None);
    }

    #[test]
    fn stand_ins() {
        assert_eq!(filled("${env:A}:${env:B:-x}"), "1:1");
        assert_eq!(filled("a $${b} ${c"), "a $${b} ${c");
    }

    #[test]
    fn variables() {
        assert_eq!(needed("${env:A} ${env:B:-x} ${env:A} $${env:C} ${env:D"), ["A", "D"]);
    }

    proptest::proptest! {
        #[test]
        fn any_text(text in "[$a-c{}:_\\-1é]{0,40}") {
            let _ = needed(&rewritten(&text).text);
        }
    }
}
