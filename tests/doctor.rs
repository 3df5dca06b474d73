//! `logboom doctor`: what keeps a configuration from working here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

#[allow(dead_code, reason = "each test program uses its own part")]
mod upstream_util;
mod util;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use logboom::config::Config;
use logboom::doctor::{Finding, Surroundings, Verdict, examine};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;
use tonic::Code;
use tonic::transport::{Identity, ServerTlsConfig};
use upstream_util::{Mock, Reply};
use util::{DeadPort, Server};

/// The built program on a configuration.
fn doctor(dir: &Path, yaml: &str, arguments: &[&str]) -> Output {
    let config = dir.join("doctor.yaml");
    std::fs::write(&config, yaml).unwrap();
    Command::new(env!("CARGO_BIN_EXE_logboom")).args(["doctor", "-c"]).arg(&config).args(arguments).output().unwrap()
}

/// What it finds of one kind, and how it ends.
fn findings(dir: &Path, yaml: &str, kind: &str) -> (Vec<Value>, i32) {
    let output = doctor(dir, yaml, &["--json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = shown["findings"].as_array().unwrap().iter().filter(|it| it["check"] == kind).cloned().collect();
    (findings, output.status.code().unwrap())
}

/// Guarantee: one of the findings of a kind has this verdict, and says this.
#[track_caller]
fn check(dir: &Path, yaml: &str, kind: &str, verdict: &str, words: &[&str]) {
    let (findings, code) = findings(dir, yaml, kind);
    let found = findings.iter().any(|it| {
        let text = format!("{} {} {}", it["subject"], it["message"], it["help"]);
        it["verdict"] == verdict && words.iter().all(|word| text.contains(word))
    });
    assert!(found, "{yaml}\n{findings:#?}");
    assert!(verdict != "fail" || code == 1, "it ended with {code}");
}

const LINES: &str = "sources: {mesh: {type: lines, listen: '127.0.0.1:0'}}\nadmin: {listen: 'off'}\n";

fn with_sink(sink: &str) -> String {
    format!("{LINES}sinks: {{one: {sink}}}\n")
}

#[test]
fn all_is_well() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("logs/access.log");
    let yaml = with_sink(&format!(
        "{{type: file, path: '{}', keep: {{bytes: 1MiB}}, rotate: {{size: 1MiB}}}}",
        path.display()
    ));
    let output = doctor(dir.path(), &yaml, &[]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("can be made") && shown.contains("0 to mend"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "colour where there is no terminal");
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert!(!path.exists() && !path.parent().unwrap().exists(), "a check has written something");
}

#[test]
fn a_wrong_configuration() {
    let dir = TempDir::new().unwrap();
    let output = doctor(dir.path(), "sinks: {}", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("missing key `sources`"));
    let output = doctor(dir.path(), "sinks: {}", &["--json"]);
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &shown["valid"]), (Some(2), &Value::Bool(false)));
}

#[test]
fn a_port_that_is_taken() {
    let dir = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let yaml = format!(
        "sources: {{mesh: {{type: lines, listen: '{address}'}}}}\nsinks: {{one: {{type: stdout}}}}\nadmin: {{listen: 'off'}}\n"
    );
    // This process is the culprit.
    let number = format!("(process {})", std::process::id());
    check(dir.path(), &yaml, "listen", "fail", &["in use by doctor", &number, "stop that program"]);
}

/// Guarantee: the logboom that runs with this very configuration is no trouble, and one with another is.
#[test]
fn a_logboom_that_runs() {
    let server = Server::start(
        "sources: {mesh: {type: lines, listen: '127.0.0.1:0'}}\nsinks: {one: {type: 'null'}}\njournal: {dir: '{dir}/journal', max: 16MiB}",
    );
    let address = server.address("mesh");
    let journal = server.path("journal");
    let yaml = format!(
        "sources: {{mesh: {{type: lines, listen: '{address}'}}}}\nsinks: {{one: {{type: 'null'}}}}\njournal: {{dir: '{}', max: 16MiB}}\nadmin: {{listen: 'off'}}\n",
        journal.display()
    );
    let other = TempDir::new().unwrap();
    check(other.path(), &yaml, "listen", "fail", &["in use by logboom"]);
    check(other.path(), &yaml, "journal", "fail", &["another process has it", "--take-over"]);
    // The same file, with the port that it got.
    std::fs::write(server.path("logboom.yaml"), &yaml).unwrap();
    let config = server.path("logboom.yaml");
    let output =
        Command::new(env!("CARGO_BIN_EXE_logboom")).args(["doctor", "--json", "-c"]).arg(config).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let ours = format!("held by the logboom that runs with this configuration (process {})", server.process());
    assert_eq!(shown.matches(&ours).count(), 2, "{shown}");
    assert_eq!(output.status.code(), Some(0), "{shown}");
}

