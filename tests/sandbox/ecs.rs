//! Stub of the ECS API: clusters, tasks and task definitions over AWS JSON 1.1, with pagination.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::http::{RecordedRequest, StubResponse};

/// Maximum of ListTasks and DescribeTasks (Amazon ECS API Reference).
const PAGE: usize = 100;

#[derive(Default)]
pub(crate) struct State {
    /// Tasks by cluster name.
    clusters: BTreeMap<String, Vec<Running>>,
    /// Docker labels of the container in each task definition, by ARN.
    definitions: HashMap<String, Value>,
    /// Number of calls by operation.
    pub(crate) calls: BTreeMap<String, usize>,
    /// Clusters for which calls are denied.
    pub(crate) denied: Vec<String>,
    /// Number of calls that will be throttled.
    pub(crate) throttles: u32,
    /// Tasks that are listed but no longer exist.
    pub(crate) missing: Vec<String>,
    /// Zone of every task.
    pub(crate) zone: Option<String>,
    /// Containers of every task; `None`: one container, `cart`.
    pub(crate) containers: Option<Value>,
    /// Services in the format of DescribeServices, by cluster.
    pub(crate) services: BTreeMap<String, Vec<Value>>,
    /// Container instances in the format of DescribeContainerInstances, by cluster.
    pub(crate) instances: BTreeMap<String, Vec<Value>>,
    /// Error of each call of an operation.
    pub(crate) faults: BTreeMap<&'static str, &'static str>,
    /// Error of each call of an operation for one cluster.
    pub(crate) cluster_faults: BTreeMap<(&'static str, &'static str), &'static str>,
    /// Operation, and the id and status that a task gets before the next call of it. `ListStopped` is ListTasks of stopped tasks.
    pub(crate) change_before: Option<(&'static str, String, &'static str)>,
    /// `stoppedAt` of stopped tasks; `None`: the time of the call.
    pub(crate) stopped_at_s: Option<f64>,
    /// Setting `containerInsights` of each cluster.
    pub(crate) container_insights: Option<&'static str>,
    /// Details of the network interface of every task; `None`: its IPv4 address.
    pub(crate) interface: Option<Value>,
    /// Tags of each cluster.
    pub(crate) cluster_tags: Vec<(&'static str, &'static str)>,
}

struct Running {
    arn: String,
    definition: String,
    /// `lastStatus`.
    status: &'static str,
    tags: Vec<(&'static str, &'static str)>,
}

/// A task to add.
pub(crate) struct NewTask<'a> {
    /// Also the name of the service.
    pub(crate) family: &'a str,
    /// Docker labels of its only container, `cart`.
    pub(crate) labels: Vec<(&'a str, String)>,
    pub(crate) tags: Vec<(&'static str, &'static str)>,
}

impl NewTask<'_> {
    /// Returns whether ListTasks excludes a task with this `lastStatus` from the running tasks.
    fn is_ending(status: &str) -> bool {
        status != "RUNNING"
    }
}

pub(crate) fn cluster_arn(name: &str) -> String {
    format!("arn:aws:ecs:eu-west-1:111122223333:cluster/{name}")
}

/// Returns the response; `None` if the request is not for ECS.
pub(crate) fn serve(state: &Arc<Mutex<State>>, request: &RecordedRequest) -> Option<StubResponse> {
    let (_, operation) = request.header("x-amz-target").split_once("AmazonEC2ContainerServiceV20141113.")?;
    let input: Value = serde_json::from_slice(&request.body).unwrap();
    Some(state.lock().unwrap().respond(operation, &input))
}

/// Returns a service in the format of DescribeServices.
pub(crate) fn service(cluster: &str, name: &str, desired: u32, running: u32) -> Value {
    json!({"serviceArn": format!("arn:aws:ecs:eu-west-1:111122223333:service/{cluster}/{name}"), "serviceName": name,
        "clusterArn": cluster_arn(cluster), "status": "ACTIVE", "desiredCount": desired, "runningCount": running,
        "pendingCount": 0, "launchType": "FARGATE", "schedulingStrategy": "REPLICA", "createdAt": 1_772_611_200.5,
        "taskDefinition": format!("arn:aws:ecs:eu-west-1:111122223333:task-definition/{name}:12"),
        "deployments": [{"id": "ecs-svc/1", "status": "PRIMARY", "desiredCount": desired, "runningCount": running,
            "pendingCount": 0, "failedTasks": 0, "rolloutState": "COMPLETED", "createdAt": 1_772_611_200.5}]})
}

