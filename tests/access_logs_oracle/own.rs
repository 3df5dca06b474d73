//! Formats of users, and what a line of theirs says when the format is known.

use serde_json::{Map, Value, json};

use super::expect::Verdict;
use super::json;
use super::said::{Part, Said};

/// The documented JSON formats, key by key.
pub const HTTP_JSON: &[(&str, &str)] = &[
    ("start_time", "%START_TIME%"),
    ("kuma_mesh", "%KUMA_MESH%"),
    ("method", "\"%REQ(:METHOD)%"),
    ("path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    ("protocol", "%PROTOCOL%"),
    ("response_code", "%RESPONSE_CODE%"),
    ("response_flags", "%RESPONSE_FLAGS%"),
    ("bytes_received", "%BYTES_RECEIVED%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("duration_ms", "%DURATION%"),
    ("upstream_service_time", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"),
    ("x_forwarded_for", "\"%REQ(X-FORWARDED-FOR)%\""),
    ("user_agent", "\"%REQ(USER-AGENT)%\""),
    ("request_id", "\"%REQ(X-REQUEST-ID)%\""),
    ("authority", "\"%REQ(:AUTHORITY)%\""),
    ("kuma_source_service", "%KUMA_SOURCE_SERVICE%"),
    ("kuma_destination_service", "%KUMA_DESTINATION_SERVICE%"),
    ("kuma_source_address_without_port", "%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
];

pub const TCP_JSON: &[(&str, &str)] = &[
    ("start_time", "%START_TIME%"),
    ("response_flags", "%RESPONSE_FLAGS%"),
    ("kuma_mesh", "%KUMA_MESH%"),
    ("kuma_source_address_without_port", "%KUMA_SOURCE_ADDRESS_WITHOUT_PORT%"),
    ("kuma_source_service", "%KUMA_SOURCE_SERVICE%"),
    ("upstream_host", "%UPSTREAM_HOST%"),
    ("kuma_destination_service", "%KUMA_DESTINATION_SERVICE%"),
    ("duration_ms", "%DURATION%"),
    ("bytes_sent", "%BYTES_SENT%"),
    ("bytes_received", "%BYTES_RECEIVED%"),
];

/// Keys that are not the operator alone, and the attribute of each, where it is one of its own.
const TYPED: &[(&str, &str, &str)] = &[
    ("COMMON_DURATION_us", "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%", "envoy.common_duration.ds_rx_beg.ds_tx_end.us"),
    ("TYPED_CEL_NUM", "%TYPED_CEL(response.code)%", "envoy.typed_cel.response.code"),
    ("DYN_NUM", "%DYNAMIC_METADATA(logboom.test:n)%", "envoy.dynamic_metadata.logboom.test.n"),
    ("DYN_BOOL", "%DYNAMIC_METADATA(logboom.test:b)%", "envoy.dynamic_metadata.logboom.test.b"),
    ("DYN_ALL", "%DYNAMIC_METADATA(logboom.test)%", "envoy.dynamic_metadata.logboom.test"),
    ("DYN_LIST", "%DYNAMIC_METADATA(logboom.test:l)%", "envoy.dynamic_metadata.logboom.test.l"),
    ("REQ_UA_10", "%REQ(USER-AGENT):10%", ""),
    ("QPD", "%QUERY_PARAMS(DECODED)%", ""),
    ("RESP_CT", "%RESP(content-type)%", ""),
];

/// Keys that are the operator.
const OPERATORS: &str = "START_TIME PROTOCOL RESPONSE_CODE RESPONSE_CODE_DETAILS CONNECTION_TERMINATION_DETAILS \
    RESPONSE_FLAGS RESPONSE_FLAGS_LONG BYTES_RECEIVED BYTES_SENT DURATION REQUEST_DURATION RESPONSE_DURATION \
    RESPONSE_TX_DURATION UPSTREAM_HOST UPSTREAM_CLUSTER UPSTREAM_REQUEST_ATTEMPT_COUNT \
    UPSTREAM_TRANSPORT_FAILURE_REASON DOWNSTREAM_REMOTE_ADDRESS DOWNSTREAM_DIRECT_LOCAL_PORT CONNECTION_ID STREAM_ID \
    ROUTE_NAME GRPC_STATUS GRPC_STATUS_NUMBER ACCESS_LOG_TYPE DOWNSTREAM_PEER_URI_SAN LOCAL_REPLY_BODY";

/// The template of a TrafficLog, in order: text before each value, operator, part.
const TEMPLATE: &[(&str, &str, Part)] = &[
    ("{\"start_time\": \"", "START_TIME", Part::StartTime),
    ("\", \"source\": \"", "KUMA_SOURCE_SERVICE", Part::Source),
    ("\", \"destination\": \"", "KUMA_DESTINATION_SERVICE", Part::Destination),
    ("\", \"source_address\": \"", "KUMA_SOURCE_ADDRESS_WITHOUT_PORT", Part::SourceAddress),
    ("\", \"destination_address\": \"", "UPSTREAM_HOST", Part::Upstream),
    ("\", \"duration_millis\": \"", "DURATION", Part::Duration),
    ("\", \"user_agent\": \"", "REQ(USER-AGENT)", Part::UserAgent),
    ("\", \"path\": \"", "REQ(:PATH)", Part::Path),
    ("\", \"bytes_received\": \"", "BYTES_RECEIVED", Part::Received),
    ("\", \"bytes_sent\": \"", "BYTES_SENT", Part::Sent),
];

/// A block of type `Json`, as in a policy.
pub fn json_block(pairs: impl IntoIterator<Item = (String, String)>) -> String {
    let pairs: Vec<Value> = pairs.into_iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    json!({"type": "Json", "json": pairs}).to_string()
}

/// A block of type `Plain`.
pub fn plain_block(text: &str) -> String {
    json!({"type": "Plain", "plain": text}).to_string()
}

/// The documented formats as blocks.
pub fn documented(pairs: &[(&str, &str)]) -> String {
    json_block(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())))
}

/// The block of the files of operators.
pub fn typed_block() -> String {
    let alone = OPERATORS.split_whitespace().map(|name| (name.to_owned(), format!("%{name}%")));
    json_block(alone.chain(TYPED.iter().map(|(key, value, _)| ((*key).to_owned(), (*value).to_owned()))))
}

/// The block of the template.
pub fn template_block() -> String {
    let text: String = TEMPLATE.iter().map(|(before, operator, _)| format!("{before}%{operator}%")).collect();
    plain_block(&format!("{text}\"}}"))
}

/// What an object of operators says: what means something is the same as without a word, every other
/// operator is an attribute by its name, and what is absent is none.
pub fn typed(line: &[u8]) -> Verdict {
    let Ok(Value::Object(members)) = serde_json::from_slice(line) else { panic!("the oracle cannot read a line") };
    let mut said = Said::default();
    let mut known = Map::new();
    for (key, value) in members {
        let absent = value.is_null() || value == "" || (value == "-" && key != "RESPONSE_FLAGS");
        match key.as_str() {
            _ if absent => {}
            "REQ_UA_10" => said.add(Part::UserAgent, value.as_str().unwrap()),
            "QPD" => said.add(Part::Query, value.as_str().unwrap()),
            "RESP_CT" => drop(said.others.insert("http.response.header.content-type".into(), json!([value]))),
            _ if json::is_known(&key) => drop(known.insert(key, value)),
            _ => {
                let own = TYPED.iter().find(|(found, ..)| *found == key).map(|(.., name)| (*name).to_owned());
                let name = own.unwrap_or_else(|| format!("envoy.{}", key.to_ascii_lowercase()));
                said.others.insert(name, json::own(value));
            }
        }
    }
    let known = json::members(known);
    said.texts.extend(known.texts);
    said.others.extend(known.others);
    said.into()
}

/// What a line of the template says, whether or not it is JSON.
pub fn template(line: &[u8]) -> Verdict {
    let text = String::from_utf8_lossy(line);
    let mut said = Said::default();
    let mut rest = text.strip_suffix("\"}").unwrap();
    for (before, _, part) in TEMPLATE.iter().rev() {
        let (front, value) = rest.rsplit_once(before).unwrap();
        said.add(*part, value);
        rest = front;
    }
    assert_eq!(rest, "");
    said.into()
}
