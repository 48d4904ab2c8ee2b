"""Metrics of spools in Prometheus' text format, by the package prometheus-client.

Names and units: https://prometheus.io/docs/practices/naming/. A sink that several spools have
something for is one series; a spool's own path is a label only where nothing else tells two apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from queuelog.outside.seen import Spool, Waiting
from queuelog.spool.status import SinkStatus

Samples = Iterable[tuple[tuple[str, ...], float | None]]  # labels, and the value if there is one


class _OfSink(NamedTuple):
    """A metric with a series for each sink; those of several spools are made one by `combine`."""

    kind: Any
    name: str
    text: str
    value: Callable[[Spool, SinkStatus], float | None]
    combine: Callable[[list[float]], float] = sum


def _waiting(spool: Spool, sink: SinkStatus) -> Waiting:
    return spool.waiting.get(sink.id, Waiting())


_OF_SINKS = (
    _OfSink(
        CounterMetricFamily, "queuelog_records_written",
        "Records written to the log file or handler since its owner started.",
        lambda _, sink: sink.records,
    ),
    _OfSink(
        CounterMetricFamily, "queuelog_written_bytes",
        "Bytes written to the log file since its owner started.",
        lambda _, sink: None if sink.size is None else sink.bytes,
    ),
    _OfSink(
        GaugeMetricFamily, "queuelog_backlog_bytes",
        "Bytes in spools that wait for the log file or handler.",
        lambda spool, sink: _waiting(spool, sink).bytes,
    ),
    _OfSink(
        GaugeMetricFamily, "queuelog_backlog_records",
        "Records that wait for the log file or handler; an estimate where there are very many.",
        lambda spool, sink: _waiting(spool, sink).records,
    ),
    _OfSink(
        GaugeMetricFamily, "queuelog_backlog_oldest_timestamp_seconds",
        "When the oldest record that waits was created.",
        lambda spool, sink: _waiting(spool, sink).oldest, min,
    ),
    _OfSink(
        GaugeMetricFamily, "queuelog_failing",
        "Whether the log file or handler cannot be written.",
        lambda spool, sink: bool(spool.status and sink.id in spool.status.lagging), max,
    ),
    _OfSink(
        GaugeMetricFamily, "queuelog_file_size_bytes",
        "Size of the log file when it was written last.", lambda _, sink: sink.size, max,
    ),
    _OfSink(
        GaugeMetricFamily, "queuelog_next_rollover_timestamp_seconds",
        "When the log file rolls over, if that is a matter of time.",
        lambda _, sink: sink.rollover_at, max,
    ),
)  # fmt: skip

_OF_SPOOLS: tuple[tuple[Any, str, str, Callable[[Spool], float | None]], ...] = (
    (
        CounterMetricFamily, "queuelog_records_dropped",
        "Records dropped for want of room since the owner started.",
        lambda spool: spool.dropped,
    ),
    (
        GaugeMetricFamily, "queuelog_spool_backlog_bytes",
        "Bytes that wait in the spool.", lambda spool: spool.backlog.bytes,
    ),
    (
        GaugeMetricFamily, "queuelog_spool_limit_bytes",
        "How many bytes may wait in the spool.", lambda spool: spool.limit,
    ),
    (
        GaugeMetricFamily, "queuelog_spool_owned",
        "Whether a process owns the spool, and writes what waits there.",
        lambda spool: spool.owned,
    ),
    (
        GaugeMetricFamily, "queuelog_spool_writers",
        "Processes that may write to the spool.", lambda spool: len(spool.writers),
    ),
    (
        GaugeMetricFamily, "queuelog_owner_start_time_seconds",
        "When the owner of the spool began to own it.",
        lambda spool: spool.status.started if spool.status and spool.owned else None,
    ),
)  # fmt: skip


class _Collector:
    """What there is to be told just now, of spools and of this process's log servers."""

    def __init__(self, spools: list[Spool], servers: list[dict[str, Any]]) -> None:
        self._spools = spools
        self._servers = servers

    def collect(self) -> Iterator[Any]:
        """Yield the families of metrics."""
        for metric in _OF_SINKS:
            yield _family(metric.kind, metric.name, metric.text, ("sink",), self._by_sink(metric))
        for kind, name, text, value in _OF_SPOOLS:
            samples = [((one.path, one.user), value(one)) for one in self._spools]
            yield _family(kind, name, text, ("spool", "user"), samples)
        if self._servers:
            yield from self._of_servers()

    def _by_sink(self, metric: _OfSink) -> Samples:
        found: dict[str, list[float]] = {}
        for spool in self._spools:
            for sink in spool.sinks:
                value = metric.value(spool, sink)
                if value is not None:
                    found.setdefault(sink.id, []).append(value)
        return (((sink_id,), metric.combine(values)) for sink_id, values in found.items())

    def _of_servers(self) -> Iterator[Any]:
        total = [((), sum(one["connections"] for one in self._servers))]
        text = "Connections of clients to the log server."
        yield _family(GaugeMetricFamily, "queuelog_server_connections", text, (), total)
        total = [((), sum(one["records"] for one in self._servers))]
        text = "Records that the log server has received."
        yield _family(CounterMetricFamily, "queuelog_server_records", text, (), total)
        text = "What the log server has refused, by reason."
        refused = [((why,), n) for one in self._servers for why, n in one["refused"].items()]
        yield _family(CounterMetricFamily, "queuelog_server_refused", text, ("reason",), refused)


def _family(kind: Any, name: str, text: str, labels: tuple[str, ...], samples: Samples) -> Any:
    family = kind(name, text, labels=labels)
    for values, value in samples:
        if value is not None:
            family.add_metric([_utf8(text) for text in values], float(value))
    return family


def _utf8(text: str) -> str:
    """Return a path as a label can have it: one that is no UTF-8 is escaped."""
    return text.encode(errors="backslashreplace").decode()


def registry_of(spools: list[Spool], servers: Iterable[dict[str, Any]] = ()) -> CollectorRegistry:
    """Return what prometheus-client writes; `servers` are what log servers say of themselves."""
    registry = CollectorRegistry()
    registry.register(_Collector(spools, list(servers)))
    return registry


def exposition(spools: list[Spool], servers: Iterable[dict[str, Any]] = ()) -> bytes:
    """Return the text that a scraper gets."""
    return generate_latest(registry_of(spools, servers))
