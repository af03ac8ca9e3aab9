"""A connector's own source text, and what in it goes past the host: other sessions, clocks, threads, files."""

import ast
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

FORBIDDEN_MODULES = frozenset(
    {
        "concurrent", "dbm", "ftplib", "http.client", "httpx", "multiprocessing", "requests", "shelve", "smtplib",
        "socketserver", "sqlite3", "subprocess", "threading", "urllib.request", "urllib3", "_thread",
    }
)  # fmt: skip
FORBIDDEN_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "aiohttp.ClientSession": "use the session of the host",
        "aiohttp.request": "use the session of the host",
        "asyncio.new_event_loop": "the host owns the event loop",
        "asyncio.run": "the host owns the event loop",
        "asyncio.sleep": "use the sleep of the host",
        "asyncio.to_thread": "use no threads",
        "datetime.date.today": "use the clock of the host",
        "datetime.datetime.now": "use the clock of the host",
        "datetime.datetime.today": "use the clock of the host",
        "datetime.datetime.utcnow": "use the clock of the host",
        "open": "use the memory of the host",
        "os.environ": "take settings from the config",
        "os.getenv": "take settings from the config",
        "time.sleep": "use the sleep of the host",
        "time.time": "use the clock of the host",
    }
)


def package_of(module: str) -> str:
    """Return the package whose files belong to a connector: its own package, or the module where it has none."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.submodule_search_locations is not None:
        return module
    return module.rpartition(".")[0] or module


def directory_of(module: str) -> Path | None:
    """Return the directory of the connector's package; None for a module without a file."""
    spec = importlib.util.find_spec(module)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def past_the_host(module: str) -> list[str]:
    """Return, in words, every place where the connector's own modules go past the host."""
    found: list[str] = []
    for name, tree in _own_modules(module).items():
        finder = _Finder()
        finder.visit(tree)
        found += [f"{name}, line {line}: {words}" for line, words in finder.found]
    return found


def _own_modules(start: str) -> dict[str, ast.Module]:
    """Return the syntax trees of a module and of all that it imports from its own package."""
    package = package_of(start)
    waiting, known = [start], dict[str, ast.Module]()
    while waiting:
        name = waiting.pop()
        if name in known:
            continue
        spec = importlib.util.find_spec(name)
        if spec is None or not spec.origin or not spec.origin.endswith(".py"):
            continue
        known[name] = ast.parse(Path(spec.origin).read_text("utf-8"))
        waiting += [
            found for found in _imports(known[name], name) if found == package or found.startswith(f"{package}.")
        ]
    return known


def _imports(tree: ast.Module, name: str) -> Iterator[str]:
    """Return the modules that a module imports, by their full names."""
    spec = importlib.util.find_spec(name)
    is_package = spec is not None and spec.submodule_search_locations is not None
    home = name.split(".") if is_package else name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = home[: len(home) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            for alias in node.names:
                if _is_module(f"{module}.{alias.name}"):
                    yield f"{module}.{alias.name}"


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


class _Finder(ast.NodeVisitor):
    """Finds forbidden names, whatever they were imported as."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []
        self._names: dict[str, str] = {}

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._module(node.lineno, alias.name)
            self._names[alias.asname or alias.name.partition(".")[0]] = (
                alias.name if alias.asname else alias.name.partition(".")[0]
            )

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            full = f"{node.module or ''}.{alias.name}"
            self._module(node.lineno, node.module or "")
            self._module(node.lineno, full)
            if not node.level:
                self._names[alias.asname or alias.name] = full

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._name(node)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        self._name(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and node.func.id == "open" and "open" not in self._names:
            self.found.append((node.lineno, f"open(): {FORBIDDEN_NAMES['open']}"))
        self.generic_visit(node)

    def _module(self, line: int, name: str) -> None:
        for forbidden in FORBIDDEN_MODULES:
            if name == forbidden or name.startswith(f"{forbidden}."):
                told = (line, f"imports {forbidden}: use what the host lends")
                self.found += [told] if told not in self.found else []
                return

    def _name(self, node: ast.Attribute | ast.Name) -> None:
        full = self._full(node)
        if full and full != "open" and full in FORBIDDEN_NAMES:
            self.found.append((node.lineno, f"{full}: {FORBIDDEN_NAMES[full]}"))

    def _full(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            return self._names.get(node.id, "")
        if isinstance(node, ast.Attribute):
            base = self._full(node.value)
            return f"{base}.{node.attr}" if base else ""
        return ""
