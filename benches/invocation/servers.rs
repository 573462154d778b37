//! ECS, AMP, X-Ray and the Prometheus endpoints of tasks, on one loopback port.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::payload;

const ARN: &str = "arn:aws:ecs:eu-west-1:111122223333:";

/// Servers of one execution environment.
pub(super) struct Servers {
    port: u16,
    samples: usize,
    targets: usize,
    /// Number of the next page, from which its values are generated.
    page: AtomicU64,
    written: AtomicUsize,
}

/// A request.
struct Request {
    path: String,
    /// Operation of the ECS API.
    operation: String,
    body: Vec<u8>,
}

impl Servers {
    pub(super) fn start(samples: usize, targets: usize) -> Arc<Self> {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let servers = Self { port, samples, targets, page: AtomicU64::new(1), written: AtomicUsize::new(0) };
        let servers = Arc::new(servers);
        let state = Arc::clone(&servers);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                std::thread::spawn(move || state.serve(connection));
            }
        });
        servers
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the bytes of all remote write requests.
    pub(super) fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }

    /// Responds to the requests of a connection until it is closed.
    fn serve(&self, mut connection: TcpStream) {
        let mut reader = BufReader::new(connection.try_clone().expect("a socket"));
        while let Some(request) = read(&mut reader) {
            let (kind, body) = self.respond(&request);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
            if connection.write_all((head + &body).as_bytes()).is_err() {
                return;
            }
        }
    }

    fn respond(&self, request: &Request) -> (&'static str, String) {
        match &*request.path {
            "/metrics" => {
                let page = self.page.fetch_add(1, Ordering::Relaxed);
                ("text/plain; version=0.0.4", payload::exposition_of(self.samples, page))
            }
            "/api/v1/remote_write" => {
                self.written.fetch_add(request.body.len(), Ordering::Relaxed);
                ("text/plain", String::new())
            }
            _ => ("application/x-amz-json-1.1", self.ecs(request).to_string()),
        }
    }

    fn ecs(&self, request: &Request) -> Value {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let scraped = (0..self.targets).map(|number| format!("{ARN}task/shop/{number:032x}"));
        match &*request.operation {
            "ListTasks" => json!({"taskArns": scraped.collect::<Vec<_>>()}),
            "DescribeTasks" => {
                let tasks = body["tasks"].as_array().into_iter().flatten().filter_map(Value::as_str).map(task);
                json!({"tasks": tasks.collect::<Vec<_>>(), "failures": []})
            }
            "DescribeTaskDefinition" => self.definition(body["taskDefinition"].as_str().unwrap_or_default()),
            _ => json!({}),
        }
    }

    /// Returns the definition of the task that pushes stats, or of the tasks that are scraped.
    fn definition(&self, arn: &str) -> Value {
        let port = self.port.to_string();
        let labels = if arn == pushing_definition() {
            json!({"sidecarless.stats": "push"})
        } else {
            json!({"prometheus.io/scrape": "true", "prometheus.io/port": port})
        };
        let names = ["app-0", "app-1", "app-2"];
        let containers = names.map(|name| json!({"name": name, "dockerLabels": labels}));
        // Every container declares the same endpoint.
        let containers = if arn == pushing_definition() { containers.to_vec() } else { containers[..1].to_vec() };
        let definition = json!({"taskDefinitionArn": arn, "family": "checkout", "revision": 42, "networkMode": "awsvpc",
            "containerDefinitions": containers});
        json!({"taskDefinition": definition})
    }
}

fn pushing_definition() -> String {
    format!("{ARN}task-definition/checkout:42")
}

/// Returns the task with this ID or ARN. The number of a scraped task is its address.
fn task(arn: &str) -> Value {
    let id = arn.rsplit('/').next().unwrap_or_default();
    let is_pushing = id == payload::TASK;
    let definition = if is_pushing { pushing_definition() } else { format!("{ARN}task-definition/cart:1") };
    let address = Ipv4Addr::from_bits(u32::from_str_radix(id, 16).unwrap_or_default() + 0x7f00_0001);
    let container = |number: usize| json!({"name": format!("app-{number}"), "lastStatus": "RUNNING", "runtimeId": payload::container_id(number)});
    let containers = if is_pushing { 3 } else { 1 };
    json!({
        "taskArn": format!("{ARN}task/shop/{id}"), "clusterArn": format!("{ARN}cluster/shop"), "taskDefinitionArn": definition, "group": "service:checkout",
        "launchType": "FARGATE", "lastStatus": "RUNNING", "desiredStatus": "RUNNING", "availabilityZone": "eu-west-1b",
        "attachments": [{"type": "ElasticNetworkInterface", "details": [{"name": "privateIPv4Address", "value": address}]}],
        "containers": (0..containers).map(container).collect::<Vec<_>>(),
    })
}

/// Reads the next request of a connection.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut operation, mut length) = (String::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name {
            "x-amz-target" => value.rsplit('.').next().unwrap_or_default().clone_into(&mut operation),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { path, operation, body })
}