/// Returns a container instance in the format of DescribeContainerInstances.
pub(crate) fn container_instance(cluster: &str, id: &str) -> Value {
    json!({"containerInstanceArn": format!("arn:aws:ecs:eu-west-1:111122223333:container-instance/{cluster}/{id}"),
        "ec2InstanceId": format!("i-{id}"), "status": "ACTIVE", "agentConnected": true, "runningTasksCount": 1,
        "registeredResources": [{"name": "CPU", "type": "INTEGER", "integerValue": 2_048},
            {"name": "MEMORY", "type": "INTEGER", "integerValue": 7_680}],
        "remainingResources": [{"name": "CPU", "type": "INTEGER", "integerValue": 1_024}],
        "attributes": [{"name": "ecs.availability-zone", "value": "eu-west-1b"}]})
}

impl State {
    pub(crate) fn add_cluster(&mut self, name: &str) {
        self.clusters.entry(name.to_owned()).or_default();
    }

    /// Adds a running task, and returns its id. Without a port it declares no stats endpoint.
    pub(crate) fn add_task(&mut self, cluster: &str, family: &str, stats_port: Option<u16>) -> String {
        let labels = stats_port.map(|port| ("sidecarless.stats.port", port.to_string()));
        self.add(cluster, NewTask { family, labels: labels.into_iter().collect(), tags: Vec::new() })
    }

    /// Adds a running task, and returns its id.
    pub(crate) fn add(&mut self, cluster: &str, task: NewTask<'_>) -> String {
        // Unique in the account.
        let id = format!("{:032x}", self.clusters.values().map(Vec::len).sum::<usize>() + 1);
        let tasks = self.clusters.entry(cluster.to_owned()).or_default();
        let arn = format!("arn:aws:ecs:eu-west-1:111122223333:task/{cluster}/{id}");
        let definition = format!("arn:aws:ecs:eu-west-1:111122223333:task-definition/{}:12", task.family);
        let labels = task.labels.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        self.definitions.insert(definition.clone(), Value::Object(labels));
        tasks.push(Running { arn, definition, status: "RUNNING", tags: task.tags });
        id
    }

    /// Sets the status of a task. From `DEACTIVATING` on, ECS lists it with the stopped tasks.
    pub(crate) fn set_status(&mut self, id: &str, status: &'static str) {
        let mut tasks = self.clusters.values_mut().flatten();
        tasks.find(|task| task.arn.ends_with(id)).unwrap().status = status;
    }

    /// Changes the revision of the task definition of a task.
    pub(crate) fn set_revision(&mut self, id: &str, revision: u32) {
        let mut tasks = self.clusters.values_mut().flatten();
        let task = tasks.find(|task| task.arn.ends_with(id)).unwrap();
        let labels = self.definitions[&task.definition].clone();
        let (family, _) = task.definition.rsplit_once(':').unwrap();
        task.definition = format!("{family}:{revision}");
        self.definitions.insert(task.definition.clone(), labels);
    }

    pub(crate) fn count(&self, operation: &str) -> usize {
        self.calls.get(operation).copied().unwrap_or_default()
    }

    fn respond(&mut self, operation: &str, input: &Value) -> StubResponse {
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
        if let Some(fault) = self.faults.get(operation) {
            return error(fault, "by order");
        }
        let of_cluster = self.cluster_faults.iter().find(|((of, name), _)| *of == operation && *name == cluster);
        if let Some((_, fault)) = of_cluster {
            return error(fault, "by order");
        }
        let name = if input["desiredStatus"] == "STOPPED" { "ListStopped" } else { operation };
        if let Some((_, id, status)) = self.change_before.take_if(|(before, ..)| *before == name) {
            self.set_status(&id, status);
        }
        self.result(operation, &cluster, input)
    }

