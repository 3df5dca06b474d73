//! Configurations, right and wrong, as a user writes them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

use logboom::config::units::{ByteSize, WaitMax};
use logboom::config::{Config, Draft};
use proptest::prelude::*;
use serde_json::Value;

/// A frame that is right, so that a case shows only its mistake. It takes four lines.
const SOURCE: &str = "sources:\n  mesh: {type: lines, listen: \"127.0.0.1:5000\"}\n";
const SINK: &str = "sinks:\n  out: {type: stdout}\n";

/// Refused, and every fragment is in what the user reads.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let shown = match Config::from_text("logboom.yaml", text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(errors) => errors.to_string(),
    };
    for fragment in expected {
        assert!(shown.contains(fragment), "{fragment:?} is missing for:\n{text}\n---\n{shown}");
    }
}

#[track_caller]
fn accept(text: &str) -> logboom::config::Checked {
    Config::from_text("logboom.yaml", text).unwrap_or_else(|errors| panic!("{text}\n---\n{errors}"))
}

/// The source and sink of the frame with one more top-level line, which is line 5.
#[track_caller]
fn check_top(line: &str, expected: &[&str]) {
    check(&format!("{SOURCE}{SINK}{line}\n"), expected);
}

/// Keys of a lines source; the first is on line 4.
#[track_caller]
fn check_lines(keys: &str, expected: &[&str]) {
    check(&format!("sources:\n  mesh:\n    type: lines\n    {keys}\n{SINK}"), expected);
}

/// Keys of an OTLP source; the first is on line 5.
#[track_caller]
fn check_otlp_source(keys: &str, expected: &[&str]) {
    check(&format!("sources:\n  otlp:\n    type: otlp\n    grpc: 127.0.0.1:4317\n    {keys}\n{SINK}"), expected);
}

/// Keys of a sink; the first is on line 6.
#[track_caller]
fn check_sink(kind: &str, keys: &str, expected: &[&str]) {
    check(&format!("{SOURCE}sinks:\n  s:\n    type: {kind}\n    {keys}\n"), expected);
}

#[test]
fn what_is_not_yaml() {
    check("", &["logboom.yaml: the configuration is empty"]);
    check("# nothing\n", &["the configuration is empty"]);
    check("a: [", &["logboom.yaml:1:", "not YAML"]);
    check("sources:\n\tmesh: x", &["logboom.yaml:2:", "not YAML"]);
    check("a: 'x", &["not YAML"]);
    check("a: 1\n---\nb: 2\n", &["logboom.yaml:2:1", "a second document"]);
    check("a: !secret x", &["logboom.yaml:1:", "tags have no meaning here"]);
    check("{[a]: b}", &["a key must be a word"]);
    check("a: *nowhere", &["not YAML"]);
    check("a: &a [*a]", &["an alias cannot stand inside what it refers to"]);
    check("just text", &["a configuration is a mapping"]);
    check("- a\n- b\n", &["a configuration is a mapping"]);
    check(&"[".repeat(10_000), &["not YAML"]);
    check(&"a: ".repeat(10_000), &["not YAML"]);
    check(&"x".repeat((1 << 20) + 1), &["at most 1048576 bytes"]);
}

#[test]
fn aliases_are_bounded() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    check(&bomb, &["too large once its aliases are expanded"]);
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 10_000].join(", "));
    check(&text, &["too large once its aliases are expanded"]);
}

#[test]
fn an_alias_is_what_it_refers_to() {
    let checked = accept(
        "sources:\n  mesh: {type: lines, listen: 127.0.0.1:5000}\nsinks:\n  a: {type: \"null\", inbox: &i 2MiB}\n  b: {type: stdout, inbox: *i}\n",
    );
    assert_eq!(checked.config().sinks["b"].inbox, Some(ByteSize::mib(2)));
}

#[test]
fn keys() {
    check("sinks: {}\n", &["missing key `sources`"]);
    check(&format!("{SOURCE}sinks: {{}}\n"), &["logboom.yaml:3:1", "no sink"]);
    check(&format!("sources:\n{SINK}"), &["logboom.yaml:1:1", "a mapping of names is needed here"]);
    check(&format!("{SOURCE}sinks: [out]\n"), &["logboom.yaml:3:1", "a mapping of names is needed here"]);
    check(&format!("{SOURCE}{SINK}sinks: {{}}\n"), &["logboom.yaml:5:1", "the key `sinks` is written twice"]);
    check_top("memroy: 64MiB", &["logboom.yaml:5:1", "unknown key `memroy`", "did you mean `memory`?"]);
    check_top("admin: {listn: 'off'}", &["logboom.yaml:5:9", "did you mean `listen`?"]);
    check_top("admin: 5", &["logboom.yaml:5:8", "a mapping (`key: value`) is needed here, found a single value"]);
    check_top("admin:", &["logboom.yaml:5:1", "found nothing"]);
    check_top("<<: {}", &["logboom.yaml:5:1", "unknown key `<<`"]);
    check_lines("lsiten: 127.0.0.1:1", &["logboom.yaml:4:5", "`lsiten`", "did you mean `listen`?", "connections_max"]);
    check_lines("format: raw", &["logboom.yaml:2:3", "missing key `listen`"]);
    check_sink("file", "path: a\n    path: b", &["logboom.yaml:7:5", "written twice"]);
    check_sink(
        "file",
        "path: a\n    rotate: {sizes: 1MiB}",
        &["logboom.yaml:7:14", "did you mean `size`? accepted: size, every"],
    );
    check_sink("file", "inbox: 1MiB", &["logboom.yaml:4:3", "missing key `path`"]);
    check_sink(
        "\"null\"",
        "path: x",
        &["logboom.yaml:6:5", "unknown key `path`", "accepted: type, from, when, sample, inbox, wait_max"],
    );
    check(
        &format!("{SOURCE}sinks:\n  s: {{encoding: json}}\n"),
        &["logboom.yaml:4:3", "missing key `type`", "file, stdout"],
    );
    check_sink("fiel", "path: a", &["logboom.yaml:5:11", "unknown type `fiel`", "did you mean `file`?"]);
    check(
        &format!("sources:\n  als: {{type: als, grpc: 127.0.0.1:1}}\n{SINK}"),
        &["logboom.yaml:2:15", "unknown type `als`", "write `type: otlp` with `grpc:`"],
    );
    check_sink("[file]", "path: a", &["logboom.yaml:5:5", "the type is one word"]);
}

