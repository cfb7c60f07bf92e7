//! Interface `websocket`: connections of an invocation, as far as the network grant goes.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::bail;

use super::State;
use super::bindings::ampoule::host::websocket;
use super::fetch::{ANSWERED, Refused, headers, note_blocked};
use super::operations::{Outcome, Work};
use crate::limits::{
    FIELDS_BYTES_MAX, TARGET_BYTES_MAX, WEBSOCKET_PROTOCOLS_BYTES_MAX, WEBSOCKETS_MAX,
};
use crate::outbound::{self, Closing, Message, WebSocket, WebSocketRequest};

/// The sockets of one invocation. Dropping it closes them.
pub(super) struct Sockets {
    last: u32,
    open: HashMap<u32, (Arc<WebSocket>, OwnedSemaphorePermit)>,
    places: Arc<Semaphore>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            last: 0,
            open: HashMap::new(),
            places: Arc::new(Semaphore::new(WEBSOCKETS_MAX)),
        }
    }
}

/// A new socket with its place.
pub(super) type Opened = Box<(WebSocket, OwnedSemaphorePermit)>;

impl websocket::Host for State {
    fn begin_connect(&mut self, request: websocket::Request) -> wasmtime::Result<u32> {
        self.count_host_call();
        let work = match self.prepare_socket(request) {
            Ok(work) => work,
            Err((code, message)) => {
                let error = websocket::Error {
                    code: code.to_owned(),
                    message,
                };
                Box::pin(async { Outcome::ConnectRefused(error) })
            }
        };
        self.operations.begin(work)
    }

    fn finish_connect(
        &mut self,
        operation: u32,
    ) -> wasmtime::Result<Result<websocket::Connection, websocket::Error>> {
        let (socket, place) = match self.operations.take(operation)? {
            Outcome::Connected(Ok(opened)) => *opened,
            Outcome::Connected(Err(failure)) => {
                let error = error(&failure);
                self.usage.subrequest_outcomes.count(&error.code);
                return Ok(Err(error));
            }
            Outcome::ConnectRefused(error) => {
                self.usage.subrequest_outcomes.count(&error.code);
                return Ok(Err(error));
            }
            _ => bail!("operation {operation} does not connect"),
        };
        self.usage.subrequest_outcomes.count(ANSWERED);
        let protocol = socket.protocol().to_owned();
        self.sockets.last += 1;
        let number = self.sockets.last;
        self.sockets.open.insert(number, (Arc::new(socket), place));
        Ok(Ok(websocket::Connection {
            socket: number,
            protocol,
        }))
    }

    fn begin_send(&mut self, socket: u32, message: websocket::Message) -> wasmtime::Result<u32> {
        self.count_host_call();
        let sending = match self.sockets.open.get(&socket) {
            Some((socket, _)) => socket.send(from_guest(message)),
            None => Err(outbound::Error::Closed),
        };
        let work: Work = match sending {
            Ok(sending) => Box::pin(async move { Outcome::Sent(sending.await) }),
            Err(error) => Box::pin(async { Outcome::Sent(Err(error)) }),
        };
        self.operations.begin(work)
    }

    fn finish_send(&mut self, operation: u32) -> wasmtime::Result<Result<(), websocket::Error>> {
        match self.operations.take(operation)? {
            Outcome::Sent(result) => Ok(result.map_err(|failure| error(&failure))),
            _ => bail!("operation {operation} does not send"),
        }
    }

    fn begin_receive(&mut self, socket: u32) -> wasmtime::Result<u32> {
        self.count_host_call();
        let work: Work = match self.sockets.open.get(&socket) {
            Some((socket, _)) => {
                let (socket, log) = (Arc::clone(socket), self.log.clone());
                Box::pin(async move {
                    let received = socket.receive().await;
                    Outcome::Received(received.inspect_err(|error| note_blocked(&log, error)))
                })
            }
            None => Box::pin(async { Outcome::Received(Err(outbound::Error::Closed)) }),
        };
        self.operations.begin(work)
    }

    fn finish_receive(
        &mut self,
        operation: u32,
    ) -> wasmtime::Result<Result<websocket::Message, websocket::Error>> {
        match self.operations.take(operation)? {
            Outcome::Received(result) => {
                Ok(result.map(to_guest).map_err(|failure| error(&failure)))
            }
            _ => bail!("operation {operation} does not receive"),
        }
    }

    fn release(&mut self, socket: u32) -> wasmtime::Result<()> {
        if let Some((socket, _place)) = self.sockets.open.remove(&socket) {
            socket.release();
        }
        Ok(())
    }
}

impl State {
    fn prepare_socket(&mut self, request: websocket::Request) -> Result<Work, Refused> {
        let Some((client, grant)) = self.grants.network.clone() else {
            return Err(("denied", "this function has no network".into()));
        };
        let protocols_bytes: usize = request.protocols.iter().map(String::len).sum();
        if request.url.len() > TARGET_BYTES_MAX
            || request.fields.len() > FIELDS_BYTES_MAX
            || protocols_bytes > WEBSOCKET_PROTOCOLS_BYTES_MAX
        {
            let what = "the URL, subprotocols or headers are too long";
            return Err(("invalid_url", what.into()));
        }
        let Ok(place) = Arc::clone(&self.sockets.places).try_acquire_owned() else {
            let what = format!("more than {WEBSOCKETS_MAX} WebSockets open in one invocation");
            return Err(("sockets_exceeded", what));
        };
        self.take_subrequest()?;
        let request = WebSocketRequest {
            url: request.url,
            protocols: request.protocols,
            headers: headers(&request.fields),
        };
        let log = self.log.clone();
        Ok(Box::pin(async move {
            let opened = client.open_websocket(&grant, request).await;
            let opened = opened.inspect_err(|error| note_blocked(&log, error));
            Outcome::Connected(opened.map(|socket| Box::new((socket, place))))
        }))
    }
}

fn error(error: &outbound::Error) -> websocket::Error {
    websocket::Error {
        code: error.code().to_owned(),
        message: error.to_string(),
    }
}

/// Too long ones stay what they are, and are refused where they are sent.
fn from_guest(message: websocket::Message) -> Message {
    match message {
        websocket::Message::Text(text) => Message::Text(text),
        websocket::Message::Binary(bytes) => Message::Binary(bytes.into()),
        websocket::Message::Ping(bytes) => Message::Ping(bytes.into()),
        websocket::Message::Pong(bytes) => Message::Pong(bytes.into()),
        websocket::Message::Close(closing) => Message::Close(Closing {
            code: closing.code,
            reason: closing.reason,
        }),
    }
}

fn to_guest(message: Message) -> websocket::Message {
    match message {
        Message::Text(text) => websocket::Message::Text(text),
        Message::Binary(bytes) => websocket::Message::Binary(bytes.into()),
        Message::Ping(bytes) => websocket::Message::Ping(bytes.into()),
        Message::Pong(bytes) => websocket::Message::Pong(bytes.into()),
        Message::Close(closing) => websocket::Message::Close(websocket::Closing {
            code: closing.code,
            reason: closing.reason,
        }),
    }
}
