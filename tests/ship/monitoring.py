"""Alerts, dashboard and metrics, by promtool and a real Prometheus that scrapes a real logboom under load.

Guarantee: every rule is right, fires when it should and is quiet else, and has its place in the runbook; every metric
that an alert or a panel names is there; no expression fails.
"""

import json
import re
import socket
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

import tools
from results import of
from tools import ROOT, run, wait_for

sys.path.append(str(ROOT / "tests/envoy"))

ALERTS = ROOT / "deploy/prometheus/alerts.yaml"
TESTS = ROOT / "deploy/prometheus/alerts_test.yaml"
DASHBOARD = ROOT / "deploy/grafana/logboom.json"
RUNBOOK = ROOT / "docs/operations.md"
SERIES = re.compile(r"\b((?:logboom|process)_\w+)(\{[^}]*\})?")
# What a Grafana puts in.
VARIABLES = {"$__rate_interval": "1m", "$__range": "5m", "$job": ".+", "$instance": ".+"}
RECORDS, SCRAPED_S = 3000, 60.0


def rules(results, _binary):
    """promtool takes the rules and passes their tests; each rule is tested and explained."""
    promtool = tools.prometheus() / "promtool"
    results.add("promtool check rules", of(run([promtool, "check", "rules", ALERTS]), "SUCCESS"))
    results.add("promtool test rules", of(run([promtool, "test", "rules", TESTS]), "SUCCESS"))
    yaml = tools.yaml()
    alerts = _alerts()
    cases = yaml.safe_load(TESTS.read_text())["tests"]
    fires = {it["alertname"] for case in cases for it in case["alert_rule_test"] if it.get("exp_alerts")}
    quiet = {it["alertname"] for case in cases for it in case["alert_rule_test"] if not it.get("exp_alerts")}
    names = {it["alert"] for it in alerts}
    results.add("every alert has a test that it fires, and one that it is quiet", sorted((names - fires) | (names - quiet)))
    anchors = {line.removeprefix("### ").strip().lower() for line in RUNBOOK.read_text().splitlines() if line.startswith("### ")}
    links = {it["alert"]: it["annotations"]["runbook_url"] for it in alerts}
    wrong = [f"{name}: {link}" for name, link in links.items() if link.removeprefix("docs/operations.md#") not in anchors]
    results.add("every alert has its place in docs/operations.md", wrong)


def dashboard(results, _binary):
    """Every expression is PromQL, every panel has a place of its own."""
    yaml = tools.yaml()
    promtool = tools.prometheus() / "promtool"
    expressions = _panel_expressions()
    groups = [{"name": "panels", "rules": [{"record": f"panel:{i}", "expr": it} for i, it in enumerate(expressions)]}]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "rules.yaml"
        path.write_text(yaml.safe_dump({"groups": groups}))
        results.add("every expression of the dashboard is right", of(run([promtool, "check", "rules", path]), "SUCCESS"))
    panels = json.loads(DASHBOARD.read_text())["panels"]
    taken, problems = set(), []
    for panel in panels:
        grid = panel["gridPos"]
        cells = {(x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])}
        if cells & taken or any(x >= 24 for x, _ in cells):
            problems.append(f"{panel['title']} lies over another")
        taken |= cells
    if len({it["id"] for it in panels}) != len(panels):
        problems.append("two panels have the same id")
    sources = {json.dumps(it["datasource"]) for it in panels if it["type"] != "row"}
    problems += [f"a panel has the data source {it}" for it in sources if "${datasource}" not in it]
    results.add("every panel of the dashboard has its own place and the variable data source", problems)


def scrape(results, binary):
    """A real Prometheus: every series of alerts and panels has data, every rule is evaluated."""
    directory = tools.prometheus()
    from processes import Logboom

    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        logboom = Logboom(binary, place, _configuration(place))
        try:
            for source in (["lines://127.0.0.1:%d" % logboom.lines_port], ["otlp://127.0.0.1:%d" % logboom.otlp_port, "--format", "otlp"]):
                sent = run([binary, "gen", "--count", RECORDS, "--to", *source])
                results.add(f"gen sends {RECORDS} records to {source[0].split(':')[0]}", of(sent))
            page = urllib.request.urlopen(f"http://127.0.0.1:{logboom.admin_port}/metrics", timeout=10).read()
            checked = subprocess.run([directory / "promtool", "check", "metrics"], input=page, capture_output=True, timeout=60, check=False)
            complaints = (checked.stdout + checked.stderr).decode().splitlines()
            results.add("promtool check metrics", complaints if checked.returncode else [])
            with Prometheus(directory, place, logboom.admin_port) as prometheus:
                _questions(results, prometheus)
        finally:
            code, _ = logboom.stop()
        results.add("logboom ends in order", [] if code == 0 else [f"exit code {code}"])


