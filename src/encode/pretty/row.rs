//! An access log as one row of columns: what happened, at a glance.

use super::super::escape::escape_text;
use super::super::value::int;
use crate::record::{RecordRef, ValueRef, Values};
use crate::semantics;

/// Characters of the columns; what is longer is cut, except in the last.
const METHOD: usize = 8;
const PATH: usize = 40;
const SERVICES: usize = 30;
const DURATION: usize = 7;
const SIZES: usize = 15;
/// Response flags that are shown with words; one record rarely has more than three.
const FLAGS_MAX: usize = 8;

const DIM: &str = "2";
const BOLD: &str = "1";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";
const PLAIN: &str = "";

/// What a row shows of a record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row<'a> {
    time_unix_nano: u64,
    severity_number: i32,
    method: Option<&'a [u8]>,
    path: Option<&'a [u8]>,
    query: Option<&'a [u8]>,
    status: Option<i64>,
    source: Option<&'a [u8]>,
    destination: Option<&'a [u8]>,
    client: Option<&'a [u8]>,
    server: Option<&'a [u8]>,
    upstream: Option<&'a [u8]>,
    upstream_port: Option<i64>,
    duration: Option<i64>,
    received: Option<i64>,
    sent: Option<i64>,
    flags: Option<Values<'a>>,
    broken: Option<&'static str>,
}

impl<'a> Row<'a> {
    /// `None` when the record is no access log of a proxy: then it may say what no column shows.
    pub fn of(record: RecordRef<'a>) -> Option<Row<'a>> {
        let fields = record.fields();
        let time = if fields.time_unix_nano == 0 { fields.observed_time_unix_nano } else { fields.time_unix_nano };
        let mut row = Row { time_unix_nano: time, severity_number: fields.severity_number, ..Row::default() };
        let mut is_access_log = false;
        for (key, value) in record.attributes() {
            match (key, value) {
                (b"http.request.method", ValueRef::Text(it)) => row.method = Some(it),
                (b"url.path", ValueRef::Text(it)) => row.path = Some(it),
                (b"url.query", ValueRef::Text(it)) => row.query = Some(it),
                (b"http.response.status_code", ValueRef::Int(it)) => row.status = Some(it),
                (b"client.address", ValueRef::Text(it)) => row.client = Some(it),
                (b"server.address", ValueRef::Text(it)) => row.server = Some(it),
                (b"http.request.body.size" | b"envoy.bytes_received", ValueRef::Int(it)) => row.received = Some(it),
                (b"http.response.body.size" | b"envoy.bytes_sent", ValueRef::Int(it)) => row.sent = Some(it),
                (b"logboom.truncated", ValueRef::Bool(true)) => row.broken = Some("line truncated"),
                (b"logboom.partial", ValueRef::Bool(true)) => row.broken = Some("line incomplete"),
                (b"envoy.upstream.address", ValueRef::Text(it)) => row.upstream = Some(it),
                (b"envoy.upstream.port", ValueRef::Int(it)) => row.upstream_port = Some(it),
                // What follows is said by nobody but a proxy.
                (b"kuma.source.service", ValueRef::Text(it)) => (row.source, is_access_log) = (Some(it), true),
                (b"kuma.destination.service", ValueRef::Text(it)) => {
                    (row.destination, is_access_log) = (Some(it), true);
                }
                (b"envoy.duration_ms", ValueRef::Int(it)) => (row.duration, is_access_log) = (Some(it), true),
                (b"envoy.response_flags", ValueRef::Array(it)) => (row.flags, is_access_log) = (Some(it), true),
                _ => {}
            }
        }
        is_access_log.then_some(row)
    }

    /// Writes the row without its line end. `scratch` is space to work in.
    pub fn write(&self, colour: bool, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
        let mut line = Line { colour, scratch, gap: 0, out };
        line.column(12, DIM, |out| time_of_day(self.time_unix_nano, out));
        let is_http = self.method.is_some() || self.status.is_some() || self.path.is_some();
        if is_http {
            line.column(3, self.status_colour(), |out| match self.status {
                Some(status) => int(status, out),
                None => out.extend_from_slice(b"---"),
            });
            line.column(METHOD, BOLD, |out| text(self.method.unwrap_or(b"-"), METHOD, out));
            line.column(PATH, PLAIN, |out| self.target(out));
            line.column(SERVICES, PLAIN, |out| self.services(out));
        } else {
            line.column(3, CYAN, |out| out.extend_from_slice(b"TCP"));
            line.column(METHOD + PATH + SERVICES + 4, PLAIN, |out| {
                self.services(out);
                self.upstream(out);
            });
        }
        line.right(DURATION, |out| self.duration.into_iter().for_each(|it| duration(it, out)));
        line.column(SIZES, DIM, |out| self.sizes(out));
        self.tail(&mut line);
    }

    fn status_colour(&self) -> &'static str {
        match self.status {
            Some(100..300) => GREEN,
            Some(300..400) => CYAN,
            Some(400..500) => YELLOW,
            _ => RED,
        }
    }