#[test]
fn types() {
    check_lines("listen: 127.0.0.1:1\n    connections_max: many", &["logboom.yaml:5:22", "a whole number", "`many`"]);
    check_lines("listen: 127.0.0.1:1\n    connections_max: \"5\"", &["logboom.yaml:5:22", "without quotes"]);
    check_lines("listen: 127.0.0.1:1\n    connections_max: -1", &["logboom.yaml:5:22", "`-1`"]);
    check_lines("listen: 127.0.0.1:1\n    connections_max: 1e3", &["logboom.yaml:5:22", "`1e3`"]);
    check_lines("listen: 127.0.0.1:1\n    connections_max: 1_000", &["logboom.yaml:5:22", "`1_000`"]);
    check_lines("listen: 127.0.0.1:1\n    connections_max: 0x10", &["logboom.yaml:5:22", "`0x10`"]);
    check_lines("listen: 127.0.0.1:1\n    connections_max: 99999999999", &["logboom.yaml:5:22"]);
    check_lines("listen: [127.0.0.1:1]", &["logboom.yaml:4:13", "a text is needed here, found a list"]);
    check_lines("listen: ~", &["logboom.yaml:4:5", "a text is needed here, found nothing"]);
    check_lines(
        "listen: 127.0.0.1:1\n    format: jason",
        &["logboom.yaml:5:13", "unknown value `jason`", "did you mean `json`?"],
    );
    check_top("memory: lots", &["logboom.yaml:5:9", "'lots' is not a size", "64MiB"]);
    check_top("memory: 64 MiB", &["logboom.yaml:5:9", "'64 MiB' is not a size"]);
    check_top("memory: 6.4e7", &["'6.4e7' is not a size"]);
    check_top("memory: -1", &["'-1' is not a size"]);
    check_top("memory: [64MiB]", &["logboom.yaml:5:9", "found a list"]);
    check_top("shutdown: {grace: 8}", &["logboom.yaml:5:19", "'8' is not a duration", "10s"]);
    check_sink("stdout", "wait_max: never", &["logboom.yaml:6:15", "'never' is not a duration", "or 'forever'"]);
    check_sink("stdout", "from: mesh", &["logboom.yaml:6:11", "a list is needed here", "`[one, two]`"]);
    check_sink("stdout", "from: [[mesh]]", &["logboom.yaml:6:12", "a text is needed here, found a list"]);
    check_sink("file", "path: a\n    mode: 0755", &["logboom.yaml:7:11", "'0755' is not a file mode", "\"0640\""]);
    check_sink("file", "path: a\n    mode: rw", &["'rw' is not a file mode"]);
    check_sink("file", "path: a\n    sync: sometimes", &["'sometimes' is not a sync policy"]);
    check_sink("file", "path: a\n    keep: {files: few}", &["logboom.yaml:7:19", "a whole number"]);
    check_sink("otlp", "endpoint: {a: b}", &["logboom.yaml:6:5", "an endpoint or a list of endpoints"]);
}

#[test]
fn octal_modes_and_bare_sizes_are_read_as_meant() {
    let checked = accept(&format!("{SOURCE}sinks:\n  f: {{type: file, path: a, mode: 0600}}\nmemory: 104857600\n"));
    let logboom::sink::SinkKind::File(file) = &checked.config().sinks["f"].kind else { panic!("a file") };
    assert_eq!(file.mode.0, 0o600);
    assert_eq!(checked.config().memory.0, 100 << 20);
    // An unquoted null is the sink, not nothing; and `no` is a text where a text is needed.
    accept("sources:\n  mesh: {type: lines, listen: no:5000}\nsinks:\n  n: {type: null}\n");
}

#[test]
fn redaction() {
    check_top("redact: {qeury: [a]}", &["logboom.yaml:5:10", "unknown key `qeury`", "query"]);
    check_top("redact: {mask_ip: 5}", &["logboom.yaml:5:"]);
    check_top("redact: {query: ['a=b']}", &["logboom.yaml:5:18", "`a=b` is not a name"]);
    check_top("redact: {headers: ['']}", &["logboom.yaml:5:", "is not a name"]);
    accept(&format!("{SOURCE}redact: {{query: [token], mask_ip: true}}\nsinks: {{s: {{type: stdout}}}}\n"));
}

