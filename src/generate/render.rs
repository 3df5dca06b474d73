//! Bytes with places to overwrite, and the JSON that kuma-dp sends: its keys are those of the
//! documentation of Kuma, their escaping that of Go's `encoding/json`.

use super::access::{Access, DataPlane};
use super::layout::Layouts;

/// Digits of a record's number.
pub const ID_DIGITS: usize = 12;
/// Length of `2026-11-20T11:48:37.057Z`.
pub(super) const TIME_LEN: usize = 24;

/// Bytes with the places that are overwritten when they are sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Rendered {
    pub bytes: Vec<u8>,
    /// In ascending order.
    pub stamps: Vec<Stamp>,
}

/// A place that is overwritten when the record is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    pub at: u32,
    pub what: What,
}

/// What a place is overwritten with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// [`TIME_LEN`] bytes of text.
    Time,
    /// Nanoseconds since the epoch, eight bytes, little endian.
    TimeNanos,
    /// [`ID_DIGITS`] digits.
    Id,
}

impl What {
    /// Bytes that are overwritten.
    pub fn len(self) -> usize {
        match self {
            What::Time => TIME_LEN,
            What::TimeNanos => 8,
            What::Id => ID_DIGITS,
        }
    }
}

impl Rendered {
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Leaves room for something that is written when the record is sent.
    pub fn stamp(&mut self, what: What) -> &mut Self {
        self.stamps.push(Stamp { at: self.bytes.len() as u32, what });
        self.bytes.resize(self.bytes.len() + what.len(), b'0');
        self
    }

    /// Appends something rendered elsewhere.
    pub fn append(&mut self, other: &Rendered) -> &mut Self {
        let base = self.bytes.len() as u32;
        self.stamps.extend(other.stamps.iter().map(|stamp| Stamp { at: base + stamp.at, ..*stamp }));
        self.bytes(&other.bytes)
    }

    /// The number of the record, when records are numbered, else `otherwise`.
    pub fn id(&mut self, prefix: Option<&str>, otherwise: &str) -> &mut Self {
        match prefix {
            Some(prefix) => self.text(prefix).stamp(What::Id),
            None => self.text(otherwise),
        }
    }
}

/// What renders an access: who logs it, and the prefix of record numbers, if they are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub plane: &'a DataPlane,
    pub id_prefix: Option<&'a str>,
    /// What the records look like.
    pub layouts: &'a Layouts,
    /// Written where a time has a form of its own, which cannot be overwritten in place.
    pub now_nanos: u64,
}

/// The documented JSON fields, without a newline: keys sorted bytewise, the stray quotes of the
/// documented values included.
pub(super) fn json(access: &Access, context: Context<'_>) -> Rendered {
    let mut line = Rendered::default();
    let quoted = |text: Option<&str>| go_string(&format!("\"{}\"", text.unwrap_or("-")));
    let or_null = |text: Option<&str>| text.map_or("null".to_owned(), go_string);
    let user_agent = access.user_agent.as_deref().map(as_envoy_writes_json);
    line.text("{\"authority\":").text(&quoted(Some(&access.authority)));
    line.text(&format!(
        ",\"bytes_received\":{},\"bytes_sent\":{},\"duration_ms\":{}",
        access.bytes_received, access.bytes_sent, access.duration_ms
    ));
    line.text(",\"kuma_destination_service\":").text(&go_string(access.destination));
    line.text(",\"kuma_mesh\":").text(&go_string(context.plane.mesh));
    line.text(",\"kuma_source_address_without_port\":").text(&go_string(&access.source_address));
    line.text(",\"kuma_source_service\":").text(&go_string(context.plane.service));
    line.text(",\"method\":").text(&go_string(&format!("\"{}", access.method)));
    line.text(",\"path\":").text(&or_null(access.path.as_deref()));
    line.text(",\"protocol\":").text(&go_string(access.protocol));
    line.text(",\"request_id\":\"\\\"").id(context.id_prefix, &access.request_id).text("\\\"\"");
    line.text(&format!(",\"response_code\":{}", access.status));
    line.text(",\"response_flags\":").text(&go_string(access.flags));
    line.text(",\"start_time\":\"").stamp(What::Time).text("\"");
    line.text(",\"upstream_host\":").text(&or_null(access.upstream_host.as_deref()));
    line.text(",\"upstream_service_time\":").text(&or_null(access.upstream_ms.map(|ms| ms.to_string()).as_deref()));
    line.text(",\"user_agent\":").text(&quoted(user_agent.as_deref()));
    line.text(",\"x_forwarded_for\":").text(&quoted(access.forwarded_for.as_deref())).text("}");
    line
}

/// Envoy maps every byte of a value that is not UTF-8 to the code point of that number.
fn as_envoy_writes_json(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// A JSON string as Go writes it: `<`, `>`, `&` and two line separators escaped as well.
fn go_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_go_escapes_them() {
        let check = |text: &str, expected: &str| assert_eq!(go_string(text), expected);
        check("a\"b\\c", r#""a\"b\\c""#);
        check("<a>&", r#""\u003ca\u003e\u0026""#);
        check("\u{2028}\t\u{1}", r#""\u2028\t\u0001""#);
        check("日本", "\"日本\"");
        assert_eq!(as_envoy_writes_json(b"\xff\xe6"), "\u{ff}\u{e6}");
    }
}
