from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeq_fake.core import RateLimit
from codeq_fake.server_settings import WORKER_SCOPES, JwksAuth, Settings, SettingsError, StaticAuth
from codeq_fake.server_settings.settings import NAMES as SETTINGS
from codeq_fake.server_settings.sources import Sources

if TYPE_CHECKING:
    from pathlib import Path

JWKS = {"jwksUrl": "http://keys.test/", "issuer": "i", "audience": "a"}
#: The variables of a server that have one value: one that is not the default, as text and as read.
VARIABLES = [
    ("PORT", "9000", 9000),
    ("ALLOW_PRODUCER_AS_WORKER", "true", True),
    ("MAX_ATTEMPTS_DEFAULT", "2", 2),
    ("BACKOFF_POLICY", "linear", "linear"),
    ("BACKOFF_BASE_SECONDS", "1", 1),
    ("BACKOFF_MAX_SECONDS", "60", 60),
    ("RESULT_WEBHOOK_MAX_ATTEMPTS", "3", 3),
    ("RESULT_WEBHOOK_BASE_BACKOFF_SECONDS", "1", 1),
    ("RESULT_WEBHOOK_MAX_BACKOFF_SECONDS", "3", 3),
    ("WEBHOOK_HMAC_SECRET", "0123", "0123"),
    ("SUBSCRIPTION_CLEANUP_INTERVAL_SECONDS", "1", 1),
    ("LOCAL_ARTIFACTS_DIR", "/srv/artifacts", "/srv/artifacts"),
    ("TRACING_ENABLED", "1", True),
]
YAML_ONLY = [
    ("env", "prod", "prod"),
    ("timezone", "UTC", ZoneInfo("UTC")),
    ("defaultLeaseSeconds", "7", 7),
    ("requeueInspectLimit", "10", 10),
]
NUMBERS = [variable for variable, _, value in VARIABLES if type(value) is int]


def camel(variable: str) -> str:
    first, *rest = variable.lower().split("_")
    return first + "".join(map(str.title, rest))


def snake(key: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in key)


def error(environ: dict[str, str], yaml_text: str | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(environ, yaml_text)
    return str(caught.value)


def test_16_defaults() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert {field.name: getattr(settings, field.name) for field in fields(settings)} | {
        "producer_auth": None,
        "worker_auth": None,
        "rate_limit": {},
    } == {
        "port": 8080,
        "producer_auth": None,
        "worker_auth": None,
        "auth_given": False,
        "allow_producer_as_worker": False,
        "max_attempts_default": 5,
        "backoff_policy": "exp_full_jitter",
        "backoff_base_seconds": 5,
        "backoff_max_seconds": 900,
        "result_webhook_max_attempts": 5,
        "result_webhook_base_backoff_seconds": 2,
        "result_webhook_max_backoff_seconds": 60,
        "webhook_hmac_secret": "",
        "subscription_cleanup_interval_seconds": 60,
        "local_artifacts_dir": "/tmp/codeq-artifacts",  # noqa: S108 - the real server's default
        "artifacts_dir_given": False,
        "tracing_enabled": False,
        "env": "dev",
        "timezone": ZoneInfo("America/Sao_Paulo"),
        "default_lease_seconds": 300,
        "requeue_inspect_limit": 200,
        "rate_limit": {},
        "unread": (),
        "persistence_provider": "",
        "persistence_config": "",
    }


@pytest.mark.parametrize(("variable", "text", "value"), VARIABLES)
def test_16_each_variable_is_read_from_the_environment(variable: str, text: str, value: Any) -> None:
    assert Settings.from_env({variable: text}) == Settings(**{variable.lower(): value})


@pytest.mark.parametrize(("variable", "text", "value"), VARIABLES)
def test_16_each_variable_has_a_yaml_name_and_the_environment_wins(variable: str, text: str, value: Any) -> None:
    assert Settings.from_env({}, f"{camel(variable)}: {text}") == Settings(**{variable.lower(): value})
    other = f"{camel(variable)}: {'no' if value is True else 17}"
    assert Settings.from_env({variable: text}, other) == Settings(**{variable.lower(): value})


@pytest.mark.parametrize(("key", "text", "value"), YAML_ONLY)
def test_16_some_settings_are_read_from_yaml_alone(key: str, text: str, value: Any) -> None:
    assert Settings.from_env({}, f"{key}: {text}") == Settings(**{snake(key): value})
    assert Settings.from_env({snake(key).upper(): text}) == Settings()


@pytest.mark.parametrize("empty", ["", "{}", "# nothing", "env:\nport: ~\ntimezone: ''\nrateLimit: null", "other: [1]"])
def test_16_empty_and_unknown_values_are_no_values(empty: str) -> None:
    assert Settings.from_env(dict.fromkeys((variable for variable, _, _ in VARIABLES), ""), empty) == Settings()


@pytest.mark.parametrize("variable", NUMBERS)
def test_16_a_number_that_is_not_positive_is_not_set(variable: str) -> None:
    assert Settings.from_env({variable: "0"}) == Settings()


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "yes", "Yes"])
def test_16_words_for_yes(text: str) -> None:
    assert Settings.from_env({"TRACING_ENABLED": text}).tracing_enabled


