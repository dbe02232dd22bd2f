"""Go's JSON, URLs, times and base64, as pure functions."""

from __future__ import annotations

from .decoder import decode
from .encoder import callback_text, encode, escaped, go_quote, literal, quote, quote_byte, read_back
from .gobase64 import IllegalBase64
from .gobase64 import decode as decode_base64
from .gobase64 import decode_url as decode_base64url
from .gotime import BadTime, parse_rfc3339, reformat_rfc3339, rfc3339_nano, rfc3339_seconds
from .gourl import is_webhook_url
from .scanner import without_surrogates
from .schema import ANY, INT, LIST_OF, OBJECT, STRING, BadBody, Kind, Scalar, Struct, fold
from .strict import StrictError, StrictStruct, decode_strictly
