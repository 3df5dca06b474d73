//! The PROXY protocol: whom a load balancer speaks for, in front of the first byte of a connection.
//!
//! Versions 1 and 2 of "The PROXY protocol" (HAProxy Technologies, 2.8). A header is read without a byte of what
//! comes behind it, so lines or TLS can follow as if it had not been there.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A header has to be complete by then: load balancers send it with the connection.
pub const WITHIN: Duration = Duration::from_secs(5);
/// Longest header of version 1, its line end included (section 2.1).
const V1_BYTES_MAX: usize = 107;
/// Beginning of a header of version 2 (section 2.2), and its length without what it announces.
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_HEAD_BYTES: usize = 16;
/// Most bytes that a header of version 2 may announce. Addresses take 36; the rest is for extensions, which are
/// not read. The largest known, a client's certificate, stays below it.
const V2_BODY_BYTES_MAX: usize = 4096;

/// What a header says, as far as it is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many more bytes belong to it for certain; at least one.
    More(usize),
    /// It is complete: the client, or `None` where the peer of the socket is the client itself (LOCAL, UNKNOWN).
    Done(Option<SocketAddr>),
}

/// It is no header, or a broken one; why, in a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// Looks at the beginning of a header, or at all of it; at nothing behind it.
pub fn step(bytes: &[u8]) -> Result<Step, Malformed> {
    if bytes.is_empty() {
        // What is surely not a header is known by its first byte, and no more of it is waited for.
        return Ok(Step::More(1));
    }
    let same = bytes.len().min(V2_SIGNATURE.len());
    if bytes[..same] == V2_SIGNATURE[..same] {
        return v2(bytes);
    }
    let same = bytes.len().min(V1_START.len());
    if bytes[..same] == V1_START[..same] {
        return v1(bytes);
    }
    Err(Malformed("there is no PROXY header in front"))
}

const V1_START: &[u8] = b"PROXY ";
/// `PROXY UNKNOWN` and a line end.
const V1_BYTES_MIN: usize = 15;

fn v1(bytes: &[u8]) -> Result<Step, Malformed> {
    if bytes.len() < V1_BYTES_MIN {
        return Ok(Step::More(V1_BYTES_MIN - bytes.len()));
    }
    let Some(line) = bytes.strip_suffix(b"\r\n") else {
        return match bytes.len() {
            // The line end is still to come: two bytes, or its second.
            length if length < V1_BYTES_MAX => {
                let more = if bytes.ends_with(b"\r") { 1 } else { 2 };
                Ok(Step::More(more.min(V1_BYTES_MAX - length)))
            }
            _ => Err(Malformed("the PROXY header has no end within 107 bytes")),
        };
    };
    const BAD: Malformed = Malformed("the PROXY header of version 1 is malformed");
    let line = std::str::from_utf8(line).map_err(|_| BAD)?;
    if line == "PROXY UNKNOWN" || line.starts_with("PROXY UNKNOWN ") {
        return Ok(Step::Done(None));
    }
    let mut words = line.split(' ').skip(1);
    let mut word = || words.next().ok_or(BAD);
    let family = word()?;
    let (source, destination, source_port, destination_port) = (word()?, word()?, word()?, word()?);
    if words.next().is_some() {
        return Err(BAD);
    }
    let address = |text: &str| match family {
        "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| BAD),
        "TCP6" => text.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| BAD),
        _ => Err(BAD),
    };
    let port = |text: &str| {
        let is_number = text.bytes().all(|it| it.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        text.parse::<u16>().ok().filter(|_| is_number).ok_or(BAD)
    };
    address(destination)?;
    port(destination_port)?;
    Ok(Step::Done(Some(SocketAddr::new(address(source)?, port(source_port)?))))
}

