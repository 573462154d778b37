//! Prometheus targets of tasks, declared by scrape rules of a setting or by docker labels of containers. Makes no
//! requests.
//!
//! Two sets of docker labels are supported, because both are in use: the labels of the ECS observer of the ADOT
//! collector and of the CloudWatch agent, and labels with the names of the `prometheus.io/*` annotations. An endpoint
//! that is declared several times is scraped once.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::stats_targets::{TargetError, allowed_address, declared_path, declared_port, is_scrapable, reachable_port};
use crate::model::masked::masked_url;
use crate::model::reserved::RESERVED_JOBS;
use crate::model::task::{Task, TaskContainer, is_plain_path_and_query};
use crate::rules::relabel::RelabelConfigs;
use crate::rules::scrape_rule::ScrapeRule;

/// opentelemetry-collector-contrib, `extension/observer/ecsobserver`; CloudWatch agent, `docker_label` discovery.
const EXPORTER_PORT: &str = "ECS_PROMETHEUS_EXPORTER_PORT";
const METRICS_PATH: &str = "ECS_PROMETHEUS_METRICS_PATH";
const JOB_NAME: &str = "ECS_PROMETHEUS_JOB_NAME";

/// Annotations in the Kubernetes examples of Prometheus, which are also used as docker labels on ECS.
const SCRAPE: &str = "prometheus.io/scrape";
const PORT: &str = "prometheus.io/port";
const PATH: &str = "prometheus.io/path";

/// Also beside the labels of the observer, which has none for it.
const SCHEME: &str = "prometheus.io/scheme";

/// Path without a label or rule for it.
const DEFAULT_PATH: &str = "/metrics";

/// Protocol of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    #[default]
    Http,
    Https,
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A Prometheus endpoint in a task.
#[derive(Clone, Debug)]
pub struct PrometheusTarget {
    pub task: Arc<Task>,
    /// Index into the containers of the task.
    pub container: usize,
    pub scheme: Scheme,
    pub address: SocketAddr,
    /// Starts with `/`, and may have a query.
    pub path: String,
    /// From the rule or label, or else the name of the service or the family.
    pub job: String,
    /// Rules for its samples, from the rule.
    pub relabel: Arc<RelabelConfigs>,
}

impl PrometheusTarget {
    pub fn container(&self) -> Option<&TaskContainer> {
        self.task.containers.get(self.container)
    }

    /// Returns the URL of the endpoint.
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme.as_str(), self.address, self.path)
    }
}

/// Returns the targets of a task; none if it declares none or is not scrapable. If an endpoint is declared several times, the
/// first declaration counts: rules in their order, then labels. What a container that has stopped declares does not count, so
/// that it does not hide the same endpoint of a running one.
pub fn prometheus_targets(
    task: &Arc<Task>,
    rules: &[ScrapeRule],
    ranges: &[IpNet],
) -> Vec<Result<PrometheusTarget, TargetError>> {
    let mut targets = Vec::new();
    if !is_scrapable(task) {
        return targets;
    }
    for endpoint in declarations(task, rules, |container| !container.has_stopped()) {
        match endpoint.and_then(|endpoint| Ok((target(task, &endpoint, ranges)?, endpoint))) {
            Ok((target, endpoint)) => merge_target(&mut targets, target, endpoint.port),
            Err(error) => targets.push(Err(error)),
        }
    }
    targets
}

/// Returns the endpoints that a task declares, whatever the status of the task and its containers. If several containers declare
/// one endpoint, each is returned: any of them may be the one that was scraped.
pub fn declared_endpoints(task: &Arc<Task>, rules: &[ScrapeRule], ranges: &[IpNet]) -> Vec<PrometheusTarget> {
    let mut endpoints: Vec<PrometheusTarget> = Vec::new();
    for new in declarations(task, rules, |_| true).flatten().filter_map(|it| target(task, &it, ranges).ok()) {
        let is_same =
            |it: &PrometheusTarget| (it.container, it.address, &it.path) == (new.container, new.address, &new.path);
        if !endpoints.iter().any(is_same) {
            endpoints.push(new);
        }
    }
    endpoints
}

