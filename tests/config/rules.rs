//! What types cannot say: names, limits, addresses, paths.

use logboom::config::units::WaitMax;

use super::{SINK, SOURCE, accept, check, check_lines, check_otlp_source, check_sink, check_top};

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
    let text =
        "sources:\n  a: {type: lines, listen: 0.0.0.0:5000, allow_plaintext: true}\nsinks:\n  s: {type: stdout}\n";
    let open = accept(text);
    assert_eq!(open.warnings().len(), 1);
    assert!(open.warnings()[0].contains("sources.a.listen: 0.0.0.0:5000 is reachable from other machines"));
    for (key, text) in
        [("listen", text.replace(", allow_plaintext: true", "")), ("grpc", text.replace("true", "false"))]
    {
        let text = if key == "grpc" { text.replace("lines, listen", "otlp, grpc") } else { text };
        let column = if key == "grpc" { "2:25" } else { "2:28" };
        let texts =
            ["reachable from other machines, and nothing is encrypted", "allow_plaintext: true", "docs/security.md"];
        check(&text, &[&[format!("logboom.yaml:{column}").as_str()], &texts[..]].concat());
    }
    check_top("admin: {listen: '[::]:9464'}", &["logboom.yaml:5:17", "nothing is encrypted"]);
}

#[test]
fn who_is_let_in() {
    let tls = "tls: {cert: a.crt, key: a.key}";
    // Files are looked at by `check` and at start, not here.
    accept(&format!("sources:\n  a: {{type: lines, listen: '0.0.0.0:1', {tls}, allow: [10.0.0.0/8]}}\n{SINK}"));
    check_lines("listen: 127.0.0.1:1\n    tls: {cert: a.crt}", &["missing key `key`"]);
    check_lines("listen: 127.0.0.1:1\n    tls: {cert: a.crt, key: a.key, ca: b}", &["unknown key `ca`", "client_ca"]);
    check_lines("listen: 127.0.0.1:1\n    tls: {cert: '', key: a.key}", &["this is no path"]);
    check_lines("listen: 127.0.0.1:1\n    allow: [10.0.0.1/8]", &["has bits behind its prefix: write 10.0.0.0/8"]);
    check_lines("listen: 127.0.0.1:1\n    allow: [localhost]", &["'localhost' is not a network"]);
    check_lines("listen: 127.0.0.1:1\n    auth: {bearer: [abc]}", &["unknown key `auth`"]);
    check(
        &format!("sources:\n  a: {{type: lines, listen: 'unix:/a', {tls}}}\n{SINK}"),
        &["a unix socket is reached from this machine alone", "remove `tls`"],
    );
    let tokens =
        |list: &str| format!("sources:\n  a: {{type: otlp, grpc: '127.0.0.1:1', auth: {{bearer: {list}}}}}\n{SINK}");
    accept(&tokens("[sixteen-letters-, another-long-token]"));
    check(&tokens("[]"), &["a list of no tokens"]);
    check(
        &tokens("[canary-too-short]").replace("-too-short", ""),
        &["less than 16 characters", "openssl rand -hex 32"],
    );
    check(&tokens("['canary with spaces in it']"), &["has spaces"]);
    check(&tokens(&format!("[{}]", "x".repeat(4097))), &["more than 4096 characters"]);
    check_top("admin: {auth: {bearer: [canary]}}", &["less than 16 characters"]);
    let shown = serde_json::to_string(accept(&tokens("[canary-canary-canary]")).config()).unwrap();
    assert!(!shown.contains("canary"), "{shown}");
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
