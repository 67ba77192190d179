"""The pages: the gallery's, from files of the package, and those that hold everything themselves."""

import base64
import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

STYLES = ("page.css", "gallery.css")
SCRIPTS = ("catalogue.js", "thumbnails.js", "wall.js", "zoom.js", "viewer.js", "main.js")
FILES = (*STYLES, *SCRIPTS, "icon.svg")


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("unicorn_codec.viewing"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> str:
    """Return a template filled with values; texts become text, never markup."""
    return _templates().get_template(template).render(**values)


def gallery_page(title: str) -> str:
    """Return the page of a served gallery."""
    return render("gallery.html", title=title, styles=STYLES, scripts=SCRIPTS, data=None, inline=None)


def self_contained_gallery(title: str, data: dict[str, Any]) -> str:
    """Return a gallery that holds its pictures.

    Args:
        data: what ``catalogue.js`` expects of an exported page.
    """
    inline = {"style": static(*STYLES), "script": static(*SCRIPTS), "policy": policy(static(*STYLES), static(*SCRIPTS))}
    return render("gallery.html", title=title, styles=(), scripts=(), data=embedded(data), inline=inline)


def static(*names: str) -> str:
    """Return files of the package, one after the other."""
    folder = resources.files("unicorn_codec.viewing") / "static"
    return "\n".join((folder / name).read_text("utf-8") for name in names)


def policy(style: str, script: str = "") -> str:
    """Return the Content-Security-Policy of a page that holds everything: nothing but these two runs."""
    allowed = {"style-src": style, "script-src": script}
    hashes = [f"{name} '{_digest(text)}'" for name, text in allowed.items() if text]
    return "; ".join(["default-src 'none'", "img-src data: blob:", *hashes, "base-uri 'none'", "form-action 'none'"])


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def embedded(data: Any) -> str:
    """Return JSON that cannot end the element it stands in."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=True)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def data_address(data: bytes, media_type: str) -> str:
    """Return an address that holds a file."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
