"""Writes the table of routes in docs/api.md from the description of the API; `--check` fails when it is not current."""

from pathlib import Path

from gateway.web.api.description import document, operations
from gateway.web.api.routes import NOUNS
from tools import marked

PAGE = Path(__file__).parent.parent / "docs" / "api.md"


def routes() -> str:
    """Return the table."""
    lines = ["| method | path | role | does | answers |", "|---|---|---|---|---|"]
    for method, path, operation in operations(document(NOUNS)):
        role = f"`{operation['x-role']}`" if "x-role" in operation else "none"
        answers = ", ".join(sorted(status for status in operation["responses"] if status not in ("401", "403")))
        lines.append(f"| {method} | `{path}` | {role} | {operation['summary']} | {answers} |")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(marked.run(PAGE, {"routes": routes()}))
