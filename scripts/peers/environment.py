"""Virtual environments of the peers: outside the repository, made on the first run, versions pinned."""

import json
import os
import pathlib
import subprocess
import sys
import venv

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "dotcart"


def python(name, pinned, optional=()):
    """The interpreter of environment `name`, made if it is not there; None if its packages cannot be installed. Of `optional`,
    lists of packages, those that cannot be installed are named and left out."""
    folder = CACHE / f"venv-peers-{name}"
    binary = folder / "bin" / "python"
    complete = folder / "complete"
    wanted = [*pinned, *(package for packages in optional for package in packages)]
    if complete.exists() and complete.read_text().split() == wanted:
        return binary
    print(f"making {folder} with {', '.join(wanted)}", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)

    def installs(packages):
        pip = [binary, "-m", "pip", "install", "--quiet", "--no-cache-dir", *packages]
        done = subprocess.run(pip).returncode == 0
        if not done:
            print(f"left out: {', '.join(packages)} cannot be installed here", file=sys.stderr)
        return done

    if not installs(pinned):
        return None
    for packages in optional:
        installs(packages)
    complete.write_text("\n".join(wanted))
    return binary


def dotcart(given):
    """The binary: as given, else built by cargo."""
    if given:
        return pathlib.Path(given).resolve()
    build = ["cargo", "build", "--release", "--locked", "--bin", "dotcart", "--message-format=json-render-diagnostics"]
    lines = subprocess.run(build, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    built = [json.loads(line) for line in lines if line.startswith("{")]
    return next(m["executable"] for m in built if m.get("executable") and m["target"]["name"] == "dotcart")
