//! HTTP/1.1 server with persistent connections and injected faults. Requests must have a content length.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A received request.
#[derive(Clone)]
pub(crate) struct RecordedRequest {
    /// Path with query.
    pub(crate) path: String,
    /// Names are in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// Response of a server, or its failure.
#[derive(Clone)]
pub(crate) enum StubResponse {
    Http {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// Closes the connection without a response.
    Reset,
    /// Closes the connection within the body of the response.
    Cut,
    /// Never responds.
    Hang,
    /// Sends an endless body.
    Endless,
    /// Sends a body of `length` bytes in parts, with a pause after each. Hangs after the last part if the body is not complete.
    Parts {
        length: usize,
        parts: Vec<Vec<u8>>,
        pause: Duration,
    },
}

/// Fault that replaces or delays the response.
#[derive(Clone)]
pub(crate) enum Fault {
    Response(StubResponse),
    /// Delays the response.
    Slow(Duration),
}

/// Injected faults.
type Always = (fn(&RecordedRequest) -> bool, Fault);

#[derive(Default)]
struct FaultState {
    next: VecDeque<Fault>,
    always: Vec<Always>,
    /// Current and maximum number of concurrent requests.
    busy: (usize, usize),
    received: usize,
}

type Faults = Arc<Mutex<FaultState>>;
type Serve = Arc<dyn Fn(&RecordedRequest) -> StubResponse + Send + Sync>;

/// The server stops when it is dropped.
pub(crate) struct StubServer {
    pub(crate) address: SocketAddr,
    faults: Faults,
    _running: JoinSet<()>,
}

impl RecordedRequest {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl StubResponse {
    pub(crate) fn json(body: &serde_json::Value) -> Self {
        Self::of(200, "application/json", body.to_string())
    }

    pub(crate) fn of(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        StubResponse::Http { status, headers: vec![("content-type", content_type.into())], body: body.into() }
    }
}

impl Fault {
    pub(crate) fn status(status: u16, body: &str) -> Self {
        Fault::Response(StubResponse::of(status, "text/plain", body))
    }
}

impl StubServer {
    pub(crate) async fn start(serve: impl Fn(&RecordedRequest) -> StubResponse + Send + Sync + 'static) -> Self {
        // Every task has its own loopback address, of IPv4 or IPv6.
        let listener = match TcpListener::bind("[::]:0").await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind("0.0.0.0:0").await.unwrap(),
        };
        let address = SocketAddr::new([127, 0, 0, 1].into(), listener.local_addr().unwrap().port());
        let (faults, serve): (Faults, Serve) = (Faults::default(), Arc::new(serve));
        let mut running = JoinSet::new();
        running.spawn(accept(listener, serve, Arc::clone(&faults)));
        Self { address, faults, _running: running }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Injects one fault into each of the next requests.
    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().next.extend(faults);
    }

    /// Injects a fault into all further matching requests.
    pub(crate) fn fail_always(&self, kind: fn(&RecordedRequest) -> bool, fault: Fault) {
        self.faults.lock().unwrap().always.push((kind, fault));
    }

    /// Removes all faults.
    pub(crate) fn clear_faults(&self) {
        let mut faults = self.faults.lock().unwrap();
        faults.next.clear();
        faults.always.clear();
    }

    /// Returns the maximum number of concurrent requests.
    pub(crate) fn max_concurrency(&self) -> usize {
        self.faults.lock().unwrap().busy.1
    }

    /// Returns all requests so far, including failed ones.
    pub(crate) fn requests(&self) -> usize {
        self.faults.lock().unwrap().received
    }
}

impl FaultState {
    fn begin(&mut self, request: &RecordedRequest) -> Option<Fault> {
        self.received += 1;
        self.busy.0 += 1;
        self.busy.1 = self.busy.1.max(self.busy.0);
        let always = || self.always.iter().find(|(is_kind, _)| is_kind(request)).map(|(_, fault)| fault.clone());
        self.next.pop_front().or_else(always)
    }
}

async fn accept(listener: TcpListener, serve: Serve, faults: Faults) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (serve, faults) = (Arc::clone(&serve), Arc::clone(&faults));
        connections.spawn(async move {
            let _ = handle_connection(stream, &serve, &faults).await;
        });
    }
}

async fn handle_connection(mut stream: TcpStream, serve: &Serve, faults: &Faults) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await? {
        let fault = faults.lock().unwrap().begin(&request);
        let response = match fault {
            None => serve(&request),
            Some(Fault::Response(response)) => response,
            Some(Fault::Slow(pause)) => {
                tokio::time::sleep(pause).await;
                serve(&request)
            }
        };
        faults.lock().unwrap().busy.0 -= 1;
        match response {
            StubResponse::Http { status, headers, body } => write(&mut stream, status, &headers, &body).await?,
            StubResponse::Reset => return Ok(()),
            StubResponse::Cut => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\":").await?;
                return Ok(());
            }
            StubResponse::Hang => std::future::pending().await,
            StubResponse::Parts { length, parts, pause } => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                let mut left = length;
                for part in parts {
                    stream.write_all(&part).await?;
                    left -= part.len();
                    tokio::time::sleep(pause).await;
                }
                if left > 0 {
                    std::future::pending::<()>().await;
                }
            }
            StubResponse::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await?;
                loop {
                    stream.write_all(&[b' '; 65_536]).await?;
                }
            }
        }
    }
    Ok(())
}

/// Reads the next request. `None` if the client closed the connection.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> std::io::Result<Option<RecordedRequest>> {
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8(buffer.drain(..head + 4).collect()).unwrap();
    let mut lines = text.split("\r\n");
    let path = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: HashMap<String, String> = lines.filter_map(header).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(RecordedRequest { path, headers, body: buffer.drain(..length).collect() }))
}

async fn write(
    stream: &mut TcpStream,
    status: u16,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await
}
