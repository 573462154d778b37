//! Services: ListServices every five minutes, and DescribeServices for up to ten services per call.
//!
//! The services of a cluster are the listed ones, those in the groups of its tasks, and those that were described before: a
//! service that ECS no longer lists is described once more, to learn that it is gone. If there are many services, each run
//! describes a part of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::ecs_client::{DiscoveryError, Listed};
use super::{CLUSTER_CONCURRENCY, Discovery, Observed, describe};
use crate::deadline::Deadline;
use crate::model::arn::cluster_name;
use crate::model::cache::{Cache, NO_TTL};
use crate::model::ecs::ServiceStatus;
use crate::model::service::{Service, service_name};
use crate::model::task::Task;
use crate::work_budget::MemoryLimit;

/// A new service without tasks is seen after this time. One with tasks is seen at once.
const LISTING_TTL_MS: i64 = 300_000;

/// Memory for the names of some ten thousand services.
const MAX_LISTING_BYTES: usize = 2 << 20;

/// Memory for some thousand services. Those that do not fit have no staleness markers.
const MAX_BYTES: usize = 4 << 20;

/// Maximum of ListServices; its default is 10 (Amazon ECS API Reference).
const SERVICES_PER_LIST: i32 = 100;

/// Maximum of DescribeServices (Amazon ECS API Reference).
const SERVICES_PER_CALL: usize = 10;

/// Services that each run describes, with 20 calls. If there are more, each run describes a part.
const SERVICES_PER_RUN: usize = 200;

/// Runs that describe all services together. PromQL looks back five minutes, so that four runs leave no gap.
const MAX_PARTS: u64 = 4;

/// Service names by short name of the cluster.
type Names = BTreeMap<Arc<str>, BTreeSet<Arc<str>>>;

/// Listed and described services.
#[derive(Debug)]
pub(super) struct ServiceCache {
    listings: Cache<Arc<str>, Arc<[Arc<str>]>>,
    /// By `<cluster>/<service>`.
    described: Cache<Arc<str>, Arc<Service>>,
}

/// Services to describe.
#[derive(Debug)]
pub struct ServiceQuery<'a> {
    /// Names or ARNs of all selected clusters.
    pub clusters: &'a [String],
    /// Whether `clusters` are all of them. Otherwise the services of other clusters may still exist.
    pub is_complete: bool,
    pub tasks: &'a [Arc<Task>],
    /// Scheduled minute, which selects a part of many services. `None` for all of them.
    pub minute: Option<i64>,
}

/// Described services, and services that no longer exist.
#[derive(Debug, Default)]
pub struct ServiceStates {
    pub services: Vec<Observed<Service>>,
    pub failures: Vec<DiscoveryError>,
    /// Number of all services, including those that another run describes.
    pub known: usize,
}

impl ServiceCache {
    pub(super) fn new(memory: MemoryLimit) -> Self {
        let weigh_names = |cluster: &Arc<str>, names: &Arc<[Arc<str>]>| {
            cluster.len() + names.iter().map(|name| size_of::<Arc<str>>() + name.len() + 16).sum::<usize>()
        };
        Self {
            listings: Cache::new(LISTING_TTL_MS, MAX_LISTING_BYTES, weigh_names),
            described: Cache::new(NO_TTL, memory.cache_bytes(MAX_BYTES), |key, service| key.len() + service.size()),
        }
    }
}

impl Discovery {
    /// Describes the services of the clusters. A failed call affects only its own services.
    pub async fn describe_services(&self, query: &ServiceQuery<'_>, deadline: &Deadline) -> ServiceStates {
        let mut states = ServiceStates::default();
        let mut names = names_in_groups(query.tasks);
        let selected: BTreeSet<&str> = query.clusters.iter().map(|cluster| cluster_name(cluster)).collect();
        names.retain(|cluster, _| selected.contains(&**cluster));
        self.list_services(query, &mut names, &mut states, deadline).await;
        for service in self.services.described.values(deadline.now_ms()) {
            if selected.contains(&*service.cluster) {
                names.entry(Arc::clone(&service.cluster)).or_default().insert(Arc::clone(&service.name));
            } else if query.is_complete {
                states.services.extend(self.services.remove(&service.cluster, &service.name));
            }
        }
        states.known = names.values().map(BTreeSet::len).sum();
        let batches = batches(&names, query.minute);
        let mut results = stream::iter(&batches)
            .map(|batch| async move { (batch, self.describe_service_batch(batch, deadline).await) })
            .buffer_unordered(CLUSTER_CONCURRENCY);
        while let Some((batch, result)) = results.next().await {
            match result {
                Ok(described) => states.services.extend(described),
                Err(error) if error.is_cluster_not_found() => {
                    let gone = batch.services.iter().filter_map(|name| self.services.remove(&batch.cluster, name));
                    states.services.extend(gone);
                }
                Err(error) => states.failures.push(error),
            }
        }
        states
    }