#[test]
fn conditions_and_samples() {
    let place = "logboom.yaml:6:11";
    check_sink("stdout", "when: 'statsu > 1'", &[place, "there is no `statsu`", "did you mean `status`?"]);
    check_sink("stdout", "when: status", &[place, "a number, not true or false"]);
    check_sink("stdout", "when: status >= 500 &&", &[place, "at character 17", "not CEL"]);
    check_sink("stdout", "when: ''", &[place, "empty"]);
    check_sink("stdout", "sample: 2/3", &["logboom.yaml:6:13", "write 1/N"]);
    check_sink("stdout", "sample: 0/5", &["logboom.yaml:6:13", "write 1/N"]);
    accept(&format!("{SOURCE}sinks: {{s: {{type: stdout, when: 'status >= 500', sample: 1/20}}}}\n"));
}

#[test]
fn the_journal() {
    check_top(
        "journal: {}",
        &["logboom.yaml:5:1", "missing key `dir`", "write a directory, such as `dir: data/journal`"],
    );
    check_top("journal: {dir: data, max: 99999999999GiB}", &["logboom.yaml:5:27", "is too large", "17179869183GiB"]);
    check_top("journal: {dir: data, max: 1MiB}", &["logboom.yaml:5:27", "1MiB is not enough", "max: 16MiB"]);
    check_top("journal: {dir: '', max: 1GiB}", &["logboom.yaml:5:16", "no name"]);
    check_top("journal: {dir: data, mode: memory}", &["logboom.yaml:5:28", "buffered", "durable"]);
    let checked =
        accept(&format!("{SOURCE}journal: {{dir: data}}\nsinks: {{s: {{type: otlp, endpoint: http://a:1}}}}\n"));
    assert_eq!(checked.wait_max("s"), WaitMax::Forever);
}

#[test]
fn inherited_sockets() {
    check_lines("listen: 'systemd:'", &["logboom.yaml:4:13", "FileDescriptorName"]);
    accept(
        "sources:\n  mesh: {type: lines, listen: systemd:mesh}\n  otlp: {type: otlp, grpc: systemd:otlp}\n\
         sinks: {s: {type: stdout}}\nadmin: {listen: systemd:admin}\n",
    );
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    let later = "not supported by this version yet";
    check_lines("listen: 127.0.0.1:1\n    tls: {cert: a, key: b}", &["logboom.yaml:5:5", later]);
    check_otlp_source("tls: {}", &["logboom.yaml:5:5", later]);
    check_otlp_source("auth: {bearer: [canary]}", &["logboom.yaml:5:5", later]);
    check_sink(
        "otlp",
        "endpoint: http://a:1\n    protocol: http",
        &["logboom.yaml:7:15", "the protocol `http`", later],
    );
}

#[test]
fn limits() {
    check_lines("listen: 127.0.0.1:1\n    line_max: 1", &["logboom.yaml:5:15", "1B is out of range", "1KiB to 64MiB"]);
    check_lines("listen: 127.0.0.1:1\n    line_max: 1GiB", &["1GiB is out of range"]);
    check_lines(
        "listen: 127.0.0.1:1\n    line_max: 16MiB",
        &["logboom.yaml:5:15", "more than an eighth", "at most 8MiB"],
    );
    check_lines("listen: 127.0.0.1:1\n    connections_max: 0", &["0 is out of range", "1 to 100000"]);
    check_otlp_source("message_max: 65MiB", &["logboom.yaml:5:18", "65MiB is out of range"]);
    check_otlp_source("message_max: 56MiB", &["64MiB is not enough", "64MiB to read and decode in", "`memory: 65MiB`"]);
    check_otlp_source("records_max: 0", &["1 to 1000000"]);
    check_otlp_source("records_max: 1000001", &["1 to 1000000"]);
    check_otlp_source("connections_max: 100001", &["1 to 100000"]);
    check_sink("stdout", "inbox: 1023KiB", &["logboom.yaml:6:12", "1023KiB is out of range"]);
    check_sink("stdout", "inbox: 57MiB", &["64MiB is not enough", "together at least 57MiB", "`memory: 65MiB`"]);
    check_top("memory: 8MiB", &["logboom.yaml:5:9", "8MiB is not enough", "`memory: 9MiB`"]);
    check_top("shutdown: {grace: 99ms}", &["logboom.yaml:5:19", "100ms to 10m"]);
    check_top("shutdown: {grace: 11m}", &["100ms to 10m"]);
    for (keys, column) in [
        ("rotate: {size: 0}", 20),
        ("rotate: {every: 0s}", 21),
        ("keep: {files: 0}", 19),
        ("keep: {age: 0s}", 17),
        ("keep: {bytes: 0}", 19),
    ] {
        check_sink("file", &format!("path: a\n    {keys}"), &[&format!("logboom.yaml:7:{column}"), "out of range"]);
    }
    check_sink("file", "path: a\n    open_max: 0", &["out of range"]);
    check_sink("file", "path: a\n    sync: 0s", &["'0s' is not a sync policy"]);
    let many: String = (0..300).map(|n| format!("  s{n}: {{type: \"null\"}}\n")).collect();
    check(&format!("{SOURCE}sinks:\n{many}"), &["300 sinks are too many", "at most 256"]);
}

