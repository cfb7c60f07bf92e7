//! The server that functions fetch from: the least that is HTTP, in threads of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::cases::FETCHED;

/// Starts it on a port of its own; it ends with the process.
pub(crate) fn start() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    std::thread::Builder::new()
        .name("peer".to_owned())
        .spawn(move || {
            for connection in listener.incoming().flatten() {
                std::thread::spawn(move || answer_all(connection));
            }
        })?;
    Ok(address)
}

/// Answers requests without a body until the client hangs up.
fn answer_all(mut connection: TcpStream) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let answer = format!(
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
        if received.ends_with(b"\r\n\r\n") {
            received.clear();
            connection.write_all(answer.as_bytes())?;
        }
    }
}
