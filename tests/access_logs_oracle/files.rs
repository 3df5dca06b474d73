//! What each captured file holds, see the README beside them.

use super::expect::Verdict;
use super::json;
use super::plain::{self, Layout};

/// What stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// HTTP lines.
    Http(Layout),
    /// TCP lines.
    Tcp,
    /// JSON objects with the documented keys.
    Json,
    /// JSON objects whose keys are names of operators.
    Operators,
    /// A format of its own, in lines and pieces of lines.
    Custom,
    /// The bare word `tcp`.
    Word,
    /// All of the above, on one connection.
    Mixed,
}

/// What stands in the file of this name.
pub fn content(name: &str) -> Content {
    match name {
        "tcp-http-plain-custom.log" => Content::Custom,
        "tcp-http-plain-docsformat.log" => Content::Http(Layout::Documented),
        "tcp-l4-passthrough-literal.log" => Content::Word,
        "mixed-one-connection.log" | "truncated-disconnect.log" => Content::Mixed,
        "tcp-l4-httpformat.log" => Content::Http(Layout::Real),
        _ if name.contains("wide") || name.contains("typed") => Content::Operators,
        _ if name.contains("json") => Content::Json,
        _ if name.contains("http-plain") => Content::Http(Layout::Real),
        _ if name.contains("tcp-plain") || name.contains("l4-plain") => Content::Tcp,
        other => panic!("what is {other}?"),
    }
}

/// What must become of a line when nobody says which format it is in.
pub fn verdict(content: Content, line: &str) -> Option<Verdict> {
    match content {
        Content::Http(layout) => Some(plain::http(line, layout).unwrap_or_else(|| panic!("not read: {line}")).into()),
        Content::Tcp => Some(plain::tcp(line).unwrap_or_else(|| panic!("not read: {line}")).into()),
        Content::Json => Some(json::object(line).map_or_else(Verdict::Raw, Verdict::from)),
        Content::Word => Some(Verdict::Raw("protocol_name")),
        Content::Custom => Some(Verdict::Raw("unknown_format")),
        Content::Operators => None,
        Content::Mixed if line.starts_with('{') || line == "null" => verdict(Content::Json, line),
        Content::Mixed if line.starts_with('[') && line.ends_with('"') => verdict(Content::Http(Layout::Real), line),
        Content::Mixed if line.starts_with('[') => verdict(Content::Tcp, line),
        Content::Mixed => verdict(Content::Custom, line),
    }
}
