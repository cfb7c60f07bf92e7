//! `ampoule invoke`: sends one request to a function and prints what it answers, as it arrives.

use std::io::Read;
use std::str::FromStr;

use clap::Args;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::client::{self, Client, ServerArgs, TenantArgs};
use super::output::{Style, Terminal, printable};
use super::problem::{CliError, EXIT_FAILED, Subject};
use crate::id::FunctionName;
use crate::limits::Limits;

/// The header that names the invocation.
const INVOCATION_HEADER: &str = "x-ampoule-invocation";
/// What a version that is tested sees as `authorization`.
const TEST_AUTHORIZATION: &str = "x-ampoule-test-authorization";
/// Largest body that `--json` holds, in bytes; without it there is no bound.
const JSON_BODY_BYTES_MAX: usize = 64 << 20;

/// Sends one request to a function.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule invoke hello
  ampoule invoke 'hello/users/7?verbose=1' -i
  ampoule invoke orders -d '{\"item\": 7}'           # POST, application/json
  ampoule invoke upload -X PUT -d @photo.png -H 'content-type: image/png'
  echo hi | ampoule invoke echo -d @-

A body that is JSON is sent as application/json, other text as text/plain, anything else as
application/octet-stream, unless -H gives a content-type.

Exit codes: 0 for a status below 400, 1 for another one, 2 for a command line that cannot be
carried out, 3 when the server cannot be reached.")]
pub struct InvokeArgs {
    #[command(flatten)]
    pub(super) request: RequestArgs,
}

/// Sends one request to a version, active or not.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule test hello/users/7 --version 3 -i
  ampoule test orders --version 3 -d '{\"item\": 7}'

A version that is not active is reached by those only who may deploy, so this needs their key. The
function does not see it; what it is to see as authorization is given with -H as usual. Whatever
else a version does is real: it works on the kv of its tenant. The rest is as for `ampoule invoke`.")]
pub struct TestArgs {
    /// Number of the version, as `ampoule versions` shows it
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "NUMBER")]
    version: u64,
    #[command(flatten)]
    pub(super) request: RequestArgs,
}

/// A request, and how its answer is shown.
#[derive(Args)]
pub struct RequestArgs {
    /// Name of the function, then the path and query that it sees
    #[arg(value_name = "NAME[/PATH][?QUERY]")]
    target: Target,
    #[command(flatten)]
    tenant: TenantArgs,
    /// Method [default: GET, or POST with --data]
    #[arg(long = "method", short = 'X', value_parser = parse_method)]
    method: Option<Method>,
    /// Header; may be given many times
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Body: the text itself, @FILE or @- for stdin
    #[arg(long, short, value_name = "BODY", allow_hyphen_values = true)]
    data: Option<String>,
    /// Print status and headers before the body
    #[arg(long, short, conflicts_with = "json")]
    include: bool,
    /// Print status, headers and body as one JSON document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// `NAME[/PATH][?QUERY]`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    function: FunctionName,
    /// Empty, or begins with `/` or `?`.
    rest: String,
}

impl FromStr for Target {
    type Err = crate::id::InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let end = text.find(['/', '?']).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        Ok(Self {
            function: name.parse()?,
            rest: rest.to_owned(),
        })
    }
}

/// Carries out `ampoule invoke` and answers the number to exit with.
///
/// # Errors
/// Usage, that no answer came or broke off, or the platform's problem.
pub(super) async fn run(args: &InvokeArgs, terminal: &mut Terminal) -> Result<u8, CliError> {
    let args = &args.request;
    let client = Client::new(&args.server)?;
    let Target { function, rest } = &args.target;
    let url = client.invoke_url(&args.tenant, function, rest)?;
    let begin = |method| client.data(method, url);
    send(args, &client, begin, AUTHORIZATION, terminal).await
}

/// Carries out `ampoule test` and answers the number to exit with.
///
/// # Errors
/// As [`run`].
pub(super) async fn test(args: &TestArgs, terminal: &mut Terminal) -> Result<u8, CliError> {
    let (version, args) = (args.version, &args.request);
    let client = Client::new(&args.server)?;
    let Target { function, rest } = &args.target;
    let url = client.test_url(&args.tenant, function, version, rest)?;
    let begin = |method| client.control_url(method, url);
    // Towards the control plane, `authorization` is the key.
    let authorization = HeaderName::from_static(TEST_AUTHORIZATION);
    send(args, &client, begin, authorization, terminal).await
}

async fn send(
    args: &RequestArgs,
    client: &Client,
    begin: impl FnOnce(Method) -> RequestBuilder,
    authorization: HeaderName,
    terminal: &mut Terminal,
) -> Result<u8, CliError> {
    let function = &args.target.function;
    let subject = args.tenant.subject_of(function);
    let body = args.data.as_deref().map(read_body).transpose()?;
    let default_method = if body.is_some() {
        Method::POST
    } else {
        Method::GET
    };
    let method = args.method.clone().unwrap_or(default_method);
    let mut headers = HeaderMap::new();
    for (name, value) in &args.headers {
        let is_authorization = *name == AUTHORIZATION;
        let name = if is_authorization {
            &authorization
        } else {
            name
        };
        headers.append(name.clone(), value.clone());
    }
    if let Some(body) = &body
        && !headers.contains_key(CONTENT_TYPE)
    {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(body)));
    }
    let mut request = begin(method).headers(headers);
    if let Some(body) = body {
        request = request.body(body);
    }
    let mut response = client.send(request).await?;
    if args.json {
        return print_json(&mut response, &subject, terminal).await;
    }
    print(args, &mut response, &subject, terminal).await
}