/// Returns what rules and labels declare for the containers that `is_considered` selects.
fn declarations<'a>(
    task: &'a Task,
    rules: &'a [ScrapeRule],
    is_considered: fn(&TaskContainer) -> bool,
) -> impl Iterator<Item = Result<DeclaredEndpoint, TargetError>> + 'a {
    let is_selected =
        move |endpoint: &DeclaredEndpoint| task.containers.get(endpoint.container).is_some_and(is_considered);
    let by_rule = rules.iter().filter(|rule| rule.matches(task)).flat_map(|rule| match_rule(task, rule));
    let containers = task.containers.iter().enumerate().filter(move |(_, container)| is_considered(container));
    let by_label = containers.flat_map(|(index, container)| {
        label_names(container).map(move |names| match_docker_label(index, container, names))
    });
    by_rule.filter(is_selected).map(Ok).chain(by_label)
}

/// Adds a target, unless it is in the list. If another container declares the same one, the task definition is wrong.
fn merge_target(targets: &mut Vec<Result<PrometheusTarget, TargetError>>, new: PrometheusTarget, container_port: u16) {
    let is_same = |target: &&PrometheusTarget| (target.address, &target.path) == (new.address, &new.path);
    let Some(existing) = targets.iter().flatten().find(is_same) else {
        targets.push(Ok(new));
        return;
    };
    if existing.container != new.container {
        let name = |target: &PrometheusTarget| {
            target.container().map_or_else(String::new, |container| container.name.to_string())
        };
        let (first, container) = (name(existing), name(&new));
        let path = masked_url(&new.path);
        targets.push(Err(TargetError::DuplicateEndpoint { container, first, port: container_port, path }));
    }
}

/// An endpoint declared by a rule or by labels.
struct DeclaredEndpoint {
    /// Index into the containers of the task.
    container: usize,
    /// Container port.
    port: u16,
    path: Option<String>,
    scheme: Scheme,
    job: Option<String>,
    relabel: Arc<RelabelConfigs>,
}

fn match_rule(task: &Task, rule: &ScrapeRule) -> Vec<DeclaredEndpoint> {
    let endpoints = |&port: &u16| {
        let endpoint = move |container| DeclaredEndpoint {
            container,
            port,
            path: rule.path.clone(),
            scheme: if rule.is_https { Scheme::Https } else { Scheme::Http },
            job: rule.job.clone(),
            relabel: Arc::clone(&rule.relabel),
        };
        rule.containers(task, port).into_iter().map(endpoint)
    };
    rule.ports.iter().flat_map(endpoints).collect()
}

/// Names of the docker labels that declare one endpoint.
#[derive(Clone, Copy)]
struct LabelNames {
    port: &'static str,
    path: &'static str,
}

/// Returns the sets of labels with which a container declares endpoints.
fn label_names(container: &TaskContainer) -> impl Iterator<Item = LabelNames> {
    const OBSERVER: LabelNames = LabelNames { port: EXPORTER_PORT, path: METRICS_PATH };
    const ANNOTATIONS: LabelNames = LabelNames { port: PORT, path: PATH };
    let has_observer_labels = container.docker_label(EXPORTER_PORT).is_some();
    let is_annotated = container.docker_label(SCRAPE).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
    has_observer_labels.then_some(OBSERVER).into_iter().chain(is_annotated.then_some(ANNOTATIONS))
}

fn match_docker_label(
    index: usize,
    container: &TaskContainer,
    names: LabelNames,
) -> Result<DeclaredEndpoint, TargetError> {
    let job = container.docker_label(JOB_NAME).filter(|job| !job.is_empty()).map(str::to_owned);
    let port = declared_port(container, names.port)?;
    let path = declared_path(container, names.path, is_plain_path_and_query)?;
    let scheme = declared_scheme(container)?;
    let path = Some(path).filter(|path| !path.is_empty());
    Ok(DeclaredEndpoint { container: index, port, path, scheme, job, relabel: Arc::default() })
}

fn declared_scheme(container: &TaskContainer) -> Result<Scheme, TargetError> {
    let value = container.docker_label(SCHEME).unwrap_or_default().trim();
    match value.to_ascii_lowercase().as_str() {
        "" | "http" => Ok(Scheme::Http),
        "https" => Ok(Scheme::Https),
        _ => Err(TargetError::invalid_scheme(SCHEME, container, value)),
    }
}

