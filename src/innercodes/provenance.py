"""Where numbers come from: the code they depend on, as one hash, the versions, the machine and the time."""

import ast
import datetime
import functools
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
    """The code cells of a chapter's py:percent source, without those of its section "Exercises", which make no number."""
    text = (root / "notebooks" / f"{chapter}.py").read_text(encoding="utf-8")
    found, section = [], ""
    for head, _, source in (cell.partition("\n") for cell in re.split(r"^# %%", text, flags=re.MULTILINE)[1:]):
        if head.strip().startswith("[markdown]"):
            headings = re.findall(r"^# ##? (.*)$", source, flags=re.MULTILINE)
            section = headings[-1] if headings else section
        elif section != "Exercises":
            found.append(source)
    return found


def modules_of(chapter: str, root: Path = ROOT) -> list[Path]:
    """The files of this package that a chapter imports, directly or through others."""
    package = root / "src" / "innercodes"
    found: dict[Path, None] = {}
    waiting = [(f"notebooks/{chapter}.py", "\n".join(code_cells(chapter, root)))]
    waiting.append(("__init__.py", (package / "__init__.py").read_text(encoding="utf-8")))
    while waiting:
        for name in _parsed(*waiting.pop())[2]:
            path = package.joinpath(*name.split(".")[1:]).with_suffix(".py")
            if path.is_file() and path not in found:
                found[path] = None
                waiting.append((path.name, path.read_text(encoding="utf-8")))
    return sorted(found)


