"""torchrun (torch.distributed.run), with one line where it fails: it starts the processes of a training and ends them together.

    python -m crystal_eyes.encoder.agent --nnodes N --node-rank K ... -m MODULE FOLDER/job.json

takes torchrun's arguments. Why a training failed is also in FOLDER/failure.txt, which the first to fail writes.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

FAILURE = "failure.txt"
OWNED = "CRYSTAL_EYES_OWNED"  # in the environment where another process holds stdin open as long as it lives
LOG_LEVEL = "TORCH_CPP_LOG_LEVEL"
PEER_LOST = 75  # exit code of a process that ended only because another one did
SECONDS_TO_END = 10


def note_failure(folder: Path, line: str) -> None:
    """Write why the training failed, unless another process has already done so."""
    try:
        with open(folder / FAILURE, "x", encoding="utf-8") as file:
            file.write(line)
    except FileExistsError:
        pass


def end_with_owner() -> None:
    """End this process when its owner ends, however that happens: no training goes on that nobody waits for."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SECONDS_TO_END)  # within a call that no Python signal handler interrupts
        os._exit(1)

    if OWNED in os.environ:
        threading.Thread(target=wait, daemon=True).start()


def main(arguments: list[str]) -> int:
    """Run torchrun; returns the exit code."""
    end_with_owner()
    asked = os.environ.get(LOG_LEVEL)
    os.environ.setdefault(LOG_LEVEL, "FATAL")  # torch prints stacks of C++ while another machine cannot be reached
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    if asked is None:  # of this process only: the others say what goes wrong in them
        del os.environ[LOG_LEVEL]
    logging.disable(logging.CRITICAL)  # torchrun logs the end of each process, and tracebacks of its own
    parsed = parse_args(arguments)
    count = int(parsed.nproc_per_node)
    if count > 1:  # alone, a process uses all cores anyway
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // count)))
    try:
        socket.getaddrinfo(parsed.master_addr, None)  # torch tries an unknown name for ten minutes
        run(parsed)
        return 0
    except SignalException:
        return 128 + signal.SIGTERM
    except ChildFailedError as error:
        number, failure = min(error.failures.items(), key=lambda item: (item[1].exitcode == PEER_LOST, item[1].timestamp))
        line = f"process {number} of the training ended "
        if failure.exitcode < 0:
            line += f"by signal {failure.signal_name()} (killed, or out of memory)"
        elif failure.exitcode == PEER_LOST:
            line += "because it lost the connection to one on another machine"
        else:
            line += f"with exit code {failure.exitcode}: see the lines above"
    except (RuntimeError, ValueError, OSError) as error:  # what torch's stores raise
        line = f"the machines did not meet at {parsed.master_addr}:{parsed.master_port}: {str(error).splitlines()[0]}"
    folder = Path(arguments[-1]).parent
    if folder.is_dir():
        note_failure(folder, line)
        line = (folder / FAILURE).read_text("utf-8")
    if OWNED not in os.environ:
        print(line, file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
