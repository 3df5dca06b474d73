//! Where the process of a configuration is asked, whatever else is wrong with its file: the process itself is the one to
//! say that.

use std::path::Path;

use super::ConfigErrors;
use super::load::{Draft, read_part};
use super::problem::{Problem, Report};
use super::substitute::substitute;
use super::tree::{Node, parse};
use crate::control::ControlConfig;

const KEY: &str = "control";

impl ControlConfig {
    /// The part `control` of the file at `path`, or its defaults where the file has none. Nothing else of the file
    /// has to be right; where it is not even YAML, the part has to begin a line.
    ///
    /// # Errors
    /// When the file cannot be read, when the part is wrong, or when it cannot be told from the rest.
    pub fn find(path: &Path) -> Result<ControlConfig, ConfigErrors> {
        let text = Draft::read(path)?;
        let name = path.display().to_string();
        let mut problems = Vec::new();
        let root = parse(&text, &mut problems);
        let root = root.or_else(|| parse(block(&text)?, &mut Vec::new()));
        let part = match root {
            Some(root) => root.entry(KEY).cloned(),
            None if !text.contains(KEY) => None,
            None => return Err(ConfigErrors::new(Report::new(&name, &text, &[], problems), Vec::new())),
        };
        let Some(part) = part else { return Ok(ControlConfig::default()) };
        let mut root = Node::mapping();
        root.set(&[KEY], part.value);
        let mut problems: Vec<Problem> = Vec::new();
        substitute(&mut root, &|name| std::env::var_os(name), &mut problems);
        let control = read_part(&root, KEY, &mut problems);
        match control.filter(|_| problems.is_empty()) {
            Some(control) => Ok(control),
            None => Err(ConfigErrors::new(Report::new(&name, &text, &[root], problems), Vec::new())),
        }
    }
}

/// The lines of the part in a text that is no YAML as a whole: its key at the beginning of a line, and what is indented below.
fn block(text: &str) -> Option<&str> {
    let begins = |line: &str| line.strip_prefix(KEY).is_some_and(|rest| rest.starts_with(':'));
    let mut at = 0;
    let mut start = None;
    for line in text.split_inclusive('\n') {
        match start {
            None if begins(line) => start = Some(at),
            Some(start) if !line.starts_with([' ', '\t', '#', '\n', '\r']) => return text.get(start..at),
            _ => {}
        }
        at += line.len();
    }
    text.get(start?..)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in a file with this text.
    fn check(text: &str, expected: &str) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let got = match ControlConfig::find(file.path()) {
            Ok(control) => control.socket,
            Err(errors) => errors.problems().map(|it| it.message).collect(),
        };
        assert!(got.contains(expected), "{text}\n{got}");
    }

    #[test]
    fn it_is_found_in_what_is_right() {
        check("control: {socket: /run/a.sock}\n", "/run/a.sock");
        check("sources: {}\n", "auto");
        check("control: {socket: off}\n", "off");
        check("control: {socket: '${env:LOGBOOM_NO_SUCH_NAME:-/run/b.sock}'}\n", "/run/b.sock");
    }

    #[test]
    fn it_is_found_beside_what_is_wrong() {
        check("sinks: {x: {type: nothing}}\nunknown: 1\ncontrol: {socket: /run/a.sock}\n", "/run/a.sock");
        check("sinks: {x: '${env:LOGBOOM_NO_SUCH_NAME}'}\ncontrol: {socket: /run/a.sock}\n", "/run/a.sock");
        check("sinks: [\ncontrol:\n  # here\n\n  socket: /run/a.sock\nsources: {}\n", "/run/a.sock");
        check("control:\n  socket: /run/a.sock\nsinks: 'x\n", "/run/a.sock");
        check("sinks: [\n", "auto");
    }

    #[test]
    fn it_is_not_guessed() {
        check("control: {socket: /run/a.sock\nsinks: {}\n", "this is not YAML");
        check("{sinks: [, control: {socket: /run/a.sock}}\n", "this is not YAML");
        check("control: {sockt: /run/a.sock}\n", "unknown key `sockt`");
        check("control: {socket: '${env:LOGBOOM_NO_SUCH_NAME}'}\n", "LOGBOOM_NO_SUCH_NAME");
        check("sinks: [\ncontrol: *here\n", "this is not YAML");
    }
}
