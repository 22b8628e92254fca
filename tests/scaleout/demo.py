"""Run a workflow on a Ray of several nodes that is started for it, and ended with it.

`python -m tests.scaleout.demo FILE.py`: a head and three raylets on this machine, `makeway up` with
them as its machines, `makeway run FILE.py` brought to it as to any service.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from makeway.client.local import local_service
from tests.scaleout.cluster import HEAD, running

MAKEWAY = (sys.executable, "-m", "makeway")
READY = "ends the service"


def main() -> int:
    """Start everything, run the workflow, and give its exit code."""
    file = str(Path(sys.argv[1]).resolve())
    sys.stderr.write("starting a Ray of four nodes …\n")
    with tempfile.TemporaryDirectory(prefix="makeway-ray-") as folder, running() as cluster:
        environment = {
            **os.environ,
            "MAKEWAY_STORE": f"{folder}/store",
            "MAKEWAY_EXECUTOR_HOST": HEAD,
        }
        up = (*MAKEWAY, "up", "--port", "0", "--executor", "ray", "--ray-address", cluster.address)
        service = subprocess.Popen(up, env=environment, stderr=subprocess.PIPE, text=True)
        assert service.stderr is not None
        try:
            for line in service.stderr:
                sys.stderr.write(line)
                if READY in line:
                    break
            assert local_service(Path(folder) / "store") is not None, "the service has begun"
            subprocess.run([*MAKEWAY, "nodes"], env=environment, check=True)
            return subprocess.run([*MAKEWAY, "run", file], env=environment, check=False).returncode
        finally:
            service.terminate()
            service.wait()


if __name__ == "__main__":
    sys.exit(main())
