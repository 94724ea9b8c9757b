"""What `scripts/dist` and `scripts/wheel` share: the binary as it is handed out, and the licences that must go with it."""

import json
import pathlib
import shutil
import subprocess
import sys
import tomllib

from peers.environment import REPOSITORY, dotcart

OWN_LICENCES = [REPOSITORY / "LICENSE-APACHE", REPOSITORY / "LICENSE-MIT"]
THIRD_PARTY = "LICENSES-THIRD-PARTY.txt"
LICENCE_NAMES = ("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE")


def version():
    """The version of dotcart."""
    return tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def triple():
    """The platform that cargo builds for here, as Rust names it."""
    said = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    return next(line.removeprefix("host: ") for line in said.splitlines() if line.startswith("host: "))


def binary(given, folder):
    """A copy of the binary in `folder`, as given, else built by cargo; without its symbols where there is a `strip`."""
    built = pathlib.Path(dotcart(given))
    copy = folder / f"dotcart{'.exe' if built.suffix == '.exe' else ''}"
    shutil.copy(built, copy)
    if copy.suffix != ".exe" and shutil.which("strip"):
        subprocess.run(["strip", "-x" if sys.platform == "darwin" else "--strip-all", copy], check=True)
    return copy


def third_party():
    """The licences of every crate that the binary is made of, by cargo's own account, each text once."""
    words = ["cargo", "metadata", "--format-version=1", "--locked", f"--filter-platform={triple()}"]
    graph = json.loads(subprocess.run(words, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True).stdout)
    packages = {package["id"]: package for package in graph["packages"]}
    needs = {
        node["id"]: [dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
        for node in graph["resolve"]["nodes"]
    }
    root = graph["resolve"]["root"]
    found, left = {root}, [root]
    while left:
        new = set(needs[left.pop()]) - found
        found |= new
        left += new
    others = found - set(graph["workspace_members"])
    crates = sorted((packages[id] for id in others), key=lambda crate: (crate["name"], crate["version"]))
    texts = {}
    lines = ["dotcart is made with these crates, under the licences named; the texts that came with them follow.", ""]
    for crate in crates:
        name = f"{crate['name']} {crate['version']}"
        lines.append(f"{name}: {crate['license'] or 'see its text'}")
        for path in sorted(pathlib.Path(crate["manifest_path"]).parent.iterdir()):
            if path.is_file() and path.name.upper().startswith(LICENCE_NAMES):
                text = path.read_text(encoding="utf-8", errors="replace").strip()
                # The same words are set in lines of many lengths.
                texts.setdefault(" ".join(text.split()), (text, []))[1].append(name)
    for text, names in texts.values():
        lines += ["", "-" * 80, "", f"of {', '.join(dict.fromkeys(names))}", "", text]
    return "\n".join(lines) + "\n"