#[test]
fn directories_that_cannot_be_written() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let sink = |path: &str| with_sink(&format!("{{type: file, path: '{}'}}", dir.path().join(path).display()));
    check(dir.path(), &sink("file/access.log"), "file", "fail", &["is a file, and a directory is needed"]);
    std::fs::create_dir(dir.path().join("access.log")).unwrap();
    check(dir.path(), &sink("access.log"), "file", "fail", &["something that is not a file"]);
    std::os::unix::fs::symlink(dir.path().join("file"), dir.path().join("link.log")).unwrap();
    check(dir.path(), &sink("link.log"), "file", "warn", &["symbolic link"]);
    // Root may write everywhere, but to what the kernel makes up.
    let closed = match rustix::process::getuid().is_root() {
        true => "/proc/1".to_owned(),
        false => {
            use std::os::unix::fs::PermissionsExt as _;
            let closed = dir.path().join("closed");
            std::fs::create_dir(&closed).unwrap();
            std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).unwrap();
            closed.display().to_string()
        }
    };
    let yaml = with_sink(&format!("{{type: file, path: '{closed}/logs/access.log'}}"));
    check(dir.path(), &yaml, "file", "fail", &["cannot be written by the user", "write another path"]);
}

#[test]
fn disks_that_are_too_small() {
    let dir = TempDir::new().unwrap();
    let place = dir.path().display();
    let yaml = with_sink(&format!("{{type: file, path: '{place}/a.log', keep: {{bytes: 1000000GiB}}}}"));
    check(dir.path(), &yaml, "file", "fail", &["left", "`keep` and `rotate` allow", "smaller `keep`"]);
    let yaml =
        with_sink(&format!("{{type: file, path: '{place}/a.log', keep: {{files: 1000000}}, rotate: {{size: 1GiB}}}}"));
    check(dir.path(), &yaml, "file", "fail", &["`keep` and `rotate` allow"]);
    let yaml = with_sink(&format!("{{type: file, path: '{place}/a.log'}}"));
    check(dir.path(), &yaml, "file", "warn", &["nothing limits what is kept"]);
    let yaml = format!("{}journal: {{dir: '{place}/journal', max: 1000000GiB}}\n", with_sink("{type: 'null'}"));
    check(dir.path(), &yaml, "journal", "fail", &["`max` is 1000000GiB"]);
}

/// Guarantee: what fits alone and not together is seen.
#[test]
fn a_disk_that_is_shared() {
    let dir = TempDir::new().unwrap();
    let sizes = rustix::fs::statvfs(dir.path()).unwrap();
    let share = sizes.f_bavail * sizes.f_frsize / 10 * 6;
    let place = dir.path().display();
    let sink = |name: &str, bytes: u64| {
        format!("{name}: {{type: file, path: '{place}/{name}.log', keep: {{bytes: {bytes}}}, rotate: {{size: 1MiB}}}}")
    };
    let yaml = |bytes: u64| format!("{LINES}sinks: {{{}, {}}}\n", sink("one", bytes), sink("two", bytes));
    check(dir.path(), &yaml(share), "disk", "fail", &["sinks.one, sinks.two", "on one disk"]);
    check(dir.path(), &yaml(share / 100), "disk", "ok", &["sinks.one, sinks.two"]);
}