fn v2(bytes: &[u8]) -> Result<Step, Malformed> {
    let &[.., version_command, family, high, low] = bytes.get(..V2_HEAD_BYTES).unwrap_or_default() else {
        return Ok(Step::More(V2_HEAD_BYTES - bytes.len()));
    };
    if !matches!(version_command, 0x20 | 0x21) {
        return Err(Malformed("the PROXY header has an unknown version or command"));
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > V2_BODY_BYTES_MAX {
        return Err(Malformed("the PROXY header is longer than 4 KiB"));
    }
    let body = &bytes[V2_HEAD_BYTES..];
    if body.len() < length {
        return Ok(Step::More(length - body.len()));
    }
    const SHORT: Malformed = Malformed("the PROXY header of version 2 has no room for its addresses");
    let is_local = version_command == 0x20;
    let source = match (is_local, family) {
        (true, _) => None,
        // TCP over IPv4 and IPv6: source, destination, their ports.
        (false, 0x11) => {
            let &[a, b, c, d, _, _, _, _, high, low, ..] = body.get(..12).ok_or(SHORT)? else { return Err(SHORT) };
            Some(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), u16::from_be_bytes([high, low])))
        }
        (false, 0x21) => {
            let addresses = body.get(..36).ok_or(SHORT)?;
            let source: [u8; 16] = addresses[..16].try_into().map_err(|_| SHORT)?;
            Some(SocketAddr::new(Ipv6Addr::from(source).into(), u16::from_be_bytes([addresses[32], addresses[33]])))
        }
        // Not named, a unix socket, or datagrams: the header is skipped, as section 2.2 asks for.
        (false, _) => None,
    };
    Ok(Step::Done(source))
}

/// What came instead of the first byte of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A header: the client, or `None` where the peer of the socket is the client itself.
    Header(Option<SocketAddr>),
    /// The connection was closed without a word.
    Nothing,
}

