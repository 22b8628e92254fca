"""An agent or a worker that is stopped and let go on: it is waited for, or it is gone for good."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.faults.site import site_in, wait_until


def test_a_stopped_worker_goes_on_where_it_was(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        site.opens()
        long = site.submits("long", "long")
        site.beats_on(long)
        pid = site.marks(long)[0].pid
        os.kill(pid, signal.SIGSTOP)
        site.waits(site.submits("quick", "meanwhile"))
        os.kill(pid, signal.SIGCONT)
        site.beats_on(long)
        assert len(site.marks(long, "start")) == 1
        assert site.settles() == []


def test_a_stopped_agent_or_worker_cannot_keep_a_job_that_is_cancelled(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        site.opens()
        jobs = [site.submits("long", f"long-{number}") for number in range(3)]
        for job in jobs:
            site.beats_on(job)
        agents = {folder.parent.parent.name: pid for folder, pid in site.agents()}
        stopped = [agents[jobs[0]], site.marks(jobs[1])[0].pid]
        stopped += [agents[jobs[2]], site.marks(jobs[2])[0].pid]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        with site.client() as client:
            for job in jobs:
                client.act(job, "cancel")
        site.waits(*jobs)
        assert [site.job(job).phase for job in jobs] == ["cancelled"] * 3
        wait_until(lambda: not site.processes(), "nobody to be left")
        for pid in stopped:  # nobody is there any more who could go on
            assert not Path(f"/proc/{pid}").exists() or pid not in site.processes()
        assert site.settles() == []


def test_a_stopped_agent_is_found_by_the_next_service(tmp_path: Path) -> None:
    with site_in(tmp_path) as site:
        up = site.opens()
        long = site.submits("long", "long")
        site.beats_on(long)
        [(_, agent)] = site.agents()
        os.kill(agent, signal.SIGSTOP)
        up.kill()
        site.opens()
        site.waits(site.submits("quick", "meanwhile"))
        os.kill(agent, signal.SIGCONT)
        site.beats_on(long)
        assert len(site.marks(long, "start")) == 1
        assert site.settles() == []
