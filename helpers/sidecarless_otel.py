"""Observable gauges with the task and container metrics that sidecarless writes by default, for an OpenTelemetry SDK.

    import sidecarless_otel
    sidecarless_otel.instrument()

Python 3.8 or later, with opentelemetry-api. helpers/README.md describes the behavior, docs/metrics.md the metrics.
"""

import http.client
import json
import os
import re
import socket
import sys
import urllib.parse
from datetime import datetime

from opentelemetry import metrics
from opentelemetry.metrics import Observation

# One process of the task holds this port of the loopback address, and reports. The others try again at each collection.
ELECTION_PORT = 23190
METADATA_TIMEOUT = 3
MIB = 1 << 20
YEAR_ONE = -62135596800 * 10**9
RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)")

# Without units: the function would append them to the names.
METRICS = [
    "ecs.task.memory.usage", "ecs.task.memory.utilized", "ecs.task.memory.reserved",
    "ecs.task.cpu.usage.vcpu", "ecs.task.cpu.utilized", "ecs.task.cpu.reserved",
    "ecs.task.network.rate.rx", "ecs.task.network.rate.tx",
    "ecs.task.storage.read_bytes", "ecs.task.storage.write_bytes", "container.duration",
]


def instrument(meter_provider=None):
    """Registers the gauges, once per process. Does nothing outside ECS. Never raises."""
    metadata = os.environ.get("ECS_CONTAINER_METADATA_URI_V4")
    if metadata:
        try:
            source = _Source(metadata)
            meter = metrics.get_meter("sidecarless", meter_provider=meter_provider)
            for name in METRICS:
                meter.create_observable_gauge(name, callbacks=[source.callback(name)])
        except Exception as error:
            source.report(error)


class _Source:
    """The documents of the task, read once per collection."""

    def __init__(self, metadata):
        self.metadata = urllib.parse.urlsplit(metadata)
        self.election = None
        self.reported = None
        self.observations = {}
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.resign)

    def callback(self, name):
        def observe(_):
            # The SDK calls the callbacks in the order of their registration.
            if name == METRICS[0]:
                self.observations = self.collect()
            return self.observations.get(name, [])

        return observe

    def collect(self):
        observations = {}
        try:
            text = self.read("/task")
            # Under host networking all tasks of an instance share the port, so that each process has to report.
            if '"NetworkMode":"host"' in text or self.is_elected():
                for name, attributes, value in series(json.loads(text), json.loads(self.read("/task/stats"))):
                    observations.setdefault(name, []).append(Observation(value, attributes))
        except Exception as error:
            self.report(error)
            return {}
        return observations

    def is_elected(self):
        if not self.election:
            try:
                self.election = socket.create_server(("127.0.0.1", ELECTION_PORT))
            except OSError:
                pass
        return self.election is not None

    def read(self, path):
        # Not urllib, whose requests many applications trace.
        connection = http.client.HTTPConnection(self.metadata.hostname, self.metadata.port, timeout=METADATA_TIMEOUT)
        try:
            connection.request("GET", self.metadata.path + path)
            response = connection.getresponse()
            if response.status != 200:
                raise OSError(f"status {response.status} from the metadata endpoint")
            return response.read().decode()
        finally:
            connection.close()

    def report(self, error):
        reason = str(error)
        if reason != self.reported:
            self.reported = reason
            try:
                print(f"sidecarless: task stats were not read: {reason}", file=sys.stderr, flush=True)
            except Exception:
                pass  # stderr is closed: there is no other place to report to.

    def resign(self):
        """A forked child has a copy of the socket: it must not hold the port."""
        if self.election:
            self.election.close()
            self.election = None


def series(task, stats):
    """Returns name, attributes and value of each series of both documents, as src/translate/stats computes them."""
    attributes = _task_attributes(task)
    found, running, seen_ids, seen_names = [], [], set(), set()
    for container in task.get("Containers") or []:
        values = (stats or {}).get(container.get("DockerId"))
        values = values if values and values.get("id") else None
        identity, name = container.get("DockerId"), (container.get("Name"), values is not None)
        repeats_id = bool(identity) and identity in seen_ids
        seen_ids.add(identity)
        if container.get("Type") in ("CNI_PAUSE", "NAMESPACE_PAUSE"):
            continue
        repeats_name = name in seen_names
        seen_names.add(name)
        # A second container with the same name or ID does not count.
        if repeats_id or repeats_name:
            continue
        if values is not None:
            running.append((container, values))
        elif container.get("StartedAt") and container.get("FinishedAt"):
            begin, end = _nanos(container["StartedAt"]), _nanos(container["FinishedAt"])
            if YEAR_ONE not in (begin, end):
                found.append(("container.duration", {**attributes, **_container_attributes(container)}, (end - begin) / 1e9))
    found += [(name, attributes, value) for name, value in _task_values(task, running).items()]
    return found


