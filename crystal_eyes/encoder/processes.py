"""Trains an encoder in several processes under torchrun. This process starts them, waits, and passes on what they report.

The processes run a module with a job, which is a JSON file, in a folder that all their machines see. The first one writes its
checkpoints, whose history is reported here, and its result there.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from crystal_eyes.encoder.agent import FAILURE, OWNED, PEER_LOST, SECONDS_TO_END, end_with_owner, note_failure
from crystal_eyes.encoder.checkpoint import CHECKPOINT, STATE
from crystal_eyes.encoder.distributed import process_number
from crystal_eyes.encoder.options import Processes
from crystal_eyes.errors import UserError, one_line

JOB, RESULT, STORE = "job.json", "result.json", "store"
STORE_FILE = "CRYSTAL_EYES_STORE"  # in the environment: where processes on one machine meet
POLL = 0.2  # seconds
ROOT = Path(__file__).resolve().parents[2]

Job = dict[str, Any]
OnEpoch = Callable[[int, dict[str, float]], None]


def train_in_processes(module: str, job: Job, processes: Processes, workspace: Path, on_epoch: OnEpoch) -> Job:
    """Run `module` with a job in these processes and return its result. Both are JSON; the module calls run_job.

    workspace, on_epoch: see loop.run_training. Raises UserError where there are too few GPUs, the machines do not meet, a
    process ends early, or with the reason that one of them has.
    """
    count = _processes_here(processes)
    for name in (RESULT, FAILURE, STORE, f"{STORE}.rendezvous"):
        (workspace / name).unlink(missing_ok=True)
    (workspace / JOB).write_text(json.dumps(job))
    common = ["--nnodes", str(processes.machines), "--nproc-per-node", str(count)]
    environment = {**os.environ, OWNED: "1", "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    if processes.machines > 1:
        host, port = _address(processes.rendezvous)
        common += ["--master-addr", host, "--master-port", str(port)]
        _say_what_to_run_elsewhere([*common, "-m", module, str(workspace / JOB)], processes.machines)
        own = ["--node-rank", "0"]
    else:  # meet in a file, and talk over the loopback interface: no port is opened to other machines
        own = ["--rdzv-backend", "c10d", "--rdzv-endpoint", str(workspace / f"{STORE}.rendezvous")]
        own += ["--rdzv-conf", "store_type=file"]
        environment |= {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", STORE_FILE: str(workspace / STORE)}
        loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
        environment |= {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}
    agent = [sys.executable, "-m", "crystal_eyes.encoder.agent", *common, *own, "-m", module, str(workspace / JOB)]
    reported, failure = 0, workspace / FAILURE  # which a process on another machine may write too
    with _running(agent, environment) as process:
        while process.poll() is None and not failure.exists():
            reported = _report(workspace, reported, on_epoch)
            time.sleep(POLL)
    if failure.exists() or process.returncode:
        reason = failure.read_text("utf-8") if failure.exists() else ""
        raise UserError(reason or "the process that starts the others was ended")
    _report(workspace, reported, on_epoch)
    return json.loads((workspace / RESULT).read_text())


def run_job(work: Callable[[Job, Path], Job]) -> None:
    """What a module does as one of the processes: call work(job, workspace) and, in the first process, write its result."""
    end_with_owner()
    workspace = Path(sys.argv[1]).parent
    try:
        try:
            job = json.loads(Path(sys.argv[1]).read_text())
        except OSError as error:
            raise UserError(f"{sys.argv[1]}: {error.strerror}: all machines must see this file at the same place") from None
        with _process_group():
            result = work(job, workspace)
            if process_number() == 0:
                (workspace / RESULT).write_text(json.dumps(result))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:
        if line := one_line(error):
            if workspace.is_dir():
                note_failure(workspace, line)
            else:
                print(line, file=sys.stderr)
        elif isinstance(error, dist.DistError) or "gloo" in str(error):
            raise SystemExit(PEER_LOST) from None
        else:
            raise
        raise SystemExit(1) from None


@contextmanager
def _process_group() -> Iterator[None]:
    """Join the other processes: with NCCL where there are GPUs, otherwise with gloo. torchrun's environment says how."""
    here, rank, count = (int(os.environ[name]) for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE"))
    store = os.environ.get(STORE_FILE)
    where: dict[str, Any] = {"init_method": f"file://{store}", "rank": rank, "world_size": count} if store else {}
    if torch.cuda.is_available():
        _require_gpus(int(os.environ["LOCAL_WORLD_SIZE"]))
        torch.cuda.set_device(here)
        dist.init_process_group("nccl", device_id=torch.device("cuda", here), **where)
    else:
        dist.init_process_group("gloo", **where)
    yield
    dist.destroy_process_group()


def _processes_here(processes: Processes) -> int:
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus and processes.processes:
        _require_gpus(processes.processes)
    return processes.processes or gpus or 1


def _require_gpus(count: int) -> None:
    if count > torch.cuda.device_count():
        raise UserError(f"{count} processes need as many GPUs, and {socket.gethostname()} has {torch.cuda.device_count()}")


def _address(rendezvous: str) -> tuple[str, int]:
    """Host and port. Raises UserError where this machine cannot be found there."""
    host, _, port = rendezvous.rpartition(":")
    try:
        if not host or not 0 < int(port) < 65536:
            raise ValueError
    except ValueError:
        raise UserError(f"rendezvous {rendezvous}: give HOST:PORT, an address of this machine and a free port") from None
    try:
        family, *_, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        with closing(socket.create_server(address[:2], family=family)):
            return host, int(port)
    except OSError as error:
        raise UserError(f"rendezvous {rendezvous}: {error.strerror or error}: give an address of this machine") from None


def _say_what_to_run_elsewhere(arguments: list[str], machines: int) -> None:
    numbers = "1" if machines == 2 else f"1 to {machines - 1}"
    print(
        f"waiting for {machines - 1} more machine{'s' * (machines > 2)}. Run there, in a checkout like this one, with K = "
        f"{numbers}:\n  python -m crystal_eyes.encoder.agent --node-rank K {' '.join(arguments)}",
        file=sys.stderr,
        flush=True,
    )


@contextmanager
def _running(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen]:
    """A process that ends with this one: its stdin, which it watches, closes then. In a session of its own, so that Ctrl-C
    interrupts only this process, which then ends it."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, start_new_session=True)
    assert process.stdin
    try:
        yield process
    finally:
        process.stdin.close()
        try:
            process.wait(2 * SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()


def _report(workspace: Path, reported: int, on_epoch: OnEpoch) -> int:
    """Pass on the epochs of the checkpoint that were not yet; returns how many were."""
    try:
        history = json.loads((workspace / CHECKPOINT / STATE).read_text())["history"]
    except OSError:  # there is none yet, or it is being replaced
        return reported
    for epoch in range(reported, len(history)):
        on_epoch(epoch + 1, history[epoch])
    return max(reported, len(history))
