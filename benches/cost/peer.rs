//! The server that functions fetch from: the least that is HTTP, in threads of its own.
//!
//! What it answers is decided by the path: `/stream/BYTES` is so many bytes, `/gate/COUNT` is
//! answered once so many requests wait for it, and everything else is [`FETCHED`].

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::cases::FETCHED;

/// Stack of a thread; there may be a thousand.
const STACK_BYTES: usize = 128 << 10;
/// Size of a part of a streamed answer, in bytes.
const PART_BYTES: usize = 64 << 10;
/// Longest that a request waits for others.
const PATIENCE: Duration = Duration::from_secs(25);

/// Requests that wait for each other.
#[derive(Default)]
struct Gate {
    waiting: Mutex<usize>,
    opened: Condvar,
}

impl Gate {
    /// Waits until `count` requests, this one included, have come.
    fn pass(&self, count: usize) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting += 1;
        if *waiting >= count {
            self.opened.notify_all();
        }
        let closed = |waiting: &mut usize| *waiting < count;
        // When somebody does not come, the others are answered in the end.
        drop(self.opened.wait_timeout_while(waiting, PATIENCE, closed));
    }
}

/// Starts it on a port of its own; it ends with the process.
pub(crate) fn start() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let gate = Arc::new(Gate::default());
    std::thread::Builder::new()
        .name("peer".to_owned())
        .spawn(move || {
            for connection in listener.incoming().flatten() {
                let gate = Arc::clone(&gate);
                let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
                // A connection that gets no thread is hung up.
                drop(thread.spawn(move || answer_all(connection, &gate)));
            }
        })?;
    Ok(address)
}

/// Answers requests without a body until the client hangs up.
fn answer_all(mut connection: TcpStream, gate: &Gate) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let greeting = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{FETCHED}",
        FETCHED.len()
    );
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = connection.read(&mut chunk)?;
        if read == 0 {
            return Ok(());
        }
        received.extend_from_slice(&chunk[..read]);
        if !received.ends_with(b"\r\n\r\n") {
            continue;
        }
        match asked(&received) {
            Some(("stream", bytes)) => stream(&mut connection, bytes)?,
            Some(("gate", count)) => {
                gate.pass(count);
                connection.write_all(greeting.as_bytes())?;
            }
            _ => connection.write_all(greeting.as_bytes())?,
        }
        received.clear();
    }
}

/// The first part of a request's path, and the number that is the second.
fn asked(request: &[u8]) -> Option<(&str, usize)> {
    let head = std::str::from_utf8(request).ok()?;
    let path = head.split(' ').nth(1)?.trim_start_matches('/');
    let (name, number) = path.split_once('/')?;
    Some((name, number.parse().ok()?))
}

fn stream(connection: &mut TcpStream, bytes: usize) -> std::io::Result<()> {
    write!(
        connection,
        "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: {bytes}\r\n\r\n"
    )?;
    let part = vec![b'.'; PART_BYTES];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(PART_BYTES);
        connection.write_all(&part[..now])?;
        left -= now;
    }
    Ok(())
}