def _questions(results, prometheus):
    # Two scrapes, for rates; a retry, for its series.
    wait_for(lambda: prometheus.ask("sum(rate(logboom_retries_total[1m]))"), "a rate of retries", SCRAPED_S)
    expressions = [it["expr"] for it in _alerts()] + _panel_expressions()
    series = {"".join(it) for expression in expressions for it in SERIES.findall(expression)}
    results.add(f"{len(series)} series of alerts and dashboard have data", [it for it in sorted(series) if not prometheus.ask(it)])
    # Comparisons leave nothing where all is well.
    empty = [it for it in _panel_expressions() if "> 0" not in it and not prometheus.ask(it)]
    results.add("every panel of the dashboard shows data", empty)
    states = prometheus.rules()
    results.add(f"{len(states)} rules are evaluated", [f"{name}: {health} {error}" for name, (health, _, error) in states.items() if health != "ok"])
    wait_for(lambda: prometheus.rules()["LogboomSinkRetries"][1] in ("pending", "firing"), "the alert on a sink that repeats", SCRAPED_S)
    # The upstream is away: these may be on their way, all others have to be quiet.
    expected = {"LogboomSinkRetries", "LogboomSinkStalled"}
    loud = [name for name, (_, state, _) in prometheus.rules().items() if state != "inactive" and name not in expected]
    results.add("no alert but those of the upstream that is away", loud)


def _configuration(place):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = unused.getsockname()[1]
    return f"""
sources:
  mesh: {{type: lines, listen: "127.0.0.1:0"}}
  otlp: {{type: otlp, grpc: "127.0.0.1:0"}}
sinks:
  files: {{type: file, path: {place}/access.log}}
  upstream: {{type: otlp, endpoint: "http://127.0.0.1:{nobody}", retry: {{initial: 200ms, max: 500ms}}}}
journal: {{dir: {place}/journal, max: 64MiB, mode: buffered}}
admin: {{listen: "127.0.0.1:0"}}
shutdown: {{grace: 2s}}
"""


def _alerts():
    yaml = tools.yaml()
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def _panel_expressions():
    targets = [it for panel in json.loads(DASHBOARD.read_text())["panels"] for it in panel.get("targets", [])]
    expressions = [it["expr"] for it in targets]
    for name, value in VARIABLES.items():
        expressions = [it.replace(name, value) for it in expressions]
    return expressions


class Prometheus:
    """One that scrapes this admin port every second, with the alerts of deploy/prometheus."""

    def __init__(self, directory, place, admin_port):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = place / "prometheus.yaml"
        config.write_text(f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [{ALERTS}]
scrape_configs:
  - job_name: logboom
    static_configs: [{{targets: ["127.0.0.1:{admin_port}"]}}]
""")
        self.process = subprocess.Popen(
            [
                directory / "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={place}/prometheus",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--log.level=error",
            ],
            stdin=subprocess.DEVNULL,
            stderr=open(place / "prometheus.log", "wb"),
        )

    def __enter__(self):
        wait_for(self._ready, "Prometheus answers", 60.0)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)

    def ask(self, expression):
        """What an expression gives now, as a list of samples."""
        return self._get("query?query=" + urllib.parse.quote(expression))["result"]

    def rules(self):
        """`{name: (health, state, last error)}` of every alert that has been evaluated, or waits for that."""
        groups = self._get("rules")["groups"]
        return {it["name"]: (it["health"], it["state"], it.get("lastError", "")) for group in groups for it in group["rules"]}

    def _ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"Prometheus ended with {self.process.returncode}")
        try:
            return self.rules()
        except OSError:
            return None

    def _get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)["data"]
