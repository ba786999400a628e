"""Real processes with gloo: each test that starts some takes seconds."""

import dataclasses
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from crystal_eyes.encoder.network import EncoderDescription, load_encoder
from crystal_eyes.encoder.options import Processes
from crystal_eyes.encoder.processes import JOB, train_in_processes
from crystal_eyes.errors import UserError
from steps.compute.train import train
from tests.runs import ROOT
from tests.unit.encoder.batch_gradients import gradients
from tests.unit.encoder.test_loop import DROPS, OPTIONS, Stop, what_was_learned

DESCRIPTION = EncoderDescription(backbone="mnasnet_small", embedding_size=16, image_size=32, **DROPS)


def trained(catalogue_folder, workspace: Path, on_epoch, where: Processes | None, **changes):
    options = dataclasses.replace(OPTIONS, refit=True, **changes)
    return train(catalogue_folder, DESCRIPTION, "none", options, workspace, on_epoch, where)


def workers(workspace: Path) -> dict[int, psutil.Process]:
    """The processes that train, by number."""
    found = {}
    for process in psutil.process_iter():
        try:
            command, environment = process.cmdline(), process.environ()
            if str(workspace / JOB) in command and "RANK" in environment:
                found[int(environment["RANK"])] = process
        except psutil.Error:
            continue
    return found


class KillAfter(Stop):
    """An on_epoch callback that kills one of the processes after the first epoch, as the kernel does when memory is short."""

    def __init__(self, workspace: Path, number: int):
        super().__init__()
        self.workspace, self.number, self.killed = workspace, number, 0.0

    def __call__(self, epoch: int, metrics: dict[str, float]) -> None:
        super().__call__(epoch, metrics)
        if not self.killed:
            workers(self.workspace)[self.number].kill()
            self.killed = time.monotonic()


def test_two_processes_have_the_gradients_and_statistics_of_one_with_the_whole_batch(tmp_path):
    """Of all parameters: the encoder's through batch normalization, pairs mined across processes, and ArcFace's centers."""
    job = {"tasks": ["metric", "mean"]}
    done = train_in_processes("tests.unit.encoder.batch_gradients", job, Processes(2), tmp_path, Stop())
    assert done == {"processes": 2}
    for task in job["tasks"]:
        expected = gradients(task)
        first, second = (load_file(tmp_path / f"{task}{number}.safetensors") for number in (0, 1))
        assert first.keys() == second.keys() == expected.keys()
        assert any(name.startswith("task.") for name in expected) == (task == "metric")
        for name, value in expected.items():
            torch.testing.assert_close(first[name], second[name], rtol=0, atol=0)
            torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_a_killed_process_ends_all_of_them_and_one_process_finishes_what_two_began(catalogue_folder, tmp_path):
    told = KillAfter(tmp_path, number=1)
    with pytest.raises(UserError, match=r"^process 1 of the training ended by signal SIGKILL \(killed, or out of memory\)$"):
        trained(catalogue_folder, tmp_path, told, Processes(2), epochs=30)
    assert time.monotonic() - told.killed < 20 and not workers(tmp_path)
    resumed = Stop()
    done = trained(catalogue_folder, tmp_path, resumed, None, epochs=len(told.history) + 2)
    assert resumed.epochs == list(range(1, len(told.history) + 3))
    assert resumed.history[: len(told.history)] == told.history
    assert load_encoder(done.folder).description.pooling == "rooted"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_two_machines_finish_what_one_process_began(catalogue_folder, tmp_path, capfd):
    """The machines are two on the loopback interface. The second runs the command that the first prints."""
    before = Stop(after=1)
    with pytest.raises(KeyboardInterrupt):
        trained(catalogue_folder, tmp_path, before, None)

    def second_machine() -> None:
        printed = ""
        while "--node-rank K" not in printed:
            time.sleep(0.1)
            printed += capfd.readouterr().err
        _, *command = next(line for line in printed.splitlines() if "--node-rank K" in line).split()
        others.append(subprocess.run([sys.executable, *("1" if word == "K" else word for word in command)], cwd=ROOT))

    others: list[subprocess.CompletedProcess] = []
    thread = threading.Thread(target=second_machine, daemon=True)
    thread.start()
    told = Stop()
    where = Processes(1, machines=2, rendezvous=f"127.0.0.1:{free_port()}")
    done = trained(catalogue_folder, tmp_path, told, where)
    assert what_was_learned(told.history[:1]) == what_was_learned(before.history)
    assert told.epochs == [1, 2, 3] and done.best_epoch in told.epochs
    assert load_encoder(done.folder).description.pooling == "rooted"
    thread.join(60)
    assert [other.returncode for other in others] == [0]


def test_a_batch_that_cannot_be_divided_is_one_line_of_the_process_that_found_it(catalogue_folder, tmp_path, capfd):
    line = "^the 4 characters of a batch cannot be divided equally among 3 processes: change the batch size or the number of"
    with pytest.raises(UserError, match=line) as caught:
        trained(catalogue_folder, tmp_path, Stop(), Processes(3))
    assert "\n" not in str(caught.value) and "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("where", ["nowhere.invalid:29400", "192.0.2.1:29400", "29400", "localhost:0", "localhost:port"])
def test_an_address_that_is_not_this_machine_is_one_line(tmp_path, where):
    with pytest.raises(UserError, match=f"^rendezvous {where}: .*address of this machine") as caught:
        train_in_processes("tests.unit.encoder.batch_gradients", {}, Processes(1, 2, where), tmp_path, Stop())
    assert "\n" not in str(caught.value)


def test_more_processes_than_gpus_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="^3 processes need as many GPUs, and .* has 2$"):
        train_in_processes("tests.unit.encoder.batch_gradients", {}, Processes(3), tmp_path, Stop())