    fn target(&self, out: &mut Vec<u8>) {
        text(self.path.unwrap_or(b"-"), PATH, out);
        if let Some(query) = self.query {
            out.push(b'?');
            text(query, PATH, out);
        }
    }

    fn services(&self, out: &mut Vec<u8>) {
        // On inbound listeners the mesh does not know who calls; the address says more.
        let known = self.source.filter(|it| *it != b"unknown");
        let source = known.or(self.client).or(self.source);
        let destination = self.destination.or(self.server);
        text(source.unwrap_or(b"-"), SERVICES, out);
        out.extend_from_slice(" → ".as_bytes());
        text(destination.unwrap_or(b"-"), SERVICES, out);
    }

    fn upstream(&self, out: &mut Vec<u8>) {
        let Some(address) = self.upstream else { return };
        out.push(b' ');
        let brackets = self.upstream_port.is_some() && address.contains(&b':');
        out.extend_from_slice(if brackets { b"[" } else { b"" });
        text(address, SERVICES, out);
        out.extend_from_slice(if brackets { b"]" } else { b"" });
        if let Some(port) = self.upstream_port {
            out.push(b':');
            int(port, out);
        }
    }

    fn sizes(&self, out: &mut Vec<u8>) {
        for (arrow, bytes) in [("↑", self.received), ("↓", self.sent)] {
            if let Some(bytes) = bytes {
                out.extend_from_slice(if arrow == "↓" && self.received.is_some() { b" " } else { b"" });
                out.extend_from_slice(arrow.as_bytes());
                size(bytes, out);
            }
        }
    }

    /// Flags with words, and what is wrong with the line itself: as long as it takes.
    fn tail(&self, line: &mut Line<'_>) {
        let colour = if self.severity_number >= 17 { RED } else { YELLOW };
        let mut separator = "";
        for (_, flag) in self.flags.into_iter().flatten().take(FLAGS_MAX) {
            let ValueRef::Text(flag) = flag else { continue };
            line.words(PLAIN, |out| out.extend_from_slice(separator.as_bytes()));
            line.words(colour, |out| text(flag, PATH, out));
            if let Some(known) = semantics::flag(flag) {
                line.words(PLAIN, |out| words(known.long, out));
            }
            separator = ", ";
        }
        if let Some(words) = self.broken {
            line.words(PLAIN, |out| out.extend_from_slice(separator.as_bytes()));
            line.words(YELLOW, |out| out.extend_from_slice(words.as_bytes()));
        }
    }
}

/// `upstream connection failure` out of `UpstreamConnectionFailure`.
fn words(long: &str, out: &mut Vec<u8>) {
    for byte in long.bytes() {
        out.extend_from_slice(if byte.is_ascii_uppercase() { b" " } else { b"" });
        out.push(byte.to_ascii_lowercase());
    }
}

/// The line being written.
struct Line<'a> {
    colour: bool,
    scratch: &'a mut Vec<u8>,
    /// Spaces to write before whatever comes next; at the end nothing does.
    gap: usize,
    out: &'a mut Vec<u8>,
}

impl Line<'_> {
    /// A column of that many characters and the gap behind it: what is shorter is filled up, what
    /// is longer is cut.
    fn column(&mut self, width: usize, colour: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.scratch.clear();
        write(self.scratch);
        let shown = cut(self.scratch, width);
        self.write(colour);
        self.gap += width - shown + 2;
    }

    /// A column of ASCII that ends where the others begin.
    fn right(&mut self, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
        self.scratch.clear();
        write(self.scratch);
        self.gap += width.saturating_sub(self.scratch.len());
        self.write(PLAIN);
        self.gap += 2;
    }

    /// The next words of the last column.
    fn words(&mut self, colour: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.scratch.clear();
        write(self.scratch);
        self.write(colour);
    }

    fn write(&mut self, colour: &str) {
        if self.scratch.is_empty() {
            return;
        }
        self.out.resize(self.out.len() + std::mem::take(&mut self.gap), b' ');
        let is_painted = self.colour && !colour.is_empty();
        if is_painted {
            self.out.extend_from_slice(b"\x1b[");
            self.out.extend_from_slice(colour.as_bytes());
            self.out.push(b'm');
        }
        self.out.extend_from_slice(self.scratch);
        self.out.extend_from_slice(if is_painted { b"\x1b[0m" } else { b"" });
    }
}

/// Cuts text of more than `width` characters and marks the cut; returns the characters left.
fn cut(text: &mut Vec<u8>, width: usize) -> usize {
    let begins = |(_, byte): &(usize, &u8)| (**byte as i8) >= -0x40;
    let mut characters = text.iter().enumerate().filter(begins);
    let Some((at, _)) = characters.nth(width.saturating_sub(1)) else {
        return text.iter().enumerate().filter(begins).count();
    };
    if characters.next().is_some() {
        text.truncate(at);
        text.extend_from_slice("…".as_bytes());
    }
    width
}

