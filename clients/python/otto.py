"""Otto.Ipc for Python programs: one file, standard library only, Python 3.9 or newer, Linux.

    OttoClient    keys, topics and progress of an Otto server          (docs/protocol.md)
    Region        a small JSON object that all processes of a run share (docs/layouts.md)
    StreamReader  the one receiver of a stream in shared memory: takes messages out, in the order of each sender
    TopicReader   a subscriber of a topic in shared memory: hears what is published, and how much it missed

    with OttoClient(task="resize") as otto:
        otto.set("width", 640)                    # the key is resize.width
        print(otto.get("resize.width"))           # 640
        print(otto.list_keys("resize.*"))         # ['resize.width']
        for event in otto.subscribe("*.progress", snapshot=True):
            print(event.kind, event.key, event.value)

    Region("build").update({"step": 3})
    with StreamReader("frames") as frames:
        for message in frames:
            print(len(message))

Where the server is: the argument, else OTTO_SOCKET, else $XDG_RUNTIME_DIR/otto/otto.sock, else /tmp/otto-<uid>/otto.sock.
What the task is called: the argument, else OTTO_TASK_NAME, else OTTO_TASK; `set` and `progress` put it in front, all else takes whole keys.

After a fork (os.fork, multiprocessing, gunicorn --preload) the child uses its copies of clients and regions as they are: they make connections
of their own, and leave the parent's alone. A subscription or a reader belongs to the process that opened it: the child opens one anew.

Bytes from shared memory are checked before they are believed; what fails a check raises CorruptError. Run on x86-64 only.
"""

from __future__ import annotations

import base64
import binascii
import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import re
import socket
import stat
import struct
import threading
import time
import weakref
from typing import Any, Callable, Iterator, NamedTuple, Optional, Union

__all__ = [
    "OttoClient", "Subscription", "Event", "Region", "StreamReader", "TopicReader", "TopicMessage",
    "OttoError", "RefusedError", "ServerMissingError", "CorruptError", "RetiredError",
]


class OttoError(Exception):
    """What was asked for cannot be done; the words say why, and what would help."""


class CorruptError(OttoError):
    """Shared bytes fail a check."""


class RetiredError(OttoError):
    """The file was deleted, replaced or retired while it was open here: close this and open it anew."""


# ---------------------------------------------------------------------------------------------------------------------
# Forks. A child has copies of its parent's descriptors: a connection that both use mixes up their answers, and a lock lives until both have
# closed it. So a child closes its copies before anything else runs in it, without a word to the other side.
# ---------------------------------------------------------------------------------------------------------------------

_inherited: weakref.WeakSet[Any] = weakref.WeakSet()
_changing: set[tuple[int, int, int]] = set()  # thread, device and inode of the regions that are locked here


def _after_fork() -> None:
    for held in list(_inherited):
        held._forget()
    _inherited.clear()
    _changing.clear()


os.register_at_fork(after_in_child=_after_fork)


def _of_another_process(what: str, pid: int) -> OttoError:
    return OttoError(f"this {what} was opened by process {pid}, and this is process {os.getpid()}, which was forked from it; open one here")


