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
    found, running, is_complete, seen_ids, seen_names = [], [], True, set(), set()
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
            continue
        is_complete = is_complete and not _is_running(container)
        if container.get("StartedAt") and container.get("FinishedAt"):
            begin, end = _nanos(container["StartedAt"]), _nanos(container["FinishedAt"])
            if YEAR_ONE not in (begin, end):
                found.append(("container.duration", {**attributes, **_container_attributes(container)}, (end - begin) / 1e9))
    found += [(name, attributes, value) for name, value in _task_values(task, running, is_complete).items()]
    return found


def _is_running(container):
    """Without a status, the times of a container tell."""
    if container.get("KnownStatus"):
        return container["KnownStatus"] in ("RUNNING", "RESOURCES_PROVISIONED")
    return bool(container.get("StartedAt")) and not container.get("FinishedAt")


def _task_values(task, running, is_complete):
    """Returns the known values. A sum of which a running container lacks its part is unknown: without the part, it looks like a reset."""
    limits = task.get("Limits") or {}

    def total(values):
        values = list(values)
        return sum(values) if values and is_complete and None not in values else None

    def reserved(key, own):
        if _positive(limits.get(key)):
            return own
        # On instances, the agent reports the least CPU shares of Linux for a container without a reservation.
        none = 2 if key == "CPU" and task.get("LaunchType") in ("EC2", "EXTERNAL", "MANAGED_INSTANCES") else 0
        units = [_positive((container.get("Limits") or {}).get(key)) for container, _ in running]
        return sum(value for value in units if value and value != none) or None

    vcpu = total(_vcpu(values) for _, values in running)
    values = {
        "ecs.task.memory.usage": total(_usage(values) for _, values in running),
        "ecs.task.memory.utilized": total(_memory_in_use(values) for _, values in running),
        "ecs.task.memory.reserved": reserved("Memory", _positive(limits.get("Memory"))),
        "ecs.task.cpu.usage.vcpu": vcpu,
        "ecs.task.cpu.utilized": None if vcpu is None else vcpu * 1024,
        "ecs.task.cpu.reserved": reserved("CPU", (_positive(limits.get("CPU")) or 0) * 1024),
        "ecs.task.storage.read_bytes": total(_storage(values, "read") for _, values in running),
        "ecs.task.storage.write_bytes": total(_storage(values, "write") for _, values in running),
    }
    # Under awsvpc each container reports the traffic of the task.
    modes = [network.get("NetworkMode") for container in task.get("Containers") or [] for network in container.get("Networks") or []]
    is_shared = "awsvpc" in modes or task.get("LaunchType") == "FARGATE"
    for direction in ("rx", "tx"):
        rates = [_number((values.get("network_rate_stats") or {}).get(f"{direction}_bytes_per_sec")) for _, values in running]
        known = [rate for rate in rates if rate is not None]
        values[f"ecs.task.network.rate.{direction}"] = max(known, default=None) if is_shared else total(rates)
    return {name: float(value) for name, value in values.items() if value is not None}


def _number(value):
    """Returns a number, also from a text; None for any other value."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return None if isinstance(value, bool) or not isinstance(value, (int, float)) else value


def _positive(value):
    value = _number(value)
    return value if value and value > 0 else None


def _is_windows(stats):
    memory, storage = stats.get("memory_stats") or {}, stats.get("storage_stats") or {}
    return bool(_positive(stats.get("num_procs"))) or "privateworkingset" in memory or "read_size_bytes" in storage


def _usage(stats):
    return _number((stats.get("memory_stats") or {}).get("privateworkingset" if _is_windows(stats) else "usage"))


def _memory_in_use(stats):
    """Returns MiB. The page cache is `cache` under cgroup v1 and `inactive_file` under v2."""
    usage, detail = _usage(stats), (stats.get("memory_stats") or {}).get("stats") or {}
    if usage is None:
        return None
    cache, inactive = _number(detail.get("cache")), _number(detail.get("inactive_file")) or 0
    if _is_windows(stats):
        cache = 0
    elif cache is None:
        cache = inactive if inactive < usage else 0
    return max(usage - cache, 0) // MIB


def _vcpu(stats):
    now, before = (((stats.get(key) or {}).get("cpu_usage") or {}).get("total_usage") for key in ("cpu_stats", "precpu_stats"))
    now, before, preread = _number(now), _positive(before), stats.get("preread") or ""
    read_ns, preread_ns = _nanos(stats.get("read") or ""), _nanos(preread)
    # The first sample of a container has no previous one. After a restart the counter is lower.
    if now is None or before is None or YEAR_ONE in (read_ns, preread_ns) or preread.startswith("0001-"):
        return None
    elapsed = min(read_ns - preread_ns, 2**63 - 1)
    unit = 100 if _is_windows(stats) else 1
    return max(now - before, 0) * unit / elapsed if elapsed > 0 else None


def _storage(stats, operation):
    if _is_windows(stats):
        return _number((stats.get("storage_stats") or {}).get(f"{operation}_size_bytes"))
    stats = stats.get("blkio_stats")
    # Null is a container that has not used its storage.
    if not isinstance(stats, dict) or "io_service_bytes_recursive" not in stats:
        return None
    entries = stats["io_service_bytes_recursive"] or []
    if not all(entry and entry.get("op") for entry in entries):
        return None
    values = [_number(entry.get("value")) for entry in entries if entry["op"].lower() == operation]
    return None if None in values else sum(values)


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