/// Text of a client, escaped; of a long one no more than a column can show.
fn text(text: &[u8], width: usize, out: &mut Vec<u8>) {
    // A character has at most four bytes; one more is needed to see that it is too long.
    escape_text(&text[..text.len().min(4 * (width + 2))], out);
}

/// Hour to millisecond, UTC.
fn time_of_day(unix_nano: u64, out: &mut Vec<u8>) {
    let millis = unix_nano / 1_000_000;
    let mut number = |value: u64, digits: u32, behind: &[u8]| {
        for place in (0..digits).rev() {
            out.push(b'0' + (value / 10_u64.pow(place) % 10) as u8);
        }
        out.extend_from_slice(behind);
    };
    number(millis / 3_600_000 % 24, 2, b":");
    number(millis / 60_000 % 60, 2, b":");
    number(millis / 1_000 % 60, 2, b".");
    number(millis % 1_000, 3, b"");
}

/// `12ms`, `14.0s`, `2m05s`, `1h02m`; a clock that went back shows as it came: `-40ms`.
fn duration(millis: i64, out: &mut Vec<u8>) {
    let pair = |out: &mut Vec<u8>, large: i64, unit: u8, small: i64, small_unit: u8| {
        int(large, out);
        out.extend_from_slice(&[unit, b'0' + (small / 10) as u8, b'0' + (small % 10) as u8, small_unit]);
    };
    let seconds = millis / 1_000;
    match millis {
        ..1_000 => {
            int(millis, out);
            out.extend_from_slice(b"ms");
        }
        1_000..60_000 => {
            int(seconds, out);
            out.extend_from_slice(&[b'.', b'0' + (millis / 100 % 10) as u8, b's']);
        }
        60_000..3_600_000 => pair(out, seconds / 60, b'm', seconds % 60, b's'),
        _ => pair(out, seconds / 3_600, b'h', seconds / 60 % 60, b'm'),
    }
}

/// `194B`, `6.2kB`, `31MB`: thousands, two digits at least.
fn size(bytes: i64, out: &mut Vec<u8>) {
    const UNITS: [&[u8]; 6] = [b"kB", b"MB", b"GB", b"TB", b"PB", b"EB"];
    if bytes < 1_000 {
        int(bytes, out);
        return out.push(b'B');
    }
    let mut tenths = bytes / 100;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if tenths < 10_000 {
            break;
        }
        (tenths, unit) = (tenths / 1_000, larger);
    }
    int(tenths / 10, out);
    if tenths < 100 {
        out.extend_from_slice(&[b'.', b'0' + (tenths % 10) as u8]);
    }
    out.extend_from_slice(unit);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written<T>(write: fn(T, &mut Vec<u8>), value: T) -> String {
        let mut out = Vec::new();
        write(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn durations() {
        for (millis, expected) in [
            (0, "0ms"),
            (-40, "-40ms"),
            (i64::MIN, "-9223372036854775808ms"),
            (999, "999ms"),
            (1_000, "1.0s"),
            (14_004, "14.0s"),
            (59_999, "59.9s"),
            (60_000, "1m00s"),
            (125_000, "2m05s"),
            (3_599_999, "59m59s"),
            (3_720_000, "1h02m"),
            (i64::MAX, "2562047788015h12m"),
        ] {
            assert_eq!(written(duration, millis), expected);
        }
    }

    #[test]
    fn sizes() {
        for (bytes, expected) in [
            (0, "0B"),
            (-1, "-1B"),
            (999, "999B"),
            (1_000, "1.0kB"),
            (6_195, "6.1kB"),
            (9_999, "9.9kB"),
            (10_000, "10kB"),
            (999_999, "999kB"),
            (1_000_000, "1.0MB"),
            (31_500_000, "31MB"),
            (i64::MAX, "9.2EB"),
        ] {
            assert_eq!(written(size, bytes), expected);
        }
    }

    #[test]
    fn times() {
        assert_eq!(written(time_of_day, 1_795_175_317_057_934_000), "11:48:37.057");
        assert_eq!(written(time_of_day, 0), "00:00:00.000");
        assert_eq!(written(time_of_day, u64::MAX), "23:34:33.709");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        for (text, width, expected, shown) in [
            ("", 3, "", 0),
            ("ab", 3, "ab", 2),
            ("abc", 3, "abc", 3),
            ("abcd", 3, "ab…", 3),
            ("日本語", 3, "日本語", 3),
            ("日本語x", 3, "日本…", 3),
        ] {
            let mut bytes = text.as_bytes().to_vec();
            assert_eq!(cut(&mut bytes, width), shown);
            assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        }
    }
}
