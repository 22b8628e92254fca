"""Send what is written to a server of OpenLineage, and to a collector of OpenTelemetry.

Both by the clients of those projects, over HTTP. A status of 4xx means that the receiver does not
want this message (429 and 408 aside, which ask for patience); everything else is tried again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import requests
from openlineage.client.generated.base import RunEvent
from openlineage.client.transport.http import (
    ApiKeyTokenProvider,
    HttpConfig,
    HttpTransport,
    TokenProvider,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from makeway.export import open_lineage, spans
from makeway.export.outlet import Refused, Unreachable
from makeway.model.event import Entry
from makeway.store.database import Database

TIMEOUT_S = 5.0
PATIENCE = (408, 425, 429)
TRACES = "/v1/traces"


class OpenLineage:
    """A server that takes events of OpenLineage, such as Marquez."""

    name = "openlineage"

    def __init__(self, database: Database, url: str, namespace: str, key: str = "") -> None:
        """Take the whole URL that events are posted to, and the key if it wants one."""
        self._writer, self._url = open_lineage.Writer(database, namespace), url
        auth = ApiKeyTokenProvider({"apiKey": key}) if key else TokenProvider({})
        base, _, path = url.partition("://")[2].partition("/")
        scheme = url.partition("://")[0]
        config = HttpConfig(
            url=f"{scheme}://{base}", endpoint=path or "api/v1/lineage", timeout=TIMEOUT_S,
            auth=auth, retry={"total": 0},
        )  # fmt: skip
        self._transport = HttpTransport(config)

    def written(self, entry: Entry) -> Iterator[RunEvent]:
        """Give the events that an entry leads to."""
        return self._writer.written(entry)

    def send(self, messages: Sequence[RunEvent]) -> None:
        """Post them one by one, in order."""
        for message in messages:
            try:
                self._transport.emit(message)
            except requests.RequestException as error:
                if error.response is not None:
                    raise _trouble(error.response) from error
                raise Unreachable(
                    f"{self._url} does not answer ({type(error).__name__})"
                ) from error


class OpenTelemetry:
    """A collector that takes spans over OTLP and HTTP."""

    name = "opentelemetry"

    def __init__(self, database: Database, url: str, service: str) -> None:
        """Take the collector's URL; headers come from OTEL_EXPORTER_OTLP_HEADERS as usual."""
        self._writer = spans.Writer(database, service)
        self._answer: requests.Response | None = None
        session = requests.Session()
        session.hooks["response"].append(self._heard)
        url = url.rstrip("/")
        self._url = url if url.endswith(TRACES) else url + TRACES
        self._exporter = OTLPSpanExporter(endpoint=self._url, timeout=TIMEOUT_S, session=session)

    def written(self, entry: Entry) -> Iterator[ReadableSpan]:
        """Give the spans that an entry ends."""
        return self._writer.written(entry)

    def send(self, messages: Sequence[ReadableSpan]) -> None:
        """Send them in one request."""
        self._answer = None
        if self._exporter.export(messages) is SpanExportResult.SUCCESS:
            return
        if self._answer is None:
            raise Unreachable(f"{self._url} does not answer")
        raise _trouble(self._answer)

    def _heard(self, response: requests.Response, *_: object, **__: object) -> None:
        self._answer = response


def _trouble(response: requests.Response) -> Unreachable | Refused:
    code = response.status_code
    text = f"{response.url} answers {code}: {response.text[:200].strip() or response.reason}"
    later = code in PATIENCE or not 400 <= code < 500
    return Unreachable(text) if later else Refused(text)
