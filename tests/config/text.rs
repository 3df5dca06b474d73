//! YAML that is none, keys and types.

use logboom::config::Config;
use logboom::config::units::ByteSize;

use super::{SINK, SOURCE, accept, check, check_lines, check_sink, check_top};

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

/// Guarantee: a mistake that is in no line of the file is shown without a frame for one.
#[test]
fn what_is_nowhere() {
    let errors = Config::from_text("logboom.yaml", "sinks:\n  out: {type: stdout}\n").unwrap_err();
    assert_eq!(
        errors.to_string(),
        "error: logboom.yaml: missing key `sources`\n  = help: at least one of the sources is needed"
    );
    let coloured = errors.render(true);
    assert!(coloured.contains("\u{1b}[") && coloured.lines().count() == 2, "{coloured}");
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
    accept("sources:\n  mesh: {type: lines, listen: no:5000, allow_plaintext: true}\nsinks:\n  n: {type: null}\n");
}
