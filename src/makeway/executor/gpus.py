"""Count the GPUs of this machine that we may use; none is no error.

Where the controller itself may see some of them only (`CUDA_VISIBLE_DEVICES`, as other schedulers
set it), these are all that there are: the first of them is our number 0, whatever its name.

Takes:   NVML (the extra `gpu`), else /proc/driver/nvidia, else what nvidia-smi prints
Cost:    three looks at the file system where there is no driver; NVML takes some 30 ms
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
SIGNS = ("proc/driver/nvidia", "dev/nvidiactl", "dev/dxg")
PATIENCE_S = 10.0
SYSTEM = Path("/")


@functools.cache
def gpu_count(root: Path = SYSTEM) -> int:
    """Say how many GPUs this process may use."""
    if (chosen := visible(os.environ)) is not None:
        return len(chosen)
    if not any((root / sign).exists() for sign in SIGNS):
        return 0
    counted = _by_nvml()
    if counted is None:
        gpus = root / "proc/driver/nvidia/gpus"
        counted = len(list(gpus.iterdir())) if gpus.is_dir() else _by_program()
    return counted


def visible(variables: Mapping[str, str]) -> tuple[str, ...] | None:
    """Give the devices that these variables let a process see; None: all."""
    if VISIBLE not in variables:
        return None
    names = []
    for name in variables[VISIBLE].split(","):
        if name.strip() in ("", "-1"):  # what stands behind these is not seen, says CUDA
            break
        names.append(name.strip())
    return tuple(names)


def named(devices: Sequence[int], variables: Mapping[str, str]) -> str:
    """Name devices, by our numbers, to a program: what `CUDA_VISIBLE_DEVICES` is to be."""
    names = visible(variables)
    if names is None:
        return ",".join(str(device) for device in devices)
    return ",".join(names[device] for device in devices if device < len(names))


def _by_nvml() -> int | None:
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        try:
            return int(pynvml.nvmlDeviceGetCount())
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:
        return None


def _by_program() -> int:
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    try:
        said = subprocess.run(
            [program, "-L"], capture_output=True, timeout=PATIENCE_S, check=True, text=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU ") for line in said.splitlines())
