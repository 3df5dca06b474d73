"""The manifests of deploy/kubernetes, the chart of deploy/helm, the policies of deploy/kuma.

Guarantee: every resource has the shape that Kubernetes takes, unknown fields refused; every configuration in them is
taken by `logboom check`, and needs no more memory than its container may have; the time to stop is enough.
"""

import os
import re
import tempfile
from pathlib import Path

import tools
from results import of
from tools import ROOT, run

KUSTOMIZE = ROOT / "deploy/kubernetes/overlays"
CHART = ROOT / "deploy/helm/logboom"
COPIES = {
    "alerts.yaml": "deploy/prometheus/alerts.yaml",
    "dashboard.json": "deploy/grafana/logboom.json",
    "daemonset.yaml": "deploy/kubernetes/overlays/node/logboom.yaml",
    "gateway.yaml": "deploy/kubernetes/overlays/gateway/logboom.yaml",
}
# Comments with figures, and the configurations that they are of.
FIGURES = {
    "deploy/kubernetes/overlays/node/daemonset.yaml": "deploy/kubernetes/overlays/node/logboom.yaml",
    "deploy/kubernetes/overlays/gateway/statefulset.yaml": "deploy/kubernetes/overlays/gateway/logboom.yaml",
    "deploy/kubernetes/overlays/sidecar/deployment.yaml": "deploy/kubernetes/overlays/sidecar/logboom.yaml",
    "deploy/systemd/logboom.service": "deploy/systemd/logboom.yaml",
    "deploy/systemd/logboom-journal.yaml": "deploy/systemd/logboom-journal.yaml",
}
# Of operators, whose schemas no package has.
FOREIGN = ("PodMonitor", "ServiceMonitor", "PrometheusRule")
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
TOKEN = {"BACKEND_TOKEN": "t"}


def kustomize(results, binary):
    """Each overlay renders to valid resources; the option with metrics too."""
    for overlay in sorted(it.name for it in KUSTOMIZE.iterdir()):
        rendered = _build(KUSTOMIZE / overlay)
        results.add(f"kustomize {overlay} renders", of(rendered))
        _resources(results, f"kustomize {overlay}", rendered.stdout, binary)
    with tempfile.TemporaryDirectory(dir=ROOT / "target") as directory:
        monitored = Path(directory) / "kustomization.yaml"
        base = "../../deploy/kubernetes"
        monitored.write_text(f"resources: [{base}/overlays/node]\ncomponents: [{base}/components/podmonitor]\n")
        rendered = _build(Path(directory))
        results.add("kustomize with the component podmonitor", of(rendered, "kind: PodMonitor"))


def helm(results, binary):
    """The chart lints strictly, renders for every set of values, and refuses values that cannot work."""
    for name, original in COPIES.items():
        same = (CHART / "files" / name).read_bytes() == (ROOT / original).read_bytes()
        results.add(f"chart has {original} as it is", [] if same else [f"cp {original} {CHART.relative_to(ROOT)}/files/{name}"])
    program = tools.go("helm")
    results.add("helm lint", of(run([program, "lint", "--strict", CHART])))
    sets = [[], ["--set", "mode=gateway"], *(["-f", it] for it in sorted((CHART / "ci").iterdir()))]
    for values in sets:
        name = f"helm {' '.join(getattr(it, 'name', it) for it in values) or 'defaults'}"
        rendered = _template(program, values)
        results.add(f"{name} renders", of(rendered, "checksum/config"))
        _resources(results, name, rendered.stdout, binary)
    refused = {
        "mode=sidecar": "mode",
        "imag.tag=1": "imag",
        "terminationGracePeriodSeconds=20": "terminationGracePeriodSeconds",
        "config.admin.listen=127.0.0.1:9464,config.sources.a.listen=0.0.0.0:1": "probes",
        "config.sources.a.listen=127.0.0.1:5000": "other pods",
    }
    for value, word in refused.items():
        rendered = _template(program, ["--set", value])
        refused_so = rendered.returncode != 0 and word in rendered.stderr
        results.add(f"helm refuses {value}", [] if refused_so else [rendered.stderr[-300:] or "it is taken"])
    checksums = {_checksum(_template(program, ["--set", it]).stdout) for it in ("replicas=2", "replicas=3", "config.sources.a.listen=0.0.0.0:1")}
    results.add("helm: another configuration is another checksum, another value is not", [] if len(checksums) == 2 else [str(checksums)])


def policies(results, binary):
    """Policies become sources, on the ports that the manifests have."""
    for policy in sorted((ROOT / "deploy/kuma").rglob("*.yaml")):
        done = run([binary, "from-policy", policy])
        results.add(f"from-policy {policy.relative_to(ROOT)}", of(done, "listen:" if "type: lines" in done.stdout else "grpc:"))


def configurations(results, binary):
    """Every configuration that is shipped as a file is taken, but the reference: it names files that are nowhere, and
    has tests of its own."""
    for path in sorted([*(ROOT / "config").glob("[!r]*.yaml"), *(ROOT / "deploy/systemd").glob("*.yaml"), *KUSTOMIZE.glob("*/logboom.yaml")]):
        results.add(f"check {path.relative_to(ROOT)}", of(run([binary, "check", "-c", path], env=_environment()), "\nok"))


