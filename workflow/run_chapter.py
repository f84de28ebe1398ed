"""Run one chapter by papermill in its own folder; called by the Snakefile with the run and its parameters.

The notebook grows as chapter.partial.ipynb and gets its real name only when every cell has run.
"""

import json
import os
import sys
from pathlib import Path

import jupytext
import papermill
import runs
from nbclient.exceptions import DeadKernelError
from runs import ROOT, Key


def main(preset: str, chapter: str, run: str, values: str, fingerprint: str) -> int:
    key, folder = Key(preset, chapter, run), ROOT / Key(preset, chapter, run).folder
    try:
        # A row of a sweep may be at work on it, or a job on a worker that was believed lost.
        with runs.locked(folder.with_name(f"{folder.name}.lock"), f"another run works on {key}; waiting for it"):
            if runs.restored(key, json.loads(fingerprint)):
                print(f"{key} is done")
                return 0
            return execute(key, values, fingerprint)
    except OSError as error:
        # A full disk or a folder that can not be written; nothing has its final name yet.
        where = error.filename or str(key.folder)
        print(f"error: {chapter} ({preset}, {run}): {where}: {error.strerror or error}", file=sys.stderr)
        return 1


def execute(key: Key, values: str, fingerprint: str) -> int:
    folder, (preset, chapter, run) = ROOT / key.folder, (key.preset, key.chapter, key.run)
    runs.begin(key, json.loads(fingerprint))
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    # Libraries outside torch read this once, when they load: two chapters side by side must not take each other's cores.
    os.environ["OMP_NUM_THREADS"] = str(json.loads(values).get("threads", 1))
    # tqdm draws its bars as text where there are no widgets; a page need not say so.
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"
    os.chdir(folder)
    partial = Path("chapter.partial.ipynb")
    # The .py is the source; the .ipynb beside it is its copy for readers.
    notebook = jupytext.read(ROOT / "notebooks" / f"{chapter}.py")
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])
    print(f"{chapter} ({preset}, {run}): {sum(cell.cell_type == 'code' for cell in notebook.cells)} cells", flush=True)
    try:
        papermill.execute_notebook(
            notebook, str(partial), json.loads(values), kernel_name="python3", progress_bar=False, log_output=False
        )
    except papermill.PapermillExecutionError as error:
        # exec_count numbers the cells as the reader sees them in the partial notebook.
        last = f"{error.ename}: {error.evalue}".strip().splitlines()
        print(f"error: {chapter} ({preset}, {run}) failed in cell [{error.exec_count}]: {last[0]}", file=sys.stderr)
        print(f"       the notebook up to there: {(folder / partial).relative_to(ROOT)}", file=sys.stderr)
        return 1
    except DeadKernelError:
        print(f"error: {chapter} ({preset}, {run}): its kernel died, most likely out of memory", file=sys.stderr)
        return 1
    if not Path("results.json").is_file():
        print(f"error: {chapter} ({preset}, {run}) ran to its end but wrote no results.json", file=sys.stderr)
        return 1
    runs.finish(key, partial)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
