//! Sources out of policies.

use logboom::config::Config;
use serde_json::Value;

use super::{SINK, accept, check};

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
    let checked = with("  mine: {type: lines, listen: 0.0.0.0:5001, allow_plaintext: true}\n");
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
