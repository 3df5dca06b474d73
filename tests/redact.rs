//! `redact`: no secret reaches a file or an upstream, whatever the source and the encoding.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

#[allow(dead_code, unused_imports, reason = "the upstream is shared with other tests")]
mod upstream_util;
mod util;

use std::io::Write as _;

use prost::Message as _;
use upstream_util::{Mock, Reply};
use util::Server;
use util::otlp::{bodies, otlp_json, request};

const LINES: &str = "{\"to\":\"/a?token=SECRET1&b=1 from 10.1.2.3:5\"}\n\
    {\"authorization\":\"Bearer SECRET2\",\"copy\":\"Bearer SECRET2\",\"client.address\":\"10.1.2.4\",\"n\":1}\n\
    {\"path\":\"/a?b=1\\u0026token=SECRET3\"}\n\
    SECRET5 in no format\n";

/// Scenario: lines and OTLP records with secrets, to files in every encoding and to an upstream.
/// Guarantee: none of the secrets and addresses is in what they got, everything else is.
#[test]
fn no_secret_reaches_a_sink() {
    let mock = Mock::new(|_, _| Reply::Ok);
    let server = Server::start(&format!(
        "sources:\n  mesh: {{type: lines, listen: 127.0.0.1:0}}\n  otlp: {{type: otlp, grpc: 127.0.0.1:0}}\n\
         redact: {{query: [token], headers: [authorization], mask_ip: true}}\nsinks:\n  \
         raw: {{type: file, path: '{{dir}}/raw', encoding: raw}}\n  \
         json: {{type: file, path: '{{dir}}/json', encoding: json}}\n  \
         otlp-json: {{type: file, path: '{{dir}}/otlp-json', encoding: otlp-json}}\n  \
         paths: {{type: file, path: '{{dir}}/{{client.address}}/x.log', encoding: json}}\n  \
         seen: {{type: file, path: '{{dir}}/seen', encoding: raw, when: 'body.contains(\"SECRET\")'}}\n  \
         nowhere: {{type: 'null'}}\n  \
         upstream: {{type: otlp, endpoint: '{}', wait_max: forever}}",
        mock.uri()
    ));
    let mut client = server.connect("mesh");
    client.write_all(LINES.as_bytes()).unwrap();
    client.finish();
    let sent = request(["GET /b?token=SECRET4 from 2001:db8:1:2::3", "plain"]);
    let answer = util::grpc::Client::connect(server.address("otlp")).export(sent.encode_to_vec());
    assert!(answer.is_ok(), "{answer:?}");
    let ended = server.stop();
    ended.assert_clean();
    for sink in ["raw", "json", "otlp-json", "paths", "nowhere", "upstream"] {
        assert_eq!(ended.count(&format!("{sink}: "), "delivered"), 6, "{}", ended.ledger());
    }
    assert_eq!(ended.count("seen: ", "delivered"), 0, "conditions see what is left");

    let raw = String::from_utf8(ended.file("raw")).unwrap();
    let expected = "{\"to\":\"/a?token=REDACTED&b=1 from 10.1.2.0:5\"}\n\
        {\"authorization\":\"REDACTED\",\"copy\":\"REDACTED\",\"client.address\":\"10.1.2.0\",\"n\":1}\n\
        {\"path\":\"/a?b=1\\u0026token=REDACTED\"}\n\
        REDACTED\n\
        GET /b?token=REDACTED from 2001:db8:1::\n\
        plain\n";
    assert_eq!(raw, expected);
    for file in ["json", "otlp-json", "10.1.2.0/x.log", "_unknown/x.log"] {
        let text = String::from_utf8(ended.file(file)).unwrap();
        assert!(!text.is_empty() && !text.contains("SECRET") && !text.contains("10.1.2.4"), "{file}: {text}");
    }
    assert_eq!(
        otlp_json(&ended.file("otlp-json")).iter().flat_map(bodies).collect::<Vec<_>>().join("\n") + "\n",
        expected
    );
    let upstream: Vec<u8> = mock.got().requests.iter().flat_map(|it| it.to_vec()).collect();
    let text = String::from_utf8_lossy(&upstream);
    assert!(text.contains("REDACTED") && !text.contains("SECRET"), "{text}");
}

/// Guarantee: `check` says where redaction takes more, or less, than the header.
#[test]
fn what_should_be_known_is_said() {
    let warnings = |format: &str, header: &str| {
        let text = format!(
            "sources: {{a: {{type: lines, listen: 127.0.0.1:5000, format: {format}}}}}\n\
             redact: {{headers: [{header}]}}\nsinks: {{s: {{type: stdout}}}}\n"
        );
        let checked = logboom::config::Config::from_text("logboom.yaml", &text).unwrap_or_else(|it| panic!("{it}"));
        checked.warnings().join("\n")
    };
    assert_eq!(warnings("auto", "user-agent"), "");
    assert!(warnings("raw", "user-agent").starts_with("sources.a.format: raw takes nothing apart"));
    assert!(warnings("auto", "grpc-status").starts_with("redact.headers.0: `grpc-status` stays in texts"));
}

/// Scenario: a proxy sends a text that no format fits, beside an attribute that is known.
/// Guarantee: what headers the text has nobody knows, so none of it is written.
#[test]
fn a_text_of_a_proxy_that_no_format_fits() {
    let server = Server::start(
        "sources:\n  otlp: {type: otlp, grpc: 127.0.0.1:0}\nredact: {headers: [user-agent]}\nsinks:\n  \
         raw: {type: file, path: '{dir}/raw', encoding: raw}",
    );
    let mut sent = request(["agent=SECRET"]);
    let key_value = |key: &str| opentelemetry_proto::tonic::common::v1::KeyValue {
        key: key.to_owned(),
        value: sent.resource_logs[0].scope_logs[0].log_records[0].body.clone(),
        ..Default::default()
    };
    let (name, method) = (key_value("log_name"), key_value("http.request.method"));
    sent.resource_logs[0].resource.get_or_insert_default().attributes.push(name);
    sent.resource_logs[0].scope_logs[0].log_records[0].attributes.push(method);
    assert!(util::grpc::Client::connect(server.address("otlp")).export(sent.encode_to_vec()).is_ok());
    let ended = server.stop();
    ended.assert_clean();
    assert_eq!(String::from_utf8(ended.file("raw")).unwrap(), "REDACTED\n");
}
