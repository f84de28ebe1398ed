"""Build the site aside and put it in place only when it is whole; called by the Snakefile."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import stage

BUILD = stage.ROOT / "_build"


def main() -> int:
    staged, aside, site = BUILD / "stage", BUILD / "site.partial", BUILD / "html"
    stage.stage(staged)
    shutil.rmtree(aside, ignore_errors=True)
    command = [str(Path(sys.executable).parent / "jupyter-book"), "build", str(staged), "--path-output", str(aside)]
    # Warnings are errors: a broken link or a missing label must not be published.
    command += [
        "--config",
        str(staged / "_config.yml"),
        "--toc",
        str(staged / "_toc.yml"),
        "-n",
        "-W",
        "--keep-going",
        "-q",
    ]
    log = BUILD / "site.log"
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            command, stdout=file, stderr=subprocess.STDOUT, check=False, env=os.environ | {"NO_COLOR": "1"}
        )
    built = aside / "_build" / "html"
    if done.returncode or not (built / "index.html").is_file():
        print(log.read_text(encoding="utf-8")[-4000:], file=sys.stderr)
        print(f"error: the site was not built (whole log: {log.relative_to(stage.ROOT)})", file=sys.stderr)
        return 1
    shutil.copytree(staged / "_downloads", built / "_static" / "downloads")
    (built / ".whole").touch()
    old = BUILD / "html.old"
    shutil.rmtree(old, ignore_errors=True)
    if site.exists():
        site.rename(old)
    built.rename(site)
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(aside)
    print(f"the site: {(site / 'index.html').relative_to(stage.ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
