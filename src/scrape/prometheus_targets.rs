//! Prometheus endpoints of tasks: the pages that rules of a setting and docker labels of their containers declare.
//!
//! Two ways of labelling are known, since both are in use: the labels that the ADOT collector's ECS observer and the
//! CloudWatch agent look for, and the `prometheus.io/*` annotations, as labels. Where several name the same port and
//! path, the page is scraped once.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::stats_targets::{TargetError, allowed_address, declared_path, declared_port, is_scrapable, reachable_port};
use crate::model::task::{Task, TaskContainer};
use crate::rules::scrape_rule::ScrapeRule;

/// opentelemetry-collector-contrib, `extension/observer/ecsobserver`; CloudWatch agent, `docker_label` discovery.
const EXPORTER_PORT: &str = "ECS_PROMETHEUS_EXPORTER_PORT";
const METRICS_PATH: &str = "ECS_PROMETHEUS_METRICS_PATH";
const JOB_NAME: &str = "ECS_PROMETHEUS_JOB_NAME";

/// Prometheus' documentation of Kubernetes, which ECS users took over.
const SCRAPE: &str = "prometheus.io/scrape";
const PORT: &str = "prometheus.io/port";
const PATH: &str = "prometheus.io/path";

/// Where a page is when no label says so.
const DEFAULT_PATH: &str = "/metrics";

/// A page of metrics inside a task.
#[derive(Clone, Debug)]
pub struct PrometheusTarget {
    pub task: Arc<Task>,
    /// Index into the containers of the task.
    pub container: usize,
    pub address: SocketAddr,
    /// Starts with `/`.
    pub path: String,
    /// The label says it, or the service, or the family.
    pub job: String,
}

impl PrometheusTarget {
    pub fn container(&self) -> Option<&TaskContainer> {
        self.task.containers.get(self.container)
    }
}

/// The pages of a task; none when it has none or cannot answer yet.
pub fn prometheus_targets(
    task: &Arc<Task>,
    rules: &[ScrapeRule],
    ranges: &[IpNet],
) -> Vec<Result<PrometheusTarget, TargetError>> {
    if is_scrapable(task) { declared_endpoints(task, rules, ranges) } else { Vec::new() }
}

/// The pages that a task has or, when it has stopped, had. The first to name a page is the one that counts: rules in their
/// order, then labels.
pub fn declared_endpoints(
    task: &Arc<Task>,
    rules: &[ScrapeRule],
    ranges: &[IpNet],
) -> Vec<Result<PrometheusTarget, TargetError>> {
    let mut targets = Vec::new();
    let by_rule = rules.iter().filter(|rule| rule.matches(task)).flat_map(|rule| match_rule(task, rule)).map(Ok);
    let labelled = task.containers.iter().enumerate();
    let by_label = labelled
        .flat_map(|(index, container)| labels(container).map(move |by| match_docker_label(index, container, by)));
    for page in by_rule.chain(by_label) {
        match page.and_then(|page| Ok((target(task, &page, ranges)?, page))) {
            Ok((target, page)) => merge_target(&mut targets, target, &page),
            Err(dropped) => targets.push(Err(dropped)),
        }
    }
    targets
}

/// Adds a page, unless it is known; that another container has claimed it is an error of the task definition.
fn merge_target(
    targets: &mut Vec<Result<PrometheusTarget, TargetError>>,
    new: PrometheusTarget,
    page: &DeclaredEndpoint,
) {
    let is_same = |known: &&PrometheusTarget| (known.address, &known.path) == (new.address, &new.path);
    let Some(known) = targets.iter().flatten().find(is_same) else {
        targets.push(Ok(new));
        return;
    };
    if known.container != new.container {
        let name = |target: &PrometheusTarget| {
            target.container().map_or_else(String::new, |container| container.name.to_string())
        };
        let (first, container) = (name(known), name(&new));
        targets.push(Err(TargetError::DuplicateEndpoint { container, first, port: page.port, path: new.path }));
    }
}

/// A page as a rule or a label declares it.
struct DeclaredEndpoint {
    container: usize,
    /// Of the container.
    port: u16,
    path: Option<String>,
    job: Option<String>,
}

fn match_rule(task: &Task, rule: &ScrapeRule) -> Vec<DeclaredEndpoint> {
    let pages = |&port: &u16| {
        let page =
            move |container| DeclaredEndpoint { container, port, path: rule.path.clone(), job: rule.job.clone() };
        rule.containers(task, port).into_iter().map(page)
    };
    rule.ports.iter().flat_map(pages).collect()
}

