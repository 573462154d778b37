//! What 10,000 tasks and AMP are to the tick, as cheap as can be, so that the function is measured and not its peers: threads
//! that accept connections and answer one after the other. What was written is kept as it came, and counted afterwards.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use prost::Message as _;
use sidecarless::model::remote_write::WriteRequest;

use crate::payload;

/// As many as two environments hold connections at once: to 64 tasks each, two connections per task. A connection that
/// waited to be accepted would be the stand-in's delay.
const THREADS: usize = 2 * 64 * 2;

/// Tasks anywhere in 127.0.0.0/8, and remote write.
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

    /// Samples and bytes that were written.
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

/// Answers what comes on a connection until it is closed.
fn serve(mut connection: TcpStream, documents: &(String, String), written: &Mutex<Vec<Vec<u8>>>) {
    let mut reader = BufReader::new(connection.try_clone().expect("a socket"));
    while let Some((path, host, body)) = read(&mut reader) {
        let page = match path.as_str() {
            "/task" => of_task(&documents.0, &host),
            "/task/stats" => of_task(&documents.1, &host),
            _ => {
                written.lock().expect("no panic").push(body);
                String::new()
            }
        };
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{page}", page.len());
        if connection.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Each task has an id of its own, made of its address.
fn of_task(document: &str, host: &str) -> String {
    let numbers = host.split(['.', ':']).map_while(|part| part.parse::<u8>().ok());
    let address = numbers.fold(0_u32, |address, byte| address << 8 | u32::from(byte));
    document.replace(payload::TASK, &format!("{address:032x}"))
}

/// Path, host and body of the next request.
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