@pytest.mark.parametrize("text", ["false", "FALSE", "0", "no"])
def test_16_words_for_no(text: str) -> None:
    assert not Settings.from_env({"TRACING_ENABLED": text}).tracing_enabled


def test_16_yaml_words_stay_text() -> None:
    settings = Settings.from_env({}, "env: no\nwebhookHmacSecret: 0123\nlocalArtifactsDir: 2026-01-01")
    assert (settings.env, settings.webhook_hmac_secret, settings.local_artifacts_dir) == ("no", "0123", "2026-01-01")


@pytest.mark.parametrize(("env", "is_dev"), [("dev", True), ("DEV", False), (" dev", False), ("prod", False)])
def test_a8_only_one_environment_is_for_development(env: str, is_dev: bool) -> None:  # noqa: FBT001 - a table's column
    assert Settings(env=env).is_dev is is_dev


def test_the_recorded_settings_are_read() -> None:
    environ = {
        "BACKOFF_POLICY": "fixed",
        "MAX_ATTEMPTS_DEFAULT": "2",
        "WORKER_JWKS_URL": "http://127.0.0.1:1/",
        "WORKER_ISSUER": "codeq-test",
        "IDENTITY_SERVICE_API_KEY": "k",
    }
    yaml = "env: prod\ntimezone: UTC\ndefaultLeaseSeconds: 7\nallowedClockSkewSeconds: 5\n"
    expected = Settings(
        backoff_policy="fixed",
        max_attempts_default=2,
        env="prod",
        timezone=ZoneInfo("UTC"),
        default_lease_seconds=7,
    )
    assert Settings.from_env(environ, yaml) == expected


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("BACKOF_POLICY", "BACKOFF_POLICY"),
        ("BACKOFFF_POLICY", "BACKOFF_POLICY"),
        ("BACKOFF_POLICI", "BACKOFF_POLICY"),
        ("XBACKOFF_POLICY", "BACKOFF_POLICY"),
        ("BACKOFF_POILCY", "BACKOFF_POLICY"),
        ("WORKER_AUTH_CONFGI", "WORKER_AUTH_CONFIG"),
    ],
)
def test_a_name_that_is_one_slip_away_from_a_known_one_is_refused(written: str, meant: str) -> None:
    with pytest.raises(SettingsError, match=f"^{written}: unknown; {meant} is known$"):
        Settings.from_env({written: "x"})


@pytest.mark.parametrize("name", ["BACK_POLICY", "PORTS", "SORT", "TIMEZONE", "backoff_policy", "BACKOFF", ""])
def test_any_other_name_is_not_looked_at(name: str) -> None:
    assert Settings.from_env({name: "x"}) == Settings()


