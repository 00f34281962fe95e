"""`/docs`: the OpenAPI document as one plain page, made here, so that no browser ever asks another site."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html import escape
from typing import Final

from lumitag.domain import Json

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1f;"
    "background:#fff}h2{margin-top:2.5rem}code,pre{font:14px/1.4 ui-monospace,monospace}"
    "pre{overflow:auto;padding:.75rem;background:#f3f3f6;border-radius:6px}table{border-collapse:collapse;width:100%}"
    "td,th{text-align:left;vertical-align:top;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #ddd}"
    "@media(prefers-color-scheme:dark){body{background:#16161a;color:#e8e8ec}pre{background:#24242a}td,th{border-color:#444}}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
DOCS_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def docs_page(document: Json) -> str:
    """Return the page that shows an OpenAPI document."""
    operations = [
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = [_schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items())]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Lumitag HTTP API</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"<h1>Lumitag HTTP API {escape(document['info']['version'])}</h1>"
        f"<p>{_prose(document['info']['description'])}</p>"
        f'<p>For programs: <a href="openapi.json">openapi.json</a></p>{"".join(operations)}'
        f"<h1>Shapes</h1>{''.join(schemas)}</body></html>"
    )


def _operation(method: str, path: str, operation: Json) -> str:
    body = operation.get("requestBody", {}).get("content", {})
    sent = "".join(f"<p>Body: {_shape(kind, content.get('schema', {}))}</p>" for kind, content in body.items())
    parameters = [
        (f"{parameter['name']} ({parameter['in']})", parameter.get("description", ""))
        for parameter in operation.get("parameters", [])
    ]
    answers = [
        (status, f"{escape(answer['description'])} {_contents(answer)}")
        for status, answer in sorted(operation["responses"].items())
    ]
    named = _table([(name, _prose(text)) for name, text in parameters])
    return (
        f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{_prose(operation.get('description', ''))}</p>"
        f"{named}{sent}{_table(answers)}"
    )


def _prose(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th scope=row>{escape(name)}</th><td>{text}</td></tr>" for name, text in rows)
    return f"<table>{cells}</table>" if rows else ""


def _contents(answer: Json) -> str:
    return " ".join(_shape(kind, content.get("schema", {})) for kind, content in answer.get("content", {}).items())


def _shape(kind: str, schema: Json) -> str:
    references = [part["$ref"] for part in (schema, *schema.get("anyOf", [])) if "$ref" in part]
    names = [reference.rpartition("/")[2] for reference in references]
    links = " or ".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)
    return f"<code>{escape(kind)}</code> {links}"


def _schema(name: str, schema: Json) -> str:
    text = escape(json.dumps(schema, indent=2, ensure_ascii=False))
    return f'<h2 id="{escape(name)}"><code>{escape(name)}</code></h2><pre>{text}</pre>'