class _Locked:
    """A descriptor that holds a lock. The lock is the process's that took it: a child that was forked lets go of it and does not unlock it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        _inherited.add(self)

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            try:
                fcntl.flock(fd, fcntl.LOCK_UN)
            finally:
                os.close(fd)

    def _forget(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


# ---------------------------------------------------------------------------------------------------------------------
# The socket client: the text dialect of docs/protocol.md, a line out, a line in.
# ---------------------------------------------------------------------------------------------------------------------

_MAX_LINE = 256 << 20
_MAX_KEY = 250


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

    def __init__(self, path: str, deadline: float) -> None:
        self._path = path
        self._had = bytearray()
        self._searched = 0
        self.ended = False
        self._socket = _open_socket()
        try:
            self._connect(deadline)
        except BaseException:
            self._socket.close()
            raise
        _inherited.add(self)

    def _forget(self) -> None:
        # Not shutdown, which would end the parent's connection.
        self.ended = True
        self._socket.close()

    def send(self, text: str, deadline: Optional[float]) -> None:
        self._limit(deadline)
        try:
            self._socket.sendall(text.encode("utf-8"))
        except socket.timeout as e:
            raise TimeoutError("the server did not answer in time") from e
        except (BrokenPipeError, ConnectionResetError):
            # Why it closed stands in what is still to be read, if it said so at all.
            self.ended = True

    def receive(self, deadline: Optional[float]) -> str:
        while True:
            end = self._had.find(b"\n", self._searched)
            if end >= 0:
                line = bytes(self._had[:end])
                self._searched = 0  # first: a signal handler may raise between two steps
                del self._had[: end + 1]
                try:
                    return line.decode("utf-8")
                except UnicodeDecodeError as e:
                    raise _no_server_of_ours(self._path, line) from e
            self._searched = len(self._had)
            if self._searched > _MAX_LINE:
                self.ended = True
                raise RefusedError("TOOBIG", f"the server sent a line of more than {_MAX_LINE} bytes")
            self._limit(deadline)
            try:
                # One step, without a moment at which what came is nowhere: a signal handler may raise, and the next call goes on.
                any(map(self._had.__iadd__, map(self._socket.recv, (1 << 16,))))
            except socket.timeout as e:
                raise TimeoutError("the server did not answer in time") from e
            except ConnectionResetError:
                pass
            if len(self._had) == self._searched:
                self.ended = True
                raise ServerMissingError(f"the server at {self._path} closed the connection")

    def _connect(self, deadline: float) -> None:
        path = self._path
        try:
            while True:
                self._limit(deadline)
                try:
                    self._socket.connect(path)
                    break
                except BlockingIOError:
                    # More callers than it has taken in yet: it is there, and busy.
                    time.sleep(0.02)
        except socket.timeout as e:
            raise TimeoutError(f"the server at {path} did not answer in time") from e
        except (FileNotFoundError, NotADirectoryError) as e:
            raise ServerMissingError(f"there is no socket {path}; start a server with: otto serve") from e
        except ConnectionRefusedError as e:
            raise ServerMissingError(f"no server listens at {path}; start one with: otto serve") from e
        except PermissionError as e:
            raise PermissionError(e.errno, f"the socket {path} is another user's") from e
        except OSError as e:
            raise OttoError(f"cannot connect to {path}: {e}") from e
        _, owner, _ = struct.unpack("3i", self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        if owner not in (0, os.geteuid()) and os.environ.get("OTTO_SOCKET_TRUST_OWNER") != "1":
            raise PermissionError(errno.EACCES, f"the server at {path} belongs to uid {owner}, not to {os.geteuid()}; where that is meant, OTTO_SOCKET_TRUST_OWNER=1 allows it")

    def close(self) -> None:
        # Ends a receive in another thread, which closing alone does not.
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()

    def __del__(self) -> None:
        # A script of three lines need not close its client. Where there were no descriptors there is no socket.
        if hasattr(self, "_socket"):
            self._socket.close()

    def _limit(self, deadline: Optional[float]) -> None:
        if deadline is None:
            self._socket.settimeout(None)
            return
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the server did not answer in time")
        self._socket.settimeout(left)


def _open_socket() -> socket.socket:
    try:
        return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    except OSError as e:
        raise OttoError(f"cannot make a socket: {e}") from e


def _no_server_of_ours(path: str, line: Union[bytes, str]) -> OttoError:
    return OttoError(f"what serves at {path} does not speak this protocol: {line[:80]!r}")


class Subscription:
    """News as an iterator; ends when it is closed. Has a connection of its own, so the client can be used beside it."""

    def __init__(self, line: _Line, timeout: Optional[float]) -> None:
        self._line = line
        self._timeout = timeout
        self._closed = False
        self._pid = os.getpid()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        """Waits for the next event.

        Raises TimeoutError where none came within the subscription's timeout (it can be asked again), RefusedError SLOW where this
        subscriber fell too far behind, ServerMissingError where the server went away.
        """
        if self._closed:
            raise StopIteration
        if self._pid != os.getpid():
            raise _of_another_process("subscription", self._pid)
        try:
            line = self._line.receive(None if self._timeout is None else time.monotonic() + self._timeout)
        except TimeoutError as e:
            raise TimeoutError(f"no event within {self._timeout} s") from e
        except (OttoError, OSError, ValueError) as e:
            # Closed by another thread, while this one waited.
            if self._closed:
                raise StopIteration from None
            if isinstance(e, OttoError):
                raise
            raise OttoError(f"no more can be heard: {e}") from e
        return _event(line)

    def close(self) -> None:
        self._closed = True
        if self._pid == os.getpid():
            self._line.close()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class OttoClient:
    """Keys, topics and progress of an Otto server. Any number of threads may use one client; calls take turns. So may children that were
    forked: each has a connection of its own.

    A connection is made with the first call, kept, and made anew where the server was started again. No call but waiting for events
    takes longer than `timeout` seconds: TimeoutError then. ServerMissingError if no server listens, PermissionError where the socket or the
    server is another user's (root's is trusted, and anybody's where OTTO_SOCKET_TRUST_OWNER=1 says so), RefusedError where a command was
    refused, ValueError or TypeError where a key or value cannot be one, and OttoError for all else. A signal handler may use a client too: in the
    middle of a call it has another connection.
    """

    def __init__(self, socket_path: Optional[str] = None, task: Optional[str] = None, timeout: float = 10.0) -> None:
        self.socket_path = socket_path or _default_socket()
        self.task = task if task is not None else os.environ.get("OTTO_TASK_NAME") or os.environ.get("OTTO_TASK") or ""
        self.timeout = timeout
        self._lock = threading.RLock()
        self._pid = os.getpid()
        _inherited.add(self)

    _line: Optional[_Line] = None
    """The connection that no call has. A call takes it off the client, and puts it back when it has read all of its answers. So a call in a signal
    handler has one of its own, and what a call that was broken off did not read is no other call's answer."""

    def _take(self) -> Optional[_Line]:
        return vars(self).pop("_line", None)  # one step: no signal handler runs in the middle of it

    def _put_back(self, line: _Line) -> None:
        if vars(self).setdefault("_line", line) is not line:
            line.close()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.RLock()  # another thread of the parent may have held it
        self._take()

    def _here(self) -> threading.RLock:  # type: ignore[valid-type]
        """The lock, in the process that has it: also where a fork told Python nothing."""
        if self._pid != os.getpid():
            line = self._take()
            if line is not None:
                line._forget()
            self._forget()
        return self._lock

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
        keys: list[str] = _value(self._ask(f"LIST {_key(pattern)}")[0])
        return keys

    def delete(self, key: str) -> bool:
        """Removes a key; False where there was none."""
        key = _key(key)
        return self._ask(f"EXISTS {key}", f"DELETE {key}")[0] == "true"

    def publish(self, topic: str, value: Any) -> None:
        """Sends an event to all subscribers of a topic."""
        self._ask(f"PUBLISH {_key(topic)} {_json(value)}")

    def progress(self, current: Union[int, float], total: Union[int, float, None] = None, text: str = "") -> None:
        """Says how far this task is; does nothing where there is no server.

        The last update, where current has reached total, is sent again until `timeout` where a server is busy, or where there is a socket or its
        lock file and no server yet. RefusedError BUSY or ServerMissingError where that was not enough.
        """
        task = _key(self.task)
        words = _text(" ".join(text.split()), "the text")
        command = f"PROGRESS {task} {_json(current)} {'-' if total is None else _json(total)} {words}".rstrip()
        deadline, last, seen = time.monotonic() + self.timeout, total is not None and current >= total, False
        while True:
            try:
                self._ask(command)
                return
            except (ServerMissingError, RefusedError) as e:
                if isinstance(e, RefusedError) and e.code != "BUSY":
                    raise
                seen = seen or isinstance(e, RefusedError) or os.path.exists(self.socket_path) or os.path.exists(self.socket_path + ".lock")
                if not last or not seen:
                    if isinstance(e, RefusedError):
                        raise
                    return
                if time.monotonic() >= deadline:
                    raise
            time.sleep(0.05)

    def subscribe(self, pattern: str, snapshot: bool = False, timeout: Optional[float] = None) -> Subscription:
        """Hears of keys and topics that match from now on; with `snapshot` the current values come first, and nothing falls between.

        Waiting for the next event takes `timeout` seconds at most; for ever where it is None.
        """
        command = f"SUBSCRIBE {_key(pattern)}{' SNAPSHOT' if snapshot else ''}\n"
        deadline = time.monotonic() + self.timeout
        line = _Line(self.socket_path, deadline)
        try:
            line.send(command, deadline)
            _check(line.receive(deadline))
            return Subscription(line, timeout)
        except BaseException:
            line.close()
            raise

    def close(self) -> None:
        """Closes the connection; the next call would make another."""
        with self._here():
            self._drop(self._take())

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
        with self._here():
            deadline = time.monotonic() + self.timeout
            for attempt in (1, 2):
                line = self._take()
                fresh = line is None
                try:
                    line = line or _Line(self.socket_path, deadline)
                    line.send("".join(command + "\n" for command in commands), deadline)
                    answers = _answers(line, len(commands), deadline)
                    self._put_back(line)
                    return [_check(answer) for answer in answers]
                except RefusedError:
                    # The answer was whole, and the connection is back.
                    if line is not None and line.ended:
                        self._drop(line)
                    raise
                except TimeoutError as e:
                    self._drop(line)
                    raise TimeoutError(f"the server at {self.socket_path} did not answer within {self.timeout} s") from e
                except ServerMissingError:
                    self._drop(line)
                    # A connection that was kept may have died with the last server.
                    if fresh or attempt == 2:
                        raise
                except PermissionError:
                    self._drop(line)
                    raise
                except OSError as e:
                    self._drop(line)
                    raise OttoError(f"the connection to {self.socket_path} failed: {e}") from e
                except BaseException:
                    self._drop(line)
                    raise
        raise AssertionError("unreachable")

    def _drop(self, line: Optional[_Line]) -> None:
        if line is not None:
            if self._line is line:
                self._take()
            line.close()


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
    return answers