#[test]
fn names_and_references() {
    check(
        "sources:\n  my mesh: {type: lines, listen: 127.0.0.1:1}\nsinks: {}\n",
        &["logboom.yaml:2:3", "`my mesh` is not a name for a source"],
    );
    check(&format!("{SOURCE}sinks:\n  \"\": {{type: stdout}}\n"), &["is not a name for a sink"]);
    check_sink("stdout", "from: [mesch]", &["logboom.yaml:6:12", "there is no source `mesch`", "did you mean `mesh`?"]);
    check_sink("stdout", "from: []", &["logboom.yaml:6:5", "a list of no sources"]);
    check(&format!("{SOURCE}{SINK}  two: {{type: stdout}}\n"), &["logboom.yaml:5:3", "written by sink `out` already"]);
    check(
        &format!("{SOURCE}sinks:\n  a: {{type: file, path: logs/a.log}}\n  b: {{type: file, path: ./logs//a.log}}\n"),
        &["logboom.yaml:5:25", "is written by sink `a` too"],
    );
    let checked = accept(
        "sources:\n  a: {type: lines, listen: 127.0.0.1:1}\n  b: {type: lines, listen: 127.0.0.1:2}\nsinks:\n  s: {type: stdout, from: [a]}\n",
    );
    assert_eq!(checked.warnings(), ["sources.b: no sink takes its records, they are counted and dropped"]);
}

#[test]
fn addresses() {
    check_lines("listen: 5000", &["logboom.yaml:4:13", "'5000' is not a host and port"]);
    check_lines("listen: unix:relative", &["is not a unix socket"]);
    check(
        "sources:\n  o: {type: otlp, grpc: 'unix:/a'}\nsinks:\n  s: {type: stdout}\n",
        &["logboom.yaml:2:25", "only `lines` sources"],
    );
    check_top("admin: {listen: nowhere}", &["logboom.yaml:5:17", "'nowhere' is not a host and port", "or off"]);
    check_top("admin: {listen: 'localhost:5000'}", &["logboom.yaml:5:17", "taken by sources.mesh.listen"]);
    check(
        "sources:\n  a: {type: lines, listen: 0.0.0.0:5000}\n  b: {type: otlp, grpc: 127.0.0.1:5000}\nsinks:\n  s: {type: stdout}\n",
        &["logboom.yaml:3:25", "taken by sources.a.listen"],
    );
    check_top(
        "takeover: {socket: rel.sock}",
        &["logboom.yaml:5:20", "'rel.sock' is not the absolute path", "without `unix:`"],
    );
    check_top("takeover: {socket: 'unix:/run/a.sock'}", &["logboom.yaml:5:20", "is an address", "such as /run/a.sock"]);
    check_top(&format!("takeover: {{socket: /{}}}", "x".repeat(107)), &["logboom.yaml:5:20", "at most 107 bytes"]);
    check_top("takeover: {}", &["logboom.yaml:5:1", "missing key `socket`", "`socket: /run/logboom/takeover.sock`"]);
    let http = |address: &str, expected: &[&str]| check_otlp_source(&format!("http: {address}"), expected);
    http("'unix:/a'", &["logboom.yaml:5:11", "only `lines` sources"]);
    http("4318", &["logboom.yaml:5:11", "'4318' is not a host and port"]);
    http("127.0.0.1:4317", &["logboom.yaml:5:11", "taken by sources.otlp.grpc"]);
    check(
        &format!("sources:\n  o: {{type: otlp}}\n{SINK}"),
        &["logboom.yaml:2:3", "listens on `grpc` or `http`", "`http: 127.0.0.1:4318`, or both"],
    );
    for places in ["grpc: 127.0.0.1:1", "http: 127.0.0.1:1", "grpc: 127.0.0.1:1, http: 127.0.0.1:2"] {
        accept(&format!("sources:\n  o: {{type: otlp, {places}}}\n{SINK}"));
    }
    let open = accept("sources:\n  a: {type: lines, listen: 0.0.0.0:5000}\nsinks:\n  s: {type: stdout}\n");
    assert_eq!(open.warnings().len(), 1);
    assert!(open.warnings()[0].contains("sources.a.listen: 0.0.0.0:5000 is reachable from other machines"));
}

/// The rules are those of [`logboom::template`]; here is only that they are asked, and the place.
#[test]
fn paths() {
    let path = |path: &str, expected: &str| {
        check_sink("file", &format!("path: {path}"), &["logboom.yaml:6:11", expected]);
    };
    path("logs/", "does not end in a file name");
    path("logs/..", "does not end in a file name");
    path("'logs/{kuma.mesh}'", "must end in text with a dot");
    path("logs/a.log.gz", "as compressed and temporary files do");
    path("'{a}{b}{c}{d}/x.log'", "can grow beyond 200 bytes");
    path("'{a}/../x.log'", "does not end in a file name");
    path("'../{a}.log'", "contains '..'");
    path("'{a'", "the braces of '{a' do not match");
    path("\"a\\nb\"", "control characters");
    accept(&format!("{SOURCE}sinks:\n  s: {{type: file, path: 'logs/{{{{a}}}}/{{kuma.mesh}}.log'}}\n"));
}

