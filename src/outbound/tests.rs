//! Real servers on loopback: well-behaved ones by axum, the others by hand.

use super::*;

use crate::policies::Connection;
use axum::Router;
use axum::body::Body as AxumBody;
use axum::extract::Request as AxumRequest;
use axum::response::IntoResponse;
use axum::routing::{any, get};
use bytes::Bytes;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::rustls;

mod addresses;
mod answers;
mod compression;
mod connections;
mod redirects;
mod requests;
mod websockets;

/// Ends what would otherwise hang a failing test.
const PATIENCE: Duration = Duration::from_secs(20);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, future).await;
    waited.expect("the test hangs")
}

struct AllowAll;

impl Policy for AllowAll {
    fn allows(&self, _: &TenantId, _: &Connection<'_>) -> Result<(), Denied> {
        Ok(())
    }

    fn revision(&self, _: &TenantId) -> u64 {
        0
    }
}

fn config(denied: &[SocketAddr]) -> OutboundConfig {
    config_with(Arc::new(OwnAddresses::new(denied.to_vec())))
}

fn config_with(policy: Arc<dyn Policy>) -> OutboundConfig {
    OutboundConfig {
        policy,
        resolver: None,
        user_agent: "test/1".into(),
        connect_timeout: Duration::from_secs(10),
    }
}

fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

/// A client and a grant.
struct Fetcher {
    client: Client,
    grant: NetworkGrant,
}

impl Fetcher {
    fn new() -> Self {
        Self::of(Client::new(config(&[])).unwrap())
    }

    fn of(client: Client) -> Self {
        let grant = client.grant(&tenant("t"));
        Self { client, grant }
    }

    async fn send(&self, request: Request) -> Result<Response, Error> {
        soon(self.client.send(&self.grant, request)).await
    }

    async fn get(&self, url: &str) -> Result<Response, Error> {
        self.send(request("GET", url)).await
    }
}

fn request(method: &str, url: &str) -> Request {
    Request {
        method: method.into(),
        url: url.into(),
        headers: Vec::new(),
        body: RequestBody::None,
        redirect: Redirect::Follow,
        decompress: true,
    }
}

fn with_headers(mut request: Request, headers: &[(&str, &str)]) -> Request {
    let pair = |(name, value): &(&str, &str)| ((*name).into(), (*value).into());
    request.headers = headers.iter().map(pair).collect();
    request
}

async fn read(body: &mut Body) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = soon(body.chunk()).await {
        bytes.extend(chunk?);
    }
    Ok(bytes)
}

async fn text(response: &mut Response) -> String {
    String::from_utf8(read(&mut response.body).await.unwrap()).unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    let found = response.headers.iter().find(|(n, _)| n == name);
    found.map(|(_, value)| value.as_str())
}

/// A server that runs until the test ends.
struct Upstream {
    address: SocketAddr,
    tasks: TaskTracker,
}

impl Upstream {
    async fn listen() -> (Self, TcpListener) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = TaskTracker::new();
        (Self { address, tasks }, listener)
    }

    async fn serve(router: Router) -> Self {
        let (upstream, listener) = Self::listen().await;
        upstream
            .tasks
            .spawn(async move { axum::serve(listener, router).await });
        upstream
    }

    /// Hands each connection, its request head read, to `answer`.
    async fn raw<F, A>(answer: A) -> Self
    where
        A: Fn(BufReader<TcpStream>) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (upstream, listener) = Self::listen().await;
        let tasks = upstream.tasks.clone();
        upstream.tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                read_head(&mut stream).await;
                tasks.spawn(answer(stream));
            }
        });
        upstream
    }

    /// Answers each connection with the same bytes and closes it.
    async fn fixed(answer: impl Into<Bytes>) -> Self {
        let answer = answer.into();
        Self::raw(move |mut stream| {
            let answer = answer.clone();
            async move {
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.unwrap_or(0) == 0 {
            break;
        }
    }
    head
}

/// Tells what arrived: a line for the request, one per header, an empty one, the body.
async fn echo(request: AxumRequest) -> String {
    let (head, body) = request.into_parts();
    let mut told = format!("{} {}\n", head.method, head.uri.path());
    let mut lines: Vec<String> = head
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    lines.sort();
    told += &lines.concat();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    told + "\n" + &String::from_utf8_lossy(&body)
}

/// `/status/{status}/…`: a redirect of that status to the rest of the path or to `?to=`.
fn redirecting() -> Router {
    let redirect = |request: AxumRequest| async move {
        let uri = request.uri().clone();
        let (status, rest) = uri.path()["/status/".len()..].split_once('/').unwrap();
        let to = match uri.query().and_then(|query| query.strip_prefix("to=")) {
            Some(to) => to.to_owned(),
            None => format!("/{rest}"),
        };
        let status = StatusCode::from_u16(status.parse().unwrap()).unwrap();
        (status, [("location", to)], "body of the redirect").into_response()
    };
    Router::new()
        .route("/status/{status}/{*rest}", any(redirect))
        .route(
            "/bare",
            any(|| async { (StatusCode::FOUND, "no location") }),
        )
        .fallback(echo)
}

fn gzip(bytes: &[u8], finish: bool) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    if finish {
        return encoder.finish().unwrap();
    }
    encoder.flush().unwrap();
    encoder.get_ref().clone()
}