    /// Returns the services that were described last.
    pub fn cached_services(&self, deadline: &Deadline) -> Vec<Arc<Service>> {
        self.services.described.values(deadline.now_ms())
    }

    /// Adds the listed services. If a cluster cannot be listed, its previous list is used.
    async fn list_services(
        &self,
        query: &ServiceQuery<'_>,
        names: &mut Names,
        states: &mut ServiceStates,
        deadline: &Deadline,
    ) {
        let mut lists = stream::iter(query.clusters)
            .map(|cluster| async move { (cluster, self.list_services_of(cluster, deadline).await) })
            .buffer_unordered(CLUSTER_CONCURRENCY);
        while let Some((cluster, Listed { items, error })) = lists.next().await {
            states.failures.extend(error.filter(|error| !error.is_cluster_not_found()));
            if !items.is_empty() {
                names.entry(cluster_name(cluster).into()).or_default().extend(items);
            }
        }
    }

    async fn list_services_of(&self, cluster: &str, deadline: &Deadline) -> Listed<Arc<str>> {
        let key = cluster_name(cluster);
        if let Some(names) = self.services.listings.get(key, deadline.now_ms()) {
            return Listed { items: names.to_vec(), error: None };
        }
        let (mut items, mut token) = (Vec::new(), None);
        loop {
            let request = self.api.client.list_services().cluster(cluster).max_results(SERVICES_PER_LIST);
            let request = request.set_next_token(token).send();
            let output = match self.api.call("ListServices", cluster, deadline, request).await {
                Ok(output) => output,
                Err(error) => {
                    let before = self.services.listings.get_stale(key);
                    items.extend(before.iter().flat_map(|names| names.iter().cloned()));
                    return Listed { items, error: Some(error) };
                }
            };
            items.extend(output.service_arns().iter().map(|arn| service_name(arn).into()));
            token = output.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                break;
            }
        }
        self.services.listings.insert_all([(key.into(), items.as_slice().into())], deadline.now_ms());
        Listed { items, error: None }
    }

    async fn describe_service_batch(
        &self,
        batch: &ServiceBatch,
        deadline: &Deadline,
    ) -> Result<Vec<Observed<Service>>, DiscoveryError> {
        let ServiceBatch { cluster, services } = batch;
        let names = services.iter().map(ToString::to_string).collect();
        let request = self.api.client.describe_services().cluster(&**cluster).set_services(Some(names)).send();
        let output = self.api.call("DescribeServices", cluster, deadline, request).await?;
        let tags = self.cached_cluster(cluster).map(|cluster| Arc::clone(&cluster.tags)).unwrap_or_default();
        let described = output.services().iter().filter_map(|service| describe::service(service, cluster));
        let mut observed: Vec<_> = described
            .filter_map(|mut service| {
                service.cluster_tags = Arc::clone(&tags);
                self.services.replace(service, deadline.now_ms())
            })
            .collect();
        let missing = output.failures().iter().filter(|failure| failure.reason() == Some("MISSING"));
        let missing = missing.filter_map(|failure| failure.arn().map(service_name));
        observed.extend(missing.filter_map(|name| self.services.remove(cluster, name)));
        Ok(observed)
    }
}

impl ServiceCache {
    /// Stores a description, and returns it with the previous one. Returns `None` if nothing is known about an inactive service.
    fn replace(&self, service: Service, now_ms: i64) -> Option<Observed<Service>> {
        if service.status == ServiceStatus::Inactive {
            return self.remove(&service.cluster, &service.name);
        }
        let (key, service) = (key(&service.cluster, &service.name), Arc::new(service));
        let before = self.described.get(&key, now_ms);
        self.described.insert(key, Arc::clone(&service), now_ms);
        Some(Observed { before, now: Some(service) })
    }

