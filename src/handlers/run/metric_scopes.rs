//! What a run reads from CloudWatch: services whose tasks have no stats source, and discovery names of Service Connect.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::ecs::TaskStatus;
use crate::model::service::{DiscoveryName, Service};
use crate::model::task::{Tag, Task};
use crate::translate::cloudwatch::{Dimensions, MetricScope};

/// Discovery names that are read, in about 30 calls. The others are named in the log.
const MAX_DISCOVERY_NAMES: usize = 1_000;

/// A service or a discovery name.
#[derive(Debug, PartialEq)]
pub(super) struct ReadScope {
    pub(super) scope: Arc<MetricScope>,
    /// Tags of its cluster; none if it can be in several.
    pub(super) cluster_tags: Arc<[Tag]>,
    /// Whether a discovery name has metrics of TLS.
    pub(super) has_tls: bool,
}

/// A service that has run a task.
#[derive(Debug)]
pub(super) struct RanService<'a> {
    /// One of its tasks.
    task: &'a Task,
    /// Whether a task has a stats source.
    has_source: bool,
}

/// Discovery names of services.
#[derive(Debug, Default)]
pub(super) struct DiscoveryScopes {
    pub(super) scopes: Vec<ReadScope>,
    pub(super) discovery_names: usize,
    /// Number of discovery names beyond [`MAX_DISCOVERY_NAMES`].
    pub(super) skipped: usize,
}

/// Returns the services that have run a task. `tasks` have no source if they come with `false`.
pub(super) fn ran_services<'a>(tasks: impl Iterator<Item = (&'a Task, bool)>) -> Vec<RanService<'a>> {
    // By service: one of its tasks that ran, and whether a task has a source.
    let mut services: BTreeMap<(&str, &str), (Option<&Task>, bool)> = BTreeMap::new();
    for (task, has_source) in tasks {
        let Some(service) = &task.service else { continue };
        let (ran, is_served) = services.entry((&task.cluster_arn, service)).or_default();
        *is_served |= has_source;
        if ran.is_none() && (task.last_status == TaskStatus::Running || task.started_at_ms.is_some()) {
            *ran = Some(task);
        }
    }
    services.into_values().filter_map(|(task, has_source)| Some(RanService { task: task?, has_source })).collect()
}

