"""Take and give the files of MLflow's client, as they come, part by part.

Nobody holds a whole file in memory. One that is longer than is taken, or whose sender goes away,
leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from anyio import from_thread, to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from makeway.live import tracked_files
from makeway.server.front import front_of
from makeway.server.mlflow import API, Asked, NotMade, Spoken, named, reply
from makeway.server.mlflow_shapes import files_json
from makeway.server.problems import TooLarge

PLACE = "/api/2.0/mlflow-artifacts/artifacts"

routes = APIRouter(route_class=Spoken, include_in_schema=False)


@routes.put(f"{PLACE}/{{place:path}}")
async def put(request: Request, asked: Asked, place: str) -> Response:
    """Keep a file."""
    most = front_of(request).settings.artifact_max_bytes

    def parts(stream: AsyncIterator[bytes]) -> Iterator[bytes]:
        size = 0
        while (part := from_thread.run(anext, stream, None)) is not None:
            size += len(part)
            if size > most:
                raise TooLarge(f"a file has at most {most} bytes", where=place)
            yield part

    def taken() -> None:
        stream = request.stream()
        tracked_files.take(asked.tracker, asked.teller, place, parts(stream))

    await to_thread.run_sync(taken)
    return reply()


@routes.get(f"{PLACE}/{{place:path}}")
def get(asked: Asked, place: str) -> Response:
    """Give a file."""
    file, opened = tracked_files.open_file(asked.tracker, place)
    headers = {"Content-Length": str(file.size_bytes)}
    media_type = "application/octet-stream"  # whatever it says it is, no browser shall show it
    return StreamingResponse(tracked_files.parts_of(opened), headers=headers, media_type=media_type)


@routes.delete(f"{PLACE}/{{place:path}}")
def delete(asked: Asked, place: str) -> Response:
    """Take a file, or a folder, out of the list."""
    tracked_files.remove(asked.tracker, asked.teller, place)
    return reply()


@routes.get(PLACE)
def listed(asked: Asked) -> Response:
    """Give what lies in a folder: names within it."""
    files = tracked_files.listed(asked.tracker, named(asked, "path"))
    return reply({"files": files_json(files)})


@routes.get(f"{API}/artifacts/list")
def listed_of_run(asked: Asked) -> Response:
    """Give what lies in a folder of a run: paths from the run on."""
    subject = asked.tracker.subject(named(asked, "run_id", "run_uuid"))
    inner = asked.query.get("path", "").strip("/")
    place = f"{tracked_files.RUNS}/{subject.run_id}/{inner}".rstrip("/")
    files = files_json(tracked_files.listed(asked.tracker, place), inner)
    return reply({"root_uri": tracked_files.root_of_run(subject), "files": files})


@routes.api_route(f"{API}/{{rest:path}}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
@routes.api_route(
    "/api/2.0/mlflow-artifacts/{rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"]
)
@routes.api_route("/api/3.0/mlflow/{rest:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
def not_made(rest: str) -> Response:
    """Say that a part of MLflow is not here."""
    raise NotMade(
        "makeway has no such part of MLflow", where=rest, hint="docs/mlflow.md lists them"
    )
