//! Stub of AWS for scheduled runs, on one loopback port: ECS, CloudWatch Logs, EC2, SQS and AMP, the Runtime API that
//! sends events to the function, and the stats endpoint of each task.
//!
//! The function is the real binary. One process handles all invocations of a test, so its caches persist.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message as _;
use serde_json::{Value, json};
use sidecarless::model::remote_write::WriteRequest;

/// Resources, recorded calls and written series.
#[derive(Default)]
pub(crate) struct FakeAwsState {
    /// Running tasks in the format of DescribeTasks, by cluster.
    pub(crate) tasks: BTreeMap<String, Vec<Value>>,
    /// Tasks that ListTasks returns for STOPPED.
    pub(crate) stopped: BTreeMap<String, Vec<Value>>,
    /// Task definitions by ARN.
    pub(crate) definitions: BTreeMap<String, Value>,
    /// EC2 instance id and address by container instance ARN.
    pub(crate) hosts: BTreeMap<String, (String, String)>,
    /// Services in the format of DescribeServices, by cluster.
    pub(crate) services: BTreeMap<String, Vec<Value>>,
    /// Container instances in the format of DescribeContainerInstances, by cluster.
    pub(crate) instances: BTreeMap<String, Vec<Value>>,
    /// Value of the setting `containerInsights` by cluster.
    pub(crate) insights: BTreeMap<String, &'static str>,
    /// Time and message of log events by log group.
    pub(crate) logs: BTreeMap<String, Vec<(i64, String)>>,
    /// Events per page of FilterLogEvents; 0 is all.
    pub(crate) log_page: usize,
    /// Values of SSM parameters.
    pub(crate) parameters: BTreeMap<String, String>,
    /// Error codes by operation and cluster.
    pub(crate) faults: BTreeMap<(String, String), String>,
    /// Operations and bodies of all calls, in order.
    pub(crate) calls: Vec<(String, Value)>,
    /// Written series.
    pub(crate) series: Vec<Series>,
    events: VecDeque<(String, String)>,
    replies: BTreeMap<String, Value>,
    invocations: usize,
}

/// One written series.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) samples: Vec<(i64, f64)>,
}

/// The stub and the processes of the function.
pub(crate) struct FakeAws {
    shared: Arc<(Mutex<FakeAwsState>, Condvar)>,
    pub(crate) port: u16,
    functions: Vec<Child>,
}