@functools.cache
def _parsed(origin: str, text: str) -> tuple[ast.Module, tuple[ast.AST, ...], tuple[str, ...]]:
    """The tree of a source, all its nodes, and the names it imports from this package. Raises SyntaxError that names `origin`."""
    tree = ast.parse(text, filename=origin)
    nodes, names = tuple(ast.walk(tree)), []
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            names += [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return tree, nodes, tuple(name for name in names if name.startswith("innercodes."))


def source_hash(chapter: str, root: Path = ROOT) -> str:
    """SHA-256 (16 hex digits) of all the code a chapter's numbers come from: its code cells and what they reach.

    Reached is every statement at the top of an imported module that binds a name which reached code mentions, as an identifier
    or imported name of the same module, as an attribute of the module, or as a string that is a key of a table
    (`TABLE["key"] = ...`). In modules that are passed around as values, also as an attribute of something that is no module, or
    as a string (for `getattr`). It may cover too much, and too little only where a name is put together from parts; a new
    function beside the used ones does not change it. Statements that bind no name always count, docstrings of modules never;
    of an import only the names that are used. This module makes no numbers and is left out.
    """
    paths = [path for path in modules_of(chapter, root) if path.stem != "provenance"]
    modules = {path.stem: _module(path.stem, path.read_text(encoding="utf-8")) for path in paths}
    cells = code_cells(chapter, root)
    chapter_itself = _Module("", "\n".join(cells))
    passed = {name for module in (chapter_itself, *modules.values()) for name in module.passed}
    keys: dict[str, set[tuple[str, str]]] = {}
    held: dict[str, set[tuple[str, str]]] = {}
    for module in modules.values():
        for names, known in ((module.keys, keys), (module.bound if module.name in passed else (), held)):
            for name in names:
                known.setdefault(name, set()).add((module.name, name))
    waiting = [*chapter_itself.reached(chapter_itself.tree, keys, held), *((name, "") for name in modules)]
    seen: set[tuple[str, str]] = set()
    texts: set[str] = set()
    while waiting:
        place = waiting.pop()
        if place in seen or place[0] not in modules:
            continue
        seen.add(place)
        module = modules[place[0]]
        for text, node in module.bound.get(place[1], ()):
            texts.add(text)
            waiting.extend(module.reached(node, keys, held))
        if place[1] in module.imported:
            texts.add(module.imported[place[1]])
            waiting.extend(_source_of(module.imported[place[1]]))
    return hashlib.sha256("\0".join([*cells, *sorted(texts)]).encode()).hexdigest()[:16]


@functools.cache
def _module(name: str, text: str) -> "_Module":
    return _Module(name, text)


class _Module:
    """What stands in a module: the statements that bind each name at its top, "" for none; where imported names are from; and
    which modules of this package it uses as values, and not only for what is in them.
    """

    def __init__(self, name: str, text: str):
        self.name = name
        self.tree, nodes, _ = _parsed(f"{name}.py", text)
        self.bound: dict[str, list[tuple[str, ast.stmt]]] = {}
        self.keys: set[str] = set()
        self.imported: dict[str, str] = {}
        for node in nodes:
            # Also those within functions: a name means the same module throughout a file here.
            if isinstance(node, ast.Import):
                self.imported |= {a.asname or a.name.partition(".")[0]: _import(a.name, a) for a in node.names}
            elif isinstance(node, ast.ImportFrom):
                self.imported |= {a.asname or a.name: _import(f"{node.module}.{a.name}", a) for a in node.names}
        bases = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        alone = {node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in bases}
        self.passed = {_our_module(self.imported[name]) for name in alone & set(self.imported)} - {""}
        for statement in self.tree.body:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                continue
            lines = _lines(text, statement)
            names, keys = _bound(statement), _keys(statement)
            self.keys |= keys
            for bound in names | keys:
                self.bound.setdefault(bound, []).append((lines, statement))
            if not names | keys and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                self.bound.setdefault("", []).append((lines, statement))

    def reached(
        self, tree: ast.AST, keys: dict[str, set[tuple[str, str]]], held: dict[str, set[tuple[str, str]]]
    ) -> set[tuple[str, str]]:
        """Which names of which modules a piece of this module's code mentions; `keys` of tables as strings, `held` in passed
        modules as strings and attributes.
        """
        found: set[tuple[str, str]] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                found.add((self.name, node.id))
                found |= _source_of(self.imported.get(node.id, ""))
            elif isinstance(node, ast.Attribute):
                root = _root(node)
                origin = self.imported.get(root, "") if root else ""
                ours = _our_module(origin)
                if ours and isinstance(node.value, ast.Name):
                    found.add((ours, node.attr))
                elif not origin or ours:
                    found |= held.get(node.attr, set())
            elif isinstance(node, ast.alias):
                found.add((self.name, node.asname or node.name.partition(".")[0]))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= keys.get(node.value, set()) | held.get(node.value, set())
        return found


def _import(path: str, alias: ast.alias) -> str:
    return f"import {path} as {alias.asname or alias.name}"


def _our_module(imported: str) -> str:
    """The module of this package that an import of `_import` binds, or ""."""
    path = imported.removeprefix("import ").partition(" as ")[0].split(".")
    return path[1] if path[0] == "innercodes" and len(path) == 2 else ""


def _source_of(imported: str) -> set[tuple[str, str]]:
    """The module and name that an import of a name from this package binds."""
    path = imported.removeprefix("import ").partition(" as ")[0].split(".")
    return {(path[1], path[2])} if path[0] == "innercodes" and len(path) == 3 else set()


def _root(node: ast.Attribute) -> str:
    """The identifier that a chain of attributes begins with, or "" where it begins with something else, as a call."""
    value: ast.AST = node
    while isinstance(value, ast.Attribute):
        value = value.value
    return value.id if isinstance(value, ast.Name) else ""


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement at the top of a module binds."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    targets = [target for target in _targets(statement) if not isinstance(target, ast.Subscript)]
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}


def _keys(statement: ast.stmt) -> set[str]:
    """The keys of the entries of tables, `TABLE["key"] = ...`, that a statement makes."""
    subscripts = [target for target in _targets(statement) if isinstance(target, ast.Subscript)]
    return {target.slice.value for target in subscripts if isinstance(target.slice, ast.Constant)}


def _targets(statement: ast.stmt) -> list[ast.expr]:
    targets = getattr(statement, "targets", [getattr(statement, "target", None)])
    return [target for target in targets if target is not None]


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