#[test]
fn endpoints_and_headers() {
    let endpoint = |endpoint: &str, expected: &str| {
        check_sink("otlp", &format!("endpoint: {endpoint}"), &["logboom.yaml:6:15", expected]);
    };
    endpoint("collector", "needs the scheme http or https");
    endpoint("collector:4317", "needs the scheme");
    endpoint("ftp://collector:4317", "needs the scheme");
    endpoint("'http://'", "not a URL");
    endpoint("'http://:4317'", "no host");
    endpoint("'http://a b'", "not a URL");
    endpoint("http://collector:99999", "not a");
    endpoint("http://collector", "has no port");
    endpoint("http://collector:4317/v1/logs", "own path");
    endpoint("http://user:canary@collector:4317", "no place in an endpoint");
    check_sink("otlp", "endpoint: []", &["a list of no endpoints"]);
    check_sink("otlp", "endpoint: [http://a:1, b]", &["logboom.yaml:6:28", "needs the scheme"]);
    check_sink("otlp", "endpoint: http://a:1\n    tls: {ca: x}", &["logboom.yaml:6:15", "plaintext http"]);
    check_sink(
        "otlp",
        "endpoint: https://a:1\n    tls: {cert: x}",
        &["logboom.yaml:7:5", "a certificate needs its key"],
    );
    check_sink("otlp", "endpoint: http://a:1\n    timeout: 0s", &["logboom.yaml:7:14", "above zero"]);
    check_sink(
        "otlp",
        "endpoint: http://a:1\n    retry: {initial: 1m, max: 1s}",
        &["logboom.yaml:7:5", "longer than the longest"],
    );
    for name in ["a b", "grpc-timeout", "Content-Type", "key-bin", "''"] {
        check_sink(
            "otlp",
            &format!("endpoint: http://a:1\n    headers: {{{name}: x}}"),
            &["not a header that can be set"],
        );
    }
    check_sink("otlp", "endpoint: http://a:1\n    headers: {a: \"x\\ny\"}", &["control characters"]);
    check_sink("otlp", "endpoint: http://a:1\n    headers: {a: ä}", &["logboom.yaml:7:18", "not ASCII"]);
    check_sink("otlp", "endpoint: [https://a:1, http://b:1]", &["logboom.yaml:6:29", "http and https are mixed"]);
    check_sink(
        "otlp",
        "endpoint: https://a:1\n    tls: {server_name: a b}",
        &["logboom.yaml:7:24", "not a name that a certificate can carry"],
    );
}

#[test]
fn every_mistake_is_reported_at_once() {
    check(
        "sources:\n  a: {type: lines, listen: x, line_max: y, nope: 1}\n  b: {type: otlp}\nsinks:\n  c: {type: file, path: a, mode: z, rotate: {size: w, evry: 1d}}\n  d: {type: otlp, endpoint: q, from: [zz]}\nmemory: v\n",
        &[
            "`nope`",
            "'y' is not a size",
            "an otlp source listens on `grpc` or `http`",
            "'z' is not a file mode",
            "'w' is not a size",
            "`evry`",
            "needs the scheme",
            "no source `zz`",
            "'v' is not a size",
        ],
    );
}

/// Scenario: secrets in every place where a user might put one, and mistakes beside them.
/// Guarantees: no error shows a header, a password, or what came from a file.
#[test]
fn secrets_never_show() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    std::fs::write(&path, "canary\n").unwrap();
    let file = format!("${{file:{}}}", path.display());
    let long = dir.path().join("long");
    std::fs::write(&long, "canary".repeat(50)).unwrap();
    let long = format!("${{file:{}}}", long.display());
    let sink = |keys: &str| format!("{SOURCE}sinks:\n  s: {{type: otlp, endpoint: 'http://a:1', {keys}}}\n");
    for text in [
        sink("headers: {authorization: Bearer canary}, nope: 1"),
        sink("headers: {authorization: Bearer canary, authorization: canary}"),
        sink("headers: {authorization: [canary]}"),
        sink("headers: Bearer canary"),
        sink("headers: {a b: canary}"),
        sink("headers: {a: \"canary\\n\"}"),
        sink("heders: {authorization: canary}"),
        sink("authorization: canary"),
        sink("headers: {authorization: canary}, endpoint: x"),
        sink(&format!("timeout: '{file}'")),
        sink(&format!("compression: '{file}'")),
        sink(&format!("from: ['{file}']")),
        sink(&format!("from: ['{long}'], compression: '{long}', timeout: '{long}', headers: '{long}'")),
        format!("{SOURCE}sinks:\n  s: {{type: file, path: '{long}/..', mode: '{long}', open_max: '{long}'}}\n"),
        sink(&format!("headers: {{'x': '{file}'}}, inbox: '{file}'")),
        format!("{SOURCE}sinks:\n  s: {{type: file, path: '{file}/{{a}}'}}\n"),
        format!("{SOURCE}sinks:\n  s: {{type: file, path: '{file}/{{a}}{}/b.log'}}\n", "/b".repeat(20)),
        format!("{SOURCE}sinks:\n  s: {{type: file, path: '{file}/{{a}}/{long}.log'}}\n"),
        format!("{SOURCE}sinks:\n  s: {{type: file, path: '{file}.gz'}}\n"),
        format!("{SOURCE}sinks:\n  s: {{type: '{file}'}}\n"),
        format!("{SOURCE}sinks:\n  s: {{type: otlp, endpoint: 'http://u:{file}@a:1'}}\n"),
        format!("{SOURCE}sinks:\n  s: {{type: otlp, endpoint: 'http://u:canary@a:1'}}\n"),
        format!("{SOURCE}sinks:\n  s: {{type: otlp, endpoint: [x, 'http://canary@a:1']}}\n"),
        format!("sources:\n  m: {{type: lines, listen: '{file}'}}\n{SINK}"),
        format!("sources:\n  m: {{type: lines, listen: '127.0.0.1:1', connections_max: '{file}'}}\n{SINK}"),
        format!("{SOURCE}{SINK}auth: {{bearer: canary}}\n"),
        "sinks: {s: {headers: {authorization: canary ]}}}".to_owned(),
        "sinks:\n  s:\n    headers:\n      authorization: \"canary\n  x: 1".to_owned(),
        "sinks:\n  s:\n    headers: {\n a: canary,\n b: canary ] }".to_owned(),
        "a: http://u:canary@b [\n]: {".to_owned(),
    ] {
        let errors = Config::from_text("logboom.yaml", &text).expect_err(&text);
        let json = serde_json::to_string(&errors.problems().collect::<Vec<_>>()).unwrap();
        for shown in [errors.to_string(), errors.render(true), format!("{errors:?}"), json] {
            assert!(!shown.contains("canary"), "{text}\n---\n{shown}");
        }
    }
    let checked = accept(&sink(&format!("headers: {{a: canary, b: '{file}'}}")));
    for shown in [format!("{checked:?}"), serde_json::to_string(checked.config()).unwrap()] {
        assert!(!shown.contains("canary"), "{shown}");
    }
}