impl FakeAws {
    pub(crate) fn new() -> Self {
        // Tasks have addresses in 127.0.0.0/8.
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let shared = Arc::new((Mutex::new(FakeAwsState::default()), Condvar::new()));
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = Arc::clone(&server);
                std::thread::spawn(move || serve(connection, &shared));
            }
        });
        Self { shared, port, functions: Vec::new() }
    }

    /// Returns the state, for setup and assertions.
    pub(crate) fn world<T>(&self, look: impl FnOnce(&mut FakeAwsState) -> T) -> T {
        look(&mut self.shared.0.lock().expect("no panic"))
    }

    /// Returns the command line with the environment of the function and these settings.
    pub(crate) fn command(&self, settings: &[(&str, &str)]) -> Command {
        self.with_environment(Command::new(env!("CARGO_BIN_EXE_sidecarless")), settings)
    }

    fn with_environment(&self, mut command: Command, settings: &[(&str, &str)]) -> Command {
        let base = format!("http://127.0.0.1:{}", self.port);
        command.env_clear().envs([
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_ENDPOINT_URL", &base),
            ("AWS_PROMETHEUS_ENDPOINT", &format!("{base}/api/v1/remote_write")),
            ("SIDECARLESS_SCRAPE_CIDRS", "127.0.0.0/8"),
            ("SIDECARLESS_CLUSTERS", "shop"),
            // Its calls depend on the minute; tests/cloudwatch.rs has tests of them.
            ("SIDECARLESS_CLOUDWATCH_INTERVAL", "off"),
        ]);
        command.envs(settings.iter().copied());
        command
    }

    /// Starts an execution environment. It runs until the stub is dropped. An event goes to any idle environment.
    #[expect(clippy::disallowed_methods, reason = "a benchmark sets the release binary in SIDECARLESS_BINARY_PATH")]
    pub(crate) fn start(&mut self, settings: &[(&str, &str)]) {
        let function = [
            ("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{}", self.port)),
            ("AWS_LAMBDA_FUNCTION_NAME", "sidecarless".into()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".into()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1".into()),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "s".into()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "g".into()),
        ];
        let binary = std::env::var_os("SIDECARLESS_BINARY_PATH");
        let binary = binary.unwrap_or_else(|| env!("CARGO_BIN_EXE_sidecarless-function").into());
        let mut command = self.with_environment(Command::new(binary), settings);
        let function = command.envs(function).spawn().expect("the binary starts");
        self.functions.push(function);
    }

    /// Sends an event and waits for the response.
    pub(crate) fn invoke(&self, event: &Value) -> Value {
        let mut world = self.shared.0.lock().expect("no panic");
        world.invocations += 1;
        let id = format!("request-{}", world.invocations);
        world.events.push_back((id.clone(), event.to_string()));
        self.shared.1.notify_all();
        let waited =
            self.shared.1.wait_timeout_while(world, Duration::from_secs(60), |world| !world.replies.contains_key(&id));
        let (mut world, timeout) = waited.expect("no panic");
        assert!(!timeout.timed_out(), "no reply to {event}");
        world.replies.remove(&id).expect("a reply")
    }

    /// Returns the calls since the last call of this method, by operation.
    pub(crate) fn counted(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (operation, _) in self.world(|world| std::mem::take(&mut world.calls)) {
            *counts.entry(operation).or_default() += 1;
        }
        counts
    }

    /// Returns user and system time of all environments in hundredths of a second (proc(5), `/proc/pid/stat`).
    pub(crate) fn processor_ms(&self) -> u64 {
        let ticks = |function: &Child| {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", function.id())).unwrap_or_default();
            let after_name = stat.rsplit(") ").next().unwrap_or_default().to_owned();
            after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>()
        };
        self.functions.iter().map(ticks).sum::<u64>() * 10
    }

    /// Returns the peak memory of the function, from the kernel.
    pub(crate) fn peak_memory(&self) -> String {
        let peaks = self.functions.iter().filter_map(|function| {
            let status = std::fs::read_to_string(format!("/proc/{}/status", function.id())).unwrap_or_default();
            status.lines().find(|line| line.starts_with("VmHWM")).map(str::to_owned)
        });
        // Right-aligned numbers: the longest, and of those the last, is the largest.
        peaks.max().unwrap_or_else(|| "unknown".to_owned())
    }

    /// Returns the series written since the last call of this method.
    pub(crate) fn take_series(&self) -> Vec<Series> {
        self.world(|world| std::mem::take(&mut world.series))
    }
}

impl Drop for FakeAws {
    fn drop(&mut self) {
        for function in &mut self.functions {
            let _ = function.kill();
            let _ = function.wait();
        }
    }
}

impl Series {
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    pub(crate) fn name(&self) -> &str {
        self.label("__name__")
    }
}

#[expect(clippy::disallowed_methods, reason = "the Runtime API sends the deadline of an invocation")]
pub(crate) fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis())
        .expect("before 292 million")
}

struct Request {
    path: String,
    host: String,
    target: String,
    body: Vec<u8>,
}

fn serve(connection: TcpStream, shared: &(Mutex<FakeAwsState>, Condvar)) {
    let mut writer = connection.try_clone().expect("a socket");
    let mut reader = BufReader::new(connection);
    while let Some(request) = read(&mut reader) {
        let (status, headers, body) = respond(&request, shared);
        let mut reply = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}\r\n", body.len()).into_bytes();
        // One write, because a second one would wait 40 ms for the acknowledgement of the first.
        reply.extend(body);
        if writer.write_all(&reply).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut host, mut target, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "host" => host = value.trim().to_owned(),
            "x-amz-target" => target = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { path, host, target, body })
}

