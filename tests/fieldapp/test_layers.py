"""Who may import whom, and who may ask the clock."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_NOT = {
    "sync": ("fieldapp", "flask", "flask_sqlalchemy", "werkzeug", "tests", "bench", "requests"),
    "fieldapp": ("tests", "bench", "pytest", "playwright"),
}
"""Folder -> packages that nothing in it imports."""

IMPURE = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time",
    "time.time_ns", "time.monotonic", "time.perf_counter", "time.sleep", "os.environ", "os.getenv",
    "os.urandom", "uuid.uuid4", "uuid.uuid1", "random.random", "secrets.token_bytes",
    "secrets.token_hex", "secrets.token_urlsafe",
}  # fmt: skip
"""What a rule takes as an argument instead."""


def python_files(folder):
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def imports_of(tree):
    """Every imported module, with names taken from it: ``fieldapp``, ``fieldapp.access``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who imports whom"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def dotted(node):
    """``datetime.datetime.now`` for the attribute of that name, else nothing."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return ".".join([node.id, *parts]) if isinstance(node, ast.Name) else ""


def impure_calls(source):
    """Clocks, chance and environment that ``source`` reads, under whatever name."""
    tree = ast.parse(source)
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {
                alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names
            }
        elif isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            text = dotted(node)
            first, _, rest = text.partition(".")
            text = ".".join(filter(None, (names.get(first, first), rest)))
            found |= {name for name in IMPURE if text == name or text.endswith(f".{name}")}
    return sorted(found)


@pytest.mark.parametrize("folder", MAY_NOT)
def test_nobody_imports_upwards(folder):
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in python_files(folder)
        for name in imports_of(ast.parse(path.read_text("utf-8")))
        if name.split(".")[0] in MAY_NOT[folder]
    ]
    assert wrong == []


def test_no_rule_asks_the_clock_chance_or_the_environment():
    wrong = {
        str(path.relative_to(ROOT)): calls
        for path in python_files("sync")
        if (calls := impure_calls(path.read_text("utf-8")))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    "source",
    ["import datetime\ndatetime.datetime.now()", "from datetime import datetime as d\nd.now(UTC)",
     "import time as t\nt.time()", "from time import time\ntime()", "import os\nos.environ['x']",
     "from os import environ\nenviron.get('x')", "from secrets import token_hex\ntoken_hex(3)"],
)  # fmt: skip
def test_a_clock_under_another_name_is_found(source):
    assert impure_calls(source)


def test_a_time_handed_in_is_no_clock():
    assert impure_calls("from datetime import datetime\ndatetime.fromisoformat(text)") == []


def test_only_the_unit_writes_visits():
    """Columns of a visit are projections: nobody else may set them or the journal."""
    writers = {
        path.name
        for path in python_files("fieldapp")
        if re.search(
            r"(?:insert|update|delete)\((?:journal|visit_scope|sync_clock|Visit)\)"
            r"|visit\.(?:state|status|rev|engineer_id|arrived_at) = ",
            path.read_text("utf-8"),
        )
    }
    assert writers <= {"perform.py", "projection.py"}


def imported_scripts(path):
    source = path.read_text("utf-8")
    return re.findall(r"""(?:from|import)\s*\(?\s*["']([^"']+)["']""", source)


def test_the_phone_imports_nothing_of_the_page():
    wrong = []
    for path in sorted((ROOT / "static/phone").glob("*.js")):
        for name in imported_scripts(path):
            target = (path.parent / name).resolve()
            inside = target.is_relative_to(ROOT / "static/phone")
            if not inside and not target.is_relative_to(ROOT / "static/vendor"):
                wrong.append(f"{path.name} imports {name}")
    assert wrong == []


def test_the_page_imports_only_pages_and_vendors():
    """A page script that reached into the worker's modules would have a second store."""
    wrong = []
    for path in sorted((ROOT / "static/page").glob("*.js")):
        for name in imported_scripts(path):
            if re.search(r"phone/(?:store|sync|perform|worker|routes)\.js", name):
                wrong.append(f"{path.name} imports {name}")
    assert wrong == []
