//! WebSockets (RFC 6455), on connections that are made as those of requests are.
//!
//! Reading and writing go on side by side; each is driven by whoever waits for it, so nothing is
//! spawned and a socket that nobody waits for takes nothing in.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{Sink, SinkExt, StreamExt};
use http::HeaderValue;
use http::header::{SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::sync::Mutex;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::client::Request as Handshake;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::connect::Transport;
use super::error::{Error, carried};
use super::request::{parse_headers, parse_url_of};
use super::{Client, NetworkGrant};
use crate::limits::{
    WEBSOCKET_MESSAGE_BYTES_MAX, WEBSOCKET_PROTOCOLS_BYTES_MAX, WEBSOCKET_QUEUE_BYTES_MAX,
};

/// Bytes that are read at once: also what an idle socket takes.
const READ_BUFFER_BYTES: usize = 16 << 10;
/// How long the answer to a closing frame may take to leave.
const FAREWELL: Duration = Duration::from_secs(1);
/// Most bytes that a control frame carries (RFC 6455, section 5.5).
const CONTROL_BYTES_MAX: usize = 125;
/// The code that stands for a closing frame without one.
const NO_CODE: u16 = 1005;

type Connection = WebSocketStream<TokioIo<Transport>>;

/// What to connect to.
#[derive(Debug)]
pub struct WebSocketRequest {
    /// Absolute, `ws` or `wss` (`http` and `https` mean the same), without user name and
    /// password. A fragment is ignored.
    pub url: String,
    /// Subprotocols, the most wanted first; at most [`WEBSOCKET_PROTOCOLS_BYTES_MAX`] together.
    pub protocols: Vec<String>,
    /// As in [`super::Request::headers`]; those of the handshake are left out as well.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// What a closing frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// 1005 for "nothing".
    pub code: u16,
    /// At most 123 bytes.
    pub reason: String,
}

/// A message, either way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// At most [`WEBSOCKET_MESSAGE_BYTES_MAX`] bytes.
    Text(String),
    /// At most [`WEBSOCKET_MESSAGE_BYTES_MAX`] bytes.
    Binary(Bytes),
    /// At most 125 bytes. One that arrives is answered already.
    Ping(Bytes),
    /// At most 125 bytes.
    Pong(Bytes),
    /// The last one. One that arrives is answered already.
    Close(Closing),
}

impl Message {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) | Self::Ping(bytes) | Self::Pong(bytes) => bytes.len(),
            Self::Close(closing) => closing.reason.len() + 2,
        }
    }

    /// Whether it may be sent.
    fn check(&self) -> Result<(), Error> {
        let bytes = self.bytes();
        match self {
            Self::Text(_) | Self::Binary(_) if bytes > WEBSOCKET_MESSAGE_BYTES_MAX => {
                Err(Error::MessageTooLarge)
            }
            Self::Ping(_) | Self::Pong(_) | Self::Close(_) if bytes > CONTROL_BYTES_MAX => Err(
                Error::InvalidMessage("a control frame has at most 125 bytes"),
            ),
            Self::Close(closing) if closing.code == NO_CODE => match closing.reason.as_str() {
                "" => Ok(()),
                _ => Err(Error::InvalidMessage("a reason needs a code")),
            },
            Self::Close(closing) if !CloseCode::from(closing.code).is_allowed() => {
                Err(Error::InvalidMessage("that code must not be sent"))
            }
            _ => Ok(()),
        }
    }
}

impl From<Message> for tungstenite::Message {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.into()),
            Message::Binary(bytes) => Self::Binary(bytes),
            Message::Ping(bytes) => Self::Ping(bytes),
            Message::Pong(bytes) => Self::Pong(bytes),
            Message::Close(closing) if closing.code == NO_CODE => Self::Close(None),
            Message::Close(closing) => Self::Close(Some(CloseFrame {
                code: closing.code.into(),
                reason: closing.reason.into(),
            })),
        }
    }
}

/// An open connection. Dropping it tells the server that we go away, if the connection has room
/// for that, and closes it.
pub struct WebSocket {
    protocol: String,
    sink: Mutex<SplitSink<Connection, tungstenite::Message>>,
    stream: Mutex<SplitStream<Connection>>,
    /// Bytes of the messages whose sending has begun.
    sending: AtomicUsize,
    released: CancellationToken,
}

