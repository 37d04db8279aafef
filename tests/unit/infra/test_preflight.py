import errno
import socket
from pathlib import Path

import pytest

from infra.local import preflight
from infra.local.preflight import Listener, cannot_listen, clashes, disk_too_full, listeners, too_few_descriptors
from infra.settings import LocalSettings

API = Listener("the API", "API_PORT", "127.0.0.1", 8000)


class TestPorts:
    def test_every_part_has_a_port_and_a_setting(self) -> None:
        """The ports of a stack with two workers are those of the settings, worker n on WORKER_PORT plus n."""
        found = {(each.setting, each.port) for each in listeners(LocalSettings(), workers=2)}
        assert found == {
            ("API_PORT", 8000),
            ("MOCK_API_PORT", 8100),
            ("WORKER_PORT", 8201),
            ("WORKER_PORT", 8202),
            ("KAFKA_PORT", 9092),
            ("KAFKA_CONTROLLER_PORT", 9093),
            ("POSTGRES_PORT", 5433),
        }

    def test_servers_that_are_used_and_not_started_need_no_port(self) -> None:
        """With KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL set, their local ports may be anybody's."""
        settings = LocalSettings(kafka_bootstrap_servers="broker:9092", database_url="postgresql://db/x")
        assert {each.setting for each in listeners(settings, workers=1)} == {"API_PORT", "MOCK_API_PORT", "WORKER_PORT"}

    def test_one_port_for_two_parts_names_both_settings(self) -> None:
        """A port that was given twice is refused before anything is started."""
        [sentence] = clashes([API, Listener("worker 1", "WORKER_PORT", "127.0.0.1", 8000)])
        assert "API_PORT" in sentence
        assert "WORKER_PORT" in sentence
        assert clashes(listeners(LocalSettings(), workers=64)) == []

    def test_a_port_in_use_names_its_holder_if_known(self) -> None:
        """The sentence names port, part, holder and setting; without a holder it is still a sentence."""
        taken = OSError(errno.EADDRINUSE, "Address already in use")
        assert cannot_listen(API, taken, "nginx (process 7)").startswith(
            "Port 8000 of the API is in use by nginx (process 7): "
        )
        assert cannot_listen(API, taken, None).startswith("Port 8000 of the API is in use: ")
        assert "set API_PORT to a free port" in cannot_listen(API, taken, None)

    def test_an_address_of_another_machine_names_bind_address(self) -> None:
        """What is wrong with the address is not blamed on the port."""
        sentence = cannot_listen(API, OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"), None)
        assert sentence.startswith("The API cannot listen on 127.0.0.1 port 8000")
        assert "BIND_ADDRESS" in sentence

    def test_a_listening_socket_is_found_with_its_process(self) -> None:
        """The port of a socket that listens is refused and its holder known; the same port is free once it is closed."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port: int = server.getsockname()[1]
            listener = Listener("the API", "API_PORT", "127.0.0.1", port)
            refusal = preflight.refusal(listener)
            assert refusal is not None
            assert refusal.errno == errno.EADDRINUSE
            assert "(process " in (preflight.holder_of(port) or "")
        assert preflight.refusal(listener) is None


class TestDescriptors:
    @pytest.mark.parametrize(
        ("limit", "way_out"),
        [
            (5_499, "set WORKER_CONCURRENCY=49."),
            (1_024, "set WORKER_CONCURRENCY=5."),
            (512, "set WORKER_CONCURRENCY=1 and QUEUE_BATCH_SIZE=12."),
            (256, "lower WORKER_CONCURRENCY as well."),
        ],
    )
    def test_a_limit_too_low_says_what_would_fit(self, limit: int, way_out: str) -> None:
        """One connection a call and 500 files beside: the sentence says both numbers and the ceiling that fits."""
        sentence = too_few_descriptors(limit, concurrency=50, batch_size=100)
        assert sentence is not None
        assert sentence.endswith(way_out)
        assert "needs 5,500" in sentence
        assert "ulimit -Hn 5500" in sentence

    def test_the_suggested_ceiling_is_accepted(self) -> None:
        """Whoever does what the sentence says is not refused again."""
        assert too_few_descriptors(5_500, concurrency=50, batch_size=100) is None
        assert too_few_descriptors(1_024, concurrency=5, batch_size=100) is None
        assert too_few_descriptors(512, concurrency=1, batch_size=12) is None


class TestDisk:
    def test_a_full_disk_says_how_much_is_missing(self) -> None:
        """Below 1 GiB the sentence has both numbers and the folder; from there on there is none."""
        sentence = disk_too_full(300 * 1024**2, Path("/data/x"))
        assert sentence is not None
        assert "Only 300 MiB" in sentence
        assert "1,024" in sentence
        assert "/data/x" in sentence
        assert disk_too_full(1024**3, Path("/data/x")) is None
