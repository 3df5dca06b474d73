//! The page of the admin listener as a browser and its enemies meet it, over real sockets and against the built binary.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod util;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use serde_json::Value;
use util::{Server, eventually};

const YAML: &str = "sources: {mesh: {type: lines, listen: 127.0.0.1:0}, otlp: {type: otlp, grpc: 127.0.0.1:0}}\n\
    sinks: {files: {type: 'null'}}";

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

fn ask(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut stream = TcpStream::connect(server.admin()).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "{method} {path} HTTP/1.1\r\n{headers}\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

fn get(server: &Server, path: &str) -> Answer {
    ask(server, "GET", path, &[("host", "localhost:9464")])
}

/// Every path that the page refers to, from the page on.
fn parts(server: &Server) -> Vec<String> {
    let mut paths = vec!["/".to_owned()];
    let mut at = 0;
    while at < paths.len() {
        let text = get(server, &paths[at]).body;
        let own = text.split(['"', '\'']).filter_map(|word| {
            let name = word.strip_prefix("/ui/").or_else(|| word.strip_prefix("./"))?;
            Some(format!("/ui/{name}"))
        });
        for path in own {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        at += 1;
    }
    paths
}

/// Guarantee: the page and all it is made of come from here, with headers that let nothing else in.
#[test]
fn the_page_is_whole_and_strict() {
    let server = Server::start(YAML);
    let paths = parts(&server);
    assert!(paths.len() > 20, "{paths:?}");
    for path in &paths {
        let answer = get(&server, path);
        assert_eq!(answer.status, 200, "{path}");
        let kind = match path.rsplit_once('.').map(|(_, ending)| ending) {
            None => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some(other) => panic!("{other}"),
        };
        assert_eq!(answer.header("content-type"), Some(kind), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
    for path in ["/", "/ui/main.js", "/api/health", "/api/traffic", "/status", "/metrics", "/nothing"] {
        let answer = get(&server, path);
        let content = answer.header("content-security-policy").unwrap();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(content.split("; ").any(|it| it == rule), "{path}: {rule} in {content}");
        }
        assert!(!content.contains("unsafe"), "{content}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"), "{path}");
        assert!(!answer.head.to_ascii_lowercase().contains("access-control-"), "{path} allows other origins");
    }
    assert!(server.stop().stderr.contains("ready"));
}

/// Guarantee: nothing on this port changes anything.
#[test]
fn only_reading() {
    let server = Server::start(YAML);
    for path in ["/", "/ui/main.js", "/api/health", "/api/traffic", "/api/edge", "/api/tap", "/status", "/metrics"] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            assert_eq!(ask(&server, method, path, &[("host", "localhost")]).status, 405, "{method} {path}");
        }
    }
    for path in ["/api/reload", "/api/drain", "/ui/", "/ui/../ui/main.js", "/ui/%2e%2e/main.js", "/ui/nothing.js"] {
        for method in ["GET", "POST"] {
            assert_eq!(ask(&server, method, path, &[("host", "localhost")]).status, 404, "{method} {path}");
        }
    }
    assert_eq!(ask(&server, "HEAD", "/", &[("host", "localhost")]).body, "");
}

/// Guarantee: a program that asks for data gets JSON, whatever is wrong with what it asks.
#[test]
fn refusals_of_data_are_json() {
    let server = Server::start(YAML);
    let check = |method: &str, path: &str, status: u16| {
        let answer = ask(&server, method, path, &[("host", "localhost")]);
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{method} {path}");
        let said: Value = serde_json::from_str(&answer.body).unwrap();
        assert!(said["error"].is_string() && said["help"].is_string(), "{method} {path}: {said}");
        answer
    };
    check("GET", "/api/nothing", 404);
    check("GET", "/api/", 404);
    check("GET", "/api/reload", 404);
    assert_eq!(check("POST", "/api/health", 405).header("allow"), Some("GET,HEAD"));
    check("GET", "/api/traffic?window=long", 400);
    for (path, status) in [("/nothing", 404), ("/apix", 404)] {
        let answer = ask(&server, "GET", path, &[("host", "localhost")]);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some("text/plain; charset=utf-8")),
            "{path}"
        );
        assert!(answer.body.starts_with("nothing here; there are /, "), "{}", answer.body);
    }
    server.stop().assert_clean();
}

