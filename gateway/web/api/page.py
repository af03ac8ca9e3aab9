"""The description of the API as a page: made on the server, without a script and without anything from elsewhere."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

_STYLE = (
    ":root{color-scheme:light dark;--line:#d9dde3;--soft:#f4f5f7;--ink:#1a1f26;--pale:#59626e;--paper:#fff;"
    "--link:#0b5f8a;--get:#1e5a96;--get-g:#e5effa;--post:#17663a;--post-g:#e4f4e9;--put:#7d4a00;--put-g:#fdf0d8;"
    "--delete:#a3221b;--delete-g:#fce7e5}"
    "@media(prefers-color-scheme:dark){:root{--line:#313a44;--soft:#1a2027;--ink:#e8ebef;--pale:#a3adb9;"
    "--paper:#12161b;--link:#7cc4f0;--get:#93c2f5;--get-g:#182b40;--post:#7fd6a0;--post-g:#16301f;--put:#f2c26b;"
    "--put-g:#362a12;--delete:#ff9c94;--delete-g:#3b1a18}}"
    "*{box-sizing:border-box}html{scroll-padding-top:1rem}"
    "body{font:.9375rem/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;color:var(--ink);"
    "background:var(--paper);margin:0 auto;max-width:80rem;display:grid;grid-template-columns:17rem minmax(0,1fr)}"
    "a{color:var(--link);text-decoration-thickness:1px;text-underline-offset:.2em}"
    ":focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:3px}"
    "code,pre{font:.875em/1.5 ui-monospace,'SF Mono','DejaVu Sans Mono',monospace;overflow-wrap:anywhere}"
    "pre{background:var(--soft);border-radius:.375rem;padding:.625rem .875rem;white-space:pre-wrap;margin:.5rem 0}"
    "nav{position:sticky;top:0;height:100vh;overflow-y:auto;padding:1.25rem 1rem 2rem;border-right:1px solid"
    " var(--line);font-size:.8125rem}nav ul{list-style:none;margin:.125rem 0 .25rem;padding:0}"
    "nav li a{display:block;padding:.125rem .5rem;color:var(--ink);text-decoration:none;border-radius:.25rem}"
    "nav li a:hover{background:var(--soft)}nav summary{font-weight:600;padding:.125rem 0}"
    "main{padding:1.5rem 2rem 4rem;min-width:0}h1{margin:0 0 .5rem;font-size:1.5rem}h1 small{color:var(--pale);"
    "font-weight:400}h2{margin:2.5rem 0 .5rem;font-size:1.25rem;text-transform:capitalize}"
    "section{border-top:1px solid var(--line);padding:.875rem 0}h3{font-size:.9375rem;margin:0 0 .25rem;display:flex;"
    "flex-wrap:wrap;gap:.25rem .625rem;align-items:center;font-weight:400}"
    ".m{font-weight:700;font-size:.75rem;padding:.0625rem .5rem;border-radius:1rem;color:var(--get);"
    "background:var(--get-g)}.post{color:var(--post);background:var(--post-g)}.put{color:var(--put);"
    "background:var(--put-g)}.delete{color:var(--delete);background:var(--delete-g)}.pale{color:var(--pale)}"
    "p{margin:.25rem 0 .5rem}summary{cursor:pointer;color:var(--link);width:fit-content}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.875rem;margin:.25rem 0 .5rem}"
    "td,th{border-bottom:1px solid var(--line);padding:.3125rem .75rem .3125rem 0;text-align:left;vertical-align:top;"
    "overflow-wrap:anywhere}th{font-size:.75rem;color:var(--pale)}td:first-child{white-space:nowrap}"
    "table{table-layout:fixed}th:first-child{width:11rem}th:nth-child(2){width:15rem}"
    "@media(max-width:52rem){body{display:block}nav{position:static;height:auto;border:0;border-bottom:1px solid"
    " var(--line);padding:1rem}main{padding:1rem}td:first-child{white-space:normal}"
    "th:first-child,th:nth-child(2){width:32%}}"
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
    by_tag: dict[str, list[tuple[str, str, Mapping[str, Any]]]] = {}
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append((method, path, operation))
    menu = "".join(_menu(tag, each) for tag, each in by_tag.items())
    body = "".join(
        f'<h2 id="{escape(tag)}">{escape(tag)}</h2>' + "".join(_operation(*one) for one in each)
        for tag, each in by_tag.items()
    )
    schemas = "".join(_schema(name, schema) for name, schema in sorted(spec["components"]["schemas"].items()))
    info = spec["info"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style></head><body>"
        f'<nav aria-label="Operations">{menu}<p><a href="#schemas">Schemas</a></p></nav><main>'
        f"<h1>{escape(info['title'])} API <small>{escape(info['version'])}</small></h1>"
        f"<p>{_text(info['description'])}</p>"
        "<p>Send <code>Authorization: Bearer &lt;key&gt;</code>, and with the admin key <code>X-Tenant-ID</code> and"
        ' <code>X-Environment-ID</code>. The same as a document: <a href="/openapi.json">openapi.json</a>. The'
        ' console is at <a href="/console">/console</a>.</p>'
        f'{body}<h2 id="schemas">Schemas</h2>{schemas}</main></body></html>'
    )


def _menu(tag: str, found: Iterable[tuple[str, str, Mapping[str, Any]]]) -> str:
    links = "".join(
        f'<li><a href="#{escape(operation["operationId"])}">{_text(str(operation["summary"]).rstrip("."))}</a></li>'
        for _, _, operation in found
    )
    return (
        f'<details><summary>{escape(tag)}</summary><ul><li><a href="#{escape(tag)}">All</a></li>{links}</ul></details>'
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = [
        (f"<code>{escape(each['name'])}</code>", _form(each), _text(each.get("description", "")))
        for each in operation.get("parameters", ())
        if each["in"] != "header"
    ]
    answers = [
        (f"<code>{escape(status)}</code>", _text(answer["description"]), _of(answer))
        for status, answer in sorted(operation["responses"].items())
    ]
    body = "".join(
        f"<p>Body: <code>{escape(media)}</code>, {_kind(content.get('schema', {}))}</p>"
        for media, content in operation.get("requestBody", {}).get("content", {}).items()
    )
    return (
        f'<section id="{escape(operation["operationId"])}"><h3><span class="m {method}">{method.upper()}</span>'
        f"<code>{escape(path)}</code></h3><p>{_text(operation.get('summary', ''))}"
        f' <span class="pale">{_text(operation.get("description", ""))}</span></p>'
        f"{_table(('Parameter', 'Form', 'Meaning'), rows)}{body}"
        f"<details><summary>Answers</summary>{_table(('Status', 'Means', 'Body'), answers)}</details>"
        f"<details><summary>Example</summary><pre>{escape(_example(method, path, operation))}</pre></details></section>"
    )


def _form(parameter: Mapping[str, Any]) -> str:
    needed = ", required" if parameter.get("required") and parameter["in"] != "path" else ""
    return f"{escape(parameter['in'])}, {_kind(parameter.get('schema', {}))}{needed}"


def _example(method: str, path: str, operation: Mapping[str, Any]) -> str:
    """Return a call for a shell; parts of the path stand in capitals, as variables of the shell."""
    for each in operation.get("parameters", ()):
        if each["in"] == "path":
            path = path.replace(f"{{{each['name']}}}", f"${each['name'].upper()}")
    call = f'curl -s{"" if method == "get" else f" -X {method.upper()}"} "$LEDGERGATE{path}"'
    if operation.get("security") != []:
        call += ' \\\n  -H "Authorization: Bearer $KEY"'
    media = next(iter(operation.get("requestBody", {}).get("content", {})), None)
    return call if media is None else f'{call} \\\n  -H "Content-Type: {media}" -d @body'


def _table(heads: tuple[str, str, str], rows: list[tuple[str, str, str]]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{each}</td>' for each in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _of(answer: Mapping[str, Any]) -> str:
    return "; ".join(_kind(content.get("schema", {})) for content in answer.get("content", {}).values())


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    needed = schema.get("required", ())
    rows = [
        (f"<code>{escape(field)}</code>", f"{_kind(of)}{'' if field in needed else ', optional'}",
         _text(of.get("description", "")))
        for field, of in schema.get("properties", {}).items()
    ]  # fmt: skip
    table = _table(("Field", "Form", "Meaning"), rows) or f"<p>{_kind(schema)}</p>"
    return (
        f'<section id="schema-{escape(name)}"><h3><code>{escape(name)}</code></h3>'
        f"<p>{_text(schema.get('description', ''))}</p>{table}</section>"
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
