"""Choose the exact versions of all packages from pyproject.toml and write requirements.lock; called by `make lock`."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAD = """\
# The exact versions every command uses; made by `make lock` from pyproject.toml, for Python 3.11 and newer.
# No hashes and no CUDA packages: torch and torchvision differ by platform and bring what theirs needs.
"""
# Newer releases of these two pull several GB of CUDA packages or do not match each other.
PINNED = "torch==2.13.0\ntorchvision==0.28.0\n"


def main() -> None:
    uv = [str(Path(sys.executable).parent / "uv"), "pip", "compile", "pyproject.toml", "--all-extras", "--universal"]
    lock = ROOT / "requirements.lock"
    # What is locked stays as it is while it still fits; delete the file first to take the newest of everything.
    known = lock.read_text(encoding="utf-8") if lock.is_file() else ""
    constraints = PINNED + "".join(f"{line}\n" for line in known.splitlines() if re.match(r"[\w.-]+==", line))
    done = subprocess.run(
        [*uv, "--python-version", "3.11", "--constraints", "-", "--no-header", "--no-annotate", "--quiet", "--system-certs"],
        cwd=ROOT, input=constraints, capture_output=True, text=True, check=False,
        env=os.environ | {"UV_FIND_LINKS": os.environ.get("UV_FIND_LINKS", pip_find_links())},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"error: no set of versions fits pyproject.toml\n{done.stderr}")
    kept = [line for line in done.stdout.splitlines() if not re.match(r"nvidia-|cuda-|triton", line)]
    lock.write_text(HEAD + "\n".join(kept) + "\n", encoding="utf-8")


def pip_find_links() -> str:
    command = [sys.executable, "-m", "pip", "config", "get", "global.find-links"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main()
