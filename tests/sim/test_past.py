"""The recorded past is a scenario in which the same jobs come, and take as long as they took."""

from __future__ import annotations

TEXT = """
cluster: {nodes: [{name: n, count: 2, cpus: 4}]}
queues: [{name: lab, queues: [{name: ada}, {name: bob, weight: 2}]}]
jobs:
  - {name: long, queue: lab/ada, workers: 2, per_worker: {cpus: 4}, runtime: 10m}
  - {name: waits, queue: lab/bob, at: 60s, per_worker: {cpus: 4}, runtime: 5m, time_limit: 1h}
  - {name: waits, queue: lab/bob, at: 90s, per_worker: {cpus: 2}, runtime: 5m, after: [long]}
  - {name: grows, queue: lab/ada, at: 2h, workers: {min: 1, max: 2}, per_worker: {cpus: 4},
     runtime: 10m}
"""