#[test]
fn upstreams() {
    let dir = TempDir::new().unwrap();
    let sink = |endpoint: &str| with_sink(&format!("{{type: otlp, endpoint: '{endpoint}'}}"));
    let mock = Mock::new(|_, request| {
        assert!(request.resource_logs.is_empty(), "a record was sent");
        Reply::Ok
    });
    check(dir.path(), &sink(&mock.uri()), "upstream", "ok", &["answers, and takes requests"]);
    let refusing = Mock::new(|_, _| Reply::Status(Code::PermissionDenied));
    check(dir.path(), &sink(&refusing.uri()), "upstream", "fail", &["answers, and refuses: permission_denied"]);
    let dead = DeadPort::new();
    check(dir.path(), &sink(&format!("http://{}", dead.address)), "upstream", "fail", &["no connection to", "refused"]);
    check(dir.path(), &sink("http://name.invalid:4317"), "upstream", "fail", &["name.invalid"]);
    // TLS is not spoken there.
    check(dir.path(), &sink(&format!("https://{}", mock.address)), "upstream", "fail", &["plaintext write http://"]);
    let http = Server::start("sources: {otlp: {type: otlp, http: '127.0.0.1:0'}}\nsinks: {one: {type: 'null'}}");
    let sink = |endpoint: &str| with_sink(&format!("{{type: otlp, protocol: http, endpoint: '{endpoint}'}}"));
    check(dir.path(), &sink(&format!("http://{}", http.address("otlp"))), "upstream", "ok", &["takes requests"]);
    let elsewhere = format!("http://{}/elsewhere", http.address("otlp"));
    check(dir.path(), &sink(&elsewhere), "upstream", "fail", &["answers, and refuses"]);
    // Of several each is asked.
    let both = with_sink(&format!("{{type: otlp, endpoint: ['{}', 'http://{}']}}", mock.uri(), dead.address));
    check(dir.path(), &both, "upstream", "ok", &["takes requests"]);
    check(dir.path(), &both, "upstream", "fail", &["refused"]);
}

/// An upstream with a certificate for this name, and the file of the authority behind it. `days` are those it is valid.
fn upstream_with_tls(dir: &Path, name: &str, days: i64) -> (Mock, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let certificate = authority.self_signed(&authority_key).unwrap();
    let ca = dir.join("ca.crt");
    std::fs::write(&ca, certificate.pem()).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let mut own = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let date = |days: i64| {
        let date = jiff::Timestamp::from_second(now + days * 86_400).unwrap().to_zoned(jiff::tz::TimeZone::UTC).date();
        rcgen::date_time_ymd(date.year().into(), date.month() as u8, date.day() as u8)
    };
    own.not_before = date(-100);
    own.not_after = date(days);
    let certificate = own.signed_by(&key, &issuer).unwrap();
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(certificate.pem(), key.serialize_pem()));
    (Mock::at("127.0.0.1:0", Some(tls), |_, _| Reply::Ok), ca.display().to_string())
}

/// Guarantee: an upstream whose clock says something else is told.
#[test]
fn clocks_that_differ() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let answer = "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let dir = TempDir::new().unwrap();
    let yaml = with_sink(&format!("{{type: otlp, protocol: http, endpoint: 'http://{address}/v1/logs'}}"));
    check(dir.path(), &yaml, "upstream", "warn", &["ahead of that of the upstream"]);
}

#[test]
fn certificates() {
    let dir = TempDir::new().unwrap();
    let (mock, ca) = upstream_with_tls(dir.path(), "collector.example", 365);
    let sink = |tls: &str| with_sink(&format!("{{type: otlp, endpoint: 'https://{}', tls: {{{tls}}}}}", mock.address));
    let right = sink(&format!("ca: '{ca}', server_name: collector.example"));
    check(dir.path(), &right, "upstream", "ok", &["takes requests"]);
    let (findings, _) = findings(dir.path(), &right, "upstream");
    assert_eq!(findings.len(), 1, "{findings:#?}");
    check(dir.path(), &sink(&format!("ca: '{ca}'")), "upstream", "fail", &["tls.server_name"]);
    check(dir.path(), &sink("server_name: collector.example"), "upstream", "fail", &["tls.ca"]);
    check(dir.path(), &sink("ca: /nowhere/ca.crt"), "upstream", "fail", &["tls.ca: cannot read /nowhere/ca.crt"]);

    let (soon, ca) = upstream_with_tls(dir.path(), "collector.example", 5);
    let yaml = with_sink(&format!(
        "{{type: otlp, endpoint: 'https://{}', tls: {{ca: '{ca}', server_name: collector.example}}}}",
        soon.address
    ));
    check(dir.path(), &yaml, "upstream", "warn", &["its certificate ends in"]);
    check(dir.path(), &yaml, "upstream", "ok", &["takes requests"]);
}

