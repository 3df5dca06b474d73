//! Whose trouble a status and response flags tell of.

/// Nothing was served, because of an upstream or of the proxy.
const ERROR: &[&str] =
    &["UH", "UF", "UC", "UT", "UO", "UR", "URX", "UPE", "UMSDR", "LH", "DF", "LR", "NC", "NFCF", "OM"];

/// A rule turned the request away, or the client left or sent what could not be served.
const WARN: &[&str] = &["NR", "RL", "UAEX", "RLSE", "DO", "UDO", "DT", "DC", "DR", "DPE", "IH", "SI"];

/// What went wrong in the server.
const GRPC_ERROR: &[&str] = &["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"];

/// The severity of a record: what the status says, or the flags, whichever is worse. `flags` are
/// `None` where nothing was said about them.
pub fn severity(status: Option<i64>, flags: Option<&[&str]>, grpc: Option<&str>) -> Option<&'static str> {
    let any = |table: &[&str]| flags.unwrap_or_default().iter().any(|flag| table.contains(flag));
    if status.is_none() && flags.is_none() && grpc.is_none() {
        None
    } else if status.is_some_and(|it| it >= 500) || any(ERROR) || grpc.is_some_and(|it| GRPC_ERROR.contains(&it)) {
        Some("ERROR")
    } else if matches!(status, Some(0 | 400..)) || any(WARN) || grpc.is_some_and(|it| it != "OK") {
        Some("WARN")
    } else {
        Some("INFO")
    }
}