#[test]
fn what_is_substituted_is_one_value() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("value");
    std::fs::write(&path, "a, b]\nadmin: {listen: off} # ").unwrap();
    let text = format!("{SOURCE}sinks:\n  s: {{type: file, path: '${{file:{}}}'}}\n", path.display());
    check(&text, &["logboom.yaml:4:25", "control characters"]);
    check_lines(
        "listen: ${env:LOGBOOM_TEST_UNSET}",
        &["logboom.yaml:4:13", "LOGBOOM_TEST_UNSET is not set", ":-default}"],
    );
    let text = "sources:\n  m: {type: lines, listen: '127.0.0.1:${env:LOGBOOM_TEST_UNSET:-5000}', connections_max: '${env:LOGBOOM_TEST_UNSET:-7}'}\nsinks:\n  s: {type: stdout}\n";
    assert!(format!("{:?}", accept(text).config().sources["m"]).contains("connections_max: 7"));
}

#[test]
fn derived_values() {
    let checked = accept(&format!(
        "{SOURCE}sinks:\n  f: {{type: file, path: a}}\n  o: {{type: stdout, inbox: 1MiB}}\n  w: {{type: \"null\", wait_max: forever}}\n"
    ));
    let wait = |name| checked.wait_max(name).to_string();
    assert_eq!([wait("f"), wait("o"), wait("w"), wait("no sink")], ["5s", "0s", "forever", "0s"]);
    let inbox = |name: &str| checked.config().sinks[name].inbox.unwrap().to_string();
    assert_eq!([inbox("f"), inbox("o"), inbox("w")], ["16MiB", "1MiB", "16MiB"]);
    assert!(checked.memory_bound_line().contains("budget 64.0MiB"), "{}", checked.memory_bound_line());

    // Five sinks share what the largest request (16MiB) and the working space (8MiB) leave.
    let sinks: String = (0..5).map(|i| format!("  n{i}: {{type: \"null\"}}\n")).collect();
    let checked = accept(&format!("sources:\n  o: {{type: otlp, grpc: \"127.0.0.1:1\"}}\nsinks:\n{sinks}"));
    assert_eq!(checked.config().sinks["n3"].inbox, Some(ByteSize(8 << 20)));
}

#[test]
fn defaults_need_no_file() {
    let checked = Draft::defaults().and_then(Draft::finish).unwrap();
    assert_eq!(checked.config().sources.keys().collect::<Vec<_>>(), ["mesh", "otlp"]);
    assert_eq!(checked.config().sinks.keys().collect::<Vec<_>>(), ["console"]);
    assert_eq!(checked.config().admin.listen, "127.0.0.1:9464");
    assert!(checked.warnings().is_empty());
}