def _task_values(task, running):
    limits = task.get("Limits") or {}
    container_limits = [container.get("Limits") or {} for container, _ in running]
    cpu_limit, memory_limit = limits.get("CPU"), limits.get("Memory")
    reserved = sum(limit.get("CPU") or 0 for limit in container_limits) if cpu_limit is None else cpu_limit * 1024
    vcpu = sum(_vcpu(values) for _, values in running)
    values = {
        "ecs.task.memory.usage": sum((values.get("memory_stats") or {}).get("usage") or 0 for _, values in running),
        "ecs.task.memory.utilized": sum(_memory_in_use(values.get("memory_stats") or {}) // MIB for _, values in running),
        "ecs.task.memory.reserved": sum(limit.get("Memory") or 0 for limit in container_limits) if memory_limit is None else memory_limit,
        "ecs.task.cpu.usage.vcpu": vcpu,
        "ecs.task.cpu.utilized": vcpu * 1024 if reserved > 0 else 0,
        "ecs.task.cpu.reserved": reserved,
        "ecs.task.storage.read_bytes": sum(_storage(values, "read") for _, values in running),
        "ecs.task.storage.write_bytes": sum(_storage(values, "write") for _, values in running),
    }
    # Under awsvpc each container reports the traffic of the task.
    modes = [network.get("NetworkMode") for container in task.get("Containers") or [] for network in container.get("Networks") or []]
    total = max if "awsvpc" in modes or task.get("LaunchType") == "FARGATE" else sum
    for direction in ("rx", "tx"):
        rates = [(values.get("network_rate_stats") or {}).get(f"{direction}_bytes_per_sec") or 0 for _, values in running]
        values[f"ecs.task.network.rate.{direction}"] = total([0, *rates])
    return {name: float(value) for name, value in values.items()}


def _memory_in_use(memory):
    """The page cache is `cache` under cgroup v1 and `inactive_file` under v2."""
    usage, detail = memory.get("usage") or 0, memory.get("stats") or {}
    cache = detail.get("inactive_file") if detail.get("cache") is None else detail["cache"]
    return max(usage - (cache or 0), 0)


def _vcpu(stats):
    now, before = ((stats.get(key) or {}).get("cpu_usage") for key in ("cpu_stats", "precpu_stats"))
    preread = stats.get("preread") or ""
    # The first sample of a container has no previous one. After a restart the counter is lower.
    if now is None or before is None or not preread or preread.startswith("0001-"):
        return 0
    elapsed = min(_nanos(stats.get("read") or "") - _nanos(preread), 2**63 - 1)
    return max((now.get("total_usage") or 0) - (before.get("total_usage") or 0), 0) / elapsed if elapsed > 0 else 0


def _storage(stats, operation):
    entries = (stats.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
    return sum(entry.get("value") or 0 for entry in entries if entry and (entry.get("op") or "").lower() == operation)


def _nanos(time):
    """Returns the nanoseconds since 1970. An invalid time is the first second of year one."""
    match = RFC3339.fullmatch(time)
    if not match:
        return YEAR_ONE
    date, clock, fraction, zone = match.groups()
    try:
        seconds = int(datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in 'Zz' else zone}").timestamp())
    except ValueError:
        return YEAR_ONE
    return seconds * 10**9 + int((fraction or "").ljust(9, "0"))


def _task_attributes(task):
    arn = task.get("TaskARN") or ""
    parts = arn.split(":")
    launch_type, revision = task.get("LaunchType") or "", task.get("Revision") or ""
    attributes = {
        "aws.ecs.cluster.name": (task.get("Cluster") or "").rsplit("/", 1)[-1],
        "aws.ecs.task.arn": arn,
        "aws.ecs.task.id": arn.rsplit("/", 1)[-1],
        "aws.ecs.task.family": task.get("Family"),
        "aws.ecs.task.version": revision,
        "aws.ecs.task.revision": revision,
        "aws.ecs.service.name": task.get("ServiceName"),
        "cloud.availability_zone": task.get("AvailabilityZone"),
        "cloud.region": parts[3] if len(parts) > 5 else "",
        "cloud.account.id": parts[4] if len(parts) > 5 else "",
        "aws.ecs.task.launch_type": launch_type,
        "aws.ecs.launchtype": launch_type.lower(),
    }
    return {name: value for name, value in attributes.items() if value}


def _container_attributes(container):
    image = (container.get("Image") or "").split("@")[0]
    name, colon, tag = image.rpartition(":")
    # A colon before the last slash precedes the port of the registry.
    if not colon or "/" in tag:
        name, tag = image, "latest"
    attributes = {"container.name": container.get("Name"), "container.image.name": name, "container.image.tag": tag}
    if container.get("ExitCode") is not None:
        attributes["aws.ecs.container.exit_code"] = str(container["ExitCode"])
    return {name: value for name, value in attributes.items() if value}