    fn result(&self, operation: &str, cluster: &str, input: &Value) -> StubResponse {
        match operation {
            "ListServices" => page("serviceArns", &arns(&self.services, cluster, "serviceArn"), input),
            "DescribeServices" => self.describe_services(cluster, input),
            "ListContainerInstances" => {
                let arns = arns(&self.instances, cluster, "containerInstanceArn");
                page("containerInstanceArns", &arns, input)
            }
            "DescribeContainerInstances" => {
                let wanted = input["containerInstances"].as_array().unwrap();
                let all = self.instances.get(cluster).into_iter().flatten();
                let described: Vec<_> = all.filter(|it| wanted.contains(&it["containerInstanceArn"])).collect();
                ok(&json!({"containerInstances": described, "failures": []}))
            }
            "ListClusters" => {
                let arns: Vec<String> = self.clusters.keys().map(|name| cluster_arn(name)).collect();
                page("clusterArns", &arns, input)
            }
            "ListTasks" => match self.clusters.get(cluster) {
                Some(tasks) => {
                    let is_listed =
                        |task: &&Running| NewTask::is_ending(task.status) == (input["desiredStatus"] == "STOPPED");
                    let arns: Vec<_> = tasks.iter().filter(is_listed).map(|task| task.arn.clone()).collect();
                    page("taskArns", &arns, input)
                }
                None => error("ClusterNotFoundException", "Cluster not found."),
            },
            "DescribeClusters" => self.describe_clusters(input),
            "DescribeTasks" => self.describe_tasks(cluster, input),
            "DescribeTaskDefinition" => self.describe_definition(input["taskDefinition"].as_str().unwrap()),
            other => error("UnknownOperationException", other),
        }
    }

    fn describe_clusters(&self, input: &Value) -> StubResponse {
        let includes = |field: &str| input["include"].as_array().is_some_and(|fields| fields.contains(&json!(field)));
        let tags = if includes("TAGS") { tags(&self.cluster_tags) } else { json!([]) };
        let setting = self.container_insights.filter(|_| includes("SETTINGS"));
        let settings: Vec<_> =
            setting.iter().map(|value| json!({"name": "containerInsights", "value": value})).collect();
        let cluster = |arn: &Value| {
            let name = arn.as_str().unwrap().rsplit('/').next().unwrap();
            let number = |of: &BTreeMap<String, Vec<Value>>| of.get(name).map_or(0, Vec::len);
            json!({"clusterArn": cluster_arn(name), "tags": tags, "settings": settings,
                "runningTasksCount": self.clusters.get(name).map_or(0, Vec::len),
                "activeServicesCount": number(&self.services),
                "registeredContainerInstancesCount": number(&self.instances)})
        };
        ok(&json!({"clusters": input["clusters"].as_array().unwrap().iter().map(cluster).collect::<Vec<_>>()}))
    }

    /// ECS rejects more than ten services, and reports unknown ones as missing.
    fn describe_services(&self, cluster: &str, input: &Value) -> StubResponse {
        let requested = input["services"].as_array().unwrap();
        if requested.is_empty() || requested.len() > 10 {
            return error("InvalidParameterException", "Services cannot be empty, or more than 10.");
        }
        let (mut services, mut failures) = (Vec::new(), Vec::new());
        for name in requested {
            let mut all = self.services.get(cluster).into_iter().flatten();
            match all.find(|service| service["serviceName"] == *name) {
                Some(service) => services.push(service),
                None => failures.push(json!({"arn": name, "reason": "MISSING"})),
            }
        }
        ok(&json!({"services": services, "failures": failures}))
    }

