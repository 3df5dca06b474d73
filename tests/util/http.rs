//! An HTTP/1.1 client that sends whatever bytes it is told to.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// One connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its number.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// All of it.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    /// Connects to `host:port`.
    pub fn connect(address: &str) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Client { stream, buffer: Vec::new() }
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Nothing more is sent.
    pub fn end(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// A request with a body, and its answer.
    pub fn request(&mut self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{line} HTTP/1.1\r\nhost: logboom\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        // The connection may be closed before all was sent, and the answer be there all the same.
        let _ = self.write(&[head.as_bytes(), b"\r\n", body].concat());
        self.answer().unwrap()
    }

    /// An export.
    pub fn export(&mut self, content_type: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let headers: Vec<_> = [("content-type", content_type)].into_iter().chain(headers.iter().copied()).collect();
        self.request("POST /v1/logs", &headers, body)
    }

    /// The next answer; `None` when the connection ends before there is one.
    pub fn answer(&mut self) -> Option<Answer> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|it| it == b"\r\n\r\n") {
                let head = String::from_utf8(self.buffer[..end].to_vec()).unwrap();
                let mut lines = head.split("\r\n");
                let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
                let headers = lines.map(|line| {
                    let (name, value) = line.split_once(':').unwrap();
                    (name.to_ascii_lowercase(), value.trim().to_owned())
                });
                let mut answer = Answer { status, headers: headers.collect(), body: Vec::new() };
                let length = answer.header("content-length").map_or(0, |it| it.parse::<usize>().unwrap());
                while self.buffer.len() < end + 4 + length {
                    self.more()?;
                }
                answer.body = self.buffer[end + 4..end + 4 + length].to_vec();
                self.buffer.drain(..end + 4 + length);
                return Some(answer);
            }
            self.more()?;
        }
    }

    /// Waits until the other side has closed.
    pub fn closed(&mut self) -> bool {
        while self.more().is_some() {}
        true
    }

    fn more(&mut self) -> Option<()> {
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes) {
            Ok(0) => None,
            Ok(length) => {
                self.buffer.extend_from_slice(&bytes[..length]);
                Some(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("no answer for a minute"),
            Err(_) => None,
        }
    }
}