/// Scenario: the page of another site lets a name of its own lead here, or asks across sites. Guarantee: it gets
/// nothing, and an operator who is meant is told what to do; probes and scrapers come under any name.
#[test]
fn other_sites_get_nothing() {
    let server = Server::start(YAML);
    let from = |path: &str, headers: &[(&str, &str)]| ask(&server, "GET", path, headers);
    for path in ["/", "/ui/main.js", "/status", "/api/health", "/api/traffic", "/api/edge?service=web", "/api/tap"] {
        let answer = from(path, &[("host", "rebound.evil.example:9464")]);
        assert_eq!(answer.status, 421, "{path}");
        assert!(answer.body.contains("admin: {hosts: [NAME]}"), "{}", answer.body);
    }
    for path in ["/status", "/api/health", "/api/traffic", "/api/edge?service=web", "/api/tap"] {
        for site in ["cross-site", "same-site"] {
            let answer = from(path, &[("host", "localhost"), ("sec-fetch-site", site)]);
            assert_eq!(answer.status, 403, "{path}");
            assert!(serde_json::from_str::<Value>(&answer.body).unwrap()["error"].is_string());
        }
    }
    for site in ["same-origin", "none"] {
        assert_eq!(from("/api/health", &[("host", "localhost"), ("sec-fetch-site", site)]).status, 200);
    }
    // Somebody has sent a link to it.
    assert_eq!(from("/", &[("host", "localhost"), ("sec-fetch-site", "cross-site")]).status, 200);
    for path in ["/metrics", "/livez", "/readyz"] {
        assert_eq!(from(path, &[("host", "logboom.logboom.svc:9464")]).status, 200, "{path}");
    }
}

#[test]
fn names_are_configured() {
    let named = |hosts: &str| format!("{YAML}\nadmin: {{listen: 127.0.0.1:0, hosts: {hosts}}}");
    let server = Server::start(&named("[logboom.example.org]"));
    assert_eq!(ask(&server, "GET", "/", &[("host", "LOGBOOM.example.org:8443")]).status, 200);
    assert_eq!(ask(&server, "GET", "/", &[("host", "example.org")]).status, 421);
    for bad in ["['*.example.org']", "['logboom.example.org:9464']", "['https://x.org']", "['']"] {
        let refused = Server::refused(&named(bad));
        assert_eq!(refused.code, 2, "{bad}: {}", refused.stderr);
        assert!(refused.stderr.contains("is not the name of a host"), "{}", refused.stderr);
    }
}

/// Guarantee: before there is traffic the page can say where to send it.
#[test]
fn addresses_are_told() {
    let server = Server::start(YAML);
    let health: Value = serde_json::from_str(&get(&server, "/api/health").body).unwrap();
    for source in ["mesh", "otlp"] {
        assert_eq!(health["sources"][source]["listen"], serde_json::json!([server.address(source)]));
    }
}

/// Scenario: as many as may watch records do, and do not read, and others connect and say nothing. Guarantee: probes
/// are answered all the same, one more who wants to watch is told so, and who leaves makes room.
#[test]
fn watchers_starve_nobody() {
    let server = Server::start(YAML);
    let watch = || {
        let mut stream = TcpStream::connect(server.admin()).unwrap();
        write!(stream, "GET /api/tap?rate=100000 HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        stream
    };
    let watching = || server.status()["watching"].as_u64().unwrap();
    let mut watchers: Vec<TcpStream> = (0..8).map(|_| watch()).collect();
    eventually("all watch", || watching() == 8);
    let _silent: Vec<TcpStream> = (0..16).map(|_| TcpStream::connect(server.admin()).unwrap()).collect();
    server.send("mesh", &b"GET / 200\n".repeat(100_000));
    for _ in 0..20 {
        assert_eq!(get(&server, "/livez").body, "alive\n");
        assert_eq!(get(&server, "/metrics").status, 200);
    }
    let refused = get(&server, "/api/tap");
    assert_eq!(refused.status, 503);
    assert!(refused.body.contains("watch already"), "{}", refused.body);
    for gone in watchers.drain(..4) {
        gone.shutdown(Shutdown::Both).unwrap();
    }
    eventually("who leaves is not counted any more", || watching() == 4);
}
