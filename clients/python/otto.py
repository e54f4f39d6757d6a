"""Otto.Ipc for Python programs: one file, standard library only, Python 3.9 or newer.

    from otto import OttoClient

    with OttoClient(task="resize") as otto:
        otto.set("width", 640)                    # the key is resize.width
        print(otto.get("resize.width"))           # 640
        print(otto.list_keys("resize.*"))         # ['resize.width']
        for event in otto.subscribe("*.progress", snapshot=True):
            print(event.kind, event.key, event.value)

Where the server is: the argument, else OTTO_SOCKET, else $XDG_RUNTIME_DIR/otto/otto.sock, else /tmp/otto-<uid>/otto.sock.
What the task is called: the argument, else OTTO_TASK_NAME, else OTTO_TASK; `set` and `progress` put it in front, all else takes whole keys.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import socket
import threading
import time
from typing import Any, Iterator, NamedTuple, Optional, Union

__all__ = ["OttoClient", "Subscription", "Event", "OttoError", "RefusedError", "ServerMissingError"]


# ---------------------------------------------------------------------------------------------------------------------
# The socket client: the text dialect of docs/protocol.md, a line out, a line in.
# ---------------------------------------------------------------------------------------------------------------------

_MAX_LINE = 256 << 20
_MAX_KEY = 250


class OttoError(Exception):
    """What was asked for cannot be done; the words say why, and what would help."""


class RefusedError(OttoError):
    """The server refused a command. `code` is what a program decides by: BADCMD BADKEY BADJSON TOOBIG DENIED SLOW BUSY."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(f"{code}: {words}" if words else code)
        self.code = code


class ServerMissingError(OttoError, ConnectionError):
    """Nobody serves at the socket, or the server went away and did not come back."""


class Event(NamedTuple):
    """News of a key or a topic."""

    sequence: int
    kind: str
    """set, delete, message; or lost: `value` is then how many messages this subscriber was too slow for."""
    key: str
    """The key or topic; empty where kind is lost."""
    value: Any
    """None where kind is delete."""


class _Line:
    """One connection: lines out, lines in, nothing waits for longer than it may."""

    def __init__(self, path: str, timeout: Optional[float]) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._had = bytearray()
        self._searched = 0
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(path)
        except FileNotFoundError as e:
            self._socket.close()
            raise ServerMissingError(f"there is no socket {path}; start a server with: otto serve") from e
        except ConnectionRefusedError as e:
            self._socket.close()
            raise ServerMissingError(f"nobody serves at {path}; start a server with: otto serve") from e
        except BaseException:
            self._socket.close()
            raise

    def send(self, text: str, deadline: Optional[float]) -> None:
        self._limit(deadline)
        self._socket.sendall(text.encode("utf-8"))

    def receive(self, deadline: Optional[float]) -> str:
        while True:
            end = self._had.find(b"\n", self._searched)
            if end >= 0:
                line = self._had[:end].decode("utf-8")
                del self._had[: end + 1]
                self._searched = 0
                return line
            self._searched = len(self._had)
            if self._searched > _MAX_LINE:
                raise RefusedError("TOOBIG", f"the server sent a line of more than {_MAX_LINE} bytes")
            self._limit(deadline)
            more = self._socket.recv(1 << 16)
            if not more:
                raise ServerMissingError("the server closed the connection")
            self._had += more

    def close(self) -> None:
        # Ends a receive in another thread, which closing alone does not.
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()

    def __del__(self) -> None:
        # A script of three lines need not close its client.
        self._socket.close()

    def _limit(self, deadline: Optional[float]) -> None:
        if deadline is None:
            self._socket.settimeout(None)
            return
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the server did not answer in time")
        self._socket.settimeout(left)


