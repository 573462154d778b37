//! Prometheus endpoints of tasks: the pages that docker labels of their containers declare.
//!
//! Two ways of declaring are known, since both are in use: the labels that the ADOT collector's ECS observer and the
//! CloudWatch agent look for, and the `prometheus.io/*` annotations, as labels. Where both name the same port and path,
//! the page is scraped once.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::targets::{Dropped, allowed_address, can_answer, declared_path, declared_port, reachable_port};
use crate::model::target::{Task, TaskContainer};

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
pub struct PageTarget {
    pub task: Arc<Task>,
    /// Index into the containers of the task.
    pub container: usize,
    pub address: SocketAddr,
    /// Starts with `/`.
    pub path: String,
    /// The label says it, or the service, or the family.
    pub job: String,
}

impl PageTarget {
    pub fn container(&self) -> Option<&TaskContainer> {
        self.task.containers.get(self.container)
    }
}

/// The pages of a task; none when it declares none or cannot answer yet.
pub fn page_targets(task: &Arc<Task>, ranges: &[IpNet]) -> Vec<Result<PageTarget, Dropped>> {
    if !can_answer(task) {
        return Vec::new();
    }
    let mut targets: Vec<Result<PageTarget, Dropped>> = Vec::new();
    for (index, container) in task.containers.iter().enumerate() {
        for (port_label, path_label) in declared(container) {
            let target = target(task, index, port_label, path_label, ranges);
            let is_known = |known: &Result<PageTarget, Dropped>| match (known, &target) {
                (Ok(known), Ok(new)) => (known.address, &known.path) == (new.address, &new.path),
                _ => false,
            };
            if !targets.iter().any(is_known) {
                targets.push(target);
            }
        }
    }
    targets
}

/// The labels, of port and path, under which a container declares pages.
fn declared(container: &TaskContainer) -> impl Iterator<Item = (&'static str, &'static str)> {
    let observer = container.docker_label(EXPORTER_PORT).map(|_| (EXPORTER_PORT, METRICS_PATH));
    let is_annotated = container.docker_label(SCRAPE).is_some_and(|value| value.trim() == "true");
    observer.into_iter().chain(is_annotated.then_some((PORT, PATH)))
}

fn target(
    task: &Arc<Task>,
    index: usize,
    port_label: &'static str,
    path_label: &'static str,
    ranges: &[IpNet],
) -> Result<PageTarget, Dropped> {
    let container = task.containers.get(index).map_or_else(TaskContainer::default, Clone::clone);
    let port = declared_port(&container, port_label)?;
    let path = Some(declared_path(&container, path_label)?).filter(|path| !path.is_empty());
    let address = SocketAddr::new(allowed_address(task, ranges)?, reachable_port(task, &container, port)?);
    let job = container.docker_label(JOB_NAME).filter(|job| !job.is_empty());
    Ok(PageTarget {
        task: Arc::clone(task),
        container: index,
        address,
        path: path.unwrap_or_else(|| DEFAULT_PATH.into()),
        job: job.or(task.service.as_deref()).unwrap_or(&task.family).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::target::NetworkBinding;

    fn targets(labels: &[&[(&str, &str)]]) -> Vec<Result<String, String>> {
        let container = |labels: &&[(&str, &str)]| TaskContainer {
            name: "app".into(),
            docker_labels: labels.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
            network_bindings: vec![NetworkBinding { container_port: 9404, host_port: 32_781, protocol: "tcp".into() }],
            ..TaskContainer::default()
        };
        let mut task = Task {
            last_status: "RUNNING".into(),
            network_mode: "awsvpc".into(),
            address: Some("10.2.3.4".parse().unwrap()),
            containers: labels.iter().map(container).collect(),
            ..Task::default()
        };
        task.set_group("service:cart");
        let shown = |target: PageTarget| format!("{} {}{}", target.job, target.address, target.path);
        page_targets(&Arc::new(task), &["10.0.0.0/8".parse().unwrap()])
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
            (&[&[]], vec![]),
        ] {
            let found: Vec<_> = targets(labels).into_iter().map(Result::unwrap).collect();
            assert_eq!(found, expected, "{labels:?}");
        }
    }

    #[test]
    fn one_wrong_label_costs_no_other_container() {
        let found = targets(&[&[(EXPORTER_PORT, "abc")], &[(SCRAPE, "true"), (PORT, "8080")]]);
        assert!(found[0].as_ref().unwrap_err().contains("ECS_PROMETHEUS_EXPORTER_PORT of container app is `abc`"));
        assert_eq!(found[1].as_deref(), Ok("cart 10.2.3.4:8080/metrics"));
        let found = targets(&[&[(SCRAPE, "true")]]);
        assert!(found[0].as_ref().unwrap_err().contains("prometheus.io/port of container app is ``"));
    }
}