fn examples() -> Vec<(String, String)> {
    let dir = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/config")).unwrap();
    let files = dir.map(|entry| entry.unwrap().path());
    files.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn every_example_loads_and_survives_a_round_trip() {
    let examples = examples();
    assert!(examples.len() >= 4);
    for (name, text) in examples {
        let checked = Config::from_text(&name, &text).unwrap_or_else(|errors| panic!("{errors}"));
        let shown = serde_saphyr::to_string(checked.config()).unwrap();
        let again = Config::from_text("shown", &shown).unwrap_or_else(|errors| panic!("{shown}\n{errors}"));
        assert_eq!(shown, serde_saphyr::to_string(again.config()).unwrap());
    }
}

#[test]
fn the_schema_accepts_every_example() {
    let schema = schemars::schema_for!(Config).to_value();
    for (name, text) in examples() {
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        schema::check(&schema, &schema, &value).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for wrong in
        [r#"{"sources": {}, "sinks": {}, "x": 1}"#, r#"{"sources": {}, "sinks": {"s": {"type": "null", "x": 1}}}"#]
    {
        assert!(schema::check(&schema, &schema, &serde_json::from_str(wrong).unwrap()).is_err(), "{wrong}");
    }
}

#[test]
fn the_reference_has_every_key() {
    let schema = schemars::schema_for!(Config).to_value();
    let (_, text) = examples().into_iter().find(|(name, _)| name.ends_with("reference.yaml")).unwrap();
    let value: Value = serde_saphyr::from_str(&text).unwrap();
    let mut missing = Vec::new();
    schema::missing(&schema, &schema, &[&value], "", &mut missing);
    // The blocks of a format are lists within lists: their keys are looked for as words.
    missing.retain(|path: &String| !path.contains(".format("));
    for key in ["plain", "json", "omitEmptyValues", "attributes", "body", "stringValue", "arrayValue", "kvlistValue"] {
        assert!(text.contains(&format!("{key}:")), "{key}");
    }
    assert!(missing.is_empty(), "not in config/reference.yaml: {missing:?}");
}

/// As much of JSON Schema as our schema uses; patterns are left to the types themselves.
mod schema {
    use serde_json::{Map, Value};

    fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => root.pointer(reference.trim_start_matches('#')).expect(reference),
            None => schema,
        }
    }

    fn list<'a>(schema: &'a Value, key: &str) -> &'a [Value] {
        schema.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn check(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
        let schema = resolve(root, schema);
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => vec![],
        };
        let is = |name: &&str| match *name {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_u64(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            other => panic!("type {other}"),
        };
        if !types.is_empty() && !types.iter().any(is) {
            return Err(format!("{value} is not {types:?}"));
        }
        if schema.get("const").is_some_and(|wanted| wanted != value) {
            return Err(format!("{value} is not {}", schema["const"]));
        }
        for key in list(schema, "required") {
            value.get(key.as_str().unwrap()).ok_or(format!("{key} is missing in {value}"))?;
        }
        for (key, count) in [("oneOf", 1), ("anyOf", 0)] {
            let matching = list(schema, key).iter().filter(|one| check(root, one, value).is_ok()).count();
            if schema.get(key).is_some() && (matching == 0 || (count > 0 && matching != count)) {
                return Err(format!("{value} matches {matching} of {key}"));
            }
        }
        for item in value.as_array().into_iter().flatten() {
            check(root, &schema["items"], item)?;
        }
        let nothing = Map::new();
        for (key, item) in value.as_object().unwrap_or(&nothing) {
            match schema.get("properties").and_then(|properties| properties.get(key)) {
                Some(property) => check(root, property, item).map_err(|error| format!("{key}: {error}"))?,
                None => match &schema["additionalProperties"] {
                    Value::Bool(false) => return Err(format!("{key} is unknown")),
                    Value::Object(_) => check(root, &schema["additionalProperties"], item)?,
                    _ => {}
                },
            }
            let known = |one: &Value| one["properties"].get(key).is_some() && check(root, one, value).is_ok();
            let own = schema.get("properties").is_some_and(|properties| properties.get(key).is_some());
            if schema["unevaluatedProperties"] == Value::Bool(false) && !own && !list(schema, "oneOf").iter().any(known)
            {
                return Err(format!("{key} is unknown"));
            }
        }
        Ok(())
    }

    pub fn missing(root: &Value, schema: &Value, values: &[&Value], path: &str, found: &mut Vec<String>) {
        let schema = resolve(root, schema);
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let inside: Vec<&Value> = values.iter().filter_map(|value| value.get(key)).collect();
            match inside.is_empty() {
                true => found.push(format!("{path}.{key}")),
                false => missing(root, property, &inside, &format!("{path}.{key}"), found),
            }
        }
        if schema["additionalProperties"].is_object() {
            let inside: Vec<&Value> =
                values.iter().filter_map(|value| value.as_object()).flat_map(Map::values).collect();
            missing(root, &schema["additionalProperties"], &inside, &format!("{path}.*"), found);
        }
        for one in list(schema, "oneOf").iter().chain(list(schema, "anyOf")) {
            let one = resolve(root, one);
            let kind = &one["properties"]["type"]["const"];
            let chosen: Vec<&Value> =
                values.iter().copied().filter(|value| kind.is_null() || value.get("type") == Some(kind)).collect();
            missing(root, one, &chosen, &format!("{path}({kind})"), found);
        }
    }
}