/// Guarantee: a low limit of descriptors is seen, that of the process itself.
#[test]
fn few_descriptors() {
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("doctor.yaml");
    std::fs::write(&config, with_sink("{type: 'null'}")).unwrap();
    let run = |limit: &str| {
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            &format!("ulimit -n {limit} && exec \"$0\" \"$@\""),
            env!("CARGO_BIN_EXE_logboom"),
            "doctor",
            "-c",
        ]);
        let output = shell.arg(&config).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    };
    let (shown, code) = run("512");
    assert!(shown.contains("warn  limits   descriptors") && shown.contains("LimitNOFILE=4164"), "{shown}");
    assert_eq!(code, Some(0), "{shown}");
    let (shown, code) = run("100");
    assert!(shown.contains("100 descriptors are allowed, and 4164 can be needed"), "{shown}");
    assert_eq!(code, Some(1), "{shown}");
}

/// What is found where `/proc` and `/sys` are these files.
async fn found(yaml: &str, files: &[(&str, &str)], pod: bool) -> Vec<Finding> {
    let dir = TempDir::new().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let environment: fn(&str) -> Option<std::ffi::OsString> = match pod {
        true => |name| (name == "KUBERNETES_SERVICE_HOST").then(|| "10.0.0.1".into()),
        false => |_| None,
    };
    let around = Surroundings { root: dir.path().to_owned(), config: None, environment };
    examine(&Config::from_text("logboom.yaml", yaml).unwrap(), &around).await
}

fn expect(found: &[Finding], subject: &str, verdict: Verdict, words: &str) {
    let there = found.iter().any(|it| {
        it.subject == subject && it.verdict == verdict && format!("{} {}", it.message, it.help).contains(words)
    });
    assert!(there, "{subject} {verdict:?} {words}\n{found:#?}");
}

#[tokio::test]
async fn limits_of_a_container() {
    let yaml = with_sink("{type: 'null'}");
    let group = ("proc/self/cgroup", "0::/\n");
    let small = [group, ("sys/fs/cgroup/memory.max", "67108864\n"), ("sys/fs/cgroup/pids.max", "10\n")];
    let seen = found(&yaml, &small, false).await;
    expect(&seen, "memory", Verdict::Fail, "the container may use 64.0MiB, and logboom up to");
    expect(&seen, "threads", Verdict::Fail, "10 are allowed");
    let large = [group, ("sys/fs/cgroup/memory.max", "8589934592\n"), ("proc/sys/net/core/somaxconn", "128\n")];
    let seen = found(&yaml, &large, false).await;
    expect(&seen, "memory", Verdict::Ok, "the container may use 8.0GiB");
    expect(&seen, "somaxconn", Verdict::Warn, "128 connections");
    expect(&found(&yaml, &[], false).await, "memory", Verdict::Ok, "no limit");
}

#[tokio::test]
async fn in_a_mesh() {
    let header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    let row = |port: u16| {
        format!("   0: 00000000:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000  5678 0 1 1\n")
    };
    let proxy = format!("{header}{}{}", row(15001), row(15006));
    let dead = DeadPort::new();
    let yaml = format!(
        "sources: {{mesh: {{type: lines, listen: '127.0.0.1:0'}}}}\n\
         sinks: {{one: {{type: otlp, endpoint: 'http://collector.invalid:4317'}}, two: {{type: otlp, endpoint: 'http://{}'}}}}\n\
         admin: {{listen: '127.0.0.1:9464'}}\nshutdown: {{grace: 60s}}\n",
        dead.address
    );
    let seen = found(&yaml, &[("proc/net/tcp", &proxy)], true).await;
    expect(&seen, "transparent proxy", Verdict::Warn, "traffic.kuma.io/exclude-outbound-ports: \"4317\"");
    expect(&seen, "probes", Verdict::Warn, "admin: {listen: 0.0.0.0:9464, allow_plaintext: true}");
    expect(&seen, "ending", Verdict::Warn, "terminationGracePeriodSeconds: 65");
    let seen = found(&yaml, &[("proc/net/tcp", header)], false).await;
    expect(&seen, "mesh", Verdict::Ok, "no transparent proxy");
    let local = with_sink("{type: 'null'}");
    let seen = found(&local, &[("proc/net/tcp", &proxy)], false).await;
    expect(&seen, "transparent proxy", Verdict::Ok, "no sink sends through it");
}