def _default_socket() -> str:
    named = os.environ.get("OTTO_SOCKET")
    if named:
        return named
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return os.path.join(runtime, "otto", "otto.sock") if runtime else f"/tmp/otto-{os.geteuid()}/otto.sock"


def _text(text: str, what: str) -> str:
    """Text that UTF-8 can hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as e:
        raise ValueError(f"{what} has half of a surrogate pair, U+{ord(text[e.start]):04X}, at position {e.start}; UTF-8 cannot hold it") from None
    return text


def _key(key: str) -> str:
    """A key, pattern or topic, checked: a line break in it would be a second command."""
    if not key:
        raise ValueError("a key is empty; use 1 to 250 bytes")
    _text(key, "key")
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
    return _text(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")), "the value's JSON")


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError as e:
        raise OttoError(f"the server sent no JSON: {text[:80]!r}") from e
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
    if len(parts) < 4 or parts[0] != "EVENT" or not parts[1].isdecimal() or (parts[2] == "LOST" and not parts[3].isdecimal()):
        raise OttoError(f"the server sent no event: {line[:80]!r}")
    kind = parts[2].lower()
    if kind == "lost":
        return Event(int(parts[1]), kind, "", int(parts[3]))
    return Event(int(parts[1]), kind, parts[3], _value(parts[4]) if len(parts) == 5 else None)


_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}\Z")


def _checked_name(name: str) -> str:
    if not _NAME.match(name) or name in (".", ".."):
        raise ValueError(f"'{name}' is no name; use 1 to 100 letters, digits, '.', '_' or '-' (a name is never a path)")
    return name


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def _crc32c(data: bytes) -> int:
    """CRC-32C, Castagnoli's: initial value and final XOR FFFFFFFF."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _open_owned(path: str, flags: int) -> int:
    """Opens a regular file of this user; links are not followed, and a FIFO does not hang."""
    fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    found = os.fstat(fd)
    problem = None
    if not stat.S_ISREG(found.st_mode):
        problem = "is not a regular file"
    elif found.st_uid != os.geteuid():
        problem = f"belongs to uid {found.st_uid}, this process runs as uid {os.geteuid()}"
    if problem:
        os.close(fd)
        raise OttoError(f"{path} {problem}")
    return fd


# ---------------------------------------------------------------------------------------------------------------------
# Regions, by calls on the file, in the steps of docs/layouts.md.
# ---------------------------------------------------------------------------------------------------------------------

_TRAILER = struct.Struct("<8sIIIIIIQQ16x")
_SLOT = struct.Struct("<QII")
_MAX_VALUE = 256 << 20


class _Trailer(NamedTuple):
    at: int
    flags: int
    limit: int
    slot_capacity: int
    slot_offset: int
    state: int

    @property
    def generation(self) -> int:
        return self.state >> 1

    @property
    def committed(self) -> bool:
        return bool(self.state & 1)

    def slot_at(self, generation: int) -> int:
        return self.slot_offset + (generation & 1) * (_SLOT.size + self.slot_capacity)


