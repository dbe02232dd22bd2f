"""The choice of the server on uvicorn: the quick one, or the plain one if uvicorn lacks what the quick one needs."""

from __future__ import annotations

from importlib import import_module

from .uvicorn import Serve, plain_serve

#: What the quick server needs, and uvicorn does not document.
INSIDES = (
    "uvicorn.server:Server.startup",
    "uvicorn.server:Server.main_loop",
    "uvicorn.server:Server.on_tick",
    "uvicorn.server:Server.shutdown",
    "uvicorn.server:Server.capture_signals",
    "uvicorn.protocols.http.flow_control:FlowControl.resume_reading",
    "uvicorn.protocols.http.httptools_impl:STATUS_LINE",
    "uvicorn.protocols.http.httptools_impl:RequestResponseCycle.receive",
    "uvicorn.protocols.http.httptools_impl:RequestResponseCycle.send",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.connection_made",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.connection_lost",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.data_received",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.eof_received",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.on_body",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.on_message_begin",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.on_message_complete",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.send_400_response",
    "uvicorn.protocols.http.httptools_impl:HttpToolsProtocol.shutdown",
)


def missing() -> list[str]:
    """Which of the insides this version of uvicorn has no longer."""
    return [inside for inside in INSIDES if not _exists(inside)]


def shortcomings() -> str:
    """What the chosen server does not do, for a person; "" if there is nothing."""
    if not missing():
        return ""
    return "this version of uvicorn is not known: the server is slower, and limits neither heads nor slow clients"


def best_serve() -> Serve:
    """The quick server if this version of uvicorn has its insides, else the plain one."""
    if missing():
        return plain_serve
    from .uvicorn_quick import quick_serve  # noqa: PLC0415 - cannot be imported where the insides are missing

    return quick_serve


def _exists(inside: str) -> bool:
    """Whether there is an inside, written as `module:name.name`."""
    module, _, path = inside.partition(":")
    try:
        value = import_module(module)
        for name in path.split("."):
            value = getattr(value, name)
    except (ImportError, AttributeError):
        return False
    return True
