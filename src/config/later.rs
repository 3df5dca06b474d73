//! Keys and values of the contract that this version does not do yet: refused by name, so that
//! nobody believes they work.

use super::problem::{Problem, shown};
use super::tree::{Entry, Kind, Node};

/// `*` stands for every name.
const LATER: &[(&[&str], What)] = &[
    (&["sources", "*", "tls"], What::Key),
    (&["sources", "*", "auth"], What::Key),
    (&["sinks", "*", "protocol"], What::Values(&["http"])),
];

/// What is refused at a path.
enum What {
    Key,
    Values(&'static [&'static str]),
}

/// Reports what stands in the table and takes it out of the tree.
pub fn refuse(root: &mut Node, problems: &mut Vec<Problem>) {
    for (path, what) in LATER {
        walk(root, path, what, problems);
    }
}

fn walk(node: &mut Node, path: &[&str], what: &What, problems: &mut Vec<Problem>) {
    let (Kind::Mapping(entries), Some((key, rest))) = (&mut node.kind, path.split_first()) else { return };
    for entry in entries.iter_mut().filter(|entry| *key == "*" || entry.key == *key) {
        if !rest.is_empty() {
            walk(&mut entry.value, rest, what, problems);
        } else if let Some(problem) = complaint(entry, what) {
            problems.push(problem);
            entry.value.kind = Kind::Broken;
        }
    }
}

fn complaint(entry: &Entry, what: &What) -> Option<Problem> {
    let (span, subject) = match (what, &entry.value.kind) {
        (_, Kind::Broken) => return None,
        (What::Key, _) => (&entry.key_span, format!("the key {}", shown(&entry.key))),
        (What::Values(values), Kind::Scalar(scalar)) if values.contains(&scalar.text.as_str()) => {
            (&entry.value.span, format!("the {} {}", entry.key, shown(&scalar.text)))
        }
        _ => return None,
    };
    let problem = Problem::at(span.clone(), format!("{subject} is not supported by this version yet"));
    Some(problem.help("remove it").hide_unknown(entry))
}
