"""The description of the API as a page: made on the server, without a script and without anything from elsewhere."""

import base64
import hashlib
from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = (
    ":root{color-scheme:light dark;--line:#d5dae0;--soft:#f4f6f8;--ink:#1b1f24;--paper:#fff;--link:#0b57a4}"
    "@media(prefers-color-scheme:dark){:root{--line:#3a4149;--soft:#1e2328;--ink:#e6e8eb;--paper:#14171a;"
    "--link:#7fb4ee}}"
    "body{font:1rem/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:64rem;"
    "margin:2rem auto;padding:0 1rem}a{color:var(--link)}code,pre{font:.9em/1.45 ui-monospace,monospace}"
    "pre{background:var(--soft);padding:.75rem;overflow-x:auto}h2{margin-top:2.5rem}"
    "section{border-top:1px solid var(--line);padding:.5rem 0}h3{font-size:1rem;margin:.5rem 0}"
    "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid var(--line);padding:.3rem .5rem;"
    "text-align:left;vertical-align:top}.m{font-weight:700}summary{cursor:pointer}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none';"
    " base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def render(spec: Mapping[str, Any]) -> str:
    """Return the page of an OpenAPI document."""
    by_tag: dict[str, list[str]] = {}
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method.upper(), path, operation))
    menu = " · ".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in by_tag)
    body = "".join(f'<h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(each)}' for tag, each in by_tag.items())
    schemas = "".join(_schema(name, schema) for name, schema in sorted(spec["components"]["schemas"].items()))
    info = spec["info"]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style><main>"
        f"<h1>{escape(info['title'])} API <small>{escape(info['version'])}</small></h1>"
        f"<p>{_text(info['description'])}</p>"
        "<p>Send <code>Authorization: Bearer &lt;key&gt;</code>, and with the admin key <code>X-Tenant-ID</code> and"
        ' <code>X-Environment-ID</code>. The same as a document: <a href="/openapi.json">openapi.json</a>.</p>'
        f'<nav aria-label="Nouns">{menu} · <a href="#schemas">schemas</a></nav>{body}'
        f'<h2 id="schemas">Schemas</h2>{schemas}</main></html>'
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
        f"<td>{_kind(each.get('schema', {}))}{'' if each.get('required') else ', optional'}</td>"
        f"<td>{_text(each.get('description', ''))}</td></tr>"
        for each in operation.get("parameters", ())
        if each["in"] != "header"
    )
    table = (
        f"<table><thead><tr><th>Name</th><th>In</th><th>Form</th><th>Meaning</th></tr></thead><tbody>{rows}</tbody></table>"
        if rows
        else ""
    )
    body = ""
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        body += f"<p>Body: <code>{escape(media)}</code> {_kind(content.get('schema', {}))}</p>"
    answers = "".join(
        f"<tr><td><code>{escape(status)}</code></td><td>{_text(answer['description'])}</td><td>{_of(answer)}</td></tr>"
        for status, answer in sorted(operation["responses"].items())
    )
    return (
        f'<section id="{escape(operation["operationId"])}"><h3><span class="m">{method}</span>'
        f" <code>{escape(path)}</code></h3><p>{_text(operation.get('summary', ''))}"
        f" {_text(operation.get('description', ''))}</p>{table}{body}<details><summary>Answers</summary>"
        f"<table><thead><tr><th>Status</th><th>Means</th><th>Body</th></tr></thead><tbody>{answers}</tbody></table>"
        "</details></section>"
    )


def _of(answer: Mapping[str, Any]) -> str:
    return "; ".join(_kind(content.get("schema", {})) for content in answer.get("content", {}).values())


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    needed = schema.get("required", ())
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code></td><td>{_kind(of)}{'' if field in needed else ', optional'}</td>"
        f"<td>{_text(of.get('description', ''))}</td></tr>"
        for field, of in schema.get("properties", {}).items()
    )
    table = (
        f"<table><thead><tr><th>Field</th><th>Form</th><th>Meaning</th></tr></thead><tbody>{rows}</tbody></table>"
        if rows
        else f"<p>{_kind(schema)}</p>"
    )
    return (
        f'<section id="schema-{escape(name)}"><h3>{escape(name)}</h3><p>{_text(schema.get("description", ""))}</p>'
        f"{table}</section>"
    )


def _kind(schema: Mapping[str, Any]) -> str:
    """Return the form of a value in few words, with a link where it has a schema of its own."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(each))}</code>" for each in schema["enum"])
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return escape(str(schema.get("format", kind)))


def _text(text: str) -> str:
    """Return text with what stands between backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
