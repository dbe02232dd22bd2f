"""URLs that are accepted for callbacks (C3, U1)."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from codeq_fake.wire import is_webhook_url


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://h",
            "https://h.test/a/b?c=d#e",
            "HTTP://h",
            "hTTpS://H.TEST",
            "http://h?x",
            "http://h#x",
            "http://h?a?b",
        ),
        *("http://h:80", "http://h:", "http://h:/", "http://h:99999", "http://h:0", "http://:80/", "http://a:b:80"),
        *("http://user@h", "http://user:pw@h", "http://@h", "http://a@b@h", "http://u%41:%2f@h", "http://u:p:q@h"),
        *("http://[::1]", "http://[::1]:80/", "http://[::1]:", "http://[fe80::1%25en0]", "http://[::1%25a%20b]:80"),
        *("http://[::ffff:1.2.3.4]", "http://[1:2:3:4:5:6:7::]", "http://a@[::]/"),
        *("http://1.2.3.4", "http://1.2.3.4.5", "http://h]", "http://\u00e9.test", "http://%C3%a9.test", "http://%25"),
        *(
            "http://h\"<>!$&'()*+,;=_~",
            "http://h/ ",
            "http://h/\u00e9%2F%00",
            "http://h?%zz",
            "http://h/a:b//",
            "http://h//",
        ),
        *("http://h#\x01", "http://h#a#b", "http://h/\u0085\u2028", "http://h/{|}\\^`"),
    ],
)
def test_an_absolute_http_url_with_a_host_is_taken(url: str) -> None:
    assert is_webhook_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *("", " ", "*", "h.test", "/x", "//h", "?", "#", ":", "://h", "ftp://h", "javascript:alert(1)", "mailto:a@h"),
        *("http", "http:", "http:/", "http://", "http:///", "http:///x", "http://?x", "http://#x", "http:h", "http:/h"),
        *("http://user@", "http://user@/x", " http://h", "http ://h", "httpx://h", "http\u017f://h", "http:\\\\h"),
        *(
            "http://h:abc",
            "http://h:-1",
            "http://h:8 0",
            "http://h:80:x",
            "http://h:\u0661",
            "http://[::1]80",
            "http://[::1]:x",
        ),
        *(
            "http://h .test",
            "http://h\t",
            "http://h\\x",
            "http://h^",
            "http://h`",
            "http://{h}",
            "http://h|",
            "http://h\u007f",
        ),
        *("http://%zz", "http://%41", "http://%20", "http://h%", "http://h%2", "http://%7f"),
        *("http://h/\x01", "http://h/\x7f", "http://h?\n", "http://h/%zz", "http://h/%", "http://h/%4", "http://h#%zz"),
        *("http://u ser@h", "http://u%zz@h", "http://u[@h", "http://\u00e9@h", "http://u\\@h", "http://a@b@:x"),
        *(
            "http://[",
            "http://[]",
            "http://[::1",
            "http://::1]:x",
            "http://x[::1]",
            "http://[[::1]]",
            "http://h[",
            "http://[::1%25a[b]",
        ),
        *("http://[1.2.3.4]", "http://[h]", "http://[::1%en0]", "http://[::1%25]", "http://[%25en0]", "http://[::%41]"),
        *(
            "http://[::1%25%e9]",
            "http://[::1%25%2f]",
            "http://[::1%25%zz]",
            "http://[::1%25a b]",
            "http://[::1%25%8%311]",
        ),
        *(
            "http://[1:2:3:4:5:6:7]",
            "http://[12345::]",
            "http://[1:2:3:4:5:6:7:8::]",
            "http://[::1.2.3.04]",
            "http://[::g]",
        ),
    ],
)
def test_anything_else_is_refused(url: str) -> None:
    assert not is_webhook_url(url)


LABELS = st.text("abcxyz0189-", min_size=1, max_size=8)


@given(
    st.sampled_from(["http", "https", "HTTPS"]),
    st.lists(LABELS, min_size=1, max_size=3).map(".".join),
    st.none() | st.integers(0, 10**9),
    st.text("abc/%41:@ \u00e9".replace("%41", ""), max_size=8),
)
def test_a_url_of_good_parts_is_taken(scheme: str, host: str, port: int | None, path: str) -> None:
    assert is_webhook_url(f"{scheme}://{host}{'' if port is None else f':{port}'}/{path}")


@given(st.text("htp:/[]@%25aé. #?", max_size=20).map("http:".__add__))
def test_what_is_taken_has_a_host_for_python_too(url: str) -> None:
    assume("[" in url or "]" not in url)  # Go takes `http://]`; a callback to it fails, since no such host exists
    if is_webhook_url(url):
        assert urlsplit(url).netloc.rpartition("@")[2]
