"""JSON and YAML that a person or a program sends: read into plain values, or refused in words.

Whatever is in a text, its reader returns a value or raises `BadDocumentError`.
"""

from __future__ import annotations

from .errors import BadDocumentError, excerpt, is_unicode, nearest, one_line
from .json_text import finite, no_constant, read_json
from .long_json import LONG, JsonText, emptied, json_depth, nests_too_deep, read_shaped_json