type Answer = (u16, String, Vec<u8>);

fn respond(request: &Request, shared: &(Mutex<FakeAwsState>, Condvar)) -> Answer {
    if let Some(call) = request.path.strip_prefix("/2018-06-01/runtime/") {
        return runtime(call, &request.body, shared);
    }
    let mut world = shared.0.lock().expect("no panic");
    match request.path.as_str() {
        "/api/v1/remote_write" => {
            written(&request.body, &mut world);
            (200, String::new(), Vec::new())
        }
        "/task" | "/task/stats" => stats(request, &world),
        _ if request.target.is_empty() => ec2(&request.body, &mut world),
        _ => call(request, &mut world),
    }
}

fn runtime(call: &str, body: &[u8], shared: &(Mutex<FakeAwsState>, Condvar)) -> Answer {
    let world = shared.0.lock().expect("no panic");
    if call == "invocation/next" {
        let mut world = shared.1.wait_while(world, |world| world.events.is_empty()).expect("no panic");
        let (id, event) = world.events.pop_front().expect("one is there");
        let headers = format!(
            "lambda-runtime-aws-request-id: {id}\r\nlambda-runtime-deadline-ms: {}\r\n\
             lambda-runtime-invoked-function-arn: arn:aws:lambda:eu-west-1:111122223333:function:f\r\n",
            now_ms() + 50_000
        );
        return (200, headers, event.into_bytes());
    }
    let mut world = world;
    let id = call.split('/').nth(1).expect("an id").to_owned();
    world.replies.insert(id, serde_json::from_slice(body).unwrap_or(Value::Null));
    shared.1.notify_all();
    (202, String::new(), b"{}".to_vec())
}

fn written(body: &[u8], world: &mut FakeAwsState) {
    let bytes = snap::raw::Decoder::new().decompress_vec(body).expect("snappy");
    for series in WriteRequest::decode(bytes.as_slice()).expect("a write request").timeseries {
        let labels = series.labels.into_iter().map(|label| (label.name.to_string(), label.value.to_string()));
        let samples = series.samples.iter().map(|sample| (sample.timestamp, sample.value)).collect();
        world.series.push(Series { labels: labels.collect(), samples });
    }
}

/// Returns the response of a task's stats endpoint. The task is identified by its address or the address of its host.
fn stats(request: &Request, world: &FakeAwsState) -> Answer {
    let host = request.host.split(':').next().unwrap_or_default();
    let address = |task: &Value| task["attachments"][0]["details"][0]["value"].as_str().map(str::to_owned);
    let mut tasks = world.tasks.values().flatten();
    let task = tasks.find(|task| address(task).is_none_or(|address| address == host));
    let body = match request.path.as_str() {
        "/task" => {
            json!({"Cluster": "shop", "TaskARN": task.map(|task| &task["taskArn"]), "Family": "cart", "Revision": "1",
            "Limits": {"CPU": 0.5, "Memory": 1024}, "Containers": []})
        }
        _ => json!({}),
    };
    (200, "content-type: application/json\r\n".into(), body.to_string().into_bytes())
}

fn ec2(body: &[u8], world: &mut FakeAwsState) -> Answer {
    let query = String::from_utf8_lossy(body).into_owned();
    world.calls.push(("DescribeInstances".into(), json!(query)));
    let items = world.hosts.values().filter(|(id, _)| query.contains(id.as_str())).map(|(id, address)| {
        format!("<item><instanceId>{id}</instanceId><privateIpAddress>{address}</privateIpAddress></item>")
    });
    let items: String = items.collect();
    let xml = format!(
        "<DescribeInstancesResponse><reservationSet><item><instancesSet>{items}</instancesSet></item></reservationSet></DescribeInstancesResponse>"
    );
    (200, "content-type: text/xml\r\n".into(), xml.into_bytes())
}

