//! Response flags in words.

use std::fmt::Write as _;

use super::tame;
use crate::config::suggest;
use crate::semantics::{Blame, FLAGS, flag};

/// Names of flags in words on a command line: all look like names, and one of them at least is one.
/// `tcp` and `null` are lines, and unfortunate ones.
#[must_use]
pub fn are_flags(words: &[String]) -> bool {
    let mut names = names(words).peekable();
    names.peek().is_some()
        && names.all(|name| name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_'))
        && words.iter().all(|word| !matches!(word.as_str(), "tcp" | "null"))
}

fn names(words: &[String]) -> impl Iterator<Item = &str> {
    words.iter().flat_map(|word| word.split([',', ' '])).filter(|name| !name.is_empty())
}

/// What they mean, and whether all of them are known.
#[must_use]
pub fn flags(words: &[String]) -> (String, bool) {
    let mut out = String::new();
    let mut all_known = true;
    for name in names(words) {
        let found = flag(name.as_bytes()).or_else(|| flag(name.to_ascii_uppercase().as_bytes()));
        let separator = if out.is_empty() { "" } else { "\n" };
        let Some(flag) = found else {
            all_known = false;
            let known: Vec<&str> = FLAGS.iter().flat_map(|it| [it.short, it.long]).collect();
            let near = suggest::nearest(name, &known).map(|it| format!("; did you mean {it}?")).unwrap_or_default();
            let short: Vec<&str> = FLAGS.iter().map(|it| it.short).collect();
            let _ = writeln!(
                out,
                "{separator}{} is not one of Envoy's own flags{near}\nIts own are {}. Extensions can add others.",
                tame(name),
                short.join(", ")
            );
            continue;
        };
        let _ = writeln!(out, "{separator}{}  {}\n{}", flag.short, flag.long, flag.meaning);
        let _ = writeln!(out, "Cause: {}.", blame(flag.blame));
        for (title, items) in [("Usually", flag.causes), ("Check", flag.check)] {
            let _ = writeln!(out, "\n  {title}");
            items.iter().for_each(|item| out.push_str(&format!("  - {item}\n")));
        }
    }
    (out, all_known)
}

fn blame(blame: Blame) -> &'static str {
    match blame {
        Blame::Nobody => "nothing went wrong",
        Blame::Client => "who sent the request, or closed the connection",
        Blame::Upstream => "the service behind the proxy, or the way to it",
        Blame::Proxy => "the proxy itself",
        Blame::Policy => "a rule that somebody set",
    }
}
