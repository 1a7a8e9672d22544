"""Start Ray on this machine and stop it again, or join a running cluster. No request leaves the machine or cluster."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from vae.extras import needing_extra

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # else Tune prints boxes at `verbose=0` too
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # tracebacks; `Watch` prints a line
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # runs have logs of their own
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a run reports no metric before its first epoch ends
}
_ALONE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # makes Ray's servers listen on 127.0.0.1 alone, on Linux too
    "RAY_enable_worker_prestart": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_process_group_cleanup_enabled": "1",  # a command whose worker was killed is killed as well
}
_SILENT: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
OBJECT_STORE = 80 * 2**20  # bytes; trials exchange a few numbers


def import_ray(address: str | None) -> ModuleType:
    """Import Ray.

    Args:
        address: Where a cluster runs; None if Ray is to be started here.

    Raises:
        ImportError: If the extra `ray` is not installed.
    """
    os.environ.update(_QUIET if address is not None else {**_QUIET, **_ALONE})  # it reads them at its import
    with needing_extra("ray", "A sweep"):
        import pandas  # noqa: F401  # of ray[tune]; `import ray` alone does without
        import ray
    found: ModuleType = ray
    return found


@contextmanager
def running_ray(address: str | None) -> Iterator[None]:
    """Have Ray running until the end of `with`; if this process has it already, that one is used.

    Args:
        address: Where the cluster to join is; None: Ray is started on this machine, and stopped at the end.

    Raises:
        ImportError: If the extra `ray` is not installed.
        ConnectionError: If there is no cluster at the address, or Ray does not start.
    """
    ray = import_ray(address)
    if ray.is_initialized():
        yield
        return
    try:
        if address is None:
            with tempfile.TemporaryDirectory(prefix="handlatent-ray-") as folder:
                _start(ray, Path(folder))
                yield
                ray.shutdown()
        else:
            _join(ray, address)
            yield
    finally:
        ray.shutdown()


def gpus_for_each(ray: ModuleType, asked: float | None, cpus: int) -> float:
    """Return how many GPUs a trial gets.

    Args:
        ray: Ray, which runs.
        asked: What the user asked for, or None.
        cpus: Cores that a trial gets.

    Raises:
        ValueError: If Ray has not as many GPUs or cores.
    """
    there = ray.cluster_resources()
    gpus = min(1.0, there.get("GPU", 0.0)) if asked is None else asked
    for name, needed, of_what in (("--gpus-per-trial", gpus, "GPU"), ("--cpus-per-trial", cpus, "CPU")):
        if needed > there.get(of_what, 0.0):
            raise ValueError(f"{name} must be at most {there.get(of_what, 0.0):g}, what Ray has, got {needed!r}.")
    return gpus


def _start(ray: ModuleType, folder: Path) -> None:
    """Start Ray, with its files in a folder.

    Even with its statistics off, Ray asks the addresses at which clouds describe a machine. It does not if a file in
    the user's home says where it runs, so Ray gets another home. `CommandTrial` gives the commands theirs.
    """
    from ray._private import ray_constants

    ray_constants.ENABLE_RAY_CLUSTER = False  # as _ALONE says, also where Ray was imported before that
    (folder / "ray_bootstrap_config.yaml").write_text("{}", encoding="utf-8")
    home = os.environ.get("HOME")
    os.environ["HOME"] = str(folder)
    try:
        ray.init(
            "local",
            _node_ip_address="127.0.0.1",
            _temp_dir=str(folder),
            include_dashboard=False,
            object_store_memory=OBJECT_STORE,
            **_SILENT,
        )
    except Exception as error:  # Ray has no kind of its own for it
        reason = " ".join(str(error).split())[:200]
        raise ConnectionError(
            f"Ray does not start on this machine ({reason}). Make room in the memory and in '{tempfile.gettempdir()}', "
            "or name a running cluster with --address."
        ) from error
    finally:
        del os.environ["HOME"]
        if home is not None:
            os.environ["HOME"] = home


def _join(ray: ModuleType, address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if port.isdigit():  # Ray itself tries a wrong address for minutes
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        ray.init(address, **_SILENT)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConnectionError(
            f"--address {address!r} leads to no Ray cluster ({reason}). Start one with: ray start --head"
        ) from error
