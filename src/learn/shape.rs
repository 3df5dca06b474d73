//! What a value looks like.

use std::net::{IpAddr, SocketAddr};

use crate::semantics::flag;

/// Looks of a value, the more telling ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A date with a time of day, or seconds since the epoch.
    Time,
    /// `GET`.
    Method,
    /// `HTTP/1.1`.
    Protocol,
    /// `INBOUND`.
    Direction,
    /// `UF,URX`.
    Flags,
    /// `UpstreamConnectionFailure`.
    FlagsLong,
    /// 100 to 599.
    Status,
    /// Any whole number.
    Number,
    /// An IP address with a port.
    Socket,
    /// An IP address.
    Address,
    /// IP addresses with commas between them.
    Addresses,
    /// A UUID.
    Uuid,
    /// A W3C `traceparent`.
    TraceParent,
    /// 32 hexadecimal digits.
    Hex32,
    /// 16 hexadecimal digits.
    Hex16,
    /// Begins with a slash.
    Path,
    /// `curl/8.5.0 …`.
    Agent,
    /// `name.domain` or `name:port`.
    Host,
    /// Anything else.
    Text,
}

/// Shapes that are values whatever they are, also when all lines have the same.
pub fn is_telling(shape: Shape) -> bool {
    !matches!(shape, Shape::Text | Shape::Host | Shape::Agent)
}

/// Nothing, or the sign for it.
pub fn is_absent(value: &str) -> bool {
    matches!(value, "" | "-")
}

/// So many of that many are enough: some lines are damaged.
pub fn nearly_all(count: usize) -> usize {
    count - count / 20
}

/// The shape that nearly all values have that are not absent; `None` when all are.
pub fn of_all(values: &[&str]) -> Option<Shape> {
    const ALL: [Shape; 18] = [
        Shape::Time,
        Shape::Method,
        Shape::Protocol,
        Shape::Direction,
        Shape::Flags,
        Shape::FlagsLong,
        Shape::Status,
        Shape::Number,
        Shape::Socket,
        Shape::Address,
        Shape::Addresses,
        Shape::Uuid,
        Shape::TraceParent,
        Shape::Hex32,
        Shape::Hex16,
        Shape::Path,
        Shape::Agent,
        Shape::Host,
    ];
    let present = || values.iter().filter(|value| !is_absent(value));
    let count = present().count();
    if count == 0 {
        return None;
    }
    // Clients send what they like in what only mostly has a shape.
    let enough = |shape: &Shape| {
        let least = match shape {
            Shape::Uuid | Shape::Agent | Shape::Host | Shape::Addresses | Shape::Hex16 => count.div_ceil(2),
            _ => nearly_all(count),
        };
        present().filter(|value| has(value, *shape)).count() >= least
    };
    Some(ALL.into_iter().find(enough).unwrap_or(Shape::Text))
}

