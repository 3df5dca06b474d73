//! Keys of the contract that this version does not do yet: refused by name, so that
//! nobody believes they work.

use super::problem::{Problem, shown};
use super::tree::{Entry, Kind, Node};

/// `*` stands for every name.
const LATER: &[&[&str]] = &[&["sources", "*", "tls"], &["sources", "*", "auth"]];

/// Reports what stands in the table and takes it out of the tree.
pub fn refuse(root: &mut Node, problems: &mut Vec<Problem>) {
    for path in LATER {
        walk(root, path, problems);
    }
}

fn walk(node: &mut Node, path: &[&str], problems: &mut Vec<Problem>) {
    let (Kind::Mapping(entries), Some((key, rest))) = (&mut node.kind, path.split_first()) else { return };
    for entry in entries.iter_mut().filter(|entry| *key == "*" || entry.key == *key) {
        if !rest.is_empty() {
            walk(&mut entry.value, rest, problems);
        } else if let Some(problem) = complaint(entry) {
            problems.push(problem);
            entry.value.kind = Kind::Broken;
        }
    }
}

fn complaint(entry: &Entry) -> Option<Problem> {
    if matches!(entry.value.kind, Kind::Broken) {
        return None;
    }
    let message = format!("the key {} is not supported by this version yet", shown(&entry.key));
    Some(Problem::at(entry.key_span.clone(), message).help("remove it").hide_unknown(entry))
}
