//! Test servers for 10,000 tasks and AMP that use little CPU time, so that the benchmark measures the function: threads
//! that accept connections and respond to one request after the other. Remote write bodies are stored, and decoded at
//! the end.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use prost::Message as _;
use sidecarless::model::remote_write::WriteRequest;

use crate::payload;

/// Number of connections that two environments have open: to 64 tasks each, two for each task. With fewer threads,
/// connections would wait for this server.
const THREADS: usize = 2 * 64 * 2;

/// Server of all tasks in 127.0.0.0/8, and of remote write.
pub(crate) struct Loopback {
    pub(crate) port: u16,
    written: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Loopback {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let documents: Arc<(String, String)> = Arc::new(payload::stats(1));
        let written = Arc::new(Mutex::new(Vec::new()));
        for _ in 0..THREADS {
            let listener = listener.try_clone().expect("a socket");
            let (documents, written) = (Arc::clone(&documents), Arc::clone(&written));
            std::thread::spawn(move || {
                for connection in listener.incoming().flatten() {
                    serve(connection, &documents, &written);
                }
            });
        }
        Self { port, written }
    }

    /// Returns the numbers of written samples and bytes.
    pub(crate) fn samples(&self) -> (usize, usize) {
        let bodies = self.written.lock().expect("no panic");
        let samples = |body: &Vec<u8>| {
            let bytes = snap::raw::Decoder::new().decompress_vec(body).expect("snappy");
            let request = WriteRequest::decode(bytes.as_slice()).expect("a write request");
            request.timeseries.iter().map(|series| series.samples.len()).sum::<usize>()
        };
        (bodies.iter().map(samples).sum(), bodies.iter().map(Vec::len).sum())
    }
}

/// Responds to the requests of a connection until it is closed.
fn serve(mut connection: TcpStream, documents: &(String, String), written: &Mutex<Vec<Vec<u8>>>) {
    let mut reader = BufReader::new(connection.try_clone().expect("a socket"));
    while let Some((path, host, body)) = read(&mut reader) {
        let body = match path.as_str() {
            "/task" => for_task(&documents.0, &host),
            "/task/stats" => for_task(&documents.1, &host),
            _ => {
                written.lock().expect("no panic").push(body);
                String::new()
            }
        };
        let response = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if connection.write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

/// Returns a document with the id of a task, which is derived from its address.
fn for_task(document: &str, host: &str) -> String {
    let numbers = host.split(['.', ':']).map_while(|part| part.parse::<u8>().ok());
    let address = numbers.fold(0_u32, |address, byte| address << 8 | u32::from(byte));
    document.replace(payload::TASK, &format!("{address:032x}"))
}

/// Reads the path, the host and the body of the next request.
fn read(reader: &mut BufReader<TcpStream>) -> Option<(String, String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut host, mut length) = (String::new(), 0);
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name {
            "host" => value.clone_into(&mut host),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, host, body))
}
