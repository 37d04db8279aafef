import re

from infra.local.artifacts import LOCK_FILE, Jar, read_lock


def test_a_lock_line_is_a_coordinate_and_a_hash_and_the_rest_is_comment() -> None:
    """Blank lines and comments say nothing; a jar's file is named as Maven names it."""
    [jar] = read_lock("# head\n\norg.example:thing:1.2 abc  # why\n")
    assert jar == Jar("org.example", "thing", "1.2", "abc")
    assert jar.file_name == "thing-1.2.jar"


def test_the_lock_names_each_file_once_with_a_whole_sha256() -> None:
    """Two jars of one name would overwrite each other in the folder."""
    jars = read_lock(LOCK_FILE.read_text())
    assert len({jar.file_name for jar in jars}) == len(jars) > 50
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in jars)


def test_the_lock_holds_the_broker_its_tools_and_a_log_binding_and_no_address() -> None:
    """Where jars come from is for each machine's own settings to say."""
    text = LOCK_FILE.read_text()
    assert {"kafka_2.13", "kafka-tools", "slf4j-simple"} <= {jar.artifact for jar in read_lock(text)}
    assert "://" not in text
