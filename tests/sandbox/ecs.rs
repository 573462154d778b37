//! ECS: clusters, tasks and task definitions over AWS JSON 1.1, with real pages.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::http::{Answer, Heard};

/// The most that ListTasks returns and DescribeTasks takes (Amazon ECS API Reference).
const PAGE: usize = 100;

#[derive(Default)]
pub(crate) struct State {
    /// Tasks by cluster name.
    clusters: BTreeMap<String, Vec<Running>>,
    /// The stats port that a definition's docker label declares, by the definition's ARN.
    definitions: HashMap<String, Option<u16>>,
    /// Calls, by operation.
    pub(crate) calls: BTreeMap<String, usize>,
    /// Clusters that must not be looked at.
    pub(crate) denied: Vec<String>,
    /// Calls that are still throttled.
    pub(crate) throttles: u32,
    /// Tasks that are listed and gone when they are asked for.
    pub(crate) gone: Vec<String>,
}

struct Running {
    arn: String,
    definition: String,
}

pub(crate) fn cluster_arn(name: &str) -> String {
    format!("arn:aws:ecs:eu-west-1:111122223333:cluster/{name}")
}

/// ECS's answer; `None`: the request is not meant for ECS.
pub(crate) fn serve(state: &Arc<Mutex<State>>, heard: &Heard) -> Option<Answer> {
    let (_, operation) = heard.header("x-amz-target").split_once("AmazonEC2ContainerServiceV20141113.")?;
    let input: Value = serde_json::from_slice(&heard.body).unwrap();
    Some(state.lock().unwrap().answer(operation, &input))
}

impl State {
    pub(crate) fn add_cluster(&mut self, name: &str) {
        self.clusters.entry(name.to_owned()).or_default();
    }

    /// Adds a running task of a service called like its family; gives its id. `None`: it declares no endpoint.
    pub(crate) fn add_task(&mut self, cluster: &str, family: &str, stats_port: Option<u16>) -> String {
        let tasks = self.clusters.entry(cluster.to_owned()).or_default();
        let id = format!("{:032x}", tasks.len() + 1);
        let arn = format!("arn:aws:ecs:eu-west-1:111122223333:task/{cluster}/{id}");
        let definition = format!("arn:aws:ecs:eu-west-1:111122223333:task-definition/{family}:12");
        self.definitions.insert(definition.clone(), stats_port);
        tasks.push(Running { arn, definition });
        id
    }

    pub(crate) fn count(&self, operation: &str) -> usize {
        self.calls.get(operation).copied().unwrap_or_default()
    }

    fn answer(&mut self, operation: &str, input: &Value) -> Answer {
        *self.calls.entry(operation.to_owned()).or_default() += 1;
        if self.throttles > 0 {
            self.throttles -= 1;
            return error("ThrottlingException", "Rate exceeded");
        }
        let cluster = input["cluster"].as_str().unwrap_or("default");
        let cluster = cluster.rsplit('/').next().unwrap_or_default().to_owned();
        if self.denied.contains(&cluster) {
            return error("AccessDeniedException", "User is not authorized");
        }
        match operation {
            "ListClusters" => {
                let arns: Vec<String> = self.clusters.keys().map(|name| cluster_arn(name)).collect();
                page("clusterArns", &arns, input)
            }
            // Nothing of what runs here has stopped.
            "ListTasks" if input["desiredStatus"] == "STOPPED" => answer(&json!({"taskArns": []})),
            "ListTasks" => match self.clusters.get(&cluster) {
                Some(tasks) => page("taskArns", &tasks.iter().map(|task| task.arn.clone()).collect::<Vec<_>>(), input),
                None => error("ClusterNotFoundException", "Cluster not found."),
            },
            "DescribeTasks" => self.describe_tasks(&cluster, input),
            "DescribeTaskDefinition" => self.describe_definition(input["taskDefinition"].as_str().unwrap()),
            other => error("UnknownOperationException", other),
        }
    }

    fn describe_tasks(&self, cluster: &str, input: &Value) -> Answer {
        let asked = input["tasks"].as_array().unwrap();
        if asked.is_empty() || asked.len() > PAGE {
            return error("InvalidParameterException", "Tasks cannot be empty, or more than 100.");
        }
        let (mut tasks, mut failures) = (Vec::new(), Vec::new());
        for arn in asked.iter().map(|arn| arn.as_str().unwrap()) {
            match self.clusters[cluster]
                .iter()
                .find(|task| task.arn == arn && !self.gone.iter().any(|id| arn.ends_with(id)))
            {
                Some(task) => tasks.push(described(cluster, task)),
                None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
            }
        }
        answer(&json!({"tasks": tasks, "failures": failures}))
    }

    fn describe_definition(&self, arn: &str) -> Answer {
        let Some(port) = self.definitions.get(arn) else {
            return error("ClientException", "Unable to describe task definition.");
        };
        let labels = port.map_or(json!({}), |port| json!({"sidecarless.stats.port": port.to_string()}));
        answer(&json!({"taskDefinition": {
            "taskDefinitionArn": arn, "networkMode": "awsvpc", "revision": 12, "status": "ACTIVE",
            "containerDefinitions": [{"name": "cart", "image": "cart:2.7.1", "essential": true, "cpu": 256,
                "memory": 512, "dockerLabels": labels, "portMappings": []}],
        }}))
    }
}

fn described(cluster: &str, task: &Running) -> Value {
    let family = task.definition.rsplit('/').next().unwrap().split(':').next().unwrap();
    let interface = json!({"id": "a", "type": "ElasticNetworkInterface", "status": "ATTACHED",
        "details": [{"name": "privateIPv4Address", "value": "127.0.0.1"}]});
    json!({
        "taskArn": task.arn, "clusterArn": cluster_arn(cluster), "taskDefinitionArn": task.definition,
        "group": format!("service:{family}"), "launchType": "FARGATE", "lastStatus": "RUNNING",
        "desiredStatus": "RUNNING", "cpu": "512", "memory": "1024", "attachments": [interface],
        "createdAt": 1_772_611_200.5, "version": 3,
        "containers": [{"name": "cart", "image": "cart:2.7.1", "lastStatus": "RUNNING", "runtimeId": "r-1"}],
    })
}

fn page(name: &str, all: &[String], input: &Value) -> Answer {
    let size = usize::try_from(input["maxResults"].as_u64().unwrap_or(100)).unwrap().min(PAGE);
    let from: usize = input["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
    let to = (from + size).min(all.len());
    let mut page = json!({ name: all[from..to] });
    if to < all.len() {
        page["nextToken"] = json!(to.to_string());
    }
    answer(&page)
}

fn answer(body: &Value) -> Answer {
    Answer::of(200, "application/x-amz-json-1.1", body.to_string())
}

fn error(kind: &str, message: &str) -> Answer {
    Answer::of(400, "application/x-amz-json-1.1", json!({"__type": kind, "message": message}).to_string())
}