class Subscription:
    """News as an iterator; ends when it is closed. Has a connection of its own, so the client can be used beside it."""

    def __init__(self, line: _Line, timeout: Optional[float]) -> None:
        self._line = line
        self._timeout = timeout
        self._closed = False

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        """Waits for the next event.

        Raises TimeoutError where none came within the subscription's timeout (it can be asked again), RefusedError SLOW where this
        subscriber fell too far behind, ServerMissingError where the server went away.
        """
        if self._closed:
            raise StopIteration
        try:
            line = self._line.receive(None if self._timeout is None else time.monotonic() + self._timeout)
        except socket.timeout as e:
            raise TimeoutError(f"no event within {self._timeout} s") from e
        except (OSError, ValueError):
            if self._closed:
                raise StopIteration from None
            raise
        return _event(line)

    def close(self) -> None:
        self._closed = True
        self._line.close()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class OttoClient:
    """Keys, topics and progress of an Otto server. Any number of threads may use one client; calls take turns.

    A connection is made with the first call, kept, and made anew where the server was started again. No call but waiting for events
    takes longer than `timeout` seconds: TimeoutError then. ServerMissingError where nobody serves, PermissionError where the socket is
    another user's, RefusedError where a command was refused, ValueError or TypeError where a key or value cannot be one.
    """

    def __init__(self, socket_path: Optional[str] = None, task: Optional[str] = None, timeout: float = 10.0) -> None:
        self.socket_path = socket_path or _default_socket()
        self.task = task if task is not None else os.environ.get("OTTO_TASK_NAME") or os.environ.get("OTTO_TASK") or ""
        self.timeout = timeout
        self._lock = threading.Lock()
        self._line: Optional[_Line] = None

    def set(self, key: str, value: Any) -> None:
        """Sets `<task>.key` to a value that JSON can hold, or to bytes."""
        self._ask(f"SET {_key(self._full(key))} {_json(value)}")

    def get(self, key: str, default: Any = None) -> Any:
        """Reads a key; `default` where there is none."""
        key = _key(key)
        exists, value = self._ask(f"EXISTS {key}", f"GET {key}")
        return _value(value) if exists == "true" else default

    def exists(self, key: str) -> bool:
        """Whether there is such a key."""
        return self._ask(f"EXISTS {_key(key)}")[0] == "true"

    def list_keys(self, pattern: str = "*") -> list[str]:
        """The keys that match, in order: * is any run, ? is one character, [a-z] is one of a range."""
        keys: list[str] = json.loads(self._ask(f"LIST {_key(pattern)}")[0])
        return keys

    def delete(self, key: str) -> bool:
        """Removes a key; False where there was none."""
        key = _key(key)
        return self._ask(f"EXISTS {key}", f"DELETE {key}")[0] == "true"

    def publish(self, topic: str, value: Any) -> None:
        """Tells everybody who is subscribed to a topic."""
        self._ask(f"PUBLISH {_key(topic)} {_json(value)}")

    def progress(self, current: Union[int, float], total: Union[int, float, None] = None, text: str = "") -> None:
        """Says how far this task is; does nothing where there is no server."""
        task = _key(self.task)
        words = " ".join(text.split())
        try:
            self._ask(f"PROGRESS {task} {_json(current)} {'-' if total is None else _json(total)} {words}".rstrip())
        except ServerMissingError:
            pass

    def subscribe(self, pattern: str, snapshot: bool = False, timeout: Optional[float] = None) -> Subscription:
        """Hears of keys and topics that match from now on; with `snapshot` the current values come first, and nothing falls between.

        Waiting for the next event takes `timeout` seconds at most; for ever where it is None.
        """
        line = _Line(self.socket_path, self.timeout)
        try:
            deadline = time.monotonic() + self.timeout
            line.send(f"SUBSCRIBE {_key(pattern)}{' SNAPSHOT' if snapshot else ''}\n", deadline)
            _check(line.receive(deadline))
            return Subscription(line, timeout)
        except BaseException:
            line.close()
            raise

    def close(self) -> None:
        """Closes the connection; the next call would make another."""
        with self._lock:
            self._drop()

    def __enter__(self) -> OttoClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _full(self, key: str) -> str:
        if not key:
            raise ValueError("a key is empty; use 1 to 250 bytes")
        return f"{self.task}.{key}" if self.task else key

    def _ask(self, *commands: str) -> list[str]:
        """Sends commands in one write; their answers. All commands here may be sent again: a second time changes nothing more."""
        with self._lock:
            deadline = time.monotonic() + self.timeout
            for attempt in (1, 2):
                fresh = self._line is None
                try:
                    line = self._line = self._line or _Line(self.socket_path, self.timeout)
                    line.send("".join(command + "\n" for command in commands), deadline)
                    return _answers(line, len(commands), deadline)
                except RefusedError:
                    raise
                except (socket.timeout, TimeoutError) as e:
                    # An answer that comes later would be taken for the next one's.
                    self._drop()
                    raise TimeoutError(f"the server at {self.socket_path} did not answer within {self.timeout} s") from e
                except OSError as e:
                    self._drop()
                    # A connection that was kept may have died with the last server.
                    if fresh or attempt == 2:
                        if isinstance(e, ServerMissingError) or not isinstance(e, ConnectionError):
                            raise
                        raise ServerMissingError(f"the server at {self.socket_path} went away: {e}") from e
                except BaseException:
                    self._drop()
                    raise
        raise AssertionError("unreachable")

    def _drop(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None


def _answers(line: _Line, count: int, deadline: float) -> list[str]:
    """Takes all answers off the connection before any of them counts, so that the next call finds its own."""
    answers: list[str] = []
    try:
        while len(answers) < count:
            answers.append(line.receive(deadline))
    except ServerMissingError:
        # What it said before it closed is why.
        for answer in answers:
            _check(answer)
        raise
    return [_check(answer) for answer in answers]


def _default_socket() -> str:
    named = os.environ.get("OTTO_SOCKET")
    if named:
        return named
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return os.path.join(runtime, "otto", "otto.sock") if runtime else f"/tmp/otto-{os.geteuid()}/otto.sock"


def _key(key: str) -> str:
    """A key, pattern or topic, checked: a line break in it would be a second command."""
    if not key:
        raise ValueError("a key is empty; use 1 to 250 bytes")
    for position, character in enumerate(key):
        if character.isspace() or ord(character) < 32 or 127 <= ord(character) < 160:
            raise ValueError(f"key has U+{ord(character):04X} at position {position}; white space and control characters cannot stand in a key")
    length = len(key.encode("utf-8"))
    # A store's name and its dot in front do not count.
    store = re.match(r"[A-Za-z0-9._-]{1,100}\.", key)
    if length - (store.end() if store and length > _MAX_KEY else 0) > _MAX_KEY:
        raise ValueError(f"key of {length} bytes exceeds the limit of {_MAX_KEY}")
    return key


def _json(value: Any) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = {"$base64": base64.b64encode(value).decode("ascii")}
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _value(text: str) -> Any:
    value = json.loads(text)
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("$base64"), str):
        try:
            return base64.b64decode(value["$base64"], validate=True)
        except binascii.Error:
            pass
    return value


def _check(line: str) -> str:
    if line.startswith("ERROR: "):
        code, _, words = line[len("ERROR: "):].partition(" ")
        raise RefusedError(code, words)
    return line


def _event(line: str) -> Event:
    parts = _check(line).split(" ", 4)
    if len(parts) < 4 or parts[0] != "EVENT":
        raise RefusedError("BADCMD", f"the server sent no event: {line[:80]}")
    kind = parts[2].lower()
    if kind == "lost":
        return Event(int(parts[1]), kind, "", int(parts[3]))
    return Event(int(parts[1]), kind, parts[3], _value(parts[4]) if len(parts) == 5 else None)
