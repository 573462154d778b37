"""The cases of each helper: programs, their peers, and their results.

The cases of all languages run at the same time. Their tasks have host networking, because otherwise one process of all would send.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from languages import Program
from process import application, wait_until
from standin import ROUTE, TOKEN, Metadata, Receiver, Reply, Standin, closed_url, running, sender_environment, trust

# End of a process while many others run.
MAX_EXIT_SECONDS = 10
# Time for two more attempts.
PAUSE = 2.5
SECRET = "s3cret"
WITH_USER = f"https://user:{SECRET}@elsewhere.example/login"
REASON = "task 5f0e has no docker label sidecarless.stats=push"


@dataclass
class Case:
    """A program, its peers and its result. The application ends when the peers have got the requests, and after the pause."""

    metadata: Metadata
    receiver: Receiver
    # Environment variables that differ from a correct task.
    variables: dict[str, str]
    pushes: int = 0
    reads: int = 0
    reports_before_end: int = 0
    pause: float = 0
    other: Standin | None = None
    status: int | None = None
    stdout: str = ""
    stderr: str = ""
    reports: list[str] = field(default_factory=list)
    seconds_to_exit: float = 0

    def run(self, program: Program) -> None:
        environment = {**sender_environment(self.metadata.uri, self.receiver.url + "/"), **self.variables}
        with application(program, environment) as process:
            wait_until(lambda: "started" in process.stdout)
            wait_until(lambda: len(process.reports) >= self.reports_before_end)
            wait_until(lambda: len(self.receiver.pushes()) >= self.pushes and len(self.metadata.requests) >= self.reads)
            time.sleep(self.pause)
            self.seconds_to_exit = process.finish(MAX_EXIT_SECONDS)
            self.status = process.child.poll()
            self.stdout, self.stderr, self.reports = process.stdout, process.stderr, process.reports

    @property
    def standins(self) -> list[Standin]:
        return [standin for standin in (self.metadata, self.receiver, self.other) if standin]


def new_cases() -> dict[str, Case]:
    def case(*replies: Reply, pushes: int = 0, reads: int = 0, reports: int = 0, pause: float = 0, stats: Reply | None = None, **variables: str) -> Case:
        return Case(Metadata("host", stats), Receiver(*replies), variables, pushes, reads, reports, pause)

    statuses = [Reply(401, b"missing token"), Reply(403, REASON.encode()), Reply(429), Reply(503, b"busy\nnow"), Reply(404, b"x" * 100_000)]
    elsewhere, hanging, proxy = Receiver(), Reply(hangs=True), closed_url()
    # Both documents in three rounds.
    rounds = 6
    found = {
        "correct": case(pushes=3),
        # Two pushes with the first status, and one more at the end, so that the last one has its response.
        "statuses": case(statuses[0], *statuses, pushes=len(statuses) + 2),
        "recovers": case(Reply(503), Reply(), pushes=3),
        "redirect": case(Reply(307, f'<a href="{WITH_USER}">'.encode(), {"location": elsewhere.url + ROUTE}), pushes=3),
        "redirect that is cut": case(Reply(307, b"x" * 180 + b" " + WITH_USER.encode(), {"location": WITH_USER}), pushes=3),
        "user in the URL": case(reads=rounds, SIDECARLESS_URL=closed_url().replace("//", f"//user:{SECRET}@")),
        "hanging receiver": case(hanging, pushes=2, reports=1),
        "hanging metadata": case(stats=hanging, reads=4, reports=1),
        "metadata fails": case(stats=Reply(500, b"no stats"), reads=rounds),
        "metadata closed": case(reports=1, pause=PAUSE, ECS_CONTAINER_METADATA_URI_V4=closed_url()),
        "closed port": case(reads=rounds, SIDECARLESS_URL=closed_url()),
        "no scheme": case(reads=rounds, SIDECARLESS_URL="not a url"),
        "no host": case(reads=rounds, SIDECARLESS_URL="http://"),
        "invalid port": case(reads=rounds, SIDECARLESS_URL="http://127.0.0.1:99999999"),
        "no URL": case(pause=PAUSE, SIDECARLESS_URL=""),
        "not in ECS": case(pause=PAUSE, ECS_CONTAINER_METADATA_URI_V4=""),
        "token with a line break": case(pushes=2, SIDECARLESS_TOKEN=TOKEN + "\n"),
        "invalid token": case(reports=1, pause=PAUSE, SIDECARLESS_TOKEN=f"{TOKEN}\n{TOKEN}"),
        "no token": case(pushes=2, SIDECARLESS_TOKEN=""),
        "proxy": case(pushes=2, http_proxy=proxy, HTTP_PROXY=proxy, no_proxy="localhost", NO_PROXY="localhost"),
    }
    for name, counts in {"trusted": {"pushes": 2}, "untrusted": {"reads": rounds}}.items():
        found[f"{name} certificate"] = case(**counts, **trust())
        found[f"{name} certificate"].receiver.close()
        found[f"{name} certificate"].receiver = Receiver(tls=name)
    found["redirect"].other = elsewhere
    # Only the receiver is excluded from the proxy.
    found["proxy"].variables["SIDECARLESS_URL"] = found["proxy"].receiver.url.replace("127.0.0.1", "localhost")
    return found


def run_all(programs: dict[str, Program]) -> dict[str, dict[str, Case]]:
    """Returns the finished cases of each language."""
    languages = {language: new_cases() for language in programs}
    for language, program in programs.items():
        if not program.has_tls:
            del languages[language]["trusted certificate"], languages[language]["untrusted certificate"]
    # The longest cases first: most of the time of each is a pause.
    order = [(case, programs[language]) for language, cases in languages.items() for case in cases.values()]
    order.sort(key=lambda pair: -pair[0].pushes)
    standins = [standin for case, _ in order for standin in case.standins]
    with running(*standins), ThreadPoolExecutor(7 * (os.cpu_count() or 1)) as pool:
        list(pool.map(lambda pair: pair[0].run(pair[1]), order))
    return languages
