"""Write `jars.lock` anew: `python -m infra.local.lock_jars`. For whoever raises Kafka's version; nothing runs this."""

import hashlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.local.artifacts import LOCK_FILE

COORDINATES = (
    "org.apache.kafka:kafka_2.13:4.3.1",
    "org.apache.kafka:kafka-tools:4.3.1",
    "org.slf4j:slf4j-simple:1.7.36",  # the SLF4J binding: Kafka's jars bring the 1.7 API and none
)
HEAD = "# Kafka's jars for the local stack: group:artifact:version sha256. Made by `python -m infra.local.lock_jars`.\n"


def main() -> None:
    """Resolve the coordinates, download every jar, and write its hash down."""
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(8) as pool:
        artifacts = _resolve(Path(scratch))
        paths = list(pool.map(lambda artifact: Path(artifact.resolve()), artifacts))
        lines = sorted(
            f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
            for artifact, path in zip(artifacts, paths, strict=True)
        )
    LOCK_FILE.write_text(HEAD + "".join(lines))


def _resolve(scratch: Path) -> list[Any]:
    """List the artifacts of a class path: the coordinates and what they need at run time."""
    from jgo.maven import MavenContext  # noqa: PLC0415 - comes with the `local` extra
    from jgo.parse import Endpoint  # noqa: PLC0415 - see above

    context = MavenContext(repo_cache=scratch)
    wanted = [
        context.create_dependency(replace(each, scope="compile"))
        for each in Endpoint.parse("+".join(COORDINATES)).coordinates
    ]
    direct, transitive = context.resolver.resolve(wanted)
    return [each.artifact for each in (*direct, *(found for found in transitive if found.scope in ("compile", "runtime")))]


if __name__ == "__main__":
    main()
