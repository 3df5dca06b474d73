//! In a pod: does a mesh's proxy stand in the way, and do the kubelet's probes arrive?

use http::Uri;

use crate::config::Checked;
use crate::config::listen::Listen;
use crate::sink::SinkKind;

use super::{Finding, Surroundings};

const CHECK: &str = "mesh";
/// Where a transparent proxy takes connections of Kuma and of Istio: outbound and inbound.
const REDIRECTED: [u16; 2] = [15001, 15006];
/// What Kubernetes gives a pod to end unless it is told otherwise, less a little.
const GRACE_MAX_SECONDS: u64 = 25;

/// Looks at what is around.
pub fn check(checked: &Checked, around: &Surroundings) -> Vec<Finding> {
    let mut found: Vec<Finding> = redirect(checked, around).into_iter().collect();
    if is_pod(around) {
        found.extend(kubernetes(checked));
    }
    if found.is_empty() {
        found.push(Finding::ok(CHECK, "mesh", "no transparent proxy in this network namespace"));
    }
    found
}

fn is_pod(around: &Surroundings) -> bool {
    (around.environment)("KUBERNETES_SERVICE_HOST").is_some()
        || around.root.join("var/run/secrets/kubernetes.io/serviceaccount").exists()
}

/// Which mesh, as far as the environment says; the variables are those of the sidecar and of init containers.
fn redirect(checked: &Checked, around: &Surroundings) -> Option<Finding> {
    if !has_proxy(around) {
        return None;
    }
    let outbound = upstream_ports(checked);
    let inbound = source_ports(checked);
    let istio = ["ISTIO_META_MESH_ID", "ISTIO_META_CLUSTER_ID", "PILOT_CERT_PROVIDER"];
    let keys = match istio.iter().any(|name| (around.environment)(name).is_some()) {
        true => ("traffic.sidecar.istio.io/excludeOutboundPorts", "traffic.sidecar.istio.io/excludeInboundPorts"),
        false => ("traffic.kuma.io/exclude-outbound-ports", "traffic.kuma.io/exclude-inbound-ports"),
    };
    let subject = "transparent proxy";
    if outbound.is_empty() {
        let help = match inbound.is_empty() {
            true => String::new(),
            false => format!("when other pods send here: annotate the pod with {}: \"{}\"", keys.1, inbound.join(",")),
        };
        return Some(Finding { help, ..Finding::ok(CHECK, subject, "there is one, and no sink sends through it") });
    }
    let message = "what sinks send goes through the mesh's proxy: it logs that to logboom, which sends it: a loop";
    let help = format!(
        "annotate the pod with {}: \"{}\", or do not inject a sidecar into a collector's pod; if it is annotated already, all is well",
        keys.0,
        outbound.join(",")
    );
    Some(Finding::warn(CHECK, subject, message, help))
}

/// True when something listens where connections are redirected to, in the network namespace of this process.
fn has_proxy(around: &Surroundings) -> bool {
    let tables = ["proc/net/tcp", "proc/net/tcp6"].map(|path| around.read(path).unwrap_or_default());
    let listening = |port: u16| {
        tables.iter().flat_map(|table| table.lines().skip(1)).any(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let local =
                fields.next().and_then(|it| it.rsplit(':').next()).and_then(|it| u16::from_str_radix(it, 16).ok());
            local == Some(port) && fields.nth(1) == Some("0A")
        })
    };
    REDIRECTED.into_iter().all(listening)
}

/// Ports of upstreams on other hosts: connections to loopback are not redirected.
fn upstream_ports(checked: &Checked) -> Vec<String> {
    let sinks = checked.config().sinks.values();
    let endpoints = sinks.filter_map(|sink| match &sink.kind {
        SinkKind::Otlp(otlp) => Some(otlp.endpoint.as_slice()),
        _ => None,
    });
    let uris = endpoints.flatten().filter_map(|it| it.parse::<Uri>().ok());
    let ports = uris.filter_map(|uri| {
        let is_local = format!("{}:1", uri.host()?).parse::<Listen>().is_ok_and(|it| it.is_local());
        uri.port_u16().filter(|_| !is_local)
    });
    sorted(ports)
}

fn source_ports(checked: &Checked) -> Vec<String> {
    let addresses = checked.config().sources.values().flat_map(|source| source.places()).map(|it| it.address);
    sorted(addresses.filter_map(|address| match address.parse::<Listen>() {
        Ok(listen @ Listen::Tcp { port, .. }) if !listen.is_local() => Some(port),
        _ => None,
    }))
}

fn sorted(ports: impl Iterator<Item = u16>) -> Vec<String> {
    let ports: std::collections::BTreeSet<u16> = ports.collect();
    ports.iter().map(ToString::to_string).collect()
}

fn kubernetes(checked: &Checked) -> Vec<Finding> {
    let config = checked.config();
    let mut found = Vec::new();
    let listen = config.admin.listen.parse::<Listen>();
    if config.admin.listen == "off" {
        let help = "write `admin: {listen: 0.0.0.0:9464, allow_plaintext: true}` for /livez and /readyz";
        found.push(Finding::warn(CHECK, "probes", "`admin` is off, so no probe can ask how it is", help));
    } else if listen.is_ok_and(|it| it.is_local()) {
        let message =
            format!("`admin` listens on {}, where the kubelet's HTTP probes do not arrive", config.admin.listen);
        let help = "write `admin: {listen: 0.0.0.0:9464, allow_plaintext: true}` when the pod has probes of type httpGet: they go to the pod's address";
        found.push(Finding::warn(CHECK, "probes", message, help));
    }
    if config.shutdown.grace.0.as_secs() > GRACE_MAX_SECONDS {
        let grace = config.shutdown.grace;
        let message = format!("`shutdown.grace` is {grace}, and a pod has 30s unless it says otherwise");
        let help = format!("write `terminationGracePeriodSeconds: {}` in the pod", grace.0.as_secs() + 5);
        found.push(Finding::warn(CHECK, "ending", message, help));
    }
    found
}