def test_n6_an_unknown_backoff_policy_is_no_error() -> None:
    assert Settings.from_env({"BACKOFF_POLICY": "bogus"}).backoff_policy == "bogus"


def test_l1_rate_limits_are_off_unless_both_numbers_are_given() -> None:
    yaml = (
        "rateLimit:\n  producer: {requestsPerMinute: 60, burstSize: 2}\n  worker: {requestsPerMinute: 30}\n"
        "  admin: {requestsPerMinute: -1, burstSize: 1}\n  webhook:\n  other: {}\n"
    )
    settings = Settings.from_env({}, yaml)
    assert settings.rate_limit == {
        "producer": RateLimit(60, 2),
        "worker": RateLimit(30, 0),
        "admin": RateLimit(0, 1),
        "webhook": RateLimit(0, 0),
    }


def test_16_the_file_that_the_environment_names_is_read(tmp_path: Path) -> None:
    path = tmp_path / "codeq.yaml"
    path.write_text("port: 9000\n")
    environ = {"CODEQ_CONFIG_PATH": str(path)}
    assert Settings.from_env(environ).port == 9000
    assert Settings.from_env(environ, "port: 9001").port == 9001
    path.write_bytes(b"\xff")
    for config_path in (path, tmp_path, tmp_path / "none.yaml"):
        assert f"CODEQ_CONFIG_PATH: '{config_path}' cannot be read" in error({"CODEQ_CONFIG_PATH": str(config_path)})


def test_without_auth_settings_both_sides_take_the_development_token() -> None:
    settings = Settings()
    for auth in (settings.producer_auth, settings.worker_auth):
        assert isinstance(auth, StaticAuth)
        assert (auth.token, auth.raw["tenantId"], auth.event_types) == ("dev-token", "dev", ("*",))
        assert set(WORKER_SCOPES) < set(auth.scopes)
    assert not settings.auth_given


def test_a3_static_configurations_are_read() -> None:
    config = {
        "token": " t ",
        "subject": " s ",
        "email": "e",
        "scopes": ["a", "b"],
        "eventTypes": ["*"],
        "raw": {"tenantId": 7},
    }
    settings = Settings.from_env(
        {
            "PRODUCER_AUTH_PROVIDER": "static",
            "PRODUCER_AUTH_CONFIG": json.dumps(config),
            "WORKER_AUTH_PROVIDER": "static",
            "WORKER_AUTH_CONFIG": '"w"',
        }
    )
    assert settings.producer_auth == StaticAuth("t", "s", ("a", "b"), ("*",), {"tenantId": 7})
    assert settings.worker_auth == StaticAuth("w", "static")
    assert settings.auth_given


def test_a4_jwks_configurations_are_read_and_jwks_is_the_default_provider() -> None:
    timed = {**JWKS, "clockSkew": 60_000_000_000, "httpTimeout": 2_500_000_000}
    settings = Settings.from_env({"PRODUCER_AUTH_CONFIG": json.dumps(timed), "WORKER_AUTH_CONFIG": json.dumps(JWKS)})
    assert settings.producer_auth == JwksAuth("http://keys.test/", "i", "a", 2.5)
    assert settings.worker_auth == JwksAuth("http://keys.test/", "i", "a", 5.0)


def test_a4_the_fake_takes_keys_from_a_file_or_from_the_configuration_too() -> None:
    inline = {"issuer": "i", "audience": "a", "jwks": {"keys": []}}
    settings = Settings.from_env(
        {
            "PRODUCER_AUTH_CONFIG": json.dumps(JWKS | {"jwksUrl": "file:///keys.json"}),
            "WORKER_AUTH_CONFIG": json.dumps(inline),
        }
    )
    assert settings.producer_auth == JwksAuth("file:///keys.json", "i", "a")
    assert settings.worker_auth == JwksAuth("", "i", "a", jwks={"keys": []})


