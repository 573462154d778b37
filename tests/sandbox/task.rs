//! A stats endpoint inside a task, well or ill.

use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::http::{RecordedRequest, StubResponse, StubServer};

const TASK: &str = include_str!("../golden/task.json");
const STATS: &str = include_str!("../golden/task-stats.json");

pub(crate) struct Task {
    server: StubServer,
}

impl Task {
    /// One that serves its documents.
    pub(crate) async fn start() -> Self {
        Self { server: StubServer::start(documents).await }
    }

    /// One that answers everything with the same.
    pub(crate) async fn failing(answer: StubResponse) -> Self {
        Self { server: StubServer::start(move |_| answer.clone()).await }
    }

    /// One whose answer to everything is what stands in a cell at that time, with the headers of the request for the test
    /// to look at.
    pub(crate) async fn with_documents(
        answer: Arc<Mutex<StubResponse>>,
        heard: Arc<Mutex<Vec<RecordedRequest>>>,
    ) -> Self {
        let serve = move |request: &RecordedRequest| {
            heard.lock().unwrap().push(request.clone());
            answer.lock().unwrap().clone()
        };
        Self { server: StubServer::start(serve).await }
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.address.port()
    }
}

/// The documents of the task whose address was asked: the stand-in of ECS gives the n-th task 127.0.0.n.
fn documents(heard: &RecordedRequest) -> StubResponse {
    match heard.path.as_str() {
        "/task" => {
            let address: SocketAddrV4 = heard.header("host").parse().unwrap();
            let number = address.ip().to_bits() & 0xffff;
            let mut task: Value = serde_json::from_str(TASK).unwrap();
            task["TaskARN"] = json!(format!("arn:aws:ecs:eu-west-1:111122223333:task/shop/{number:032x}"));
            StubResponse::json(&task)
        }
        "/task/stats" => StubResponse::of(200, "application/json", STATS),
        _ => StubResponse::of(404, "text/plain", "not found"),
    }
}

/// A port at which nobody listens.
pub(crate) async fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}
