"""The API's metrics: name, kind, labels, meaning. Labels are bounded: a route's template, never a token.

tokens_ingested_total{source}              counter    records that Kafka acknowledged in time (their POST got its 202)
tokens_produce_seconds                     histogram  from produce to acknowledgement, late ones included
tokens_produce_unacknowledged              gauge      records produced and not yet acknowledged
tokens_produce_late_total{result}          counter    after their POST got a 503: acknowledged | failed
tokens_produce_failures_total{error}       counter    produces that Kafka refused, by Kafka's name of the error
tokens_producer_connected                  gauge      1 while records can be produced
tokens_producer_replacements_total         counter    producers given up because one of their batches failed for good
tokens_outcome_waiters                     gauge      GETs that wait for an outcome
tokens_outcome_reads_total{result}         counter    questions to the database: answered | failed
tokens_dead_letters_taken_total{action}    counter    dead letters that operations of this process took: redrive | drop
tokens_operations_running                  gauge      redrives and drops that this process runs
tokens_rows_pruned_total{table}            counter    rows deleted because they were older than they are to be kept
tokens_http_request_duration_seconds{method,route,status}
                                           histogram  of whole requests, time spent waiting on purpose included
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, PlatformCollector, ProcessCollector

PRODUCE_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Every metric of the process, in a registry of its own; built once, in the application's composition."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        PlatformCollector(registry=self.registry)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.ingested = Counter(
            "tokens_ingested", "Records acknowledged by Kafka in time.", ["source"], registry=self.registry
        ).labels("http")
        self.produce_seconds = Histogram(
            "tokens_produce_seconds",
            "Seconds from produce to acknowledgement, late ones included.",
            buckets=PRODUCE_BUCKETS,
            registry=self.registry,
        )
        self.unacknowledged = Gauge(
            "tokens_produce_unacknowledged", "Records produced and not yet acknowledged.", registry=self.registry
        )
        self.late = Counter(
            "tokens_produce_late",
            "Produces that ended after their POST was answered with 503.",
            ["result"],
            registry=self.registry,
        )
        self.produce_failures = Counter(
            "tokens_produce_failures", "Produces that Kafka refused.", ["error"], registry=self.registry
        )
        self.connected = Gauge("tokens_producer_connected", "1 while records can be produced.", registry=self.registry)
        self.replacements = Counter(
            "tokens_producer_replacements", "Producers given up after a batch failed for good.", registry=self.registry
        )
        self.waiters = Gauge("tokens_outcome_waiters", "GETs that wait for an outcome.", registry=self.registry)
        self.reads = Counter(
            "tokens_outcome_reads",
            "Questions to the database, each for all waiting GETs.",
            ["result"],
            registry=self.registry,
        )
        self.letters_taken = Counter(
            "tokens_dead_letters_taken", "Dead letters taken by operations.", ["action"], registry=self.registry
        )
        self.operations = Gauge("tokens_operations_running", "Operations that run.", registry=self.registry)
        self.pruned = Counter("tokens_rows_pruned", "Rows deleted because of their age.", ["table"], registry=self.registry)
        self.requests = Histogram(
            "tokens_http_request_duration_seconds",
            "Seconds of a whole request, time spent waiting on purpose included.",
            ["method", "route", "status"],
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        for counter, results in (
            (self.late, ("acknowledged", "failed")),
            (self.reads, ("answered", "failed")),
            (self.pruned, ("outcomes", "dead_letters")),
            (self.letters_taken, ("redrive", "drop")),
        ):
            for result in results:
                counter.labels(result)  # from 0: rate() misses what a series begins with

    def accepted(self) -> int:
        """Records whose POST got its 202 since this process started."""
        return int(self.registry.get_sample_value("tokens_ingested_total", {"source": "http"}) or 0)
