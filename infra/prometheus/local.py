"""A real Prometheus on this machine, with the rules as they are; addresses are handed to it instead of discovered.

Its configuration is prometheus.yml up to the scrape configurations; in their place each job reads its targets from a file,
which may change while it runs, as the answers of a name server do.
"""

import json
import re
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from infra.local.artifacts import Progress
from infra.local.errors import LocalStackError
from infra.local.guard import GuardedProcess
from infra.local.service import LocalService
from infra.prometheus.programs import Programs, find_programs

HOST: Final = "127.0.0.1"
CONFIGURATION: Final = Path(__file__).with_name("prometheus.yml")
RULES: Final = Path(__file__).with_name("rules")
STARTED_LINE: Final = b"Server is ready to receive web requests"
CLEAN_ENVIRONMENT: Final = {"LC_ALL": "C.UTF-8"}
SCRAPE_JOB: Final = """\
  - job_name: {job}
    file_sd_configs:
      - files: [targets/{job}.json]
        refresh_interval: 1s
"""


def jobs(text: str) -> list[str]:
    """List the jobs of a configuration, in order. Pure."""
    return re.findall(r"^ *- job_name: (\S+)$", text, re.MULTILINE)


def with_files(text: str, *, scrape_seconds: float) -> str:
    """Let each job of a configuration read its targets from a file, and scrape and evaluate so often. Pure."""
    head, _, scrapes = text.partition("scrape_configs:\n")
    every = f"{round(scrape_seconds * 1000)}ms"
    head = re.sub(r"^( *(?:scrape|evaluation)_(?:interval|timeout): )\S+", rf"\g<1>{every}", head, flags=re.MULTILINE)
    return f"{head}scrape_configs:\n" + "".join(SCRAPE_JOB.format(job=job) for job in jobs(scrapes))


class LocalPrometheus(LocalService):
    """Scrapes what `scrape` names and evaluates the rules of tokenflow; its data lie in its folder."""

    name = "Prometheus"
    stop_signal = signal.SIGTERM
    ready_seconds = 30.0

    def __init__(self, folder: Path, port: int, *, log_path: Path, scrape_seconds: float = 5.0) -> None:
        super().__init__(folder, port, log_path=log_path)
        self._scrape_seconds = scrape_seconds
        self._programs: Programs | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port}"

    def prepare(self, progress: Progress) -> None:
        """Bring the program, and write configuration, rules and an empty list of targets for each job."""
        self.make_folder()
        self._programs = find_programs(fallback=self.folder, progress=progress)
        text = with_files(CONFIGURATION.read_text("utf-8"), scrape_seconds=self._scrape_seconds)
        (self.folder / "prometheus.yml").write_text(text, "utf-8")
        shutil.copytree(RULES, self.folder / "rules", dirs_exist_ok=True)
        (self.folder / "targets").mkdir(exist_ok=True)
        for job in jobs(text):
            self.scrape(job, [f"{HOST}:{self.port}"] if job == "prometheus" else [])

    def scrape(self, job: str, targets: Iterable[str]) -> None:
        """Let a job scrape these addresses (host:port) from now on, and no others."""
        path = self.folder / "targets" / f"{job}.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps([{"targets": list(targets)}]), "utf-8")
        fresh.replace(path)

    def start(self) -> GuardedProcess:
        """Start the server and return at once."""
        if self._programs is None:
            msg = "Prometheus was not prepared."
            raise LocalStackError(msg)
        options = ("--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address={HOST}:{self.port}")
        self._process = GuardedProcess.start(
            [str(self._programs.prometheus), *options],
            env=CLEAN_ENVIRONMENT,
            log_path=self.log_path,
            cwd=self.folder,
            stop_signal=self.stop_signal,
        )
        return self._process

    def is_ready(self) -> bool:
        """Say whether it answers queries."""
        with self.log_path.open("rb") as log:
            log.seek(self.process.log_start)
            return STARTED_LINE in log.read()