/// Reads the header of a connection, and nothing behind it.
///
/// # Errors
/// `InvalidData` with a [`Malformed`], or what reading failed with.
pub async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Received> {
    let mut header = Vec::new();
    loop {
        match step(&header).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))? {
            Step::Done(source) => return Ok(Received::Header(source)),
            Step::More(_) if header.is_empty() => match stream.read_u8().await {
                Ok(byte) => header.push(byte),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Received::Nothing),
                Err(error) => return Err(error),
            },
            Step::More(bytes) => {
                let start = header.len();
                header.resize(start + bytes, 0);
                stream.read_exact(&mut header[start..]).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    fn header(family: u8, command: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [V2_SIGNATURE.as_slice(), &[command, family], &length, body].concat()
    }

    /// What a header says, read to its end; `behind` are the bytes that it leaves.
    fn read(bytes: &[u8]) -> Result<(Option<SocketAddr>, usize), Malformed> {
        let mut length = 0;
        loop {
            match step(&bytes[..length])? {
                Step::Done(source) => return Ok((source, bytes.len() - length)),
                Step::More(more) if length + more > bytes.len() => return Err(Malformed("cut off")),
                Step::More(more) => length += more,
            }
        }
    }

    fn check(bytes: &[u8], expected: &str) {
        let got = match read(bytes) {
            Ok((source, left)) => format!("{} {left}", source.map_or("-".to_owned(), |it| it.to_string())),
            Err(Malformed(why)) => format!("refused: {why}"),
        };
        assert!(got.starts_with(expected), "{:?}: {got}", bytes.escape_ascii().to_string());
    }

    #[test]
    fn version_1() {
        check(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\nline\n", "192.0.2.1:56324 5");
        check(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", "[2001:db8::1]:1 0");
        let longest = format!("PROXY TCP6 {0} {0} 65535 65535\r\nx", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        check(longest.as_bytes(), "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 1");
        check(b"PROXY UNKNOWN\r\n", "- 0");
        check(b"PROXY UNKNOWN whatever it says\r\nab", "- 2");
        for bad in [
            &b"PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n"[..],
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 \r\n",
            b"PROXY TCP4  192.0.2.1 198.51.100.1 56324 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 65536 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 +1 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.1 01 443\r\n",
            b"PROXY TCP4 192.0.2.256 198.51.100.1 1 443\r\n",
            b"PROXY TCP4 ::1 ::1 1 443\r\n",
            b"PROXY TCP6 192.0.2.1 198.51.100.1 1 443\r\n",
            b"PROXY UDP4 192.0.2.1 198.51.100.1 1 443\r\n",
            b"PROXY UNKNOWNS\r\n",
            b"PROXY TCP4 192.0.2.1 \xff 1 443\r\n",
        ] {
            check(bad, "refused: the PROXY header of version 1 is malformed");
        }
        check(&[b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat(), "refused: the PROXY header has no end");
        check(b"PROXY TCP4 192.0.2.1", "refused: cut off");
        check(b"PROXYX and what follows", "refused: there is no PROXY header");
        check(b"GET / HTTP/1.1\r\n", "refused: there is no PROXY header");
    }

    #[test]
    fn version_2() {
        let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 4, 1, 187];
        let v6 = [&Ipv6Addr::LOCALHOST.octets()[..], &Ipv6Addr::UNSPECIFIED.octets(), &[0, 7, 0, 8]].concat();
        check(&header(0x11, 0x21, &v4), "192.0.2.1:56324 0");
        check(
            &[header(0x11, 0x21, &[&v4[..], b"extensions"].concat()), b"line\n".to_vec()].concat(),
            "192.0.2.1:56324 5",
        );
        check(&header(0x21, 0x21, &v6), "[::1]:7 0");
        check(&header(0x11, 0x20, &v4), "- 0");
        check(&header(0, 0x20, &[]), "- 0");
        check(&header(0, 0x21, &[]), "- 0");
        check(&header(0x31, 0x21, &[0; 216]), "- 0");
        check(&header(0x12, 0x21, &v4), "- 0");
        check(&header(0x11, 0x21, &v4[..11]), "refused: the PROXY header of version 2 has no room");
        check(&header(0x21, 0x21, &v4), "refused: the PROXY header of version 2 has no room");
        check(&header(0x11, 0x22, &v4), "refused: the PROXY header has an unknown");
        check(&header(0x11, 0x11, &v4), "refused: the PROXY header has an unknown");
        check(&header(0x11, 0x21, &[0; V2_BODY_BYTES_MAX]), "0.0.0.0:0 0");
        check(&header(0x11, 0x21, &[0; V2_BODY_BYTES_MAX + 1]), "refused: the PROXY header is longer");
        check(&V2_SIGNATURE[..9], "refused: cut off");
        check(b"\r\n\r\n\0\r\nQUIT! and", "refused: there is no PROXY header");
    }

    fn any_header() -> impl Strategy<Value = Vec<u8>> {
        let address = any::<[u8; 4]>().prop_map(Ipv4Addr::from);
        let v1 = (address.clone(), address, any::<u16>(), any::<u16>())
            .prop_map(|(a, b, c, d)| format!("PROXY TCP4 {a} {b} {c} {d}\r\n").into_bytes());
        let v2 = (any::<u8>(), 0x20..=0x21_u8, proptest::collection::vec(any::<u8>(), 0..80))
            .prop_map(|(family, command, body)| header(family, command, &body));
        prop_oneof![v1, v2]
    }

    proptest! {
        /// Any bytes: no panic, and what is asked for is bounded.
        #[test]
        fn any_bytes(start in 0..3, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let start = [&b""[..], b"PROXY ", V2_SIGNATURE][start as usize];
            let bytes = [start, &bytes].concat();
            for end in 0..=bytes.len() {
                if let Ok(Step::More(more)) = step(&bytes[..end]) {
                    prop_assert!(more > 0 && end + more <= V2_HEAD_BYTES + V2_BODY_BYTES_MAX);
                }
            }
        }

        /// However it arrives, the same is read, and nothing behind it.
        #[test]
        fn any_split(header in any_header(), cuts in proptest::collection::vec(1..40_usize, 1..20)) {
            let whole = [&header[..], b"behind"].concat();
            let expected = read(&whole).ok();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let got = runtime.block_on(async {
                let (mut client, mut server) = tokio::io::duplex(16);
                let send = async {
                    let mut rest = &whole[..];
                    for cut in cuts.iter().cycle() {
                        let (now, later) = rest.split_at((*cut).min(rest.len()));
                        // The other side may have refused it.
                        if now.is_empty() || client.write_all(now).await.is_err() {
                            break;
                        }
                        tokio::task::yield_now().await;
                        rest = later;
                    }
                    drop(client);
                };
                let receive = async {
                    let Ok(Received::Header(source)) = receive(&mut server).await else { return None };
                    let mut behind = Vec::new();
                    server.read_to_end(&mut behind).await.unwrap();
                    Some((source, behind.len()))
                };
                tokio::join!(send, receive).1
            });
            prop_assert_eq!(got, expected);
        }
    }
}
