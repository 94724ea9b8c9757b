"""`python -m dotcart`, and the command `dotcart`: the binary, with the same arguments."""

import os
import subprocess
import sys

from ._process import binary


def main() -> None:
    """Becomes the binary; on Windows, where no process can become another, it is waited for."""
    words = [str(binary()), *sys.argv[1:]]
    if os.name == "nt":
        sys.exit(subprocess.run(words).returncode)
    os.execv(words[0], words)


if __name__ == "__main__":
    main()