def figures(results, binary):
    """What comments say of the memory is what `logboom check` says, to a twentieth."""
    counts = {"one": 1, "two": 2}
    for path, config in FIGURES.items():
        text = " ".join((ROOT / path).read_text().replace("#", " ").split())
        found = re.search(r"(\d+)MiB for (one|two) CPUs?, and (\d+)MiB (?:more )?for each CPU beyond", text)
        if not found:
            results.add(f"figures of {path}", ["there are none"])
            continue
        said, cpus, each = int(found[1]), counts[found[2]], int(found[3])
        problems, bounds = [], []
        for count in (cpus, cpus + 1):
            more, bound = _bound(binary, (ROOT / config).read_text(), count)
            problems += more
            bounds.append(bound / UNITS["Mi"])
        for name, figure, measured in (("memory", said, bounds[0]), ("for each CPU", each, bounds[1] - bounds[0])):
            if abs(figure - measured) > measured / 20:
                problems.append(f"{name}: {figure}MiB is said, {measured:.0f}MiB it is")
        results.add(f"figures of {path}", problems)


def compose(results, binary):
    """The configuration inside of the compose file is taken."""
    yaml = tools.yaml()
    document = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
    for name, config in document["configs"].items():
        problems, bound = _bound(binary, config["content"], 2)
        limit = int(document["services"]["logboom"]["mem_limit"].rstrip("m")) * UNITS["Mi"]
        if not problems and bound > limit:
            problems = [f"it may need {bound >> 20} MiB, the limit is {limit >> 20} MiB"]
        results.add(f"compose config {name}", problems)


def _build(directory):
    try:
        return run([tools.on_path("kubectl"), "kustomize", directory])
    except tools.Unavailable:
        return run([tools.go("kustomize"), "build", directory])


def _template(program, values):
    return run([program, "template", "r", CHART, "--kube-version", f"{tools.KUBERNETES[0]}.0", *values])


def _checksum(rendered):
    return re.search(r"checksum/config: (\w+)", rendered)[1]


def _environment():
    return {**os.environ, **TOKEN}


def _resources(results, name, text, binary):
    bin_directory = tools.python()
    yaml = tools.yaml()
    documents = [it for it in yaml.safe_load_all(text) if it]
    own = [it for it in documents if it["kind"] not in FOREIGN]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "resources.yaml"
        path.write_text(yaml.safe_dump_all(own))
        for version in tools.KUBERNETES:
            done = run([bin_directory / "kubernetes-validate", "--strict", "--quiet", "-k", version, path])
            # It warns about what it has no schema for: that was not looked at, so it is no pass.
            said = [it for it in (done.stdout + done.stderr).splitlines() if it.startswith(("WARN", "ERROR"))]
            results.add(f"{name} is valid for Kubernetes {version}", of(done) or said)
    maps = {it["metadata"]["name"]: it["data"] for it in own if it["kind"] == "ConfigMap"}
    for workload in (it for it in own if it["kind"] in ("Deployment", "DaemonSet", "StatefulSet")):
        results.add(f"{name}: {workload['kind']} has what its configuration needs", _fits(workload, maps, binary))


def _fits(workload, maps, binary):
    """Problems between a pod and the configuration in it: memory, CPUs, time to stop, ports, privileges."""
    pod = workload["spec"]["template"]["spec"]
    container = next(it for it in pod.get("initContainers", []) + pod["containers"] if it["name"] == "logboom")
    names = [it["configMap"]["name"] for it in pod["volumes"] if "configMap" in it]
    config = next(maps[it]["logboom.yaml"] for it in names if it in maps)
    yaml = tools.yaml()
    limits = container["resources"]["limits"]
    cpus = int(limits["cpu"])
    problems, bound = _bound(binary, config, cpus)
    number, unit = re.fullmatch(r"(\d+)(\w+)", limits["memory"]).groups()
    if not problems and bound > int(number) * UNITS[unit]:
        problems.append(f"it may need {bound >> 20} MiB with {cpus} CPUs, and is limited to {limits['memory']}")
    settings = yaml.safe_load(config)
    grace = int(settings["shutdown"]["grace"].rstrip("s"))
    pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    if pod["terminationGracePeriodSeconds"] < grace + pause + 2:
        problems.append(f"{pod['terminationGracePeriodSeconds']} s to stop, for a pause of {pause} s and a grace of {grace} s")
    ports = {it["containerPort"] for it in container["ports"]}
    for address in _addresses(settings):
        host, port = address.rsplit(":", 1)
        if host == "0.0.0.0" and int(port) not in ports:
            problems.append(f"it listens on {address}, which is no port of the container")
    security = {**pod.get("securityContext", {}), **container["securityContext"]}
    wanted = {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsUser": 65532}
    problems += [f"{key} is {security.get(key)}" for key, value in wanted.items() if security.get(key) != value]
    if security.get("capabilities") != {"drop": ["ALL"]} or security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        problems.append("capabilities are to be dropped, and seccomp to be that of the runtime")
    return problems


def _addresses(settings):
    for source in settings["sources"].values():
        yield from (source[key] for key in ("listen", "grpc", "http") if key in source)
    yield settings["admin"]["listen"]


def _bound(binary, config, cpus):
    """`(problems, bytes)` of the memory bound with so many CPUs: it grows by the same for each, so two are asked for."""
    bounds = []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "logboom.yaml"
        # Certificates are only there where it runs.
        path.write_text(re.sub(r"^\s*(tls|ca|cert|key|client_ca): */?etc/\S*\n", "", config, flags=re.M))
        allowed = sorted(os.sched_getaffinity(0))
        if len(allowed) < 2 and cpus > 1:
            raise tools.Unavailable("with a single CPU here, the memory for more of them cannot be asked for")
        for few in (allowed[:1], allowed[:2])[: 1 if cpus == 1 else 2]:
            done = run(["taskset", "-c", ",".join(map(str, few)), binary, "check", "-c", path], env=_environment())
            if problems := of(done, "memory "):
                return problems, 0
            bounds.append(float(re.search(r"memory ([\d.]+)MiB", done.stdout)[1]) * UNITS["Mi"])
    return [], int(bounds[0] + (bounds[-1] - bounds[0]) * (cpus - 1))
