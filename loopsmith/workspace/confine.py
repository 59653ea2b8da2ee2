"""The sandbox of a machine without bubblewrap, as a program: confines itself, then becomes the command.

    python -I -S confine.py '{"write": [...], ...}' COMMAND ...
    python -I -S confine.py probe        # prints what can be had here, as JSON

Landlock (https://docs.kernel.org/userspace-api/landlock.html) restricts files, and by its version TCP and signals; a
network namespace takes the network away where one can be made; no privilege can be had or regained. What was asked
for and cannot be had ends it with exit code 125: nothing runs less confined than loopsmith believes.
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence

LIBC = ctypes.CDLL(None, use_errno=True)
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every architecture
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REFER, TRUNCATE, IOCTL = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 13, 1 << 14, 1 << 15
FIRST = (1 << 13) - 1  # every right of version 1
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL
NEW_USER, NEW_NET, NEW_IPC = 0x10000000, 0x40000000, 0x08000000
SET_NO_NEW_PRIVS, CAPBSET_DROP = 38, 24
UP = 0x8914, 0x1  # SIOCSIFFLAGS, IFF_UP


def check(result: int, doing: str) -> int:
    """The result of a system call; raises OSError when it failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{doing}: {os.strerror(number)}")
    return result


def version() -> int:
    """Landlock's version; 0 where there is none."""
    return max(0, int(LIBC.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), 1)))


def leave_network() -> None:
    """A network namespace with a loopback of its own; and one for IPC."""
    user, group = os.getuid(), os.getgid()
    if LIBC.unshare(NEW_NET | NEW_IPC) < 0:
        check(LIBC.unshare(NEW_USER | NEW_NET | NEW_IPC), "a network namespace")
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, UP[0], struct.pack("16sh14x", b"lo", UP[1]))


def give_up_privileges() -> None:
    check(LIBC.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    for capability in range(64):
        LIBC.prctl(CAPBSET_DROP, capability, 0, 0, 0)
    header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)
    check(LIBC.capset(header, none), "capset")


def restrict(write: Sequence[str], read: Sequence[str], hide: Sequence[str], tcp: bool) -> None:
    """Allow reading everywhere but in `hide`, in `read` although it lies there, and everything in `write`."""
    landlock = version()
    if not landlock:
        raise OSError("the kernel has no Landlock")
    every = FIRST | sum(right for right, since in ((REFER, 2), (TRUNCATE, 3), (IOCTL, 5)) if landlock >= since)
    words = [every, 0 if tcp else 3, 3]  # files; TCP: bind and connect; abstract sockets and signals
    size = 1 if landlock < 4 else 2 if landlock < 6 else 3
    attributes = struct.pack(f"{size}Q", *words[:size])
    rules = check(LIBC.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0), "Landlock")
    hidden = {os.path.realpath(place) for place in hide}
    for root in ("/", *read):
        for path in around(hidden, os.path.realpath(root)):
            allow(rules, path, EXECUTE | READ_FILE | READ_DIR)
    for path in write:
        allow(rules, path, every)
    check(LIBC.syscall(RESTRICT_SELF, rules, 0), "Landlock")
    os.close(rules)


def around(hidden: Iterable[str], folder: str) -> Iterator[str]:
    """The largest files and folders that hold nothing hidden."""
    inside = {place for place in hidden if place == folder or place.startswith(folder.rstrip("/") + "/")}
    if not inside:
        yield folder
    elif folder not in inside:
        try:
            names = os.listdir(folder)
        except OSError:
            return
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.islink(path):  # where it leads is allowed by itself, or not
                yield from around(inside, path)


def allow(rules: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # it is not there, so nothing needs it
    try:
        if not os.path.isdir(path):
            rights &= OF_FILES
        beneath = struct.pack("=Qi", rights, handle)
        check(LIBC.syscall(ADD_RULE, rules, 1, beneath, 0), f"Landlock for {path}")
    finally:
        os.close(handle)


def probe() -> dict[str, int]:
    """What can be had: Landlock's version, and whether the network can be left."""
    network = 0
    try:
        leave_network()
        network = 1
    except OSError:
        pass
    return {"landlock": version(), "network": network}


def main() -> None:
    if sys.argv[1] == "probe":
        print(json.dumps(probe()))
        return
    try:
        wanted = json.loads(sys.argv[1])
        if wanted["namespace"]:
            leave_network()
        give_up_privileges()
        restrict(wanted["write"], wanted["read"], wanted["hide"], wanted["tcp"])
        os.environ["TMPDIR"] = wanted["tmp"]
        os.chdir(wanted["folder"])
    except (OSError, KeyError, ValueError) as error:
        print(f"loopsmith: cannot confine the command: {error}", file=sys.stderr)
        os._exit(125)
    try:
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores, and children inherit that
            signal.signal(number, signal.SIG_DFL)
        os.execvp(sys.argv[2], sys.argv[2:])
    except OSError as error:
        print(f"{sys.argv[2]}: {error.strerror}", file=sys.stderr)
        os._exit(127)


if __name__ == "__main__":
    main()