class Region:
    """A task's region: one JSON object in a file that every process of the run shares.

    The file is `path`, else the one of OTTO_MMAP_PATH, else otto-<pid>-<task> in OTTO_MMAP_DIR or /dev/shm, where the pid is OTTO_PID, or
    this process's or the nearest ancestor's that has one. The region must exist: a .NET program or otto-mmap-write makes it.

    Readers take no lock. Writers take the file's flock and write in the steps of docs/layouts.md, so a kill leaves the old or the new value.
    Each call opens the file anew; an object may be used by any number of threads.
    """

    def __init__(self, task: str = "", path: Optional[str] = None, timeout: float = 10.0) -> None:
        """timeout: how many seconds a write waits for another writer's lock."""
        self.path = path or self._find(task)
        self._timeout = timeout

    def read(self) -> dict[str, Any]:
        """The whole value. Raises FileNotFoundError where there is no region, CorruptError where its bytes make no sense."""
        problem = ""
        deadline = time.monotonic() + 0.5  # what looks damaged may be a foreign write that goes on
        overtaken = 0
        while True:
            fd = _open_owned(self.path, os.O_RDONLY)
            try:
                text = self._try_read(fd, overtaken >= 16)
                if text is None:
                    overtaken += 1
                    continue
                return self._parse(text)
            except CorruptError as error:
                problem = str(error)
            finally:
                os.close(fd)
            if time.monotonic() >= deadline:
                raise CorruptError(problem)
            time.sleep(0.001)

    def write(self, value: dict[str, Any]) -> None:
        """Replaces the whole value. Raises OttoError, with both sizes, where it does not fit; then nothing was changed."""
        self._change(lambda _: value)

    def update(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Sets these keys and keeps the others, in one step. Returns the new value."""
        return self._change(lambda old: {**old, **changes})

    def change(self, make: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Replaces the value by what `make` makes of it; nobody writes in between. Returns the new value."""
        return self._change(make)

    # -- finding and opening

    @staticmethod
    def _find(task: str) -> str:
        directory = os.environ.get("OTTO_MMAP_DIR") or "/dev/shm"
        exported = os.environ.get("OTTO_MMAP_PATH")
        if exported:
            return os.path.abspath(exported)
        task = _checked_name(task or os.environ.get("OTTO_TASK_NAME") or os.environ.get("OTTO_TASK") or "")
        run = os.environ.get("OTTO_PID")
        if run:
            if not run.isdigit() or int(run) < 1:
                raise ValueError(f"OTTO_PID is not a pid: '{run}'")
            return os.path.join(directory, f"otto-{run}-{task}")
        pid = os.getpid()
        for _ in range(256):
            candidate = os.path.join(directory, f"otto-{pid}-{task}")
            if os.path.lexists(candidate):
                return candidate
            try:
                with open(f"/proc/{pid}/stat", "rb") as file:
                    pid = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                break
            if pid <= 0:
                break
        raise FileNotFoundError(f"no region {directory}/otto-<pid>-{task} for this process or its ancestors; set OTTO_MMAP_PATH or OTTO_PID")

    # -- reading

    def _parse(self, text: bytes) -> dict[str, Any]:
        try:
            value = json.loads(text or b"{}")
        except ValueError as error:
            raise CorruptError(f"the region {self.path} holds no JSON: {error}") from None
        if not isinstance(value, dict):
            raise CorruptError(f"the region {self.path} holds a {type(value).__name__}, not an object")
        return value

    def _try_read(self, fd: int, slot_suffices: bool) -> Optional[bytes]:
        """The text; None where a writer was quicker."""
        before = self._trailer(fd)
        if before is None or (not before.committed and 4 + self._front_length(fd) > before.slot_offset):
            front = self._front(fd)  # nothing but the bytes themselves tells of a write in progress
            return front if front == self._front(fd) and self._trailer(fd) == before else None
        if not before.committed:
            front = self._front(fd)
            return front if self._trailer(fd) == before else None
        new = self._slot(fd, before, before.generation)
        if new is not None and slot_suffices:
            return new
        ours = self._front_is_ours(fd, before, self._slot(fd, before, before.generation - 1), new)
        text = new if ours else self._front(fd)
        if self._trailer(fd) != before:
            return None
        if text is None:
            raise CorruptError(f"the region {self.path} is damaged: generation {before.generation} is committed, but its slot does not hold it")
        return text

    def _front_length(self, fd: int) -> int:
        size = os.fstat(fd).st_size
        head = os.pread(fd, 4, 0)
        length = int.from_bytes(head, "little")
        if len(head) < 4 or length > min(size - 4, _MAX_VALUE):
            raise CorruptError(f"the region {self.path} is damaged: a length of {length:,} in a file of {size:,} bytes")
        return length

    def _front(self, fd: int) -> bytes:
        data = os.pread(fd, 4096, 0)  # length and text in one call, where they are short
        length = int.from_bytes(data[:4], "little")
        if len(data) >= 4 + length:
            return data[4 : 4 + length]
        text = os.pread(fd, self._front_length(fd), 4)
        if len(text) < length:
            raise CorruptError(f"the region {self.path} was cut short while it was read")
        return text

    def _trailer(self, fd: int) -> Optional[_Trailer]:
        size = os.fstat(fd).st_size
        at = (size & ~63) - 64
        if at < 4:
            return None
        data = os.pread(fd, 64, at)
        if len(data) < 64 or data[:8] != b"OTTORGN1":
            return None
        _, version, flags, limit, capacity, offset, crc, state, complement = _TRAILER.unpack(data)
        if crc != _crc32c(data[:0x1C]):
            raise CorruptError(f"the region {self.path} is damaged: its trailer's checksum is wrong")
        if version != 1:
            raise CorruptError(f"the region {self.path} has version {version}, this client knows 1")
        fits = capacity <= _MAX_VALUE and offset >= 4 + capacity and offset + 2 * (_SLOT.size + capacity) <= at
        if not fits or limit > size - 4 or state != complement ^ 0xFFFFFFFFFFFFFFFF:
            raise CorruptError(f"the region {self.path} is damaged: its trailer's fields do not fit together")
        return _Trailer(at, flags, limit, capacity, offset, state)

    @staticmethod
    def _slot_header(generation: int, value: bytes) -> bytes:
        return _SLOT.pack(generation, len(value), _crc32c(struct.pack("<QI", generation, len(value)) + value))

    def _slot(self, fd: int, trailer: _Trailer, generation: int) -> Optional[bytes]:
        at = trailer.slot_at(generation)
        header = os.pread(fd, _SLOT.size, at)
        if len(header) < _SLOT.size:
            return None
        found, length, _ = _SLOT.unpack(header)
        if found != generation or length > trailer.slot_capacity:
            return None
        value = os.pread(fd, length, at + _SLOT.size)
        return value if self._slot_header(generation, value) == header else None

    def _front_is_ours(self, fd: int, trailer: _Trailer, old: Optional[bytes], new: Optional[bytes]) -> bool:
        """Whether the front can be a copy of new over old, done to any part; otherwise a foreign program wrote it."""
        if old is None or new is None:
            return 4 + int.from_bytes(os.pread(fd, 4, 0), "little") <= trailer.slot_offset
        front = os.pread(fd, 4 + max(len(old), len(new)), 0)
        lengths = (len(old).to_bytes(4, "little"), len(new).to_bytes(4, "little"))
        if any(front[i] not in (lengths[0][i], lengths[1][i]) for i in range(4)):
            return False
        return all(front[4 + i] == old[i] or (i < len(new) and front[4 + i] == new[i]) for i in range(len(old)))

    # -- writing

    def _change(self, make: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        deadline = time.monotonic() + self._timeout
        while True:
            held = _Locked(_open_owned(self.path, os.O_RDWR))
            try:
                self._lock(held.fd, deadline)
                # Somebody may have replaced the file while the lock was waited for.
                if os.stat(self.path, follow_symlinks=False).st_ino != os.fstat(held.fd).st_ino:
                    continue
                file = os.fstat(held.fd)
                mine = threading.get_ident(), file.st_dev, file.st_ino
                try:
                    _changing.add(mine)
                    return self._write_locked(held, make)
                finally:
                    _changing.discard(mine)
            finally:
                held.close()

    def _lock(self, fd: int, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                file = os.fstat(fd)
                if (threading.get_ident(), file.st_dev, file.st_ino) in _changing:
                    raise OttoError(f"the region {self.path} is being changed by the call that this one interrupts; nothing was written") from None
                if time.monotonic() >= deadline:
                    raise TimeoutError(f"the region {self.path} was locked by another for {self._timeout:g} s; nothing was written") from None
                time.sleep(0.001)

    def _write_locked(self, held: _Locked, make: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        fd = held.fd
        trailer = self._trailer(fd)
        if trailer is not None and trailer.committed:
            trailer = self._finish(fd, trailer)
        old = self._front(fd)
        value = make(self._parse(old))
        if held.fd < 0:
            raise OttoError(f"process {os.getpid()} was forked while the region {self.path} was changed; the change is its parent's")
        if not isinstance(value, dict):
            raise ValueError(f"a region holds an object, not a {type(value).__name__}")
        new = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        size = os.fstat(fd).st_size
        limit = trailer.limit if trailer else min(size - 4, _MAX_VALUE)
        if len(new) > limit:
            raise OttoError(f"the region {self.path} would need {len(new):,} bytes, it has {limit:,}; nothing was changed. Store less, or make a larger one")
        os.posix_fallocate(fd, 0, size)  # a full file system is an error before the first byte is changed
        if trailer is None or 4 + len(old) > trailer.slot_offset or max(len(old), len(new)) > trailer.slot_capacity:
            if trailer is not None and 4 + len(old) <= trailer.at:
                self._set_state(fd, trailer, (trailer.generation + 1) << 1)
            self._put(fd, 0, len(new).to_bytes(4, "little") + new)
            return value
        generation = trailer.generation
        if os.pread(fd, _SLOT.size, trailer.slot_at(generation)) != self._slot_header(generation, old):
            generation += 1  # a foreign program wrote the front: its value becomes a generation of its own
            self._put_slot(fd, trailer, generation, old)
            trailer = self._set_state(fd, trailer, generation << 1)
        generation += 1
        self._put_slot(fd, trailer, generation, new)
        trailer = self._set_state(fd, trailer, generation << 1 | 1)  # the commit
        self._put(fd, 0, len(new).to_bytes(4, "little") + new)
        self._set_state(fd, trailer, generation << 1)
        return value

    def _finish(self, fd: int, trailer: _Trailer) -> _Trailer:
        """Brings the front up to the slot that a dead writer committed."""
        new = self._slot(fd, trailer, trailer.generation)
        if self._front_is_ours(fd, trailer, self._slot(fd, trailer, trailer.generation - 1), new):
            if new is None:
                raise CorruptError(f"the region {self.path} is damaged: generation {trailer.generation} is committed, but its slot does not hold it")
            self._put(fd, 0, len(new).to_bytes(4, "little") + new)
        return self._set_state(fd, trailer, trailer.generation << 1)

    def _put_slot(self, fd: int, trailer: _Trailer, generation: int, value: bytes) -> None:
        at = trailer.slot_at(generation)
        self._put(fd, at + _SLOT.size, value)
        self._put(fd, at, self._slot_header(generation, value))

    def _set_state(self, fd: int, trailer: _Trailer, state: int) -> _Trailer:
        self._put(fd, trailer.at + 0x20, struct.pack("<QQ", state, state ^ 0xFFFFFFFFFFFFFFFF))
        return trailer._replace(state=state)

    @staticmethod
    def _put(fd: int, at: int, data: bytes) -> None:
        while data:
            written = os.pwrite(fd, data, at)
            data, at = data[written:], at + written


# ---------------------------------------------------------------------------------------------------------------------
# Segments: streams and topics, mapped.
# ---------------------------------------------------------------------------------------------------------------------

_STREAM, _QUEUE, _TOPIC = 1, 2, 3
_SEGMENT_BYTE, _PARTICIPANT_BYTE, _ROLE_BYTE = (1 << 40) - 1, 1 << 40, (1 << 40) + (1 << 20)
_HEADER = struct.Struct("<8sIIQQQII16s16sII32xI")
_LARGEST = 1 << 40
_FUTEX, _MEMBARRIER = {"x86_64": (202, 324), "aarch64": (98, 283)}.get(platform.machine(), (0, 0))
_FUTEX_WAIT, _FUTEX_WAKE_OP, _ADD, _OR, _ANDN, _EVERYBODY = 0, 5, 1, 2, 3, 0x7FFFFFFF
_WAITING, _FENCING, _SEQUENCE = 1, 2, 4
_MESSAGE, _LOAN, _PADDING = 1, 2, 0xFFFFFFFF
_OFD_SETLK = getattr(fcntl, "F_OFD_SETLK", 37)
_LONGEST_SLEEP = 1.0

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _fence() -> None:
    """Orders what stands before it with what comes after: taking a free lock is a locked instruction. Nobody else has this one, so that neither
    a fork nor a signal handler finds it taken."""
    threading.Lock().acquire()


class _Bell:
    """A doorbell of a segment: sleeping on it, and ringing it. The kernel changes the word for us, as Python has no atomics."""

    def __init__(self, mapped: mmap.mmap, at: int) -> None:
        self._word = ctypes.c_uint.from_buffer(mapped, at)
        self._address = ctypes.c_void_p(ctypes.addressof(self._word))
        self._nobody = ctypes.c_uint(0)

    def sleep(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Says that somebody waits, looks again, and sleeps until it rings, for so long at most. Returns whether to look."""
        self._apply(_OR, _WAITING, ctypes.byref(self._nobody))
        # Whoever looked at the word before now, and will publish after, is made to pass a barrier; only then are others told that one was.
        _libc.syscall(ctypes.c_long(_MEMBARRIER), ctypes.c_long(2), ctypes.c_long(0), ctypes.c_long(0))
        self._apply(_OR, _FENCING, ctypes.byref(self._nobody))
        seen = self._word.value
        _fence()
        if ready() or not seen & _WAITING:
            return True
        limit = struct.pack("@ll", int(seconds), int(seconds % 1 * 1e9))
        _libc.syscall(ctypes.c_long(_FUTEX), self._address, ctypes.c_long(_FUTEX_WAIT), ctypes.c_ulong(seen), limit, None, ctypes.c_long(0))
        return ready()

    def ring(self) -> None:
        """Wakes who waits, if anybody does. What they wait for was stored before."""
        _fence()
        if self._word.value & _WAITING:
            self._apply(_ANDN, _WAITING, ctypes.byref(self._nobody))
            self._apply(_ADD, _SEQUENCE, self._address)

    def _apply(self, operation: int, argument: int, wake: Any) -> None:
        _libc.syscall(ctypes.c_long(_FUTEX), wake, ctypes.c_long(_FUTEX_WAKE_OP), ctypes.c_long(_EVERYBODY), ctypes.c_long(0), self._address,
                      ctypes.c_long(operation << 28 | argument << 12 | 0xFFF))


class _Segment:
    """A segment of shared memory, checked and mapped; holds the lock by which others know that it is in use."""

    def __init__(self, name: str, suffix: str, shape: int, directory: Optional[str]) -> None:
        if not _FUTEX:
            raise OttoError(f"shared memory segments need Linux on x86-64 or arm64, not {platform.machine()}")
        directory = directory or os.environ.get("OTTO_SHM_DIR") or f"/dev/shm/otto-{os.geteuid()}"
        self.path = os.path.join(directory, f"{_checked_name(name)}.{suffix}")
        found = os.stat(directory, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o22:
            raise OttoError(f"{directory} is not a directory of uid {os.geteuid()} that only it can write to")
        fd = _open_owned(self.path, os.O_RDWR)
        self.locks = -1
        try:
            status = os.fstat(fd)
            if status.st_mode & 0o77:
                raise OttoError(f"{self.path} has mode {status.st_mode & 0o777:o}; others could get at it: chmod 600 it")
            self._inode = status.st_ino
            self._read_header(os.pread(fd, 0x84, 0), status.st_size, shape)
            # Locks are on a descriptor that is never mapped, since a mapping would outlive it.
            self.locks = os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
            if not self.lock(_SEGMENT_BYTE, fcntl.F_RDLCK):
                raise RetiredError(f"{self.path} is being removed; open it again in a moment")
            self.map = mmap.mmap(fd, self.size)
        except BaseException:
            if self.locks >= 0:
                os.close(self.locks)
            raise
        finally:
            os.close(fd)
        self.longs = memoryview(self.map).cast("Q")
        _inherited.add(self)
        if self.is_retired():
            self.close()
            raise RetiredError(f"{self.path} was retired; open it again")

    def _read_header(self, data: bytes, size: int, shape: int) -> None:
        if len(data) < 0x84 or data[:8] != b"OTTOIPC1":
            raise CorruptError(f"{self.path} is not a segment of Otto.Ipc")
        (_, major, _, stated, self.data, self.capacity, found, self.participants, identity, boot, self.lanes, self.policy, crc) = _HEADER.unpack(data[: _HEADER.size])
        if crc != _crc32c(data[:0x78]):
            raise CorruptError(f"{self.path}: the header's checksum is wrong")
        if major != 1:
            raise CorruptError(f"{self.path} has version {major}, this client knows 1")
        if found != shape:
            raise CorruptError(f"{self.path} has shape {found}, expected {shape}")
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            if boot.hex() != file.read().strip().replace("-", ""):
                raise RetiredError(f"{self.path} was made before the machine last started; whoever creates it next replaces it")
        self.control = 0x1000 + 0x80 * self.participants
        fits = stated == size <= _LARGEST and size % 4096 == 0 and 1 <= self.participants <= 4096 and 1 <= self.lanes <= 4096
        fits = fits and 4096 <= self.capacity <= 1 << 30 and self.capacity & (self.capacity - 1) == 0
        if not fits or self.control >= self.data or self.data + self.lanes * self.capacity > size:
            raise CorruptError(f"{self.path}: the header's fields do not fit a file of {size:,} bytes")
        self.size = size
        self.identity = identity.hex()[:8]

    def word(self, index: int) -> int:
        return self.control + 0x80 * index

    def long(self, at: int) -> int:
        return self.longs[at >> 3]

    def lock(self, byte: int, kind: int) -> bool:
        try:
            fcntl.fcntl(self.locks, _OFD_SETLK, struct.pack("@hhqqi4x", kind, os.SEEK_SET, byte, 1, 0))
            return True
        except (BlockingIOError, PermissionError):
            return False

    def lanes_in_use(self, word: int) -> int:
        return min(self.long(self.word(word)), self.lanes)

    def is_retired(self) -> bool:
        try:
            return self.long(0x80) & 0xFFFFFFFF != 1 or os.stat(self.path, follow_symlinks=False).st_ino != self._inode
        except FileNotFoundError:
            return True

    def block(self, descriptor: bytes) -> bytes:
        """The bytes of a message that lies in a block. Raises FileNotFoundError where the block is gone."""
        block, file, _, length = struct.unpack_from("<IIQI", descriptor)
        if length > 1 << 30:
            raise CorruptError(f"{self.path}: a block's message of {length:,} bytes exceeds 1 GiB")
        fd = _open_owned(f"{self.path}-{self.identity}.{block}-{file}.block", os.O_RDONLY)
        try:
            data = bytearray()
            while len(data) < length:
                part = os.pread(fd, min(length - len(data), 1 << 26), len(data))
                if not part:
                    raise CorruptError(f"{self.path}: block {block} has {len(data):,} bytes, its message {length:,}")
                data += part
            return bytes(data)
        finally:
            os.close(fd)

    def _forget(self) -> None:
        # The mapping stays, since readers stand on it; nobody uses it any more.
        locks, self.locks = self.locks, -1
        if locks >= 0:
            os.close(locks)

    def close(self) -> None:
        if self.locks >= 0:
            os.close(self.locks)  # the locks go with it
            self.locks = -1
            self.longs.release()
            try:
                self.map.close()
            except BufferError:
                pass  # another thread still sleeps on a bell; the mapping goes with it


class _Reader:
    """What a stream's and a topic's reader share: waiting, closing."""

    _segment: _Segment
    _bell: _Bell

    def _open(self, segment: _Segment) -> None:
        self._segment = segment
        self._pid = os.getpid()
        self._bell = _Bell(segment.map, segment.word(0))
        self._closed = False

    def _wait(self, ready: Callable[[], bool], timeout: Optional[float]) -> bool:
        deadline = None if timeout is None else time.monotonic() + timeout
        while not ready():
            left = _LONGEST_SLEEP if deadline is None else min(deadline - time.monotonic(), _LONGEST_SLEEP)
            if left <= 0:
                return False
            if not self._bell.sleep(ready, left) and self._segment.is_retired():
                raise RetiredError(f"{self._segment.path} was deleted, replaced or retired while it was open here; close this and open it anew")
        return True

    def _require_open(self) -> None:
        if self._closed:
            raise ValueError("this reader was closed")
        if self._pid != os.getpid():
            raise _of_another_process("reader", self._pid)

    def _release(self) -> None:
        """Lets go of everything that stands on the mapping."""

    def close(self) -> None:
        """Leaves the segment. Safe to call twice; not while another thread uses the reader."""
        if not self._closed:
            self._closed = True
            if self._pid != os.getpid():
                return  # what stands in the segment is the parent's
            self._release()
            del self._bell
            self._segment.close()

    def __exit__(self, *_: object) -> None:
        self.close()


class _Lane(NamedTuple):
    tail: int
    head: int
    completed: int
    data: int
    bell: _Bell


class StreamReader(_Reader):
    """The receiver of a stream. There can be one at a time, in whatever language; a successor goes on where it stopped.

    Messages come out in the order of each sender. Messages in blocks (loans) are read too. Not for several threads at once.
    """

    def __init__(self, name: str, directory: Optional[str] = None) -> None:
        """Opens an existing stream in `directory`, else OTTO_SHM_DIR, else /dev/shm/otto-<uid>.

        Raises FileNotFoundError where there is none, OttoError where it has a live receiver or no room.
        """
        segment = _Segment(name, "stream", _STREAM, directory)
        try:
            self._open(segment)
            if not segment.lock(_ROLE_BYTE, fcntl.F_WRLCK):
                raise OttoError(f"{segment.path} has a receiver already, and it is alive; close it first")
            self._entry = self._join(segment)
            self._lanes = [self._lane_at(i) for i in range(segment.lanes)]
            self._heads = [segment.long(lane.head) for lane in self._lanes]
        except BaseException:
            self._lanes: list[_Lane] = []
            self._entry = -1
            self._closed = False
            self.close()
            raise
        self._turn = 0

    def __enter__(self) -> StreamReader:
        return self

    @property
    def completed(self) -> bool:
        """Whether every sender said that no more comes, and all was read."""
        self._require_open()
        in_use = self._in_use()
        return in_use > 0 and all(self._segment.long(lane.completed) == head + 1 for lane, head in zip(self._lanes[:in_use], self._heads))

    def receive(self, timeout: Optional[float] = None) -> Optional[bytes]:
        """Takes the next message; it counts as read. Returns None where none came in `timeout` seconds (None: for ever), or at the end."""
        found = self._next(timeout)
        if found is None:
            return None
        message, lane, after = found
        self._consume(lane, after)
        return message

    def lease(self, timeout: Optional[float] = None) -> _Leased:
        """For `with`: the next message, or None, which counts as read once the block ends without an error; else it comes again."""
        return _Leased(self, timeout)

    def __iter__(self) -> Iterator[bytes]:
        """Messages until the stream is completed."""
        while True:
            message = self.receive()
            if message is None:
                return
            yield message

    # -- lanes

    def _in_use(self) -> int:
        return self._segment.lanes_in_use(1 + 4 * self._segment.lanes)

    def _lane_at(self, index: int) -> _Lane:
        s, first = self._segment, 1 + 4 * index
        lane = _Lane(s.word(first), s.word(first + 1), s.word(first + 3), s.data + index * s.capacity, _Bell(s.map, s.word(first + 2)))
        if s.long(lane.head) & 7 or s.long(lane.head) >> 63:
            raise CorruptError(f"{s.path}: lane {index}: head is {s.long(lane.head):,}, which no receiver stored")
        return lane

    def _ready(self) -> bool:
        return any(self._segment.long(lane.tail) != head for lane, head in zip(self._lanes[: self._in_use()], self._heads)) or self.completed

    def _next(self, timeout: Optional[float]) -> Optional[tuple[bytes, int, int]]:
        """The next message, its lane, and the position behind it."""
        self._require_open()
        while self._wait(self._ready, timeout):
            in_use, first = self._in_use(), self._turn
            for i in range(in_use):
                lane = (first + i) % in_use
                self._turn = lane + 1  # whatever is wrong here, the next lane has its turn
                found = self._look(lane)
                if found is not None:
                    return found[0], lane, found[1]
            if self.completed:
                return None
        return None

    def _look(self, index: int) -> Optional[tuple[bytes, int]]:
        s, lane, head = self._segment, self._lanes[index], self._heads[index]
        tail = s.long(lane.tail)
        _fence()  # the frames up to tail are whole
        if tail & 7 or not head <= tail <= head + s.capacity:
            raise CorruptError(f"{s.path}: lane {index}: tail {tail:,} cannot follow head {head:,} in a ring of {s.capacity:,} bytes")
        while head != tail:
            offset = head & (s.capacity - 1)
            limit = min(tail - head, s.capacity - offset)
            header = s.long(lane.data + offset)
            length, kind = header & 0xFFFFFFFF, header >> 32
            size = 8 + length + 7 & ~7
            if size > limit or kind not in (_MESSAGE, _LOAN, _PADDING) or (kind == _LOAN and length != 24) or (kind == _PADDING and size != s.capacity - offset):
                raise CorruptError(f"{s.path}: lane {index}: the frame at {head:,} has length {length:,} and type {kind}, with {limit:,} bytes there")
            if kind != _PADDING:
                at = lane.data + offset + 8
                message = s.map[at : at + length]
                try:
                    return (s.block(message) if kind == _LOAN else message), head + size
                except FileNotFoundError as error:
                    self._consume(index, head + size)  # lost, told of once, and in nobody's way
                    raise CorruptError(f"{s.path}: the block of a message is gone; was it removed? {error}") from None
            head += size
        return None

    def _consume(self, index: int, position: int) -> None:
        _fence()  # the bytes are copied before the sender may write over them
        self._heads[index] = position
        self._segment.longs[self._lanes[index].head >> 3] = position
        self._lanes[index].bell.ring()

    # -- participant

    @staticmethod
    def _join(s: _Segment) -> int:
        for entry in range(s.participants):
            at = 0x1000 + 0x80 * entry
            if s.long(at) & 0xFF or not s.lock(_PARTICIPANT_BYTE + entry, fcntl.F_WRLCK):
                continue
            if s.long(at) & 0xFF:  # somebody joined and died meanwhile: left to a sweeper
                s.lock(_PARTICIPANT_BYTE + entry, fcntl.F_UNLCK)
                continue
            with open("/proc/self/stat", "rb") as file:
                started = int(file.read().rpartition(b")")[2].split()[19])
            s.longs[at + 8 >> 3] = 2 << 32 | os.getpid()
            s.longs[at + 0x10 >> 3] = os.stat("/proc/self/ns/pid").st_ino
            s.longs[at + 0x18 >> 3] = started
            _fence()
            s.longs[at >> 3] = ((s.long(at) >> 8) + 1 << 8 | 1) & 0xFFFFFFFFFFFFFFFF
            return entry
        raise OttoError(f"{s.path} has {s.participants:,} participants, which is its limit; close one")

    def _release(self) -> None:
        if self._entry >= 0:
            at = 0x1000 + 0x80 * self._entry
            self._segment.longs[at + 8 >> 3] &= 0xFFFFFFFF  # no role
            _fence()
            self._segment.longs[at >> 3] &= ~0xFF
        self._lanes.clear()


class _Leased:
    def __init__(self, reader: StreamReader, timeout: Optional[float]) -> None:
        self._reader, self._timeout = reader, timeout
        self._found: Optional[tuple[bytes, int, int]] = None

    def __enter__(self) -> Optional[bytes]:
        self._found = self._reader._next(self._timeout)
        return None if self._found is None else self._found[0]

    def __exit__(self, kind: Optional[type], *_: object) -> None:
        if self._found is not None and kind is None:
            self._reader._require_open()
            self._reader._consume(self._found[1], self._found[2])


class TopicMessage(NamedTuple):
    """A message of a topic, and how many were lost right before it."""

    data: bytes
    lost: int


class TopicReader(_Reader):
    """A subscriber of a topic that takes no part: publishers do not know it, never wait for it, and never eject it.

    Under every policy it hears what is still there when it comes to read; what was written over it counts as lost. Any number of these may
    read one topic. Not for several threads at once.
    """

    _TRIES = 1000

    def __init__(self, name: str, directory: Optional[str] = None, oldest: bool = False) -> None:
        """Opens an existing topic, as StreamReader does. oldest: begin with what is still there, not with what comes next."""
        self._open(_Segment(name, "topic", _TOPIC, directory))
        s = self._segment
        self._at = [0] * s.lanes
        self._next_number = [0] * s.lanes
        self._missed = [0] * s.lanes
        self._turn = 0
        try:
            for lane in range(s.lanes):
                self._go_on(lane, oldest)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> TopicReader:
        return self

    def receive(self, timeout: Optional[float] = None) -> Optional[TopicMessage]:
        """The next message. Returns None where none came in `timeout` seconds (None: for ever)."""
        self._require_open()
        while self._wait(self._ready, timeout):
            in_use, first = self._in_use(), self._turn
            for i in range(in_use):
                lane = (first + i) % in_use
                self._turn = lane + 1
                message = self._look(lane)
                if message is not None:
                    return message
        return None

    def __iter__(self) -> Iterator[TopicMessage]:
        """Messages, for ever."""
        while True:
            message = self.receive()
            if message is not None:
                yield message

    # -- lanes: word 1 + 4 n is tail, then intent, then oldest

    def _in_use(self) -> int:
        return self._segment.lanes_in_use(1 + 4 * self._segment.lanes)

    def _ready(self) -> bool:
        return any(self._tail(lane) != self._at[lane] for lane in range(self._in_use()))

    def _tail(self, lane: int) -> int:
        return self._segment.long(self._segment.word(1 + 4 * lane))

    def _is_whole(self, lane: int, position: int) -> bool:
        _fence()  # what was copied was read before the intent is
        return self._segment.long(self._segment.word(2 + 4 * lane)) - self._segment.capacity <= position

    def _place(self, lane: int, position: int) -> int:
        return self._segment.data + lane * self._segment.capacity + (position & (self._segment.capacity - 1))

    def _go_on(self, lane: int, oldest: bool) -> int:
        """Goes to the oldest frame that is there, or to the tail. Returns the number of the message that comes next there."""
        s = self._segment
        for attempt in range(self._TRIES):
            # Beside a publisher that is quicker than a few tries only the tail stands still long enough.
            position = s.long(s.word(3 + 4 * lane)) if oldest and attempt < self._TRIES // 2 else self._tail(lane)
            if position & 15 or position > self._tail(lane):
                raise CorruptError(f"{s.path}: lane {lane}: position {position:,} cannot be a frame's")
            number = s.long(self._place(lane, position) + 8)
            if self._is_whole(lane, position):
                self._at[lane], self._next_number[lane] = position, number
                return number
        raise OttoError(f"{s.path}: lane {lane} is written over faster than it can be read; make it with a higher Capacity")

    def _look(self, lane: int) -> Optional[TopicMessage]:
        s = self._segment
        for _ in range(self._TRIES):
            at, expected, tail = self._at[lane], self._next_number[lane], self._tail(lane)
            if tail == at:
                return None
            _fence()  # the frames up to tail are whole, as far as they are not written over
            if tail & 15 or tail < at:
                raise CorruptError(f"{s.path}: lane {lane}: tail {tail:,} cannot follow {at:,}")
            place = self._place(lane, at)
            header, number = s.long(place), s.long(place + 8)
            length, kind = header & 0xFFFFFFFF, header >> 32
            size = 16 + length + 15 & ~15
            plausible = number == expected and size <= min(tail - at, s.capacity - (at & (s.capacity - 1))) and (kind in (_MESSAGE, _PADDING) or (kind == _LOAN and length == 24))
            data = s.map[place + 16 : place + 16 + length] if plausible and kind != _PADDING else b""
            if not self._is_whole(lane, at):
                self._jump(lane, expected)
                continue
            if not plausible:
                raise CorruptError(f"{s.path}: lane {lane}: the frame at {at:,} has length {length:,}, type {kind} and number {number:,}, expected {expected:,}")
            missing = False
            if kind == _LOAN:
                try:
                    data = s.block(data)
                except FileNotFoundError:
                    missing = True
                # The block stands as long as its message does.
                if not self._is_whole(lane, at) or s.long(s.word(3 + 4 * lane)) > at:
                    self._jump(lane, expected)
                    continue
            self._at[lane] = at + size
            if missing:
                self._next_number[lane] = number + 1
                raise CorruptError(f"{s.path}: lane {lane}: the block of message {number:,} is gone; was it removed?")
            if kind == _PADDING:
                continue
            self._next_number[lane] = number + 1
            lost, self._missed[lane] = self._missed[lane], 0
            return TopicMessage(data, lost)
        return None

    def _jump(self, lane: int, expected: int) -> None:
        number = self._go_on(lane, True)
        if number < expected:
            raise CorruptError(f"{self._segment.path}: lane {lane}: message {number:,} after {expected:,}")
        self._missed[lane] += number - expected
