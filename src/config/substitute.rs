//! `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}` inside values.
//!
//! Substitution happens in the finished tree: what is put in is one value, whatever it contains,
//! and can never become a key, a list or a comment.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;

use super::problem::{Problem, shown};
use super::tree::{Kind, Node, Scalar};

/// Largest file that is put into a value.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// Most bytes put in altogether, however often they are asked for.
const TOTAL_BYTES_MAX: usize = 1 << 20;

/// Where the values of environment variables come from.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Replaces every `${…}` in the scalars below `node`; `$${` stands for the text `${`. A relative
/// path is relative to the working directory, as every other path of the configuration.
pub fn substitute(node: &mut Node, environment: Environment<'_>, problems: &mut Vec<Problem>) {
    Substitution { environment, bytes_left: TOTAL_BYTES_MAX, problems }.walk(node);
}

struct Substitution<'a> {
    environment: Environment<'a>,
    bytes_left: usize,
    problems: &'a mut Vec<Problem>,
}

impl Substitution<'_> {
    fn walk(&mut self, node: &mut Node) {
        match &mut node.kind {
            Kind::Mapping(entries) => entries.iter_mut().for_each(|entry| self.walk(&mut entry.value)),
            Kind::Sequence(items) => items.iter_mut().for_each(|item| self.walk(item)),
            Kind::Scalar(scalar) if scalar.text.contains("${") => match self.fill(&scalar.text) {
                Ok(text) => {
                    let written = Some(std::mem::replace(&mut scalar.text, text));
                    scalar.written = written;
                }
                Err((message, help)) => {
                    self.problems.push(Problem::at(node.span.clone(), message).help(help));
                    node.kind = Kind::Broken;
                }
            },
            Kind::Scalar(Scalar { .. }) | Kind::Broken => {}
        }
    }

    fn fill(&mut self, text: &str) -> Result<String, (String, String)> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            if let Some(before) = rest[..start].strip_suffix('$') {
                out.push_str(before);
                out.push_str("${");
                rest = &rest[start + 2..];
                continue;
            }
            out.push_str(&rest[..start]);
            let Some(length) = rest[start..].find('}') else {
                return Err(("a `${` without its `}`".to_owned(), "write `$${` for the text itself".to_owned()));
            };
            let value = self.value(&rest[start + 2..start + length])?;
            self.bytes_left = self.bytes_left.checked_sub(value.len()).ok_or_else(|| {
                let message = format!("more than {TOTAL_BYTES_MAX} bytes are put into values");
                (message, "configurations are small: check which file or variable is this large".to_owned())
            })?;
            out.push_str(&value);
            rest = &rest[start + length + 1..];
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(&self, expression: &str) -> Result<String, (String, String)> {
        match expression.split_once(':') {
            Some(("env", name)) => self.variable(name),
            Some(("file", path)) => file(path),
            _ => Err((
                format!("{} is not a substitution", shown(&format!("${{{expression}}}"))),
                "write ${env:NAME}, ${env:NAME:-default} or ${file:PATH}; `$${` stands for the text `${`".to_owned(),
            )),
        }
    }

    fn variable(&self, expression: &str) -> Result<String, (String, String)> {
        let (name, default) = match expression.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (expression, None),
        };
        let well_formed = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !well_formed {
            let message = format!("{} is not the name of an environment variable", shown(name));
            return Err((message, "letters, digits and `_`, not starting with a digit".to_owned()));
        }
        // As in a shell, `:-` also replaces a variable that is set to nothing.
        match (self.environment)(name).filter(|value| default.is_none() || !value.is_empty()) {
            Some(value) => value
                .into_string()
                .map_err(|_| (format!("the environment variable {name} is not UTF-8"), "set it to text".to_owned())),
            None => default.map(str::to_owned).ok_or_else(|| {
                let help = format!("set it, or give a default: ${{env:{name}:-default}}");
                (format!("the environment variable {name} is not set"), help)
            }),
        }
    }
}

fn file(path: &str) -> Result<String, (String, String)> {
    let refused = |why: &str| {
        let help = format!("a readable text file of at most {FILE_BYTES_MAX} bytes is needed");
        Err((format!("cannot take the value from the file {}: {why}", shown(path)), help))
    };
    // A pipe or a device could block the start for ever.
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return refused("not a regular file"),
        Err(error) => return refused(&error.to_string()),
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return refused(&error.to_string());
    }
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return refused("too large");
    }
    let Ok(mut text) = String::from_utf8(bytes) else {
        return refused("not UTF-8");
    };
    // Editors and `echo` end a file with a newline that is no part of a secret.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<OsString> {
        match name {
            "A" => Some("one".into()),
            "EMPTY" => Some("".into()),
            "TRICKY" => Some("x: [1]\n- ${env:A} # }".into()),
            _ => None,
        }
    }

    fn check(text: &str, expected: &str) {
        let mut node = Node::text(text);
        let mut problems = Vec::new();
        substitute(&mut node, &environment, &mut problems);
        let got = match (node.kind, problems.first()) {
            (Kind::Scalar(scalar), None) => scalar.text,
            (_, Some(problem)) => format!("error: {}", problem.message),
            other => format!("{other:?}"),
        };
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn variables() {
        check("plain", "plain");
        check("${env:A}", "one");
        check("a-${env:A}-${env:A}-b", "a-one-one-b");
        check("${env:NONE:-two}", "two");
        check("${env:NONE:-}", "");
        check("${env:EMPTY:-two}", "two");
        check("${env:EMPTY}", "");
        check("${env:TRICKY}", "x: [1]\n- ${env:A} # }");
        check("$${env:A}", "${env:A}");
        check("$$${env:A}", "$${env:A}");
        check("$ {env:A} $A %START%", "$ {env:A} $A %START%");
        check("${env:NONE}", "error: the environment variable NONE is not set");
        check("${env:1A}", "error: `1A` is not the name of an environment variable");
        check("${A}", "error: `${A}` is not a substitution");
        check("${env:A", "error: a `${` without its `}`");
    }

    #[test]
    fn files() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let check = |name: &str, content: &[u8], expected: &str| {
            std::fs::write(path(name), content).unwrap();
            check(&format!("<${{file:{}}}>", path(name)), &expected.replace("PATH", &path(name)));
        };
        check("token", b"s3cret\n", "<s3cret>");
        check("two", b"a\r\nb\r\n", "<a\r\nb>");
        check("empty", b"", "<>");
        check("bytes", b"\xff", "error: cannot take the value from the file `PATH`: not UTF-8");
        check("large", &[b'x'; 65_537], "error: cannot take the value from the file `PATH`: too large");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        check("${file:/dev/null}", "error: cannot take the value from the file `/dev/null`: not a regular file");
    }

    #[test]
    fn repeated_files_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large");
        std::fs::write(&path, "x".repeat(60_000)).unwrap();
        let text = format!("${{file:{}}}", path.display()).repeat(100);
        check(&text, "error: more than 1048576 bytes are put into values");
    }
}