/// The labels, of port and path, under which a container declares pages.
fn labels(container: &TaskContainer) -> impl Iterator<Item = (&'static str, &'static str)> {
    let observer = container.docker_label(EXPORTER_PORT).map(|_| (EXPORTER_PORT, METRICS_PATH));
    let is_annotated = container.docker_label(SCRAPE).is_some_and(|value| value.trim() == "true");
    observer.into_iter().chain(is_annotated.then_some((PORT, PATH)))
}

fn match_docker_label(
    index: usize,
    container: &TaskContainer,
    (port, path): (&'static str, &'static str),
) -> Result<DeclaredEndpoint, TargetError> {
    let job = container.docker_label(JOB_NAME).filter(|job| !job.is_empty()).map(str::to_owned);
    let (port, path) = (declared_port(container, port)?, declared_path(container, path)?);
    Ok(DeclaredEndpoint { container: index, port, path: Some(path).filter(|path| !path.is_empty()), job })
}

fn target(task: &Arc<Task>, page: &DeclaredEndpoint, ranges: &[IpNet]) -> Result<PrometheusTarget, TargetError> {
    let address = allowed_address(task, ranges)?;
    let port = match task.containers.get(page.container) {
        Some(container) => reachable_port(task, container, page.port)?,
        None => page.port,
    };
    Ok(PrometheusTarget {
        task: Arc::clone(task),
        container: page.container,
        address: SocketAddr::new(address, port),
        path: page.path.clone().unwrap_or_else(|| DEFAULT_PATH.into()),
        job: page.job.as_deref().or(task.service.as_deref()).unwrap_or(&task.family).to_owned(),
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
        let shown = |target: PrometheusTarget| format!("{} {}{}", target.job, target.address, target.path);
        let rules = ScrapeRule::parse_all(rules).unwrap();
        prometheus_targets(&Arc::new(task), &rules, &["10.0.0.0/8".parse().unwrap()])
            .into_iter()
            .map(|target| target.map(shown).map_err(|dropped| dropped.to_string()))
            .collect()
    }

    #[test]
    fn pages_are_found_by_either_way_of_declaring_them() {
        for (labels, expected) in [
            (&[&[(EXPORTER_PORT, "9404")][..]][..], vec!["cart 10.2.3.4:9404/metrics"]),
            (&[&[(EXPORTER_PORT, "9404"), (METRICS_PATH, "/m"), (JOB_NAME, "java")]], vec!["java 10.2.3.4:9404/m"]),
            (&[&[(SCRAPE, "true"), (PORT, "8080"), (PATH, "/prom")]], vec!["cart 10.2.3.4:8080/prom"]),
            (&[&[(SCRAPE, "false"), (PORT, "8080")]], vec![]),
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
            let found: Vec<_> = targets(labels).into_iter().map(Result::unwrap).collect();
            assert_eq!(found, expected, "{labels:?}");
        }
    }

    #[test]
    fn one_wrong_label_costs_no_other_container() {
        let found = targets(&[&[(EXPORTER_PORT, "abc")], &[(SCRAPE, "true"), (PORT, "8080")]]);
        assert!(found[0].as_ref().unwrap_err().contains("ECS_PROMETHEUS_EXPORTER_PORT of container a is `abc`"));
        assert_eq!(found[1].as_deref(), Ok("cart 10.2.3.4:8080/metrics"));
        let found = targets(&[&[(SCRAPE, "true")]]);
        assert!(found[0].as_ref().unwrap_err().contains("prometheus.io/port of container a is ``"));
    }

    #[test]
    fn a_rule_needs_no_label_and_comes_before_them() {
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
        assert_eq!(two.len(), 2, "another path is another page: {two:?}");
    }

    #[test]
    fn ports_of_the_host_are_asked_under_bridge_networking() {
        let found = targets_of("bridge", "", &[&[(EXPORTER_PORT, "9404")], &[(EXPORTER_PORT, "9999")]]);
        assert_eq!(found[0].as_deref(), Ok("cart 10.2.3.4:32781/metrics"));
        assert!(found[1].as_ref().unwrap_err().contains("port 9999 of container b is not bound"), "{found:?}");
    }

    #[test]
    fn two_containers_that_claim_one_page_are_named() {
        let found = targets(&[&[(EXPORTER_PORT, "9404")], &[(EXPORTER_PORT, "9404")]]);
        assert_eq!(found[0].as_deref(), Ok("cart 10.2.3.4:9404/metrics"));
        let expected = "container b claims port 9404 with the path /metrics, as container a does";
        assert_eq!(found[1].as_ref().unwrap_err(), expected);
    }
}
