"""What somebody might type who means harm, or who only pastes what he has."""

from __future__ import annotations

SECRETS = ("/etc/passwd", "/etc/hostname", "/proc/self/environ")
"""Files whose content must never stand in a paper."""


def hostile(url: str) -> dict[str, str]:
    """Texts by what they try; ``url`` is where somebody listens."""
    passwd, hostname, environ = (f"file://{path}" for path in SECRETS)
    return {
        "markup": f'</td></table></div><base href="{url}/base"><img src="{url}/img">'
        f'<object data="{environ}"></object><iframe src="{passwd}"></iframe>'
        f'<link rel=stylesheet href="{url}/css"><link rel=attachment href="{hostname}">'
        f'<a rel=attachment href="{passwd}">a</a>',
        "script": f"<script>fetch('{url}/script')</script>]]>-->&amp;&#60;b&#62;",
        "template": "{{ 7*7 }}{% raise %}{# gone #}%(text)s ${7*7} %s {0}",
        "style": f'<style>@import "{url}/import"; @font-face {{ font-family: "Noto Sans SC"; '
        f"src: url({url}/font) }} * {{ background: url({url}/bg); content: url({passwd}) }}"
        f'</style>" style="background:url({url}/attribute)" x="',
        "picture": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}/svg"/>'
        f'<use href="{url}/use#a"/><style>@import "{url}/svg-css";</style>'
        f'<!DOCTYPE s [<!ENTITY e SYSTEM "{passwd}">]>&e;</svg>',
        "address": f"{url}/plain {passwd} picture:qr picture:logo data:text/html,x",
        "direction": "应付\u202e00.086¥\u202c整\u2066\u2069\u200f\u061c",
        "unseen": "a\x00b\x07c\x1bd\x85e\u2028f\ufefff\u200b",
        "emoji": "好\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467\ue000",
        "long": "主机电源板犇穿，" * 625,
    }


def joined(texts: dict[str, str], first: int = 0) -> str:
    """All short ones in one text, beginning with another for each ``first``."""
    short = [text for name, text in texts.items() if name != "long"]
    first %= len(short)
    return "".join(short[first:] + short[:first])


LONE = "半\ud83d字\udc00"
"""Halves of characters: no text that can be written down."""
