"""How much waits in the queues and for how long, asked of Redis when the metrics are read."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core import queues
from core.errors import ServiceUnavailable
from core.settings import Settings

log = structlog.get_logger()

ANSWER_SECONDS = 3.0
LABELS = ["queue", "priority"]


class Backlog(Collector):
    """Every process tells the same; where Redis does not answer, no number is told and `up` is 0."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def collect(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("facewarden_queue_depth", "Jobs that wait in a queue.", labels=LABELS)
        age = GaugeMetricFamily(
            "facewarden_queue_oldest_seconds",
            "How long the oldest job of a queue has waited; 0 where none waits.",
            labels=LABELS,
        )
        up = GaugeMetricFamily("facewarden_queue_up", "Whether Redis answered.")
        try:
            self._ask(depth, age)
        except ServiceUnavailable as error:
            log.warning("the queues' depth is not known", reason=str(error))
            up.add_metric([], 0)
        else:
            up.add_metric([], 1)
            yield depth
            yield age
        yield up

    def _ask(self, depth: GaugeMetricFamily, age: GaugeMetricFamily) -> None:
        with closing(queues.connect(self._settings.queue_url, answer_seconds=ANSWER_SECONDS)) as redis:
            for kind in (queues.SCREEN, queues.EXPLAIN):
                since = queues.oldest(redis, kind)
                for priority, count in queues.depths(redis, kind).items():
                    labels = [kind, priority.value]
                    depth.add_metric(labels, count)
                    # The clock of whoever enqueued it may be ahead of ours.
                    waited = datetime.now(UTC) - since.get(priority, datetime.now(UTC))
                    age.add_metric(labels, max(0.0, waited.total_seconds()))