fn call(request: &Request, world: &mut FakeAwsState) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    let operation = request.target.rsplit('.').next().expect("an operation").to_owned();
    let cluster = body["cluster"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
    let name = match (operation.as_str(), body["desiredStatus"].as_str()) {
        ("ListTasks", Some("STOPPED")) => "ListTasks STOPPED".to_owned(),
        _ => operation.clone(),
    };
    world.calls.push((name.clone(), body.clone()));
    let json = "content-type: application/x-amz-json-1.1\r\n".to_owned();
    let fault = world.faults.get(&(operation.clone(), cluster.clone())).cloned();
    match fault.map_or_else(|| ok(&name, &cluster, &body, world), Err) {
        Ok(body) => (200, json, body.to_string().into_bytes()),
        Err(code) => (400, json, json!({"__type": code, "message": "by order"}).to_string().into_bytes()),
    }
}

fn ok(operation: &str, cluster: &str, body: &Value, world: &FakeAwsState) -> Result<Value, String> {
    let none = Vec::new();
    let running = world.tasks.get(cluster).unwrap_or(&none);
    let stopped = world.stopped.get(cluster).unwrap_or(&none);
    let named =
        |key: &str| body[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<HashSet<_>>();
    Ok(match operation {
        "ListClusters" => {
            let arns = world.tasks.keys().map(|name| format!("arn:aws:ecs:eu-west-1:111122223333:cluster/{name}"));
            json!({"clusterArns": arns.collect::<Vec<_>>()})
        }
        "ListTasks" => page(running, "taskArn", "taskArns", body),
        "ListTasks STOPPED" => page(stopped, "taskArn", "taskArns", body),
        "DescribeTasks" => {
            let wanted = named("tasks");
            let all = running.iter().chain(stopped).filter(|task| {
                let arn = task["taskArn"].as_str().unwrap_or_default();
                wanted.contains(arn) || arn.rsplit('/').next().is_some_and(|id| wanted.contains(id))
            });
            json!({"tasks": all.collect::<Vec<_>>(), "failures": []})
        }
        "DescribeTaskDefinition" => {
            let arn = body["taskDefinition"].as_str().expect("an ARN");
            json!({"taskDefinition": world.definitions.get(arn).ok_or("ClientException")?})
        }
        "FilterLogEvents" => log_events(body, world)?,
        "SendMessageBatch" => {
            let entries = body["Entries"].as_array().expect("entries").iter();
            let sent = entries.map(|entry| json!({"Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "x"}));
            json!({"Successful": sent.collect::<Vec<_>>(), "Failed": []})
        }
        "ChangeMessageVisibility" => json!({}),
        "GetParameter" => {
            assert_eq!(body["WithDecryption"], true);
            let value = world.parameters.get(body["Name"].as_str().expect("a name")).ok_or("ParameterNotFound")?;
            json!({"Parameter": {"Name": body["Name"], "Value": value}})
        }
        other => return state(other, cluster, body, world),
    })
}

/// Answers calls for services, clusters and container instances.
fn state(operation: &str, cluster: &str, body: &Value, world: &FakeAwsState) -> Result<Value, String> {
    let none = Vec::new();
    let instances = world.instances.get(cluster).unwrap_or(&none);
    Ok(match operation {
        "ListServices" => page(world.services.get(cluster).unwrap_or(&none), "serviceArn", "serviceArns", body),
        "DescribeServices" => described_services(cluster, body, world)?,
        "DescribeClusters" => described_clusters(body, world),
        "ListContainerInstances" => page(instances, "containerInstanceArn", "containerInstanceArns", body),
        "DescribeContainerInstances" => {
            let wanted: HashSet<&str> =
                body["containerInstances"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let hosts = world.hosts.iter().filter(|(arn, _)| wanted.contains(arn.as_str()));
            let hosts = hosts.map(|(arn, (id, _))| json!({"containerInstanceArn": arn, "ec2InstanceId": id}));
            let is_wanted = |it: &&Value| it["containerInstanceArn"].as_str().is_some_and(|arn| wanted.contains(arn));
            let instances = instances.iter().filter(is_wanted).cloned();
            json!({"containerInstances": hosts.chain(instances).collect::<Vec<_>>()})
        }
        other => panic!("unknown operation {other}"),
    })
}

/// Returns the response of a list call. The default page size of ListServices is 10, that of the others 100.
fn page(all: &[Value], arn: &str, list: &str, body: &Value) -> Value {
    let from: usize = body["nextToken"].as_str().map_or(0, |token| token.parse().expect("ours"));
    let default = if list == "serviceArns" { 10 } else { 100 };
    let size = usize::try_from(body["maxResults"].as_u64().unwrap_or(default)).expect("small");
    let arns: Vec<&Value> = all.iter().skip(from).take(size).map(|one| &one[arn]).collect();
    let next = (from + size < all.len()).then(|| (from + size).to_string());
    json!({list: arns, "nextToken": next})
}

/// ECS rejects more than ten services, and reports unknown ones as missing.
fn described_services(cluster: &str, body: &Value, world: &FakeAwsState) -> Result<Value, String> {
    let requested = body["services"].as_array().expect("names");
    if requested.is_empty() || requested.len() > 10 {
        return Err("InvalidParameterException".into());
    }
    let (mut services, mut failures) = (Vec::new(), Vec::new());
    for name in requested.iter().filter_map(Value::as_str) {
        let mut all = world.services.get(cluster).into_iter().flatten();
        match all.find(|service| service["serviceName"] == *name || service["serviceArn"] == *name) {
            Some(service) => services.push(service),
            None => {
                let arn = format!("arn:aws:ecs:eu-west-1:111122223333:service/{cluster}/{name}");
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
    }
    Ok(json!({"services": services, "failures": failures}))
}

/// ECS returns the settings only if they are requested.
fn described_clusters(body: &Value, world: &FakeAwsState) -> Value {
    let has_settings = body["include"].as_array().is_some_and(|fields| fields.contains(&json!("SETTINGS")));
    let requested = body["clusters"].as_array().expect("names").iter().filter_map(Value::as_str);
    let cluster = |name: &str| {
        let name = name.rsplit('/').next().unwrap_or_default();
        let setting = world.insights.get(name).filter(|_| has_settings);
        let settings: Vec<_> =
            setting.iter().map(|value| json!({"name": "containerInsights", "value": value})).collect();
        let tasks = world.tasks.get(name).map_or(0, Vec::len);
        json!({"clusterArn": format!("arn:aws:ecs:eu-west-1:111122223333:cluster/{name}"), "clusterName": name,
            "status": "ACTIVE", "settings": settings, "runningTasksCount": tasks, "pendingTasksCount": 0,
            "activeServicesCount": world.services.get(name).map_or(0, Vec::len),
            "registeredContainerInstancesCount": world.instances.get(name).map_or(0, Vec::len)})
    };
    json!({"clusters": requested.map(cluster).collect::<Vec<_>>(), "failures": []})
}

fn log_events(body: &Value, world: &FakeAwsState) -> Result<Value, String> {
    let group = body["logGroupName"].as_str().expect("a group");
    let events = world.logs.get(group).ok_or("ResourceNotFoundException")?;
    let (start, end) = (body["startTime"].as_i64().expect("a start"), body["endTime"].as_i64().expect("an end"));
    let inside: Vec<_> = events.iter().filter(|(at, _)| (start..=end).contains(at)).collect();
    let size = if world.log_page == 0 { usize::MAX } else { world.log_page };
    let from: usize = body["nextToken"].as_str().map_or(0, |token| token.parse().expect("ours"));
    let next = (from.saturating_add(size) < inside.len()).then(|| (from + size).to_string());
    let shown =
        inside.into_iter().skip(from).take(size).map(|(at, message)| json!({"timestamp": at, "message": message}));
    Ok(json!({"events": shown.collect::<Vec<_>>(), "nextToken": next}))
}
