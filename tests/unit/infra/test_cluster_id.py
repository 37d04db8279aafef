import uuid

from infra.local.kafka import as_cluster_id, is_cluster_id


def test_an_id_that_reads_as_an_option_is_not_used() -> None:
    """A UUID whose first six bits are 62 is written with a dash in front, which the format tool takes for an option."""
    dashed = as_cluster_id(uuid.UUID(int=62 << 122))
    assert dashed.startswith("-")
    assert not is_cluster_id(dashed)


def test_an_id_is_written_as_kafka_writes_it() -> None:
    """22 characters of URL-safe base64, without padding."""
    assert as_cluster_id(uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")) == "ABEiM0RVZneImaq7zN3u_w"
    assert is_cluster_id("ABEiM0RVZneImaq7zN3u_w")
