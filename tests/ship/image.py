"""The image, without an engine to build it: the Dockerfile is looked at, and what it makes is run as a container is.

Guarantee: as a sidecar of the manifests, with a root that is read-only, an unprivileged user and 128 MiB, logboom starts,
takes a load, passes it on, and stops in order.
"""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import tools
from results import of
from rootfs import Contained, install, need_root
from tools import ROOT, run, wait_for

OVERLAY = ROOT / "deploy/kubernetes/overlays/sidecar"
USER, CPUS = 65532, 1
STEADY, RATE, BURST = 10_000, 5_000, 100_000
PAGE = "import sys,urllib.request;sys.stdout.write(urllib.request.urlopen('http://127.0.0.1:9464'+sys.argv[1],timeout=5).read().decode())"
GATEWAY = """
sources: {otlp: {type: otlp, grpc: "127.0.0.2:4317"}}
sinks: {nowhere: {type: "null"}}
admin: {listen: "off"}
"""


def dockerfile(results, _binary):
    results.add("hadolint", of(run([tools.python() / "hadolint", ROOT / "Dockerfile"])))


def sidecar(results, binary):
    need_root()
    yaml = tools.yaml()
    pod = yaml.safe_load((OVERLAY / "deployment.yaml").read_text())["spec"]["template"]["spec"]
    container = next(it for it in pod["initContainers"] if it["name"] == "logboom")
    limit = int(re.fullmatch(r"(\d+)Mi", container["resources"]["limits"]["memory"])[1]) << 20
    with tempfile.TemporaryDirectory() as directory:
        root, beside = Path(directory) / "root", Path(directory) / "gateway.yaml"
        install(binary, root, "/logboom")
        (root / "etc/logboom").mkdir(parents=True)
        (root / "etc/logboom/logboom.yaml").write_text((OVERLAY / "logboom.yaml").read_text())
        beside.write_text(GATEWAY)
        cpus = sorted(os.sched_getaffinity(0))[:CPUS]
        environment = {"LOGBOOM_GATEWAY": "127.0.0.2"}
        logboom = Contained(root, ["/logboom", *container["args"]], USER, limit, cpus=cpus, environment=environment)
        try:
            logboom.ready()
            _load(results, logboom, binary, beside, limit)
        finally:
            code = logboom.stop()
        ledger = next((it for it in logboom.lines if it.startswith("ledger: ")), "")
        # What the burst was too fast for is shed, and told; that is no failure of a sidecar without a journal.
        results.add("it drains and ends in order", [] if code == 0 and ledger else [f"exit code {code}", *logboom.lines[-5:]])
        # A root that could be written to would prove nothing.
        refused = Contained(root, ["/logboom", "-o", "file:/tmp/a.log", "-l", "lines://127.0.0.1:5000"], USER)
        code = refused.stop() if not _ended(refused) else refused.process.returncode
        said = "\n".join(refused.lines)
        results.add("its root is read-only", [] if code == 1 and "Read-only file system" in said else [f"exit code {code}", said[-300:]])


def _load(results, logboom, binary, beside, limit):
    status = logboom.status()
    wanted = {"NoNewPrivs": "1", "CapEff": "0" * 16, "CapPrm": "0" * 16, "Uid": "\t".join([str(USER)] * 4)}
    results.add("it has no privilege", [f"{key} is {status[key]}" for key, value in wanted.items() if status[key] != value])
    results.add("it is alive while the gateway is away", of(logboom.beside(["python3", "-c", PAGE, "/livez"])))
    command = ["nsenter", "--target", str(logboom.process.pid), "--net", str(binary), "run", "-c", str(beside)]
    gateway = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _page(logboom, "/readyz").startswith("ready"), "the sidecar is ready, by its gateway")
        for load in (["--rate", RATE, "--count", STEADY], ["--rate", "max", "--count", BURST], ["--rate", "max", "--count", BURST, "--format", "otlp"]):
            target = "otlp://127.0.0.1:4317" if "otlp" in load else "lines://127.0.0.1:5000"
            results.add(f"gen {' '.join(map(str, load))}", of(logboom.beside([binary, "gen", *load, "--to", target])))
            if RATE in load:
                delivered = wait_for(lambda: _delivered(logboom) >= STEADY or None, f"{STEADY} records at the gateway")
                results.add(f"{STEADY} records at {RATE} a second reach the gateway", [] if delivered else ["they do not"])
        status = json.loads(_page(logboom, "/status"))
        imbalance = re.search(r"^logboom_ledger_imbalance_records (\S+)", _page(logboom, "/metrics"), re.M)[1]
        results.add("every record is accounted for", [] if imbalance == "0" else [f"imbalance {imbalance}"])
        peak, bound = int(logboom.status()["VmHWM"].split()[0]) << 10, status["memory_bound_bytes"]
        by = "a cgroup limits it" if logboom.limited else "no cgroup can be made here, its peak is looked at"
        problems = [] if peak <= bound <= limit else [f"peak {peak >> 20} MiB, bound {bound >> 20} MiB, limit {limit >> 20} MiB"]
        results.add(f"memory: peak {peak >> 20} MiB, bound {bound >> 20} MiB, limit {limit >> 20} MiB; {by}", problems)
    finally:
        gateway.terminate()
        gateway.wait(timeout=30)


def _page(logboom, path):
    return logboom.beside(["python3", "-c", PAGE, path]).stdout


def _delivered(logboom):
    found = re.search(r'logboom_delivered_records_total\{sink="gateway"\} (\d+)', _page(logboom, "/metrics"))
    return int(found[1]) if found else 0


def _ended(contained):
    """Whether it ends by itself."""
    return wait_for(lambda: contained.process.poll() is not None, "it ends by itself") and contained.stop() is not None
