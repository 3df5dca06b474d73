//! The resources in a text of YAML.

use super::{Findings, Place};
use crate::config::de::is_nothing;
use crate::config::problem::shown;
use crate::config::suggest;
use crate::config::tree::{Entry, Kind, Node, Span};

/// Kinds that are read.
const READ: &[&str] = &["MeshAccessLog", "MeshOpenTelemetryBackend", "TrafficLog", "Mesh"];

/// Kinds of Kuma and Kong Mesh that say nothing about access logs.
const SILENT: &[&str] = &[
    "AccessAudit",
    "AccessRole",
    "AccessRoleBinding",
    "CircuitBreaker",
    "ContainerPatch",
    "Dataplane",
    "DataplaneInsight",
    "DataplaneOverview",
    "ExternalService",
    "FaultInjection",
    "GlobalSecret",
    "HealthCheck",
    "HostnameGenerator",
    "MeshCircuitBreaker",
    "MeshExternalService",
    "MeshFaultInjection",
    "MeshGateway",
    "MeshGatewayConfig",
    "MeshGatewayInstance",
    "MeshGatewayRoute",
    "MeshGlobalRateLimit",
    "MeshHTTPRoute",
    "MeshHealthCheck",
    "MeshIdentity",
    "MeshInsight",
    "MeshLoadBalancingStrategy",
    "MeshMetric",
    "MeshMultiZoneService",
    "MeshOPA",
    "MeshPassthrough",
    "MeshProxyPatch",
    "MeshRateLimit",
    "MeshRetry",
    "MeshService",
    "MeshTCPRoute",
    "MeshTLS",
    "MeshTimeout",
    "MeshTrace",
    "MeshTrafficPermission",
    "MeshTrust",
    "OPAPolicy",
    "ProxyTemplate",
    "RateLimit",
    "Retry",
    "Secret",
    "ServiceInsight",
    "Timeout",
    "TrafficPermission",
    "TrafficRoute",
    "TrafficTrace",
    "VirtualOutbound",
    "Workload",
    "Zone",
    "ZoneEgress",
    "ZoneEgressInsight",
    "ZoneIngress",
    "ZoneIngressInsight",
    "ZoneInsight",
];

/// One resource.
pub struct Document<'a> {
    pub file: usize,
    pub kind: &'a str,
    pub name: &'a str,
    pub mesh: &'a str,
    /// Written for Kubernetes: `apiVersion`, `kind`, `metadata`, `spec`.
    pub kubernetes: bool,
    /// Labels of its metadata.
    pub labels: &'a [Entry],
    /// What it says: below `spec`, or for the older Universal kinds beside `type` and `name`.
    pub spec: &'a Node,
    /// Where its kind is written.
    pub at: Span,
}

impl<'a> Document<'a> {
    pub fn place(&self, span: &Span) -> Place {
        Place { file: self.file, span: span.clone() }
    }

    /// Where the node is written; a block begins somewhere inside, so its key is shown.
    pub fn entry_place(&self, entry: &'a Entry) -> Place {
        match &entry.value.kind {
            Kind::Scalar(scalar) if !scalar.text.is_empty() => self.place(&entry.value.span),
            _ => self.place(&entry.key_span),
        }
    }
}

/// Most resources; they refer to each other, so their number counts twice.
const DOCUMENTS_MAX: usize = 10_000;

/// All resources of all files, lists taken apart. What is no resource, and kinds that do not exist,
/// are noted.
pub fn all<'a>(roots: &'a [Vec<Node>], findings: &mut Findings<'_>) -> Vec<Document<'a>> {
    let mut documents = Vec::new();
    for (file, roots) in roots.iter().enumerate() {
        for root in roots {
            match items(root) {
                Some(items) => documents.extend(items.iter().filter_map(|item| one(file, item, findings))),
                None => documents.extend(one(file, root, findings)),
            }
        }
    }
    if let Some(surplus) = documents.get(DOCUMENTS_MAX) {
        let message =
            format!("more than {DOCUMENTS_MAX} policies at once: this one and those behind it are passed over");
        findings.error(&surplus.place(&surplus.at), message, "give fewer");
        documents.truncate(DOCUMENTS_MAX);
    }
    documents
}

/// What `kubectl get -o yaml` and `kumactl get -o yaml` print for several resources.
fn items(root: &Node) -> Option<&[Node]> {
    let list = word(root, "kind").is_none_or(|kind| kind.ends_with("List")) && root.entry("type").is_none();
    match &root.entry("items").filter(|_| list)?.value.kind {
        Kind::Sequence(items) => Some(items),
        _ => None,
    }
}

fn one<'a>(file: usize, root: &'a Node, findings: &mut Findings<'_>) -> Option<Document<'a>> {
    if matches!(&root.kind, Kind::Scalar(scalar) if is_nothing(scalar)) {
        return None;
    }
    let api = word(root, "apiVersion");
    if api.is_some_and(|api| !api.starts_with("kuma.io/")) {
        return None;
    }
    let kubernetes = api.is_some() || root.entry("kind").is_some();
    let Some(entry) = root.entry(if kubernetes { "kind" } else { "type" }) else {
        // A mapping begins where its first key stands.
        let span = root.entries().first().map_or(&root.span, |entry| &entry.key_span);
        let help = "a policy begins with `kind:` (Kubernetes) or `type:` (Universal)";
        findings.note(&Place { file, span: span.clone() }, "this is no policy: it has no kind", help);
        return None;
    };
    let kind = text(&entry.value).unwrap_or_default();
    if !READ.contains(&kind) {
        if !SILENT.contains(&kind) {
            let place = Place { file, span: entry.value.span.clone() };
            let help = match suggest::nearest(kind, READ) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("access logs are in: {}", READ.join(", ")),
            };
            findings.note(&place, format!("the kind {} is not known and is passed over", shown(kind)), help);
        }
        return None;
    }
    let metadata = root.entry("metadata").map(|it| &it.value).filter(|_| kubernetes);
    let labels = metadata.unwrap_or(root).entry("labels").map(|it| it.value.entries()).unwrap_or_default();
    let name = word(metadata.unwrap_or(root), "name").unwrap_or("without a name");
    let label = labels.iter().find(|it| it.key == "kuma.io/mesh").and_then(|it| text(&it.value));
    let mesh = if kind == "Mesh" { name } else { word(root, "mesh").or(label).unwrap_or("default") };
    // Older kinds have no `spec` on Universal.
    let older = matches!(kind, "Mesh" | "TrafficLog");
    let spec = match root.entry("spec") {
        Some(spec) => &spec.value,
        None if older => root,
        None => {
            let place = Place { file, span: entry.value.span.clone() };
            findings.error(&place, format!("the {kind} has no `spec`"), "write what it says below `spec:`");
            return None;
        }
    };
    let at = entry.value.span.clone();
    Some(Document { file, kind, name, mesh, kubernetes, labels, spec, at })
}

/// The text of a scalar that is not nothing.
pub fn text(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar(scalar) if !is_nothing(scalar) => Some(&scalar.text),
        _ => None,
    }
}

/// The text at a key.
pub fn word<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    text(&node.entry(key)?.value)
}