    fn remove(&self, cluster: &str, name: &str) -> Option<Observed<Service>> {
        let key = key(cluster, name);
        let before = self.described.get_stale(&key)?;
        self.described.retain(|other, _| **other != *key);
        Some(Observed { before: Some(before), now: None })
    }
}

fn key(cluster: &str, name: &str) -> Arc<str> {
    format!("{cluster}/{name}").into()
}

fn names_in_groups(tasks: &[Arc<Task>]) -> Names {
    let mut names = Names::new();
    for task in tasks {
        let Some(service) = &task.service else { continue };
        if !names.get(&task.cluster).is_some_and(|services| services.contains(service)) {
            names.entry(Arc::clone(&task.cluster)).or_default().insert(Arc::clone(service));
        }
    }
    names
}

/// Services of one DescribeServices call.
#[derive(Debug)]
struct ServiceBatch {
    /// Short name.
    cluster: Arc<str>,
    services: Vec<Arc<str>>,
}

/// Returns the services that the run of this minute describes.
fn batches(names: &Names, minute: Option<i64>) -> Vec<ServiceBatch> {
    let services: usize = names.values().map(BTreeSet::len).sum();
    let parts = minute.map_or(1, |_| (services.div_ceil(SERVICES_PER_RUN) as u64).clamp(1, MAX_PARTS));
    let minute = minute.unwrap_or_default();
    let part = minute.rem_euclid(parts.cast_signed()).cast_unsigned();
    let batches = names.iter().flat_map(|(cluster, services)| {
        let due = services.iter().filter(|name| parts == 1 || hash(cluster, name) % parts == part);
        let due: Vec<Arc<str>> = due.cloned().collect();
        let chunks = due.chunks(SERVICES_PER_CALL);
        let batch = |services: &[Arc<str>]| ServiceBatch { cluster: Arc::clone(cluster), services: services.to_vec() };
        chunks.map(batch).collect::<Vec<_>>()
    });
    batches.collect()
}

/// Returns a hash that does not depend on the environment or on other services (FNV-1a), so that each run selects its part alone.
fn hash(cluster: &str, service: &str) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = cluster.bytes().chain([b'/']).chain(service.bytes());
    let hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    // The low bits of the product alone depend on few bits of each byte.
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(services: usize) -> Names {
        let services = (0..services).map(|number| format!("service-{number}").into()).collect();
        Names::from([("shop".into(), services)])
    }

    #[test]
    fn each_service_is_described_at_least_every_four_minutes() {
        for (services, minutes, max_calls) in
            [(5, 1, 1), (100, 1, 10), (200, 1, 20), (201, 2, 12), (500, 3, 19), (1_000, 4, 28), (5_000, 4, 130)]
        {
            let names = names(services);
            let runs: Vec<_> = (0..minutes).map(|minute| batches(&names, Some(minute + 29_545_000))).collect();
            let described: BTreeSet<_> = runs.iter().flatten().flat_map(|batch| &batch.services).collect();
            assert_eq!(described.len(), services);
            let total: usize = runs.iter().flatten().map(|batch| batch.services.len()).sum();
            assert_eq!(total, services, "once in {minutes} minutes");
            let calls = runs.iter().map(Vec::len).max();
            assert!(calls <= Some(max_calls), "{services} services: {calls:?} calls");
            assert!(runs.iter().flatten().all(|batch| batch.services.len() <= SERVICES_PER_CALL));
        }
    }

    #[test]
    fn inactive_service_is_reported_once() {
        let cache = ServiceCache::new(MemoryLimit::unlimited());
        let service = |status: &str| Service {
            status: status.into(),
            ..Service::from_arn("arn:aws:ecs:eu-west-1:111122223333:service/shop/cart", "shop")
        };
        assert!(cache.replace(service("INACTIVE"), 0).is_none());
        let first = cache.replace(service("ACTIVE"), 0).expect("described");
        assert!(first.before.is_none() && first.now.is_some());
        let second = cache.replace(service("DRAINING"), 0).expect("described");
        assert_eq!(second.before, first.now);
        let last = cache.replace(service("INACTIVE"), 0).expect("it was known");
        assert_eq!((last.before, last.now), (second.now, None));
        assert!(cache.remove("shop", "cart").is_none());
    }
}
