//! Stub of a stats endpoint in a task, working or failing.

use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::http::{Fault, RecordedRequest, StubResponse, StubServer};

const TASK: &str = include_str!("../golden/task.json");
const STATS: &str = include_str!("../golden/task-stats.json");

pub(crate) struct Task {
    server: StubServer,
}

/// Documents that an endpoint serves.
pub(crate) struct Documents {
    pub(crate) task: Value,
    pub(crate) stats: Value,
}

impl Task {
    /// Starts an endpoint that serves the task metadata documents.
    pub(crate) async fn start() -> Self {
        Self { server: StubServer::start(documents).await }
    }

    /// Starts an endpoint with one response for all requests.
    pub(crate) async fn failing(response: StubResponse) -> Self {
        Self { server: StubServer::start(move |_| response.clone()).await }
    }

    /// Starts an endpoint whose response the test can change, and which records the requests.
    pub(crate) async fn with_documents(
        response: Arc<Mutex<StubResponse>>,
        requests: Arc<Mutex<Vec<RecordedRequest>>>,
    ) -> Self {
        let serve = move |request: &RecordedRequest| {
            requests.lock().unwrap().push(request.clone());
            response.lock().unwrap().clone()
        };
        Self { server: StubServer::start(serve).await }
    }

    /// Starts an endpoint with documents that the test can change.
    pub(crate) async fn serving(documents: Arc<Mutex<Documents>>) -> Self {
        let serve = move |request: &RecordedRequest| {
            let documents = documents.lock().unwrap();
            StubResponse::json(if request.path == "/task" { &documents.task } else { &documents.stats })
        };
        Self { server: StubServer::start(serve).await }
    }

    /// Delays all further responses.
    pub(crate) fn delay(&self, delay: Duration) {
        self.server.fail_always(|_| true, Fault::Slow(delay));
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.address.port()
    }
}

/// Returns the documents of the task with the requested address. In the ECS stub, task n has the address 127.0.0.n.
fn documents(request: &RecordedRequest) -> StubResponse {
    match request.path.as_str() {
        "/task" => {
            let address: SocketAddrV4 = request.header("host").parse().unwrap();
            let number = address.ip().to_bits() & 0xffff;
            let mut task: Value = serde_json::from_str(TASK).unwrap();
            task["TaskARN"] = json!(format!("arn:aws:ecs:eu-west-1:111122223333:task/shop/{number:032x}"));
            StubResponse::json(&task)
        }
        "/task/stats" => StubResponse::of(200, "application/json", STATS),
        _ => StubResponse::of(404, "text/plain", "not found"),
    }
}

/// Returns a port without a listener.
pub(crate) async fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}