async fn print(
    args: &RequestArgs,
    response: &mut Response,
    subject: &Subject,
    terminal: &mut Terminal,
) -> Result<u8, CliError> {
    let broken_off = |error: reqwest::Error| CliError::broken_off(&error, subject);
    if args.include {
        terminal.out.raw(head(response).as_bytes())?;
    }
    let read = client::problem_or_bytes(response)
        .await
        .map_err(broken_off)?;
    let mut last = match read {
        Ok((problem, body)) => {
            if args.include {
                terminal.out.raw(&body)?;
                terminal.out.raw(b"\n")?;
            }
            return Err(CliError::problem(problem, subject));
        }
        Err(body) => {
            terminal.out.raw(&body)?;
            body.last().copied()
        }
    };
    while let Some(chunk) = response.chunk().await.map_err(broken_off)? {
        terminal.out.raw(&chunk)?;
        last = chunk.last().copied().or(last);
    }
    if terminal.out.is_terminal() && last.is_some_and(|byte| byte != b'\n') {
        terminal.out.raw(b"\n")?;
    }
    if !is_failure(response.status()) {
        return Ok(0);
    }
    let label = terminal.err.paint(Style::Yellow, "note:");
    let status = response.status();
    let told = format!("{label} the function itself answered {status}");
    let logs = subject.logs(invocation(response).as_deref());
    terminal.err.line(&format!("{told}\n  next  {logs}"))?;
    Ok(EXIT_FAILED)
}

async fn print_json(
    response: &mut Response,
    subject: &Subject,
    terminal: &mut Terminal,
) -> Result<u8, CliError> {
    let body = client::read_bounded(response, JSON_BODY_BYTES_MAX)
        .await
        .map_err(|error| CliError::broken_off(&error, subject))?;
    if body.len() > JSON_BODY_BYTES_MAX {
        return Err(CliError::usage(
            "the body is too large for --json: leave it out",
        ));
    }
    let mut document = json!({
        "status": response.status().as_u16(),
        "invocation": invocation(response),
        "headers": headers_json(response.headers()),
    });
    let (name, value) = body_json(response.headers(), &body);
    document[name] = value;
    terminal.out.line(&document.to_string())?;
    Ok(if is_failure(response.status()) {
        EXIT_FAILED
    } else {
        0
    })
}

/// JSON as itself, text as a string; other bytes as their number, as JSON has no place for them.
fn body_json(headers: &HeaderMap, body: &[u8]) -> (&'static str, Value) {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media = content_type
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    if (media == "application/json" || media.ends_with("+json"))
        && let Ok(value) = serde_json::from_slice(body)
    {
        return ("body", value);
    }
    match std::str::from_utf8(body) {
        Ok(text) => ("body", json!(text)),
        Err(_) => ("body_bytes", json!(body.len())),
    }
}

/// Headers by name: a string, or a list of strings where there are several.
fn headers_json(headers: &HeaderMap) -> Value {
    let mut object = Map::new();
    for name in headers.keys() {
        let text = |value: &HeaderValue| json!(String::from_utf8_lossy(value.as_bytes()));
        let mut values: Vec<Value> = headers.get_all(name).iter().map(text).collect();
        let value = match (values.pop(), values.is_empty()) {
            (Some(only), true) => only,
            (last, _) => Value::Array(values.into_iter().chain(last).collect()),
        };
        object.insert(name.to_string(), value);
    }
    Value::Object(object)
}

/// The status line and the headers, as they would stand before the body in HTTP/1.1.
fn head(response: &Response) -> String {
    let mut text = format!("{:?} {}\n", response.version(), response.status());
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes());
        text.push_str(&format!("{name}: {}\n", printable(&value)));
    }
    text.push('\n');
    text
}

fn invocation(response: &Response) -> Option<String> {
    let value = response.headers().get(INVOCATION_HEADER)?;
    value.to_str().ok().map(str::to_owned)
}

fn is_failure(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error() || status.as_u16() >= 600
}

fn parse_method(text: &str) -> Result<Method, String> {
    Method::from_str(&text.to_ascii_uppercase()).map_err(|_| "this is not a method".to_owned())
}

/// Reads `NAME: VALUE`; the value may be empty.
fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'NAME: VALUE'")?;
    let name = HeaderName::from_str(name.trim()).map_err(|_| "no header can have this name")?;
    let value = HeaderValue::from_bytes(value.trim().as_bytes())
        .map_err(|_| "no header can have this value")?;
    Ok((name, value))
}

/// A body: the text itself, `@FILE`, or `@-` for stdin.
///
/// # Errors
/// Usage, when it cannot be read or is too large.
pub(super) fn read_body(data: &str) -> Result<Vec<u8>, CliError> {
    let Some(source) = data.strip_prefix('@') else {
        return Ok(data.as_bytes().to_vec());
    };
    let read = if source == "-" {
        read_all(std::io::stdin().lock())
    } else {
        std::fs::File::open(source).and_then(read_all)
    };
    let name = if source == "-" { "stdin" } else { source };
    let bytes = read.map_err(|error| CliError::usage(format!("cannot read {name}: {error}")))?;
    let bytes_max = Limits::MAX.request_body_bytes;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
        let max = bytes_max >> 20;
        return Err(CliError::usage(format!(
            "{name} is too large: no function accepts a body of more than {max} MiB"
        )));
    }
    Ok(bytes)
}

fn read_all(source: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source
        .take(Limits::MAX.request_body_bytes + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a body seems to be.
fn content_type(body: &[u8]) -> &'static str {
    if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() {
        "application/json"
    } else if std::str::from_utf8(body).is_ok() {
        "text/plain; charset=utf-8"
    } else {
        "application/octet-stream"
    }
}

#[cfg(test)]
mod tests;
