"""The program of the process in which a candidate runs.

It gets requests, each a line of JSON with memory in a file that comes along, and gives answers of the same kind. A
candidate runs in this interpreter and can bend all that is here; nothing that the verifier believes rests on it.
"""

import array
import json
import mmap
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from loopsmith.harness import lockdown
from loopsmith.harness.values import Buffers, pack, unpack

Function = Callable[..., Any]


def main(channel_number: int, result_file: int) -> None:
    """Serve until the channel is closed.

    Args:
        channel_number: descriptor of a Unix socket.
        result_file: descriptor of a file for the memory of results.
    """
    sys.set_int_max_str_digits(0)
    channel = socket.socket(fileno=channel_number)
    function: Function = lambda *_: None  # noqa: E731
    calls: list[Any] = []
    held: list[Any] = []
    results: list[Any] = []
    while True:
        line, memory = receive(channel)
        if not line:
            return
        request = json.loads(line)
        answer: dict[str, Any] = {"nonce": request["nonce"]}
        try:
            match request["op"]:
                case "call":
                    calls = [unpack(args, memory) for args in request["calls"]]
                    if request["key"] is None:
                        give(answer, [function(*args) for args in calls], result_file)
                    else:
                        calls, results = call_on_device(function, calls, held, request["key"], answer)
                case "hold":  # the tensors of the next calls, sealed
                    held = [tensor.to(request["device"]) for tensor in unpack(request["tensors"], memory)]
                case "results":  # of these calls
                    give(answer, results, result_file)
                case "arguments":  # as the calls left them
                    give(answer, calls, result_file)
                case "enter":
                    answer["missing"] = lockdown.enter(**request["how"])
                case "load":
                    function = load(**request["what"])
                case "modules":
                    for name in request["modules"]:
                        __import__(name)
                    if request["device"]:
                        sys.modules["torch"].zeros(1, device=request["device"])
                case "repeat":  # an empty function that gives these, made anew
                    answers = iter(made(unpack(request["results"], bytearray(memory)), request["device"]))
                    function = lambda *_: next(answers)  # noqa: B023, E731
        except BaseException as error:  # SystemExit too: whatever a candidate raises is its answer
            import traceback

            answer = {"nonce": request["nonce"], "error": "".join(traceback.format_exception(error))[-4000:]}
        send(channel, answer)
        if request["op"] not in ("call", "results"):
            calls, results = [], []


def call_on_device(
    function: Function, calls: list[Any], held: list[Any], key: int, answer: dict[str, Any]
) -> tuple[list[Any], list[Any]]:
    """Answer with a digest of the results alone; see `tensors`. Gives the calls as they were, and the results."""
    from loopsmith.harness import tensors

    calls = tensors.filled(calls, tensors.seal_all(held, key))
    results = [function(*args) for args in calls]
    answer["digest"] = tensors.digest(tensors.find(results), key)
    answer["skeleton"] = pack(tensors.skeleton(results), Buffers())
    tensors.synchronize()
    return calls, results


def made(value: Any, device: str | None) -> Any:
    if device is None:
        return value
    from loopsmith.harness import tensors

    return tensors.moved(value, lambda tensor: tensor.to(device))


def give(answer: dict[str, Any], results: list[Any], result_file: int) -> None:
    """Put finished values into an answer."""
    buffers = Buffers()
    answer["results"] = pack(results, buffers)
    buffers.write(result_file)
    answer["size"] = buffers.size


def receive(channel: socket.socket) -> tuple[bytes, Any]:
    """One line, and the memory that came with it; an empty line at the end."""
    size = array.array("i").itemsize
    data, extra, *_ = channel.recvmsg(1 << 16, socket.CMSG_SPACE(size))
    chunks, memory = [data], bytearray()
    for _level, _kind, content in extra:
        file = array.array("i", content[:size])[0]
        flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
        memory = mmap.mmap(file, 0, flags=flags)  # type: ignore[assignment]
        os.close(file)
    while data and not data.endswith(b"\n"):
        data = channel.recv(1 << 20)
        chunks.append(data)
    return b"".join(chunks), memory


def send(channel: socket.socket, answer: dict[str, Any]) -> None:
    channel.sendall(json.dumps(answer).encode() + b"\n")


def load(kind: str, path: str, name: str, **options: Any) -> Function:
    """The candidate's function."""
    if kind == "python":
        import importlib.util

        sys.path.insert(0, os.path.dirname(path))
        spec = importlib.util.spec_from_file_location(os.path.splitext(os.path.basename(path))[0], path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        function: Function = getattr(module, name)
        return function
    from loopsmith.harness import shared

    return shared.load(path, name, **options)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
