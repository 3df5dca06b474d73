//! A format that somebody made: separated by bars, which clients may write too, and with a decoded
//! query, which may break the line.

use super::expect::{Expected, expected};
use super::own::plain_block;
use super::said::{Part, Said};

/// Before and behind what clients and details may break.
const FRONT: &[&str] = &[
    "START_TIME(%s.%6f)",
    "START_TIME(%Y/%m/%dT%H:%M:%S%z)",
    "REQ(:METHOD)",
    "PATH(NQ)",
    "QUERY_PARAM(q)",
    "QUERY_PARAMS(DECODED)",
    "REQ(X-MISSING?USER-AGENT):20",
    "RESPONSE_FLAGS_LONG",
    "RESPONSE_CODE_DETAILS",
    "CONNECTION_TERMINATION_DETAILS",
    "UPSTREAM_TRANSPORT_FAILURE_REASON",
    "LOCAL_REPLY_BODY",
    "GRPC_STATUS",
    "KUMA_TRAFFIC_DIRECTION",
    "KUMA_SOURCE_ADDRESS",
];

/// Long names of flags, as far as the file has them.
const LONG: &[(&str, &str)] = &[
    ("-", "-"),
    ("DelayInjected", "DI"),
    ("DownstreamConnectionTermination", "DC"),
    ("DownstreamProtocolError", "DPE"),
    ("DownstreamRemoteReset", "DR"),
    ("DurationTimeout", "DT"),
    ("FaultInjected", "FI"),
    ("NoClusterFound", "NC"),
    ("NoHealthyUpstream", "UH"),
    ("NoRouteFound", "NR"),
    ("RateLimited", "RL"),
    ("StreamIdleTimeout", "SI"),
    ("UpstreamConnectionFailure", "UF"),
    ("UpstreamConnectionTermination", "UC"),
    ("UpstreamOverflow", "UO"),
    ("UpstreamProtocolError", "UPE"),
    ("UpstreamRequestTimeout", "UT"),
    ("UpstreamRetryLimitExceeded", "URX"),
];

/// The format as a block.
pub fn block() -> String {
    plain_block(&FRONT.iter().map(|it| format!("%{it}%")).collect::<Vec<_>>().join("|"))
}

/// What a line says, and whether no other reading fits; `None` for a piece of a line.
pub fn read(line: &str) -> Option<(Expected, bool)> {
    let fields: Vec<&str> = line.split('|').collect();
    if fields.len() < FRONT.len() || !line.starts_with("17951") {
        return None;
    }
    let (front, rest) = fields.split_at(6);
    let (middle, back) = rest.split_at(rest.len() - 6);
    let at = middle.iter().skip(1).position(|it| flags(it).is_some())? + 1;
    let mut said = Said::default();
    for (part, text) in [
        (Part::StartTime, &*time(front[0])),
        (Part::Method, front[2]),
        (Part::Path, front[3]),
        (Part::Query, front[5]),
        (Part::Flags, &*flags(middle[at])?),
        (Part::CodeDetails, &*middle[at + 1..].join("|")),
        (Part::Termination, back[0]),
        (Part::Failure, back[1]),
        (Part::Grpc, back[3]),
        (Part::Direction, back[4]),
        (Part::SourceAddress, back[5]),
    ] {
        said.add(part, text);
    }
    if front[4] != "-" {
        said.others.insert("envoy.query_param.q".into(), front[4].into());
    }
    let agent = middle[..at].join("|");
    if !matches!(&*agent, "-" | "") {
        // Of which header it is cannot be known.
        said.others.insert("envoy.req.x-missing?user-agent".into(), agent.into());
    }
    Some((expected(&said), fields.len() == FRONT.len()))
}

/// Long names as short ones; `None` for what is no list of flags.
fn flags(text: &str) -> Option<String> {
    let short = |name| LONG.iter().find(|(long, _)| *long == name).map(|(_, short)| *short);
    text.split(',').map(short).collect::<Option<Vec<_>>>().map(|it| it.join(","))
}

/// Seconds with microseconds as RFC 3339.
fn time(text: &str) -> String {
    let nanoseconds: i128 = text.replace('.', "").parse().unwrap();
    jiff::Timestamp::from_nanosecond(nanoseconds * 1000).unwrap().to_string()
}