def test_16_auth_can_be_written_in_yaml_as_a_mapping_or_as_json() -> None:
    yaml = (
        "producerAuthProvider: static\nproducerAuthConfig: {token: p, raw: {tenantId: 7, role: ADMIN}}\n"
        "workerAuthProvider: static\nworkerAuthConfig: '\"w\"'\n"
    )
    settings = Settings.from_env({}, yaml)
    assert settings.producer_auth == StaticAuth("p", raw={"tenantId": 7, "role": "ADMIN"})
    assert settings.worker_auth == StaticAuth("w")
    environ = {"WORKER_AUTH_CONFIG": '"other"'}
    assert Settings.from_env(environ, yaml).worker_auth == StaticAuth("other")


WHOLE = "it must be a whole number"


@pytest.mark.parametrize(
    ("environ", "yaml", "message"),
    [
        ({"PORT": "x"}, None, f"PORT: found 'x'; {WHOLE}"),
        ({"PORT": "1.0"}, None, f"PORT: found '1.0'; {WHOLE}"),
        ({"PORT": "٣"}, None, f"PORT: found '٣'; {WHOLE}"),
        ({"PORT": "65536"}, None, "PORT: found 65536; it must be a port from 1 to 65535"),
        ({"PORT": "-1"}, None, "PORT: found -1; it must be a port from 1 to 65535"),
        ({"BACKOFF_BASE_SECONDS": "9223372036854775808"}, None, f"found '9223372036854775808'; {WHOLE}"),
        ({}, "maxAttemptsDefault: soon", f"YAML maxAttemptsDefault: found 'soon'; {WHOLE}"),
        ({}, "maxAttemptsDefault: [1]", "YAML maxAttemptsDefault: found a list; it must be a text"),
        ({"TRACING_ENABLED": "on"}, None, "TRACING_ENABLED: found 'on'; it must be true, 1 or yes"),
        ({}, "timezone: Mars/Olympus", "YAML timezone: found 'Mars/Olympus'; it must be an IANA name"),
        ({}, "timezone: ../../etc/passwd", "YAML timezone: found '../../etc/passwd'; it must be an IANA name"),
        ({}, "timezone: America", "YAML timezone: found 'America'; it must be an IANA name"),
        ({}, "a: [", "the YAML settings: no valid YAML ("),
        ({}, "a: \x00", "the YAML settings: no valid YAML ("),
        ({}, "- a", "the YAML settings: found a list; it must map names of settings to values"),
        ({}, "text", "the YAML settings: found a text; it must map names of settings to values"),
        ({}, "rateLimit: 5", "YAML rateLimit: found a text; it must map producer, worker, admin, webhook to limits"),
        ({}, "rateLimit: {worker: 5}", "YAML rateLimit.worker: found a text; it must have requestsPerMinute"),
        ({}, "rateLimit: {worker: {burstSize: x}}", f"YAML rateLimit.worker.burstSize: found 'x'; {WHOLE}"),
    ],
)
def test_a_bad_value_is_named_in_one_line(environ: dict[str, str], yaml: str | None, message: str) -> None:
    text = error(environ, yaml)
    assert message in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("provider", "config", "message"),
    [
        ("oidc", "{}", "WORKER_AUTH_PROVIDER: found 'oidc'; it must be jwks, static or, on main, multi"),
        ("static", "{", "WORKER_AUTH_CONFIG: no valid JSON ("),
        ("static", "", "WORKER_AUTH_CONFIG: not set, but WORKER_AUTH_PROVIDER is; give the provider's JSON"),
        ("static", "[]", "WORKER_AUTH_CONFIG: found a list; it must be a JSON object"),
        ("static", "null", "WORKER_AUTH_CONFIG: found a null; it must be a JSON object"),
        ("static", "{}", "WORKER_AUTH_CONFIG: no token; give a JSON string, or an object with a token"),
        ("static", '" "', "WORKER_AUTH_CONFIG: no token; give a JSON string, or an object with a token"),
        ("static", '{"token": 7}', "WORKER_AUTH_CONFIG: found a number for token; it must be a text"),
        ("static", '{"token": "t", "scopes": "s"}', "found a text for scopes; it must be a list of texts"),
        ("static", '{"token": "t", "eventTypes": [1]}', "found a number in eventTypes; it must be a list of texts"),
        ("static", '{"token": "t", "raw": []}', "found a list for raw; it must be an object"),
        ("jwks", "[" * 100_000, "WORKER_AUTH_CONFIG: no valid JSON ("),
        ("jwks", '"t"', "WORKER_AUTH_CONFIG: found a text; it must be a JSON object"),
        ("", "{}", "WORKER_AUTH_CONFIG: found jwksUrl ''; it must be an http://, https:// or file:// URL"),
        ("jwks", json.dumps(JWKS | {"jwksUrl": "ftp://x"}), "found jwksUrl 'ftp://x'; it must be an http://"),
        ("jwks", json.dumps(JWKS | {"jwksUrl": "http://h:99999"}), "found jwksUrl 'http://h:99999'; it must be"),
        ("jwks", json.dumps(JWKS | {"jwksUrl": "http://["}), "found jwksUrl 'http://['; it must be"),
        ("jwks", json.dumps(JWKS | {"issuer": ""}), "WORKER_AUTH_CONFIG: no issuer; it must be the issuer that tokens"),
        ("jwks", json.dumps(JWKS | {"audience": None}), "WORKER_AUTH_CONFIG: no audience; it must be the audience"),
        ("jwks", json.dumps(JWKS | {"httpTimeout": True}), "found a boolean for httpTimeout; it must be a number"),
    ],
)
def test_a_bad_auth_setting_is_named_in_one_line(provider: str, config: str, message: str) -> None:
    text = error(
        {"WORKER_AUTH_PROVIDER": provider, "WORKER_AUTH_CONFIG": config, "PRODUCER_AUTH_CONFIG": "{}"}
        | {"PRODUCER_AUTH_PROVIDER": "static", "PRODUCER_AUTH_CONFIG": '"p"'}
    )
    assert message in text
    assert "\n" not in text


