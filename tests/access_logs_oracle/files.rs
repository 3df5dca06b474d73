//! What each captured file holds, see the README beside them.

use super::expect::Verdict;
use super::json;
use super::plain::{self, Layout};
use super::said::Said;

/// What stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// HTTP lines.
    Http(Layout),
    /// TCP lines.
    Tcp,
    /// JSON objects, with the documented keys or names of operators.
    Json,
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
        _ if name.contains("wide") || name.contains("json") => Content::Json,
        _ if name.contains("http-plain") => Content::Http(Layout::Real),
        _ if name.contains("tcp-plain") || name.contains("l4-plain") => Content::Tcp,
        other => panic!("what is {other}?"),
    }
}

/// What must become of a line when nobody says which format it is in.
pub fn verdict(content: Content, line: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(line);
    let read = |said: Option<Said>| said.unwrap_or_else(|| panic!("the oracle cannot read {text}")).into();
    match content {
        Content::Http(layout) => read(plain::http(&text, layout)),
        Content::Tcp => read(plain::tcp(&text)),
        Content::Json => json::object(line).map_or_else(Verdict::Raw, Verdict::from),
        Content::Word => Verdict::Raw("protocol_name"),
        Content::Custom => Verdict::Raw("unknown_format"),
        Content::Mixed => match (line[0], line[line.len() - 1]) {
            (b'{', _) => verdict(Content::Json, line),
            (b'[', b'"') => verdict(Content::Http(Layout::Real), line),
            (b'[', _) => verdict(Content::Tcp, line),
            _ if line == b"null" => verdict(Content::Json, line),
            _ => verdict(Content::Custom, line),
        },
    }
}
