"""Write `jars.lock` anew: `python -m infra.local.lock_jars`. For whoever raises Kafka's version; nothing runs this."""

import hashlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.local.artifacts import LOCK_FILE

COORDINATES = (
    "org.apache.kafka:kafka_2.13:4.3.1",
    "org.apache.kafka:kafka-tools:4.3.1",
    "org.slf4j:slf4j-simple:1.7.36",  # the SLF4J binding: Kafka's jars bring the 1.7 API and none
)
HEAD = "# Kafka's jars for the local stack: group:artifact:version sha256. Made by `python -m infra.local.lock_jars`.\n"


def main() -> None:
    """Resolve the coordinates, download every jar, and write its hash down."""
    import jgo  # noqa: PLC0415 - comes with the `local` extra

    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(8) as pool:
        artifacts = jgo.resolve("+".join(COORDINATES))
        for artifact in artifacts:
            artifact.context.repo_cache = Path(scratch)
        paths = list(pool.map(lambda artifact: artifact.resolve(), artifacts))
        lines = sorted(
            f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
            for artifact, path in zip(artifacts, paths, strict=True)
        )
    LOCK_FILE.write_text(HEAD + "".join(lines))


if __name__ == "__main__":
    main()