/// Counts a message as being sent until it is dropped.
struct Sending {
    socket: Arc<WebSocket>,
    bytes: usize,
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.socket.sending.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl WebSocket {
    /// The subprotocol that the server chose; empty for none.
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// Sends a message, after those whose sending began before. Ends when the system has taken
    /// it over.
    ///
    /// # Errors
    /// [`Error::MessageTooLarge`], [`Error::InvalidMessage`] and [`Error::QueueFull`] (more than
    /// [`WEBSOCKET_QUEUE_BYTES_MAX`] would be on their way), with nothing done;
    /// [`Error::Closed`].
    /// # Cancel safety
    /// A message is sent whole or not at all; which of them is not said.
    pub fn send(
        self: &Arc<Self>,
        message: Message,
    ) -> Result<impl Future<Output = Result<(), Error>> + Send + use<>, Error> {
        message.check()?;
        let bytes = message.bytes();
        if self.sending.load(Ordering::Relaxed) + bytes > WEBSOCKET_QUEUE_BYTES_MAX {
            return Err(Error::QueueFull);
        }
        self.sending.fetch_add(bytes, Ordering::Relaxed);
        let sending = Sending {
            socket: Arc::clone(self),
            bytes,
        };
        Ok(async move {
            let socket = &sending.socket;
            tokio::select! {
                biased;
                () = socket.released.cancelled() => Err(Error::Closed),
                sent = async { socket.sink.lock().await.send(message.into()).await } => {
                    // Why it broke is for the receiver to tell.
                    sent.map_err(|_| Error::Closed)
                }
            }
        })
    }

    /// The next message.
    ///
    /// # Errors
    /// [`Error::Closed`], [`Error::MessageTooLarge`], [`Error::Protocol`]; nothing comes after.
    /// # Cancel safety
    /// Safe: no message is lost.
    pub async fn receive(&self) -> Result<Message, Error> {
        tokio::select! {
            biased;
            () = self.released.cancelled() => Err(Error::Closed),
            received = self.next() => received,
        }
    }

    async fn next(&self) -> Result<Message, Error> {
        let mut stream = self.stream.lock().await;
        loop {
            return Ok(match stream.next().await {
                None => return Err(Error::Closed),
                Some(Err(error)) => return Err(self.broken(&error)),
                Some(Ok(tungstenite::Message::Frame(_))) => continue,
                Some(Ok(tungstenite::Message::Text(text))) => Message::Text(text.as_str().into()),
                Some(Ok(tungstenite::Message::Binary(bytes))) => Message::Binary(bytes),
                Some(Ok(tungstenite::Message::Ping(bytes))) => Message::Ping(bytes),
                Some(Ok(tungstenite::Message::Pong(bytes))) => Message::Pong(bytes),
                Some(Ok(tungstenite::Message::Close(frame))) => {
                    let answer = async { self.sink.lock().await.flush().await };
                    // A server that does not wait for our answer does not get it.
                    let _ = tokio::time::timeout(FAREWELL, answer).await;
                    Message::Close(closing(frame))
                }
            });
        }
    }

    /// Ends what waits for this socket, with [`Error::Closed`].
    pub fn release(&self) {
        self.released.cancel();
    }

    /// What an error means; the server is told, if it has to know.
    fn broken(&self, error: &tungstenite::Error) -> Error {
        if let tungstenite::Error::Io(error) = error
            && let Some(own) = carried(error)
        {
            return own;
        }
        let (code, meaning) = match error {
            tungstenite::Error::Capacity(_) => (CloseCode::Size, Error::MessageTooLarge),
            tungstenite::Error::Utf8(_) => (
                CloseCode::Invalid,
                Error::Protocol("a text is not valid UTF-8"),
            ),
            tungstenite::Error::Protocol(
                ProtocolError::ResetWithoutClosingHandshake
                | ProtocolError::SendAfterClosing
                | ProtocolError::ReceivedAfterClosing,
            )
            | tungstenite::Error::ConnectionClosed
            | tungstenite::Error::AlreadyClosed
            | tungstenite::Error::Io(_) => return Error::Closed,
            _ => (
                CloseCode::Protocol,
                Error::Protocol("it breaks the WebSocket protocol"),
            ),
        };
        if let Ok(mut sink) = self.sink.try_lock() {
            say(&mut sink, code);
        }
        meaning
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        say(self.sink.get_mut(), CloseCode::Away);
    }
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocket").finish_non_exhaustive()
    }
}

/// Sends a closing frame without waiting: it goes out if the connection has room for it.
fn say(sink: &mut SplitSink<Connection, tungstenite::Message>, code: CloseCode) {
    let mut sink = Pin::new(sink);
    let context = &mut Context::from_waker(Waker::noop());
    if let Poll::Ready(Ok(())) = sink.as_mut().poll_ready(context) {
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::default(),
        };
        if sink
            .as_mut()
            .start_send(tungstenite::Message::Close(Some(frame)))
            .is_ok()
        {
            let _ = sink.poll_flush(context);
        }
    }
}

fn closing(frame: Option<CloseFrame>) -> Closing {
    frame.map_or_else(
        || Closing {
            code: NO_CODE,
            reason: String::new(),
        },
        |frame| Closing {
            code: frame.code.into(),
            reason: frame.reason.as_str().into(),
        },
    )
}

