"""Joins ES modules into the one classic script that is the service worker.

A bundler would do more and need Node. What is joined here is our own code, so the forms it may
use are few: named imports and exports, relative paths, no cycles. Everything else is refused with
file and line.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn


class ModuleRefused(Exception):
    """A module uses a form that cannot be joined. The message starts with ``file:line:``."""


def join_modules(root: Path, entry: str, generated: Mapping[str, str]) -> str:
    """Return ``entry`` and everything it imports as one classic script.

    ``entry`` and all imports are paths below ``root``. ``generated`` holds modules that are no
    files, by the path an import in ``root`` would use (``"./templates.js"``); they win over files.
    Each module becomes a function scope that runs once, after those it imports; importers see the
    values its exports have then, so only constants, functions and classes may be exported.

    Comments stay behind: a phone need not load them.  The script starts with a comment naming its
    content hash (the first 16 hex digits of the SHA-256 of the joined modules) and puts that hash
    into ``self.BUILD``.

    Raises ModuleRefused for a cycle, a missing module, an import of something not exported, and
    any form of import or export outside this list.
    """
    virtual = {posixpath.normpath(path): text for path, text in generated.items()}
    joiner = _Joiner(root, virtual)
    joiner.add(posixpath.normpath(entry), [])
    body = "\n".join(joiner.scopes) + "\n"
    build = hashlib.sha256(body.encode()).hexdigest()[:16]
    return f'/* build {build} */\n"use strict"\nself.BUILD = "{build}"\n{body}'


@dataclass
class _Module:
    """What one module exports, by exported name, and the constant that holds it."""

    scope: str
    exports: dict[str, str] = field(default_factory=dict)


_STATEMENT = re.compile(r"\b(import|export)\b")
_FROM = r"\s*from\s*(?P<quote>[\"'])(?P<path>[^\"']+)(?P=quote)[ \t]*;?"
_IMPORT_NAMES = re.compile(r"import\s*\{(?P<names>[^{}]*)\}" + _FROM)
_IMPORT_ALL = re.compile(r"import\s*\*\s*as\s+(?P<name>[\w$]+)" + _FROM)
_IMPORT_ONLY = re.compile(r"import\s*(?P<quote>[\"'])(?P<path>[^\"']+)(?P=quote)[ \t]*;?")
_EXPORT_DECLARATION = re.compile(
    r"export\s+(?=(?:async\s+function|function|class|const)\b)"
    r"(?:async\s+function\s*\*?|function\s*\*?|class|const)\s*(?P<name>[A-Za-z_$][\w$]*)"
)
_EXPORT_NAMES = re.compile(r"export\s*\{(?P<names>[^{}]*)\}(?!\s*from\b)[ \t]*;?")
_NAME = re.compile(r"(?P<name>[A-Za-z_$][\w$]*)(?:\s+as\s+(?P<alias>[A-Za-z_$][\w$]*))?")
_CONST_LIST = re.compile(r"export\s+const\s*[\[{]")


class _Joiner:
    def __init__(self, root: Path, virtual: Mapping[str, str]) -> None:
        self.root = root
        self.virtual = virtual
        self.modules: dict[str, _Module] = {}
        self.scopes: list[str] = []

    def add(self, path: str, importers: list[str]) -> _Module:
        """Write the scope of ``path`` after those it imports; ``importers`` leads to it."""
        if path not in self.modules:
            self._write(path, [*importers, path])
        return self.modules[path]

    def _write(self, path: str, chain: list[str]) -> None:
        source = self.virtual.get(path)
        if source is None:
            source = (self.root / path).read_text(encoding="utf-8")
        source = uncommented(source)
        code = blanked(source)
        module = _Module(f"module_{re.sub(r'[^A-Za-z0-9]+', '_', path.removesuffix('.js'))}")
        if any(other.scope == module.scope for other in self.modules.values()):
            module.scope += f"_{len(self.modules)}"
        out: list[str] = []
        done = 0
        for start, keyword in _statements(path, source, code):
            end, text = (
                self._import(path, source, start, chain)
                if keyword == "import"
                else self._export(path, source, code, start, module)
            )
            out += [source[done:start], text]
            # Lines stay where they were, for whoever reads a stack trace.
            out.append("\n" * (source.count("\n", start, end) - text.count("\n")))
            done = end
        out.append(source[done:])
        exported = ", ".join(
            name if name == local else f"{name}: {local}" for name, local in module.exports.items()
        )
        self.modules[path] = module
        self.scopes.append(
            f"// {path}\nconst {module.scope} = (() => {{\n{''.join(out).rstrip()}\n"
            f"return Object.freeze({{ {exported} }})\n}})()"
        )

    def _import(self, path: str, source: str, start: int, chain: list[str]) -> tuple[int, str]:
        """The end of the import at ``start``, and the constants that take its place."""
        if match := _IMPORT_NAMES.match(source, start):
            target = self._target(path, source, start, match["path"], chain)
            bindings = []
            for name, alias in _names(path, source, start, match["names"]):
                if name not in target.exports:
                    _refuse(path, source, start, f"{match['path']} does not export {name}")
                bindings.append(name if name == alias else f"{name}: {alias}")
            return match.end(), f"const {{ {', '.join(bindings)} }} = {target.scope};"
        if match := _IMPORT_ALL.match(source, start):
            target = self._target(path, source, start, match["path"], chain)
            return match.end(), f"const {match['name']} = {target.scope};"
        if match := _IMPORT_ONLY.match(source, start):
            self._target(path, source, start, match["path"], chain)
            return match.end(), ""
        return _refuse(path, source, start, "this form of import cannot be joined")

    def _target(
        self, path: str, source: str, start: int, specifier: str, chain: list[str]
    ) -> _Module:
        if not specifier.startswith(("./", "../")):
            _refuse(path, source, start, f"{specifier} is not a relative path")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), specifier))
        if target.startswith(".."):
            _refuse(path, source, start, f"{specifier} lies outside the worker's folder")
        if target in chain:
            circle = " → ".join([*chain[chain.index(target) :], target])
            _refuse(path, source, start, f"modules import each other: {circle}")
        if target not in self.virtual and not (self.root / target).is_file():
            _refuse(path, source, start, f"there is no module {specifier}")
        return self.add(target, chain)

    def _export(
        self, path: str, source: str, code: str, start: int, module: _Module
    ) -> tuple[int, str]:
        """The end of the word export at ``start`` and what remains of the statement."""
        if match := _EXPORT_DECLARATION.match(code, start):
            self._add_export(path, source, start, module, match["name"], match["name"])
            return start + len("export"), " " * len("export")
        if match := _EXPORT_NAMES.match(code, start):
            for local, name in _names(path, source, start, match["names"]):
                self._add_export(path, source, start, module, name, local)
            return match.end(), ""
        if _CONST_LIST.match(code, start):
            _refuse(path, source, start, "an exported const has one plain name")
        return _refuse(path, source, start, "this form of export cannot be joined")

    def _add_export(
        self, path: str, source: str, start: int, module: _Module, name: str, local: str
    ) -> None:
        if name in module.exports:
            _refuse(path, source, start, f"{name} is exported twice")
        if name == "default":
            _refuse(path, source, start, "a default export cannot be joined")
        module.exports[name] = local


def _names(path: str, source: str, start: int, text: str) -> Iterator[tuple[str, str]]:
    """The pairs of ``a, b as c``: what it is called on the left, and on the right of ``as``."""
    for part in text.split(","):
        if not part.strip():
            continue
        match = _NAME.fullmatch(part.strip())
        if match is None:
            _refuse(path, source, start, f"{part.strip()} is not a plain name")
        yield match["name"], match["alias"] or match["name"]


def _statements(path: str, source: str, code: str) -> Iterator[tuple[int, str]]:
    """Where import and export statements begin; refuses what only looks like one."""
    depth, position = 0, 0
    for match in _STATEMENT.finditer(code):
        start = match.start()
        for character in code[position:start]:
            depth += (character in "{([") - (character in "})]")
        position = start
        before, after = code[:start].rstrip(), code[match.end() :].lstrip()
        if before.endswith(".") or (before[-1:] in ("{", ",") and after[:1] in (":", "(")):
            continue  # a property of that name
        if match[1] == "import" and after[:1] in ("(", "."):
            _refuse(path, source, start, "import() and import.meta cannot be joined")
        if depth == 0 and _begins_statement(before, code[len(before) : start]):
            yield start, match[1]
        elif after[:1] != ":" and depth == 0:
            _refuse(path, source, start, f"{match[1]} inside a statement")


def _begins_statement(before: str, between: str) -> bool:
    return not before or before[-1] in ";}" or "\n" in between


def _refuse(path: str, source: str, start: int, what: str) -> NoReturn:
    line = source.count("\n", 0, start) + 1
    raise ModuleRefused(f"{path}:{line}: {what}")


# A slash after one of these begins a regular expression, after anything else it divides.
_BEFORE_REGEX = re.compile(
    r"(?:^|[({\[,;=:!&|?+\-*%<>~^}]|=>|\b(?:return|typeof|case|in|of|delete|void|throw|new|else|do|"
    r"await|yield))\s*$"
)
_REGEX = re.compile(r"/(?![*/])(?:[^\\/\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*")
_QUOTED = re.compile(r"\"(?:[^\"\\\n]|\\[\s\S])*\"|'(?:[^'\\\n]|\\[\s\S])*'")
_COMMENT = re.compile(r"//[^\n]*|/\*[\s\S]*?\*/")


def blanked(source: str) -> str:
    """Return JavaScript with comments, text and regular expressions turned to spaces.

    Length and lines stay as they are. What stands in ``${…}`` of a template literal stays code.
    """
    return _scanned(source)[0]


def uncommented(source: str) -> str:
    """Return JavaScript without its comments, which no phone needs; lines stay where they were."""
    out, done = [], 0
    for start, end in _scanned(source)[1]:
        # a space: what stood on both sides of a comment are two words
        out += [source[done:start].rstrip(" "), " " + "\n" * source.count("\n", start, end)]
        done = end
    return "".join([*out, source[done:]])


def _scanned(source: str) -> tuple[str, list[tuple[int, int]]]:
    """``source`` with everything blanked that is no code, and where its comments stand."""
    comments: list[tuple[int, int]] = []
    out: list[str] = []
    position = 0
    braces: list[int] = []  # open { of code inside each enclosing ${

    def blank(end: int) -> None:
        nonlocal position
        out.append(re.sub(r"[^\n]", " ", source[position:end]))
        position = end

    def template_text() -> None:
        """From after ` or } to the next ${ or the closing `."""
        end = position
        while end < len(source) and source[end] != "`" and not source.startswith("${", end):
            end += 2 if source[end] == "\\" else 1
        if source.startswith("${", end):
            blank(end)
            out.append(" {")
            braces.append(0)
            advance(2)
        else:
            blank(min(end + 1, len(source)))

    def advance(count: int) -> None:
        nonlocal position
        position += count

    while position < len(source):
        character = source[position]
        if match := _COMMENT.match(source, position):
            comments.append(match.span())
            blank(match.end())
        elif match := _QUOTED.match(source, position):
            blank(match.end())
        elif character == "`":
            blank(position + 1)
            template_text()
        elif character == "}" and braces and braces[-1] == 0:
            braces.pop()
            out.append("}")
            advance(1)
            template_text()
        elif (
            character == "/"
            and (match := _REGEX.match(source, position))
            and _BEFORE_REGEX.search("".join(out)[-40:])
        ):
            blank(match.end())
        else:
            if braces:
                braces[-1] += (character == "{") - (character == "}")
            out.append(character)
            position += 1
    return "".join(out), comments
