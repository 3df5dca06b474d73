//! Keys and values of the contract that this version does not do yet: refused by name, so that
//! nobody believes they work.

use super::problem::{Problem, shown};
use super::tree::{Entry, Kind, Node};

/// Values by the place of their key; `*` stands for every name.
const LATER: &[(&[&str], &[&str])] = &[(&["sinks", "*", "protocol"], &["http"])];

/// Reports what stands in the table and takes it out of the tree.
pub fn refuse(root: &mut Node, problems: &mut Vec<Problem>) {
    for (path, values) in LATER {
        walk(root, path, values, problems);
    }
}

fn walk(node: &mut Node, path: &[&str], values: &[&str], problems: &mut Vec<Problem>) {
    let (Kind::Mapping(entries), Some((key, rest))) = (&mut node.kind, path.split_first()) else { return };
    for entry in entries.iter_mut().filter(|entry| *key == "*" || entry.key == *key) {
        if !rest.is_empty() {
            walk(&mut entry.value, rest, values, problems);
        } else if let Some(problem) = complaint(entry, values) {
            problems.push(problem);
            entry.value.kind = Kind::Broken;
        }
    }
}

fn complaint(entry: &Entry, values: &[&str]) -> Option<Problem> {
    let Kind::Scalar(scalar) = &entry.value.kind else { return None };
    if !values.contains(&scalar.text.as_str()) {
        return None;
    }
    let message = format!("the {} {} is not supported by this version yet", entry.key, shown(&scalar.text));
    let problem = Problem::at(entry.value.span.clone(), message);
    Some(problem.help("remove it").hide_unknown(entry))
}