/// Pieces that make texts which get far into the loader.
fn piece() -> impl Strategy<Value = String> {
    let words = [
        "sources",
        "sinks",
        "type",
        "lines",
        "otlp",
        "file",
        "stdout",
        "null",
        "listen",
        "grpc",
        "path",
        "inbox",
        "from",
        "headers",
        "endpoint",
        "http://a:1",
        "127.0.0.1:1",
        "64MiB",
        "10s",
        "memory",
        "journal",
        "${env:X:-y}",
        "${",
        "&a ",
        "*a",
        "? ",
        "!!str ",
        "|",
        ">",
        "'",
        "\"",
        "\\",
        "#",
        "é",
        "\u{feff}",
        "\u{202e}",
        "\0",
        "\r",
        "\t",
        "\u{85}",
        "\u{2028}",
    ];
    prop_oneof![
        4 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
        4 => proptest::sample::select(vec![": ", ":", "\n", "\n  ", "\n    ", "{", "}", "[", "]", ", ", "- ", " "]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_panics(pieces in proptest::collection::vec(piece(), 0..60)) {
        if let Err(errors) = Config::from_text("x", &pieces.concat()) {
            prop_assert!(errors.problems().count() > 0);
            prop_assert!(!errors.render(true).is_empty());
        }
    }

    /// Scenario: a right file with one piece put in somewhere.
    #[test]
    fn no_damage_panics(at in 0_usize..2000, piece in piece()) {
        let mut text = include_str!("../config/gateway.yaml").to_owned();
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.insert_str(at, &piece);
        if let Err(errors) = Config::from_text("x", &text) {
            prop_assert!(!errors.render(false).is_empty());
        }
    }
}

/// A directory with two policies; `wrong.yaml` has a mistake at 7:36.
fn policies() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, address: &str, format: &str| {
        let text = format!(
            "type: MeshAccessLog\nname: mal\nspec:\n  to:\n  - default:\n      backends:\n      - {{type: Tcp, tcp: {{address: '{address}'{format}}}}}\n"
        );
        std::fs::write(dir.path().join(name), text).unwrap();
    };
    write("local.yaml", "127.0.0.1:5000", ", format: {type: Plain, plain: '%START_TIME% x'}");
    write("remote.yaml", "logstash.mesh:5001", "");
    write("wrong.txt", "logstash", "");
    std::fs::write(dir.path().join("empty.json"), "{\"type\": \"Mesh\", \"name\": \"default\"}").unwrap();
    dir
}

/// The configuration with these policies and sources, as `show` would print its sources.
fn shown_sources(config: &logboom::config::Checked) -> Value {
    serde_json::to_value(&config.config().sources).unwrap()
}

#[test]
fn policies_are_sources() {
    let dir = policies();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let checked = accept(&format!("policies: '{}'\n{SINK}", at("*.yaml")));
    let sources = shown_sources(&checked);
    assert_eq!(sources["tcp-5000"]["listen"], "127.0.0.1:5000");
    assert_eq!(sources["tcp-5000"]["format"]["plain"], "%START_TIME% x");
    assert_eq!(sources["tcp-5001"]["listen"], "127.0.0.1:5001");
    assert_eq!(sources["tcp-5001"]["format"], "auto");
    let [warning] = checked.warnings() else { panic!("{:?}", checked.warnings()) };
    assert!(warning.contains("remote.yaml:7:36: proxies send to logstash.mesh:5001"), "{warning}");
    // A list, the same file twice, and a sink that takes from a source of a policy.
    let text = format!(
        "policies: ['{}', '{}']\nsinks:\n  out: {{type: stdout, from: [tcp-5000]}}\n",
        at("local.yaml"),
        at("lo*.yaml")
    );
    assert_eq!(shown_sources(&accept(&text)).as_object().unwrap().len(), 1);
}

/// Guarantee: what is written counts; a policy only says what is not.
#[test]
fn policies_beside_sources() {
    let dir = policies();
    let with = |sources: &str| {
        let text = format!("sources:\n{sources}policies: '{}/*.yaml'\n{SINK}", dir.path().display());
        accept(&text)
    };
    let checked = with("  mine: {type: lines, listen: 127.0.0.1:5000}\n");
    let sources = shown_sources(&checked);
    assert_eq!(sources["mine"]["format"]["plain"], "%START_TIME% x");
    assert_eq!(sources.get("tcp-5000"), None);
    let checked = with("  mine: {type: lines, listen: 127.0.0.1:5000, format: raw}\n");
    assert_eq!(shown_sources(&checked)["mine"]["format"], "raw");
    let own = "sources.mine: its own `format` counts, not that of the policy: ";
    assert!(
        checked.warnings().iter().any(|it| it.starts_with(own) && it.contains("local.yaml:7")),
        "{:?}",
        checked.warnings()
    );
    // What is sent to another host arrives where something listens on its port.
    let checked = with("  mine: {type: lines, listen: 0.0.0.0:5001}\n");
    let sources = shown_sources(&checked);
    assert_eq!((sources.get("tcp-5001"), &sources["mine"]["listen"]), (None, &Value::from("0.0.0.0:5001")));
    assert!(!checked.warnings().iter().any(|it| it.contains("proxies send to")), "{:?}", checked.warnings());
    // A name that is taken.
    let checked = with("  tcp-5000: {type: lines, listen: 127.0.0.1:7000}\n");
    assert_eq!(shown_sources(&checked)["tcp-5000-2"]["listen"], "127.0.0.1:5000");
}

#[test]
fn policies_that_are_wrong() {
    let dir = policies();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let policies = |name: &str| format!("policies: '{}'\n{SINK}", at(name));
    check(&policies("wrong.txt"), &["wrong.txt:7:36", "the address `logstash` has no port", "help: write a port"]);
    check(&policies("missing.yaml"), &["logboom.yaml:1:11", "cannot read", "missing.yaml"]);
    let missing = Config::from_text("logboom.yaml", &policies("missing.yaml")).unwrap_err();
    assert_eq!(missing.problems().count(), 1, "{missing}");
    check(&policies("*.toml"), &["logboom.yaml:1:11", "no file matches"]);
    check(&policies("empty.json"), &["logboom.yaml:1:1", "these policies send logs to no address"]);
    check(&format!("policies: {{a: b}}\n{SINK}"), &["logboom.yaml:1:1", "a path, or a list of paths"]);
    check(&format!("policies: [[a]]\n{SINK}"), &["logboom.yaml:1:1", "a path, or a list of paths"]);
    check(
        &format!("sources:\n  mine: {{type: otlp, grpc: 127.0.0.1:5000}}\n{}", policies("local.yaml")),
        &["logboom.yaml:2:3", "for another kind of logs", "local.yaml:7"],
    );
    let errors = Config::from_text("logboom.yaml", &policies("wrong.txt")).unwrap_err();
    let problems: Vec<_> = errors.problems().collect();
    assert_eq!((problems.len(), problems[0].line, problems[0].column), (1, Some(7), Some(36)));
    assert!(problems[0].file.as_ref().unwrap().ends_with("wrong.txt"));
}
