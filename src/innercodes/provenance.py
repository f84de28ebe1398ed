"""Where numbers come from: the code they depend on, as one hash, the versions, the machine and the time."""

import ast
import datetime
import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import psutil
import torch

from innercodes.parameters import Run

ROOT = Path(__file__).resolve().parents[2]


def code_cells(chapter: str, root: Path = ROOT) -> list[str]:
    """The code cells of a chapter's py:percent source."""
    text = (root / "notebooks" / f"{chapter}.py").read_text(encoding="utf-8")
    cells = [cell.partition("\n") for cell in re.split(r"^# %%", text, flags=re.MULTILINE)[1:]]
    return [code for head, _, code in cells if not head.strip().startswith("[markdown]")]


def modules_of(chapter: str, root: Path = ROOT) -> list[Path]:
    """The files of this package that a chapter imports, directly or through others."""
    package = root / "src" / "innercodes"
    found: dict[Path, None] = {}
    waiting = [(f"notebooks/{chapter}.py", "\n".join(code_cells(chapter, root)))]
    waiting.append(("__init__.py", (package / "__init__.py").read_text(encoding="utf-8")))
    while waiting:
        origin, source = waiting.pop()
        for node in ast.walk(ast.parse(source, filename=origin)):
            names = []
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "innercodes":
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                path = package.joinpath(*name.split(".")[1:]).with_suffix(".py")
                if name.startswith("innercodes.") and path.is_file() and path not in found:
                    found[path] = None
                    waiting.append((path.name, path.read_text(encoding="utf-8")))
    return sorted(found)


def source_hash(chapter: str, root: Path = ROOT) -> str:
    """SHA-256 (16 hex digits) of all the code a chapter's numbers come from: its code cells and what they reach.

    Reached is every statement at the top of an imported module that binds a name which reached code mentions, as an identifier,
    an attribute or a string (for `getattr` and tables). It may cover too much, and too little only where a name is put together
    from parts; a new function beside the used ones does not change it. Statements that bind no name always count, docstrings
    of modules never.
    """
    cells = code_cells(chapter, root)
    bound: dict[str, list[tuple[str, ast.stmt]]] = {}
    origin = f"notebooks/{chapter}.py"
    waiting = [name for cell in cells for name in _mentioned(ast.parse(cell, filename=origin))]
    for path in modules_of(chapter, root):
        text = path.read_text(encoding="utf-8")
        for statement in ast.parse(text, filename=path.name).body:
            names = _bound(statement)
            for name in names:
                bound.setdefault(name, []).append((_lines(text, statement), statement))
            if not names and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                bound.setdefault("", []).append((_lines(text, statement), statement))
    waiting.append("")
    seen, reached = set(), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for text, statement in bound.get(name, ()):
            reached.add(text)
            waiting.extend(_mentioned(statement))
    return hashlib.sha256("\0".join([*cells, *sorted(reached)]).encode()).hexdigest()[:16]


def _mentioned(tree: ast.AST) -> set[str]:
    """Every identifier, attribute, imported name and string in a piece of code."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.alias):
            found |= {node.name.rpartition(".")[2], node.asname or ""}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found - {""}


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement at the top of a module binds; for an entry `TABLE["key"] = ...` its key."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    found = set()
    for target in targets:
        if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
            found.add(target.slice.value)
        elif target is not None:
            found |= {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}
    return found


def _lines(text: str, statement: ast.stmt) -> str:
    """A statement as it is written, decorators included."""
    first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", ()))])
    return "\n".join(text.split("\n")[first - 1 : statement.end_lineno])


def lock_hash(root: Path = ROOT) -> str:
    """SHA-256 (16 hex digits) of the file with the exact package versions."""
    return hashlib.sha256((root / "requirements.lock").read_bytes()).hexdigest()[:16]


def claims_hash(chapter: str, root: Path = ROOT) -> str:
    """SHA-256 (16 hex digits) of the claims file that a chapter is judged by; of nothing where there is none."""
    found = [
        p.read_bytes()
        for p in sorted((root / "claims").glob("*.yml"))
        if f"chapter: {chapter}\n".encode() in p.read_bytes()
    ]
    return hashlib.sha256(b"".join(found)).hexdigest()[:16]


def of_code(chapter: str) -> dict[str, Any]:
    """The version of everything a run depends on. `dirty` says that it is more than the commit."""
    status = _git("status", "--porcelain")
    return {
        "commit": _git("rev-parse", "HEAD") or "unknown",
        "dirty": status is None or bool(status),
        "source_hash": source_hash(chapter),
        "lock_hash": lock_hash(),
        "claims_hash": claims_hash(chapter),
    }


def of_run(run: Run, code: dict[str, Any], started: datetime.datetime, seconds: float) -> dict[str, Any]:
    """Where numbers come from: code, versions, machine (its kind, not its name) and time.

    `code` is `of_code` when the run began; a run whose code changed while it ran belongs to no commit and is dirty.
    """
    return code | {
        "dirty": code["dirty"] or of_code(run.chapter) != code,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "hardware": hardware(run.device),
        "packages": {
            name: importlib.metadata.version(name) for name in ("innercodes", "numpy", "scipy", "scikit-learn", "torch")
        }
        | {"python": platform.python_version()},
    }


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # a copy without git is fine, and says "unknown"
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def hardware(device: torch.device) -> str:
    """The kind of machine, such as '2 cores x86_64 (Intel Xeon), 24 GiB, CPU'."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    model = next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
    memory = round(psutil.virtual_memory().total / 2**30)
    accelerator = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    return f"{os.cpu_count()} cores {platform.machine()} ({model or 'unknown'}), {memory} GiB, {accelerator}"