const METHODS: &[&str] =
    &["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "QUERY"];

fn has(value: &str, shape: Shape) -> bool {
    let all = |test: fn(&u8) -> bool| !value.is_empty() && value.bytes().all(|it| test(&it));
    let hex = |digits| value.len() == digits && all(u8::is_ascii_hexdigit);
    match shape {
        Shape::Time => strftime(value).is_some(),
        Shape::Method => METHODS.contains(&value),
        Shape::Protocol => value.starts_with("HTTP/"),
        Shape::Direction => matches!(value, "INBOUND" | "OUTBOUND" | "UNSPECIFIED"),
        Shape::Flags => value.split(',').all(|it| flag(it.as_bytes()).is_some_and(|flag| flag.short == it)),
        Shape::FlagsLong => value.split(',').all(|it| flag(it.as_bytes()).is_some_and(|flag| flag.long == it)),
        Shape::Status => value.parse().is_ok_and(|it: u16| it == 0 || (100..600).contains(&it)),
        Shape::Number => value.parse::<i64>().is_ok(),
        Shape::Socket => value.parse::<SocketAddr>().is_ok(),
        Shape::Address => value.parse::<IpAddr>().is_ok(),
        Shape::Addresses => value.split(',').all(|it| it.trim().parse::<IpAddr>().is_ok()),
        Shape::Uuid => is_grouped(value, &[8, 4, 4, 4, 12]),
        Shape::TraceParent => is_grouped(value, &[2, 32, 16, 2]),
        Shape::Hex32 => hex(32),
        Shape::Hex16 => hex(16),
        Shape::Path => value.starts_with('/'),
        Shape::Agent => {
            value.split([' ', '(']).next().and_then(|it| it.split_once('/')).is_some_and(|(name, version)| {
                name.starts_with(char::is_alphabetic) && version.starts_with(|it: char| it.is_ascii_digit())
            })
        }
        Shape::Host => {
            all(|it| it.is_ascii_alphanumeric() || b".-:_[]".contains(it))
                && value.contains(['.', ':'])
                && value.bytes().any(|it| it.is_ascii_alphabetic())
        }
        Shape::Text => true,
    }
}

fn is_grouped(text: &str, lengths: &[usize]) -> bool {
    let mut groups = text.split('-');
    let fits = lengths.iter().all(|length| {
        groups.next().is_some_and(|it| it.len() == *length && it.bytes().all(|it| it.is_ascii_hexdigit()))
    });
    fits && groups.next().is_none()
}

/// The pattern of a time, as it stands in the parentheses of an operator; empty for Envoy's own.
pub fn strftime(text: &str) -> Option<String> {
    epoch(text).or_else(|| calendar(text))
}

/// Seconds since the epoch, with a fraction or without.
fn epoch(text: &str) -> Option<String> {
    let (seconds, fraction) = text.split_once('.').map_or((text, None), |(seconds, rest)| (seconds, Some(rest)));
    let digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    if seconds.len() != 10 || !seconds.starts_with(['1', '2']) || !digits(seconds) {
        return None;
    }
    match fraction {
        None => Some("%s".to_owned()),
        Some(rest) if digits(rest) && matches!(rest.len(), 3 | 6 | 9) => Some(format!("%s.%{}f", rest.len())),
        Some(_) => None,
    }
}

/// `2026-11-20T11:48:37.057Z`, `20/Nov/2026:11:48:37 +0000` and the like.
fn calendar(text: &str) -> Option<String> {
    let mut rest = Rest(text);
    let mut pattern = String::new();
    if rest.digits(4) {
        let separator = rest.one_of("-/.")?;
        (rest.digits(2) && rest.literal(separator) && rest.digits(2)).then_some(())?;
        pattern.push_str(&format!("%Y{separator}%m{separator}%d"));
    } else if rest.digits(2) {
        let separator = rest.one_of("-/ ")?;
        (rest.letters(3) && rest.literal(separator) && rest.digits(4)).then_some(())?;
        pattern.push_str(&format!("%d{separator}%b{separator}%Y"));
    } else {
        return None;
    }
    pattern.push(rest.one_of("T :")?);
    (rest.digits(2) && rest.literal(':') && rest.digits(2) && rest.literal(':') && rest.digits(2)).then_some(())?;
    pattern.push_str("%H:%M:%S");
    if let Some(point) = rest.one_of(".,") {
        let digits = [9, 6, 3].into_iter().find(|count| rest.digits(*count))?;
        pattern.push_str(&format!("{point}%{digits}f"));
    }
    if let Some(space) = rest.one_of(" ") {
        pattern.push(space);
    }
    if rest.literal('Z') {
        pattern.push('Z');
    } else if rest.one_of("+-").is_some() {
        rest.digits(4).then_some(())?;
        pattern.push_str("%z");
    }
    rest.0.is_empty().then_some(())?;
    Some(if pattern == "%Y-%m-%dT%H:%M:%S.%3fZ" { String::new() } else { pattern })
}

/// What is still to be read of a time.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn all(&mut self, count: usize, test: fn(&u8) -> bool) -> bool {
        let is_there = self.0.as_bytes().get(..count).is_some_and(|it| it.iter().all(test));
        if is_there {
            self.0 = &self.0[count..];
        }
        is_there
    }

    fn digits(&mut self, count: usize) -> bool {
        self.all(count, u8::is_ascii_digit)
    }

    fn letters(&mut self, count: usize) -> bool {
        self.all(count, u8::is_ascii_alphabetic)
    }

    fn one_of(&mut self, accepted: &str) -> Option<char> {
        let first = self.0.chars().next().filter(|it| accepted.contains(*it))?;
        self.0 = &self.0[first.len_utf8()..];
        Some(first)
    }

    fn literal(&mut self, wanted: char) -> bool {
        self.one_of(wanted.encode_utf8(&mut [0; 4])).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, expected) in [
            ("2026-11-20T11:48:37.057Z", Some("")),
            ("2026-11-20T11:48:37Z", Some("%Y-%m-%dT%H:%M:%SZ")),
            ("2026-11-20T11:48:37.083+0000", Some("%Y-%m-%dT%H:%M:%S.%3f%z")),
            ("2026/11/20T11:48:37+0000", Some("%Y/%m/%dT%H:%M:%S%z")),
            ("20/Nov/2026:11:48:37 +0000", Some("%d/%b/%Y:%H:%M:%S %z")),
            ("1795175317.057934", Some("%s.%6f")),
            ("1795175317", Some("%s")),
            ("1795175317.05", None),
            ("3795175317", None),
            ("2026-11-20", None),
            ("2026-11-20T11:48:37.0", None),
            ("2026-11-20T11:48:37Zjunk", None),
            ("2026-1ü-20T11:48:37Z", None),
            ("", None),
        ] {
            assert_eq!(strftime(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn shapes() {
        for (values, expected) in [
            (&["GET", "-"][..], Some(Shape::Method)),
            (&["-", "UF,URX", "DC"], Some(Shape::Flags)),
            (&["UpstreamOverflow", "-"], Some(Shape::FlagsLong)),
            (&["3/0", "14/2"], Some(Shape::Text)),
            (&["INFO", "WARN"], Some(Shape::Text)),
            (&["UF,NOPE"], Some(Shape::Text)),
            (&["NoSuchFlagHere"], Some(Shape::Text)),
            (&["200", "0", "503"], Some(Shape::Status)),
            (&["200", "9", "-40"], Some(Shape::Number)),
            (&["10.0.0.1:5", "[::1]:80"], Some(Shape::Socket)),
            (&["10.0.0.1", "::1"], Some(Shape::Address)),
            (&["1.2.3.4, 5.6.7.8", "forged"], Some(Shape::Addresses)),
            (&["8ed76ae8-6ed0-44d3-8fe2-fa5b9299ec76", "x"], Some(Shape::Uuid)),
            (&["curl/8.5.0", "Mozilla/5.0 (X11)", "x"], Some(Shape::Agent)),
            (&["a.b:1", "backend.mesh:8080"], Some(Shape::Host)),
            (&["default"], Some(Shape::Text)),
            (&["-", ""], None),
            (&[], None),
        ] {
            assert_eq!(of_all(values), expected, "{values:?}");
        }
    }
}
