"""The page on which a person reads what the server answers: no script, no foreign server, no key.

It is written from the OpenAPI document, so it never says anything else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from mlops.serving.forms.form import Lookup

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2733; max-width: 60rem; margin: 2rem auto;
  padding: 0 1.5rem; }
h1 { font-size: 1.8rem; margin-bottom: .2rem; }
h2 { font-size: 1.15rem; margin-top: 2.2rem; border-top: 1px solid #d8dee6; padding-top: 1.2rem; }
h3 { font-size: 1rem; margin-bottom: .3rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { background: #f4f6f9; padding: .8rem 1rem; overflow-x: auto; border-radius: 4px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0;
  border-bottom: 1px solid #e6eaf0; }
.method { background: #1f5f99; color: #fff; border-radius: 4px; padding: .1rem .5rem; }
@media (prefers-color-scheme: dark) { body { background: #14191f; color: #dde3ea; }
  pre { background: #1e252d; } h2, th, td { border-color: #333d48; } a { color: #7db8f0; } }
"""


def page(document: Mapping[str, Any], lookups: Sequence[Lookup] = ()) -> str:
    """Write an OpenAPI document as a page of HTML.

    Args:
        document: Of the server.
        lookups: Lists to print at the end.
    """
    info = document["info"]
    lists = "".join(
        f"; <a href='{each.path[1:]}'>{each.path[1:]}</a> lists {_lowered(each.summary)} as JSON"
        for each in lookups
    )
    parts = [
        f"<h1>{escape(info['title'])}</h1>",
        f"<p>{escape(info['description'])} Version {escape(info['version'])} of the server.</p>",
        "<p>Send the API key in the header <code>X-API-Key</code>, or as <code>Authorization:"
        " Bearer</code>. The OpenAPI document is <a href='openapi.json'>openapi.json</a>"
        f"{lists}.</p>",
    ]
    schemas = document["components"]["schemas"]
    for path, methods in sorted(document["paths"].items(), key=lambda item: _ORDER.get(item[0], 9)):
        for method, operation in methods.items():
            parts += _operation(path, method, operation, schemas)
    parts.append("<h2>Errors</h2>")
    for name in ("ErrorReply", "ErrorContent", "ErrorProblem"):
        parts += _fields(schemas[name], schemas)
    for lookup in lookups:
        parts += lookup.section()
    body = "\n".join(parts)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head>"
        f"<body>\n{body}\n</body></html>\n"
    )


_ORDER: Final = {"/predict": 0, "/explain": 1, "/validate": 2, "/model": 3}


def _operation(
    path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]
) -> Iterator[str]:
    key = "" if operation.get("security") == [] else " <small>(needs an API key)</small>"
    yield (
        f"<h2 id='{escape(path)}'><span class='method'>{method.upper()}</span>"
        f" <code>{escape(path)}</code>{key}</h2><p>{escape(operation.get('summary', ''))}.</p>"
    )
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    for schema in _named(body.get("schema", {}), schemas):
        yield from _fields(schema, schemas)
    for name, example in body.get("examples", {}).items():
        text = json.dumps(example["value"], indent=2)
        yield f"<h3>Example: {escape(name)}</h3><pre>{escape(text)}</pre>"
    yield "<h3>Responses</h3><table><tr><th>Status</th><th>Meaning</th><th>Content</th></tr>"
    for status, answer in operation["responses"].items():
        content = answer.get("content", {}).get("application/json", {}).get("schema", {})
        titles = ", ".join(schema["title"] for schema in _named(content, schemas))
        meaning = escape(answer["description"])
        yield f"<tr><td>{status}</td><td>{meaning}</td><td>{escape(titles)}</td></tr>"
    yield "</table>"
    answered = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
    for schema in _named(answered.get("schema", {}), schemas):
        yield from _fields(schema, schemas)


def _named(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the objects that a schema refers to."""
    choices = schema.get("anyOf", [schema])
    names = [choice["$ref"].rpartition("/")[2] for choice in choices if "$ref" in choice]
    return [schemas[name] for name in names]


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    required = schema.get("required", ())
    yield (
        f"<h3>{escape(schema['title'])}</h3><p>{escape(schema.get('description', ''))}</p>"
        "<table><tr><th>Field</th><th>Type</th><th>Meaning</th></tr>"
    )
    for name, field in schema.get("properties", {}).items():
        needed = " <small>(required)</small>" if name in required else ""
        meaning = escape(field.get("description", ""))
        yield (
            f"<tr><td><code>{escape(name)}</code>{needed}</td>"
            f"<td>{escape(_type(field, schemas))}</td><td>{meaning}</td></tr>"
        )
    yield "</table>"


def _type(field: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(choice, schemas) for choice in field["anyOf"]))
    if field.get("type") == "array":
        return f"list of {_type(field['items'], schemas)}"
    if "enum" in field:
        return " or ".join(map(str, field["enum"]))
    return f"{field.get('format') or field.get('type', 'any value')}".replace("date-time", "time")


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
