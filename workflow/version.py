"""The version of the book, which stands at the foot of the site and on the PDF."""

import subprocess
import tomllib
from pathlib import Path


def of(root: Path) -> str:
    """The tag of the code with what was added since; the version of the package where there is no tag or no git."""
    try:
        done = subprocess.run(
            ["git", "describe", "--tags", "--match=v*"], cwd=root, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        done = None
    if done and done.returncode == 0:
        return done.stdout.strip().removeprefix("v")
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