/// Returns the services none of whose tasks has a stats source.
pub(super) fn without_source(services: &[RanService<'_>]) -> impl Iterator<Item = ReadScope> {
    services.iter().filter(|service| !service.has_source).map(|service| service.read_scope(None))
}

/// Returns the discovery names of services, each with the metrics of its service and with those that CloudWatch has only for the
/// name.
pub(super) fn discovery_scopes(ran: &[RanService<'_>], described: &[Arc<Service>]) -> DiscoveryScopes {
    let by_name: BTreeMap<(&str, &str), &Service> =
        described.iter().map(|service| ((&*service.cluster, &*service.name), &**service)).collect();
    let names = ran.iter().flat_map(|one| {
        let service = by_name.get(&(&*one.task.cluster, one.task.service.as_deref().unwrap_or_default()));
        let names = service.map_or(&[][..], |service| &service.discovery_names);
        names.iter().map(move |name| (one, name))
    });
    let mut found = DiscoveryScopes::default();
    // A name can belong to several services, in other clusters or namespaces.
    let mut targets = BTreeMap::<MetricScope, bool>::new();
    for (service, name) in names {
        if found.discovery_names == MAX_DISCOVERY_NAMES {
            found.skipped += 1;
            continue;
        }
        found.discovery_names += 1;
        let read = service.read_scope(Some(name));
        let target = MetricScope {
            dimensions: Dimensions::TargetDiscoveryName,
            cluster: "".into(),
            service: "".into(),
            ..MetricScope::clone(&read.scope)
        };
        *targets.entry(target).or_default() |= name.has_tls;
        found.scopes.push(read);
    }
    let read = |(scope, has_tls)| ReadScope { scope: Arc::new(scope), cluster_tags: Arc::default(), has_tls };
    found.scopes.extend(targets.into_iter().map(read));
    found
}

impl RanService<'_> {
    fn read_scope(&self, name: Option<&DiscoveryName>) -> ReadScope {
        let task = self.task;
        let scope = MetricScope {
            dimensions: name.map_or(Dimensions::Service, |_| Dimensions::DiscoveryName),
            cluster: Arc::clone(&task.cluster),
            service: task.service.clone().unwrap_or_default(),
            discovery_name: name.map(|name| Arc::clone(&name.name)).unwrap_or_default(),
            region: Arc::clone(&task.region),
            account: Arc::clone(&task.account),
        };
        let has_tls = name.is_some_and(|name| name.has_tls);
        ReadScope { scope: Arc::new(scope), cluster_tags: Arc::clone(&task.cluster_tags), has_tls }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(service: &str, status: TaskStatus) -> Task {
        let mut task =
            Task { last_status: status, cluster: "shop".into(), cluster_arn: "arn:shop".into(), ..Task::default() };
        task.set_group(service);
        task
    }

    fn service(name: &str, names: &[(&str, bool)]) -> Arc<Service> {
        let names = names.iter().map(|&(name, has_tls)| DiscoveryName { name: name.into(), has_tls });
        Arc::new(Service {
            name: name.into(),
            cluster: "shop".into(),
            discovery_names: names.collect(),
            ..Service::default()
        })
    }

    #[test]
    fn services_with_any_source_are_not_read() {
        let tasks = [
            (task("service:cart", TaskStatus::Running), false),
            (task("service:cart", TaskStatus::Running), false),
            (task("service:web", TaskStatus::Running), false),
            (task("service:web", TaskStatus::Running), true),
            (task("service:new", TaskStatus::Provisioning), false),
            (task("family:job", TaskStatus::Running), false),
            (Task { started_at_ms: Some(1), ..task("service:ended", TaskStatus::Stopped) }, false),
        ];
        let services = ran_services(tasks.iter().map(|(task, has_source)| (task, *has_source)));
        let names: Vec<_> = without_source(&services).map(|read| read.scope.service.to_string()).collect();
        assert_eq!(names, ["cart", "ended"]);
    }

    #[test]
    fn discovery_names_are_read_for_services_and_once_alone() {
        let tasks = ["service:cart", "service:web", "service:api"].map(|group| task(group, TaskStatus::Running));
        let ran = ran_services(tasks.iter().map(|task| (task, true)));
        let described = [
            service("cart", &[("http", false), ("grpc", false)]),
            service("web", &[("http", true)]),
            service("idle", &[("idle", false)]),
        ];
        let found = discovery_scopes(&ran, &described);
        assert_eq!((found.discovery_names, found.skipped), (3, 0), "api is not described, and idle runs no task");
        let text = |read: &ReadScope| {
            let MetricScope { dimensions, cluster, service, discovery_name, .. } = &*read.scope;
            format!("{dimensions:?} {cluster} {service} {discovery_name} {}", read.has_tls)
        };
        let expected = [
            "DiscoveryName shop cart http false",
            "DiscoveryName shop cart grpc false",
            "DiscoveryName shop web http true",
            "TargetDiscoveryName   grpc false",
            "TargetDiscoveryName   http true",
        ];
        assert_eq!(found.scopes.iter().map(text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn discovery_names_above_the_limit_are_counted() {
        let tasks = [task("service:cart", TaskStatus::Running), task("service:web", TaskStatus::Running)];
        let ran = ran_services(tasks.iter().map(|task| (task, false)));
        let texts: Vec<String> = (0..MAX_DISCOVERY_NAMES).map(|number| format!("name-{number}")).collect();
        let names: Vec<(&str, bool)> = texts.iter().map(|name| (name.as_str(), false)).collect();
        let found = discovery_scopes(&ran, &[service("cart", &names), service("web", &[("web", false)])]);
        assert_eq!((found.discovery_names, found.skipped), (MAX_DISCOVERY_NAMES, 1));
        assert_eq!(found.scopes.len(), 2 * MAX_DISCOVERY_NAMES);
    }
}
