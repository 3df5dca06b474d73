//! MeshAccessLog: the backends of `to`, `from` and `rules`.

use super::Findings;
use super::backend::{self, Wanted, refuse_unknown};
use super::document::Document;
use super::telemetry_backend::Collectors;
use crate::config::tree::{Entry, Kind, Node};

pub fn read(
    document: &Document<'_>,
    collectors: &Collectors<'_>,
    wanted: &mut Vec<Wanted>,
    findings: &mut Findings<'_>,
) {
    refuse_unknown(document, document.spec, &["targetRef", "to", "from", "rules"], findings);
    let sections = ["to", "from", "rules"].map(|key| document.spec.entry(key));
    if sections.iter().all(Option::is_none) {
        let help = "write `to:` for outgoing and `rules:` for incoming traffic";
        findings.warning(&document.place(&document.at), "the MeshAccessLog logs nothing", help);
    }
    if let [to, from, Some(rules)] = &sections
        && (to.is_some() || from.is_some())
    {
        let help = "write two policies";
        findings.warning(&document.place(&rules.key_span), "Kuma refuses `rules` beside `to` or `from`", help);
    }
    if let [_, Some(from), _] = &sections {
        let help = "write `rules:` (Kuma 2.10 and newer): its entries are the same without `targetRef`";
        findings.note(&document.place(&from.key_span), "`from` is gone in Kuma 3.0", help);
    }
    for section in sections.into_iter().flatten() {
        for item in items(document, section, findings) {
            refuse_unknown(document, item, &["targetRef", "default", "matches"], findings);
            let backends = item.entry("default").and_then(|it| it.value.entry("backends"));
            let Some(backends) = backends else {
                let place = item.entry("default").or_else(|| item.entries().first()).unwrap_or(section);
                let help = "write `default: {backends: […]}`";
                findings.warning(&document.place(&place.key_span), "this names no backends, so it logs nothing", help);
                continue;
            };
            for node in items(document, backends, findings) {
                backend::read(document, node, collectors, wanted, findings);
            }
        }
    }
}

/// The items of a list; a complaint when it is none.
pub fn items<'a>(document: &Document<'_>, entry: &'a Entry, findings: &mut Findings<'_>) -> &'a [Node] {
    match &entry.value.kind {
        Kind::Sequence(items) => items,
        Kind::Scalar(scalar) if crate::config::de::is_nothing(scalar) => &[],
        _ => {
            let message = format!("`{}` is a list", entry.key);
            findings.error(&document.place(&entry.key_span), message, "write each item behind a `-`");
            &[]
        }
    }
}