impl Client {
    /// Opens a WebSocket. Waits as long as the server takes once it is connected: the caller has
    /// the deadline. A redirect is an answer like any other: [`Error::NotUpgraded`].
    ///
    /// # Errors
    /// See [`Error`].
    /// # Cancel safety
    /// Dropping the future closes the connection.
    pub async fn open_websocket(
        &self,
        grant: &NetworkGrant,
        request: WebSocketRequest,
    ) -> Result<WebSocket, Error> {
        let handshake = handshake(request, &self.user_agent)?;
        let connector = grant.shared.connector.clone();
        let transport = connector.connect(handshake.uri().clone()).await?;
        let opened = client_async_with_config(handshake, TokioIo::new(transport), Some(config()));
        let (connection, answer) = opened.await.map_err(|error| from_handshake(&error))?;
        if answer.headers().contains_key(SEC_WEBSOCKET_EXTENSIONS) {
            return Err(Error::Protocol("it uses an extension that was not offered"));
        }
        let protocol = answer.headers().get(SEC_WEBSOCKET_PROTOCOL);
        let protocol = protocol.and_then(|value| value.to_str().ok());
        let (sink, stream) = connection.split();
        Ok(WebSocket {
            protocol: protocol.unwrap_or_default().to_owned(),
            sink: Mutex::new(sink),
            stream: Mutex::new(stream),
            sending: AtomicUsize::new(0),
            released: CancellationToken::new(),
        })
    }
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * WEBSOCKET_MESSAGE_BYTES_MAX)
        .max_message_size(Some(WEBSOCKET_MESSAGE_BYTES_MAX))
        .max_frame_size(Some(WEBSOCKET_MESSAGE_BYTES_MAX))
}

/// The request that asks the server to switch to WebSocket.
fn handshake(request: WebSocketRequest, user_agent: &str) -> Result<Handshake, Error> {
    let url = websocket_url(&request.url)?;
    let uri: http::Uri = url
        .as_str()
        .parse()
        .map_err(|_| Error::InvalidUrl("it cannot be sent over HTTP"))?;
    let mut handshake = uri
        .into_client_request()
        .map_err(|_| Error::InvalidUrl("it cannot be sent over HTTP"))?;
    let headers = handshake.headers_mut();
    let default = HeaderValue::from_str(user_agent)
        .map_err(|_| Error::InvalidRequest("the user agent cannot be a header"))?;
    headers.insert(USER_AGENT, default);
    let mut given = parse_headers(&request.headers)?;
    for name in given.keys().cloned().collect::<Vec<_>>() {
        if name.as_str().starts_with("sec-websocket-") {
            given.remove(name);
        }
    }
    headers.extend(given);
    if !request.protocols.is_empty() {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocols(&request.protocols)?);
    }
    Ok(handshake)
}

fn websocket_url(text: &str) -> Result<Url, Error> {
    let mut url =
        parse_url_of(&["ws", "wss", "http", "https"], text, None).map_err(|error| match error {
            Error::UnsupportedScheme => Error::InvalidUrl("it is neither ws nor wss"),
            other => other,
        })?;
    let scheme = match url.scheme() {
        "https" | "wss" => "wss",
        _ => "ws",
    };
    url.set_scheme(scheme)
        .map_err(|()| Error::InvalidUrl("it is neither ws nor wss"))?;
    Ok(url)
}

fn protocols(names: &[String]) -> Result<HeaderValue, Error> {
    let invalid = Error::InvalidRequest("a subprotocol is not a token, or there twice");
    let bytes: usize = names.iter().map(|name| name.len() + 2).sum();
    if bytes > WEBSOCKET_PROTOCOLS_BYTES_MAX {
        return Err(Error::InvalidRequest("the subprotocols are too long"));
    }
    for (at, name) in names.iter().enumerate() {
        if name.is_empty() || !name.bytes().all(is_token) || names[..at].contains(name) {
            return Err(invalid);
        }
    }
    HeaderValue::from_str(&names.join(",")).map_err(|_| invalid)
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn from_handshake(error: &tungstenite::Error) -> Error {
    if let tungstenite::Error::Io(error) = error
        && let Some(own) = carried(error)
    {
        return own;
    }
    match error {
        tungstenite::Error::Http(answer) => Error::NotUpgraded {
            status: answer.status().as_u16(),
        },
        tungstenite::Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(_)) => {
            Error::Protocol("it does not choose one of the subprotocols")
        }
        tungstenite::Error::Io(_)
        | tungstenite::Error::ConnectionClosed
        | tungstenite::Error::Protocol(ProtocolError::HandshakeIncomplete) => {
            Error::Protocol("the connection broke off before the answer")
        }
        _ => Error::Protocol("it is not a WebSocket handshake"),
    }
}