fn target(task: &Arc<Task>, endpoint: &DeclaredEndpoint, ranges: &[IpNet]) -> Result<PrometheusTarget, TargetError> {
    let address = allowed_address(task, ranges)?;
    let port = match task.containers.get(endpoint.container) {
        Some(container) => reachable_port(task, container, endpoint.port)?,
        None => endpoint.port,
    };
    let job = endpoint.job.as_deref().or(task.service.as_deref()).unwrap_or(&task.family);
    if RESERVED_JOBS.contains(&job) {
        let container = task.containers.get(endpoint.container).map_or_else(String::new, |it| it.name.to_string());
        return Err(TargetError::ReservedJob { container, job: job.to_owned() });
    }
    Ok(PrometheusTarget {
        task: Arc::clone(task),
        container: endpoint.container,
        scheme: endpoint.scheme,
        address: SocketAddr::new(address, port),
        path: endpoint.path.clone().unwrap_or_else(|| DEFAULT_PATH.into()),
        job: job.to_owned(),
        relabel: Arc::clone(&endpoint.relabel),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::task::NetworkBinding;

    fn targets(labels: &[&[(&str, &str)]]) -> Vec<Result<String, String>> {
        targets_of("awsvpc", "", labels)
    }

    fn targets_of(network_mode: &str, rules: &str, labels: &[&[(&str, &str)]]) -> Vec<Result<String, String>> {
        let container = |(labels, name): (&&[(&str, &str)], _)| TaskContainer {
            name: String::from(name).into(),
            docker_labels: labels.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
            network_bindings: vec![NetworkBinding { container_port: 9404, host_port: 32_781, protocol: "tcp".into() }],
            ..TaskContainer::default()
        };
        let mut task = Task {
            last_status: "RUNNING".into(),
            network_mode: network_mode.into(),
            address: Some("10.2.3.4".parse().unwrap()),
            containers: labels.iter().zip(['a', 'b', 'c']).map(container).collect(),
            ..Task::default()
        };
        task.set_group("service:cart");
        let shown = |target: PrometheusTarget| {
            let url = target.url();
            format!("{} {}", target.job, url.strip_prefix("http://").unwrap_or(&url))
        };
        let rules = ScrapeRule::parse_all(rules).unwrap();
        prometheus_targets(&Arc::new(task), &rules, &["10.0.0.0/8".parse().unwrap()])
            .into_iter()
            .map(|target| target.map(shown).map_err(|error| error.to_string()))
            .collect()
    }

    #[test]
    fn both_sets_of_labels_declare_targets() {
        for (labels, expected) in [
            (&[&[(EXPORTER_PORT, "9404")][..]][..], vec!["cart 10.2.3.4:9404/metrics"]),
            (&[&[(EXPORTER_PORT, "9404"), (METRICS_PATH, "/m"), (JOB_NAME, "java")]], vec!["java 10.2.3.4:9404/m"]),
            (&[&[(SCRAPE, "true"), (PORT, "8080"), (PATH, "/prom")]], vec!["cart 10.2.3.4:8080/prom"]),
            (&[&[(SCRAPE, "True"), (PORT, "8080")]], vec!["cart 10.2.3.4:8080/metrics"]),
            (&[&[(SCRAPE, " TRUE "), (PORT, "8080")]], vec!["cart 10.2.3.4:8080/metrics"]),
            (
                &[&[(SCRAPE, "true"), (PORT, "8443"), (SCHEME, "https"), (PATH, "/m?format=prometheus&name[]=a")]],
                vec!["cart https://10.2.3.4:8443/m?format=prometheus&name[]=a"],
            ),
            (&[&[(EXPORTER_PORT, "9404"), (SCHEME, "HTTPS")]], vec!["cart https://10.2.3.4:9404/metrics"]),
            (&[&[(EXPORTER_PORT, "9404"), (SCHEME, "http"), (METRICS_PATH, "/m?")]], vec!["cart 10.2.3.4:9404/m?"]),
            (&[&[(SCRAPE, "false"), (PORT, "8080")]], vec![]),
            (&[&[(SCRAPE, "1"), (PORT, "8080")]], vec![]),
            (&[&[(PORT, "8080")]], vec![]),
            (&[&[(EXPORTER_PORT, "9404"), (SCRAPE, "true"), (PORT, "9404")]], vec!["cart 10.2.3.4:9404/metrics"]),
            (
                &[&[(EXPORTER_PORT, "9404")], &[(EXPORTER_PORT, "9405")]],
                vec!["cart 10.2.3.4:9404/metrics", "cart 10.2.3.4:9405/metrics"],
            ),
            (&[&[(EXPORTER_PORT, "9404"), (METRICS_PATH, "/")]], vec!["cart 10.2.3.4:9404/"]),
            (&[&[(EXPORTER_PORT, "9404"), (METRICS_PATH, "/m/")]], vec!["cart 10.2.3.4:9404/m/"]),
            (&[&[]], vec![]),
        ] {
            let targets: Vec<_> = targets(labels).into_iter().map(Result::unwrap).collect();
            assert_eq!(targets, expected, "{labels:?}");
        }
    }

    #[test]
    fn container_that_has_stopped_is_not_scraped() {
        let container = |name: &str, status: &str, port: &str| TaskContainer {
            name: name.into(),
            last_status: status.into(),
            docker_labels: vec![(EXPORTER_PORT.into(), port.into())],
            ..TaskContainer::default()
        };
        let task = Arc::new(Task {
            last_status: "RUNNING".into(),
            network_mode: "awsvpc".into(),
            address: Some("10.2.3.4".parse().unwrap()),
            containers: vec![
                container("init", "STOPPED", "1"),
                container("app", "RUNNING", "2"),
                container("new", "PENDING", "3"),
                container("unknown", "", "4"),
                container("broken", "STOPPED", "x"),
            ],
            ..Task::default()
        });
        let ranges = ["10.0.0.0/8".parse().unwrap()];
        let scraped = |rules: &[ScrapeRule]| -> Vec<PrometheusTarget> {
            prometheus_targets(&task, rules, &ranges).into_iter().flatten().collect()
        };
        let ports = |targets: Vec<PrometheusTarget>| -> Vec<u16> {
            targets.into_iter().map(|target| target.address.port()).collect()
        };
        assert_eq!(ports(scraped(&[])), [2, 3, 4]);
        assert_eq!(ports(declared_endpoints(&task, &[], &ranges)), [1, 2, 3, 4], "its series end");
        let rules = ScrapeRule::parse_all("family=* port=9 container=init").unwrap();
        assert_eq!(ports(scraped(&rules)), [2, 3, 4]);
    }

    #[test]
    fn stopped_container_does_not_hide_a_running_one() {
        let container = |name: &str, status: &str, port: &str| TaskContainer {
            name: name.into(),
            last_status: status.into(),
            docker_labels: vec![(EXPORTER_PORT.into(), port.into())],
            ..TaskContainer::default()
        };
        let ranges = ["10.0.0.0/8".parse().unwrap()];
        let task = |statuses: [&str; 3]| {
            let ports = ["9404", "9404", "x"];
            let containers = ["init", "app", "broken"].into_iter().zip(statuses).zip(ports);
            Arc::new(Task {
                last_status: "RUNNING".into(),
                network_mode: "awsvpc".into(),
                address: Some("10.2.3.4".parse().unwrap()),
                containers: containers.map(|((name, status), port)| container(name, status, port)).collect(),
                ..Task::default()
            })
        };
        let name = |target: &PrometheusTarget| target.container().unwrap().name.to_string();
        for rules in ["", "family=* port=9404", "family=* port=9404 container=*"] {
            let rules = ScrapeRule::parse_all(rules).unwrap();
            let running = task(["STOPPED", "RUNNING", "STOPPED"]);
            let targets = prometheus_targets(&running, &rules, &ranges);
            let targets: Vec<_> = targets.iter().map(|target| target.as_ref().map(name)).collect();
            assert_eq!(
                targets,
                [Ok("app".into())],
                "{rules:?}: a stopped container is no duplicate, and has no errors"
            );
            let stopped = task(["STOPPED"; 3]);
            let ended: Vec<_> = declared_endpoints(&stopped, &rules, &ranges).iter().map(name).collect();
            assert!(ended.starts_with(&["init".into(), "app".into()]), "{rules:?}: {ended:?} may have been scraped");
        }
    }

    #[test]
    fn duplicate_is_named_without_its_query() {
        let label: &[(&str, &str)] = &[(EXPORTER_PORT, "9404"), (METRICS_PATH, "/m?token=secret")];
        let error = targets(&[label, label])[1].clone().unwrap_err();
        assert!(error.contains("path /m?...,") && !error.contains("secret"), "{error}");
        let invalid: &[(&str, &str)] = &[(EXPORTER_PORT, "9404"), (METRICS_PATH, "/m?token=secret#")];
        let error = targets(&[invalid])[0].clone().unwrap_err();
        assert!(error.contains("invalid path \"/m?...\"") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn invalid_scheme_or_query_is_an_error() {
        for (labels, expected) in [
            (
                [(EXPORTER_PORT, "1"), (SCHEME, "ftp")],
                "invalid scheme \"ftp\" in label prometheus.io/scheme of container a",
            ),
            ([(EXPORTER_PORT, "1"), (METRICS_PATH, "/m#x")], "invalid path \"/m#...\""),
            ([(EXPORTER_PORT, "1"), (METRICS_PATH, "/m?a=b c")], "invalid path"),
            ([(EXPORTER_PORT, "1"), (METRICS_PATH, "?a=b")], "invalid path"),
            ([(EXPORTER_PORT, "1"), (METRICS_PATH, "/@evil?a")], "invalid path"),
        ] {
            let error = targets(&[&labels])[0].clone().unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn invalid_label_affects_only_its_container() {
        let results = targets(&[&[(EXPORTER_PORT, "abc")], &[(SCRAPE, "true"), (PORT, "8080")]]);
        assert!(
            results[0]
                .as_ref()
                .unwrap_err()
                .contains("invalid port \"abc\" in label ECS_PROMETHEUS_EXPORTER_PORT of container a")
        );
        assert_eq!(results[1].as_deref(), Ok("cart 10.2.3.4:8080/metrics"));
        let results = targets(&[&[(SCRAPE, "true")]]);
        assert!(
            results[0].as_ref().unwrap_err().contains("invalid port \"\" in label prometheus.io/port of container a")
        );
    }

    #[test]
    fn rule_needs_no_label_and_precedes_labels() {
        let label: &[(&str, &str)] = &[(EXPORTER_PORT, "9404"), (JOB_NAME, "by-label")];
        for (mode, rules, expected) in [
            ("awsvpc", "service=cart port=9404 job=by-rule", "by-rule 10.2.3.4:9404/metrics"),
            ("awsvpc", "family=other port=9404 job=by-rule", "by-label 10.2.3.4:9404/metrics"),
            ("bridge", "service=cart port=9404", "cart 10.2.3.4:32781/metrics"),
            ("host", "service=cart port=9404", "cart 10.2.3.4:9404/metrics"),
            ("awsvpc", "service=cart port=9404; service=cart port=9404 job=second", "cart 10.2.3.4:9404/metrics"),
        ] {
            assert_eq!(targets_of(mode, rules, &[label]), [Ok(expected.to_owned())], "{mode} {rules}");
        }
        let two = targets_of("awsvpc", "service=cart port=9404 path=/other", &[label]);
        assert_eq!(two.len(), 2, "another path is another target: {two:?}");
    }

    #[test]
    fn bridge_mode_uses_the_host_port() {
        let results = targets_of("bridge", "", &[&[(EXPORTER_PORT, "9404")], &[(EXPORTER_PORT, "9999")]]);
        assert_eq!(results[0].as_deref(), Ok("cart 10.2.3.4:32781/metrics"));
        assert!(results[1].as_ref().unwrap_err().contains("port 9999 of container b is not bound"), "{results:?}");
    }

    #[test]
    fn reserved_job_is_an_error() {
        for job in RESERVED_JOBS {
            let error = targets(&[&[(EXPORTER_PORT, "9404"), (JOB_NAME, job)]])[0].clone().unwrap_err();
            assert!(error.contains("is reserved for series of the function"), "{error}");
            let error =
                targets_of("awsvpc", &format!("service=cart port=9404 job={job}"), &[&[]])[0].clone().unwrap_err();
            assert!(error.contains("is reserved for series of the function"), "{error}");
        }
    }

    #[test]
    fn two_containers_with_one_endpoint_are_an_error() {
        let results = targets(&[&[(EXPORTER_PORT, "9404")], &[(EXPORTER_PORT, "9404")]]);
        assert_eq!(results[0].as_deref(), Ok("cart 10.2.3.4:9404/metrics"));
        let expected = "container b declares port 9404 and path /metrics, which container a already declares";
        assert_eq!(results[1].as_ref().unwrap_err(), expected);
    }
}
