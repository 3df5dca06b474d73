//! Response flags, and whose trouble they tell of.

/// Nothing was served because of an upstream, of the proxy, or of its configuration.
const UPSTREAM: &[&str] = &[
    "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "UAEX", "RLSE", "URX", "UMSDR", "NFCF", "UPE", "NC", "OM",
    "DF", "DO", "UDO",
];

/// The client left, or sent what could not be served.
const CLIENT: &[&str] = &["DC", "DR", "DPE", "IH", "RL", "SI", "DT"];

/// The severity of a record: what the status says, or the flags, whichever is worse.
pub fn severity(status: Option<i64>, flags: &[&str]) -> &'static str {
    let any = |table: &[&str]| flags.iter().any(|flag| table.contains(flag));
    match status {
        Some(500..=599) => "ERROR",
        _ if any(UPSTREAM) => "ERROR",
        Some(400..=499) => "WARN",
        _ if any(CLIENT) => "WARN",
        _ => "INFO",
    }
}
