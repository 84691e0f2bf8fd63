# SPDX-License-Identifier: Apache-2.0
"""From a page's bytes to its characters: byte order mark, HTTP header, meta element, detection."""

from __future__ import annotations

import codecs
import re
from typing import Final

from charset_normalizer import from_bytes

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_META: Final = re.compile(
    rb"<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([A-Za-z0-9._:-]{1,40})", re.I
)
_XML: Final = re.compile(
    rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._:-]{1,40})", re.I
)
_PRESCAN: Final = 4_096
_DETECTED: Final = 64 << 10

#: What web pages mean by a label, where it differs from the codec of that name.
_MEANT: Final = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "utf-7": "cp1252",
}


def codec_of(label: str | None) -> str | None:
    """The codec that web pages mean by a charset label, if there is one."""
    if not label:
        return None
    try:
        found = codecs.lookup(label.strip().strip("\"'"))
    except (LookupError, ValueError):
        return None
    if not found._is_text_encoding:
        return None
    return _MEANT.get(found.name, found.name)


def decode(raw: bytes, header_charset: str | None) -> tuple[str, str]:
    """The text and the codec it was read with. Never fails: what cannot be read is replaced."""
    for mark, name in _MARKS:
        if raw.startswith(mark):
            return raw[len(mark) :].decode(name, "replace"), name
    declared = codec_of(header_charset) or _in_page(raw)
    if declared is not None:
        try:
            return raw.decode(declared), declared
        except UnicodeError:
            pass  # declared wrongly, or damaged: see below
    try:
        return raw.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        name = declared or _detected(raw) or "cp1252"
    return raw.decode(name, "replace"), name


def _in_page(raw: bytes) -> str | None:
    head = raw[:_PRESCAN]
    for pattern in (_XML, _META):
        found = pattern.search(head)
        if found is not None:
            name = codec_of(found.group(1).decode("ascii"))
            # A page whose meta element can be read as ASCII is not in UTF-16.
            return "utf-8" if name is not None and name.startswith("utf-16") else name
    return None


def _detected(raw: bytes) -> str | None:
    best = from_bytes(raw[:_DETECTED]).best()
    return None if best is None else codec_of(best.encoding)
