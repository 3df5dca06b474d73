//! What an upstream that speaks HTTP holds for the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Uri;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Bytes of the head of an answer that are looked at.
const HEAD_BYTES_MAX: usize = 8 << 10;

/// Seconds by which the clock here is ahead of the `Date` of an answer in plaintext HTTP/1.1; `None` when there is none
/// within `patience`.
pub async fn ahead(uri: &Uri, patience: Duration) -> Option<i64> {
    tokio::time::timeout(patience, ask(uri)).await.ok().flatten()
}

async fn ask(uri: &Uri) -> Option<i64> {
    let (host, port) = (uri.host()?, uri.port_u16().unwrap_or(80));
    let mut stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await.ok()?;
    let request = format!("HEAD {} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n\r\n", uri.path());
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut head = Vec::with_capacity(HEAD_BYTES_MAX);
    let mut stream = stream.take(HEAD_BYTES_MAX as u64);
    while !head.windows(4).any(|it| it == b"\r\n\r\n") && stream.read_buf(&mut head).await.ok()? > 0 {}
    let there = date(&String::from_utf8_lossy(&head))?;
    let here = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(i64::try_from(here).ok()?.saturating_sub(there))
}

/// Seconds since 1970 of the header `Date` (RFC 9110, section 6.6.1).
fn date(head: &str) -> Option<i64> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(name, _)| name.eq_ignore_ascii_case("date"))?;
    Some(jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let check = |head: &str, expected: Option<i64>| assert_eq!(date(head), expected, "{head}");
        check("HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n", Some(784_111_777));
        check("HTTP/1.1 200 OK\r\n\r\n", None);
        check("HTTP/1.1 200 OK\r\ndate: soon\r\n", None);
    }
}
