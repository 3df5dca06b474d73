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
