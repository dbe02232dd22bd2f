"""JSON and YAML that a person or a program sends: read into plain values, or refused in words.

Whatever is in a text, its reader returns a value or raises `BadDocumentError`.
"""

from __future__ import annotations

from .errors import BadDocumentError, excerpt, is_unicode, nearest, one_line
from .json_text import finite, read_json, refuse_constant
from .long_json import LONG, JsonText, free_in_slices, json_depth, nests_too_deep, read_shaped_json