    fn describe_tasks(&self, cluster: &str, input: &Value) -> StubResponse {
        let requested = input["tasks"].as_array().unwrap();
        if requested.is_empty() || requested.len() > PAGE {
            return error("InvalidParameterException", "Tasks cannot be empty, or more than 100.");
        }
        let (mut tasks, mut failures) = (Vec::new(), Vec::new());
        for arn in requested.iter().map(|arn| arn.as_str().unwrap()) {
            match self.clusters[cluster].iter().find(|task| {
                (task.arn == arn || task.arn.ends_with(&format!("/{arn}")))
                    && !self.missing.iter().any(|id| arn.ends_with(id))
            }) {
                Some(task) => {
                    let mut task = described(cluster, task, self.containers.as_ref());
                    if let Some(stopped_s) = self.stopped_at_s.filter(|_| !task["stoppedAt"].is_null()) {
                        task["stoppedAt"] = json!(stopped_s);
                    }
                    if let Some(details) = &self.interface {
                        task["attachments"][0]["details"] = details.clone();
                    }
                    task["availabilityZone"] = json!(self.zone);
                    tasks.push(task);
                }
                None => failures.push(json!({"arn": arn, "reason": "MISSING"})),
            }
        }
        ok(&json!({"tasks": tasks, "failures": failures}))
    }

    fn describe_definition(&self, arn: &str) -> StubResponse {
        let Some(labels) = self.definitions.get(arn) else {
            return error("ClientException", "Unable to describe task definition.");
        };
        ok(&json!({"taskDefinition": {
            "taskDefinitionArn": arn, "networkMode": "awsvpc", "revision": 12, "status": "ACTIVE",
            "taskRoleArn": format!("arn:aws:iam::111122223333:role/{}", family(arn)),
            "containerDefinitions": [{"name": "cart", "image": "cart:2.7.1", "essential": true, "cpu": 256,
                "memory": 512, "dockerLabels": labels, "portMappings": [], "logConfiguration": {"logDriver": "awslogs",
                    "options": {"awslogs-group": "/shop/cart", "awslogs-stream-prefix": "ecs"}}}],
        }}))
    }
}

/// Returns the family in a task definition ARN.
fn family(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap().split(':').next().unwrap()
}

fn described(cluster: &str, task: &Running, containers: Option<&Value>) -> Value {
    let cart = json!([{"name": "cart", "image": "cart:2.7.1", "lastStatus": "RUNNING", "runtimeId": "r-1"}]);
    let family = family(&task.definition);
    let number = u32::from_str_radix(&task.arn[task.arn.len() - 8..], 16).unwrap();
    let address = Ipv4Addr::from_bits(0x7f00_0000 + number).to_string();
    let interface = json!({"id": "a", "type": "ElasticNetworkInterface", "status": "ATTACHED",
        "details": [{"name": "privateIPv4Address", "value": address}]});
    json!({
        "taskArn": task.arn, "clusterArn": cluster_arn(cluster), "taskDefinitionArn": task.definition,
    "group": format!("service:{family}"), "launchType": "FARGATE", "lastStatus": task.status,
        "desiredStatus": if NewTask::is_ending(task.status) { "STOPPED" } else { "RUNNING" }, "tags": tags(&task.tags),
        "stoppedAt": (task.status == "STOPPED").then(now_s), "cpu": "512", "memory": "1024", "attachments": [interface],
        "createdAt": 1_772_611_200.5, "version": 3,
        "containers": containers.unwrap_or(&cart),
    })
}

fn tags(tags: &[(&str, &str)]) -> Value {
    tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

fn now_s() -> f64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64()
}

fn arns(all: &BTreeMap<String, Vec<Value>>, cluster: &str, key: &str) -> Vec<String> {
    all.get(cluster).into_iter().flatten().map(|one| one[key].as_str().unwrap().to_owned()).collect()
}

/// Returns a page. The default size of ListServices is 10 (Amazon ECS API Reference).
fn page(name: &str, all: &[String], input: &Value) -> StubResponse {
    let default = if name == "serviceArns" { 10 } else { 100 };
    let size = usize::try_from(input["maxResults"].as_u64().unwrap_or(default)).unwrap().min(PAGE);
    let from: usize = input["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
    let to = (from + size).min(all.len());
    let mut page = json!({ name: all[from..to] });
    if to < all.len() {
        page["nextToken"] = json!(to.to_string());
    }
    ok(&page)
}

fn ok(body: &Value) -> StubResponse {
    StubResponse::of(200, "application/x-amz-json-1.1", body.to_string())
}

fn error(kind: &str, message: &str) -> StubResponse {
    StubResponse::of(400, "application/x-amz-json-1.1", json!({"__type": kind, "message": message}).to_string())
}
