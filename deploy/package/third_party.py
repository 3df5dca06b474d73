#!/usr/bin/env python3
"""The crates that are linked into logboom, with versions, licences and the texts of their licence files.

    python3 deploy/package/third_party.py > THIRD-PARTY.md

Reads `cargo metadata` of the locked versions for this host: what is needed to build or to test alone is left out.
Ends with 1 when a crate says nothing of its licence, or its files cannot be found.
"""

import json
import subprocess
import sys
from pathlib import Path

NAMES = ("license", "licence", "copying", "notice", "unlicense", "copyright")


def metadata():
    host = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    host = next(line.split(": ")[1] for line in host.splitlines() if line.startswith("host: "))
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", host]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def linked(data):
    """Packages that the program needs when it runs, itself left out, by name and version."""
    packages = {it["id"]: it for it in data["packages"]}
    nodes = {it["id"]: it for it in data["resolve"]["nodes"]}
    root = data["resolve"]["root"]
    seen, wanted = set(), [root]
    while wanted:
        identity = wanted.pop()
        if identity in seen:
            continue
        seen.add(identity)
        if any("proc-macro" in target["kind"] for target in packages[identity]["targets"]):
            continue
        for dependency in nodes[identity]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                wanted.append(dependency["pkg"])
    return sorted((packages[it] for it in seen - {root}), key=lambda it: (it["name"], it["version"]))


def texts(package):
    """The licence files beside a crate's manifest, as (name, text)."""
    directory = Path(package["manifest_path"]).parent
    files = [it for it in sorted(directory.iterdir()) if it.is_file() and it.name.lower().startswith(NAMES)]
    return [(it.name, it.read_text(errors="replace").strip()) for it in files]


def main():
    packages = linked(metadata())
    missing = [it["name"] for it in packages if not it["license"] and not it["license_file"]]
    if missing or not packages:
        print(f"no licence is named by: {', '.join(missing) or 'anybody, for there is no crate'}", file=sys.stderr)
        return 1
    print("# Third-party licences\n\nlogboom is linked from these crates, each under its own licence.\n")
    print("| crate | version | licence |\n|---|---|---|")
    for package in packages:
        print(f"| {package['name']} | {package['version']} | {package['license'] or package['license_file']} |")
    # The same text comes many times: each once, with the crates that have it.
    users = {}
    for package in packages:
        for _, text in texts(package):
            users.setdefault(text, []).append(f"{package['name']} {package['version']}")
    for text, crates in users.items():
        fence = "`" * 4
        print(f"\n## {', '.join(dict.fromkeys(crates))}\n\n{fence}text\n{text}\n{fence}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
