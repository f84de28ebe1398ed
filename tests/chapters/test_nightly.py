"""What takes long: a real Slurm that loses a worker, and the same numbers from run to run, whatever runs beside them."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import compare
import pandas as pd
import psutil
import pytest
import torch
import yaml
from tiny import ROOT, TIMED, TINY

pytestmark = pytest.mark.nightly
LIMIT = 5400
"""Seconds: a busy machine may take its time."""
CONF = Path("/etc/slurm/slurm.conf")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo")
NUMBERS = ["row", "chapter", "preset", "run", "seed", "kind", "name", "value", "low", "high", "verdict", "baseline"]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for(condition, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


@pytest.fixture
def slurm(tmp_path):
    """A Slurm of one controller and two workers with a core each on this machine; gives the workers' processes."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing or os.geteuid():
        pytest.skip(f"needs root, and Debian's slurm-wlm and munge; missing: {', '.join(missing) or 'root'}")
    if CONF.exists():
        pytest.skip(f"{CONF} is there: this machine belongs to a cluster")
    state = tmp_path / "slurm"
    for name in ("state", "n1", "n2"):
        (state / name).mkdir(parents=True)
    munge = state / "munge"
    munge.mkdir(mode=0o700)
    (munge / "key").write_bytes(os.urandom(128))
    (munge / "key").chmod(0o600)
    control, *ports = free_ports(3)
    host = socket.gethostname().split(".")[0]
    nodes = "".join(
        f"NodeName=n{i} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=6000 State=UNKNOWN\n"
        for i, port in enumerate(ports, 1)
    )
    CONF.parent.mkdir(exist_ok=True)
    CONF.write_text(f"""
ClusterName=book
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={munge}/socket
CredType=cred/munge
StateSaveLocation={state}/state
SlurmdSpoolDir={state}/%n
SlurmctldPidFile={state}/ctld.pid
SlurmdPidFile={state}/%n.pid
SlurmctldLogFile={state}/ctld.log
SlurmdLogFile={state}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
SlurmdTimeout=15
ReturnToService=2
MpiDefault=none
{nodes}PartitionName=main Nodes=n1,n2 Default=YES State=UP
""")
    daemons = []
    try:
        daemons.append(subprocess.Popen([
            "munged", "--foreground", "--force", "--num-threads=2", f"--key-file={munge}/key", f"--socket={munge}/socket",
            f"--pid-file={munge}/pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed",
        ]))  # fmt: skip
        wait_for((munge / "socket").exists, 60, "munged gives no socket")
        daemons.append(subprocess.Popen(["slurmctld", "-D", "-c"]))
        workers = [subprocess.Popen(["slurmd", "-D", "-N", f"n{i}"]) for i in (1, 2)]
        daemons += workers
        wait_for(lambda: said("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * 2, 180, "the workers are not idle")
        yield workers
    finally:
        # A step has left its daemon's family: what a failed test left at work is ended by Slurm.
        said("scancel", "--signal=KILL", "--full", "--user=root", "--state=RUNNING")
        said("scancel", "--user=root")
        CONF.unlink()
        for daemon in reversed(daemons):
            end(daemon.pid)
            daemon.wait()


def said(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def end(pid: int) -> None:
    """kill -9 a process that this test started, and all that it started."""
    if psutil.pid_exists(pid):
        for process in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
            if process.is_running():
                process.send_signal(signal.SIGKILL)


def kill_worker(worker: subprocess.Popen, name: str) -> None:
    """The daemon of a worker and the step of its job, which has left the daemon's family, with everything below it."""
    jobs = said("squeue", "-h", "-w", name, "-t", "R", "-o", "%A").split()
    assert jobs
    titles = [f"slurmstepd: [{job}." for job in jobs]
    steps = [
        p
        for p in psutil.process_iter(["cmdline"])
        if any(" ".join(p.info["cmdline"] or ()).startswith(t) for t in titles)
    ]
    assert steps
    end(worker.pid)
    for step in steps:
        end(step.pid)
    worker.wait()


def test_a_sweep_on_a_cluster_that_loses_a_worker(slurm, short_checkout, seeds, tmp_path):
    """Six runs on two workers, one of which is killed in the middle: complete, with the numbers of one machine alone."""
    file = seeds(tmp_path / "six.csv", 6)
    alone = tmp_path / "alone"
    subprocess.run(["git", "clone", "-q", str(short_checkout), str(alone)], check=True)
    # The book's profile, asking more often and for less.
    profile = shutil.copytree(ROOT / "workflow" / "profiles" / "slurm", tmp_path / "profile")
    settings = yaml.safe_load((profile / "config.yaml").read_text())
    settings |= {"slurm-init-seconds-before-status-checks": 5, "seconds-between-status-checks": 5}
    (profile / "config.yaml").write_text(yaml.safe_dump(settings))
    (profile / "needs.yaml").write_text("default: {slurm_partition: main, gpu: 0, mem_mb: 3000, runtime: 60}\n")

    words = [sys.executable, "workflow/engine.py", "sweep", "--sweep", str(file)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*words, "--profile", str(profile)], cwd=short_checkout, stdout=output, stderr=subprocess.STDOUT,
            env=environment | {"PYTHONPATH": str(short_checkout / "src")},
        )  # fmt: skip
        run_folders = short_checkout / "_build" / "runs" / "quick"
        try:
            # A run is done, and each worker is within the notebook of another.
            wait_for(
                lambda: process.poll() is not None
                or (list(run_folders.glob("*/chapter.ipynb")) and len(list(run_folders.glob("*/chapter.partial.ipynb"))) == 2),
                LIMIT, "no run is done",
            )  # fmt: skip
            assert process.poll() is None, log.read_text()
            assert 1 <= len(list(run_folders.glob("*/chapter.ipynb"))) < 6
            kill_worker(slurm[1], "n2")
            assert process.wait(LIMIT) == 0, log.read_text()
        finally:
            end(process.pid)
    assert "down" in said("sinfo", "-h", "-N", "-o", "%N %T")
    subprocess.run(words, cwd=alone, check=True, env=environment | {"PYTHONPATH": str(alone / "src")})
    table, expected = (
        pd.read_parquet(folder / "_build" / "sweeps" / "six" / "results.parquet") for folder in (short_checkout, alone)
    )
    assert set(table["seed"]) == set(range(6))
    pd.testing.assert_frame_equal(table[NUMBERS], expected[NUMBERS], check_exact=True)


def test_a_plain_job_array_on_a_cluster(slurm, short_checkout, seeds, tmp_path):
    """Each task is a run of the sweep, which then has nothing left to do but to collect."""
    file = seeds(tmp_path / "two.csv", 2)
    # The script is for a checkout with an environment of its own.
    (short_checkout / ".venv").symlink_to(sys.prefix)
    options = {"cwd": short_checkout, "env": os.environ | {"PYTHONPATH": str(short_checkout / "src")}, "text": True}
    words = ["sbatch", "--wait", "--array=1-2", "workflow/sweep.sbatch", str(file)]
    done = subprocess.run(words, **options, capture_output=True, check=False, timeout=LIMIT)
    logs = "".join(log.read_text() for log in short_checkout.glob("innercodes-*.log"))
    assert done.returncode == 0, done.stderr + logs
    results = sorted((short_checkout / "_build" / "runs" / "quick").glob("*/results.json"))
    before = [path.stat().st_mtime_ns for path in results]
    assert len(before) == 2
    subprocess.run([sys.executable, "workflow/engine.py", "sweep", "--sweep", str(file)], **options, check=True)
    assert [path.stat().st_mtime_ns for path in results] == before
    assert (short_checkout / "_build" / "sweeps" / "two" / "index.html").is_file()


def untimed(results):
    return [row for row in results["claims"] if row["id"] != TIMED], results["metrics"]


def test_every_chapter_gives_the_same_numbers_five_times(papermill):
    """Three times alone, the second time in another order, then twice with another chapter beside it."""

    def one(chapter: str):
        done, results = papermill(chapter, **TINY[chapter])
        assert done.returncode == 0, done.stderr[-3000:]
        return chapter, untimed(results)

    found = [one(chapter) for chapter in (*TINY, *reversed(TINY), *TINY)]
    for _ in range(2):
        with ThreadPoolExecutor(2) as both:
            found += list(both.map(one, TINY))
    first = dict(found[: len(TINY)])
    assert len(found) == 5 * len(TINY)
    assert [chapter for chapter, numbers in found if numbers != first[chapter]] == []


@pytest.mark.parametrize("chapter", TINY)
def test_two_threads_give_the_same_numbers_twice(papermill, chapter):
    """Sums are added up in another order than by one thread, and always in the same one."""
    found = [papermill(chapter, **TINY[chapter], threads=2) for _ in range(2)]
    assert [done.returncode for done, _ in found] == [0, 0], "".join(done.stderr[-3000:] for done, _ in found)
    assert untimed(found[0][1]) == untimed(found[1][1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("chapter", TINY)
def test_a_gpu_gives_the_verdicts_of_the_cpu(papermill, chapter, tmp_path, capsys):
    files = []
    for device in ("cpu", "cuda"):
        done, results = papermill(chapter, **TINY[chapter], device=device)
        assert done.returncode == 0, done.stderr[-3000:]
        files.append(tmp_path / f"{device}.json")
        files[-1].write_text(json.dumps(results))
    assert compare.main(list(map(str, files))) == 0, capsys.readouterr().out