def test_16_one_side_alone_is_an_error() -> None:
    text = error({"PRODUCER_AUTH_CONFIG": json.dumps(JWKS)})
    assert text == (
        "WORKER_AUTH_CONFIG: not set, but the other side's is; set both, or neither for the token dev-token"
    )


NAMES = [variable for variable, _, _ in VARIABLES] + [
    f"{side}_AUTH_{part}" for side in ("PRODUCER", "WORKER") for part in ("PROVIDER", "CONFIG")
]


@given(
    environ=st.dictionaries(st.sampled_from(NAMES), st.text() | st.sampled_from(["static", "{}", '"t"', "1", "yes"])),
    yaml=st.none()
    | st.text()
    | st.dictionaries(
        st.sampled_from([*map(camel, NAMES), *(key for key, _, _ in YAML_ONLY), "rateLimit"]),
        st.none() | st.integers() | st.text() | st.lists(st.integers()) | st.dictionaries(st.text(), st.integers()),
    ).map(json.dumps),
)
def test_any_environment_and_yaml_are_read_or_refused_in_one_line(environ: dict[str, str], yaml: str | None) -> None:
    try:
        Settings.from_env(environ, yaml)
    except SettingsError as refusal:
        assert "\n" not in str(refusal)  # noqa: PT017 - settings may be good as well


def test_keys_in_yaml_that_have_no_effect_are_found_in_sections_too() -> None:
    yaml = """
    timezone: UTC
    redisAddr: store:6379
    sharding: {shards: 2}
    defaultLeaseSecond: 5
    rateLimit:
      worker: {requestsPerMinute: 5, burst: 2}
      workers: {}
    producerAuthConfig: {token: t}
    """
    assert Sources.of({}, yaml).ignored_keys(SETTINGS) == [
        *("sharding", "defaultLeaseSecond", "rateLimit.worker.burst", "rateLimit.workers")
    ]
    assert Sources.of({}, "").ignored_keys(SETTINGS) == []
