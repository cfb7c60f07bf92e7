//! The HTTP client of the command line: where the server is, the key, and what answers mean.
//!
//! The key goes to the control plane only. An invocation never carries it: the function would see
//! it among its request's headers.

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::Deserialize;
use serde_json::Value;

use super::problem::{CliError, Problem, Subject};
use crate::id::{FunctionName, TenantId};
use crate::secret::Token;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the control plane may take to answer what it need not work on.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a server may take for what it does work on.
const WORK_TIMEOUT: Duration = Duration::from_secs(600);
/// Largest answer of the control plane that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Largest problem body that is read, in bytes.
const PROBLEM_BYTES_MAX: usize = 1 << 20;

/// Where the server is, and the key to it.
#[derive(Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Address of the server
    #[arg(
        long,
        env = "AMPOULE_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:4000"
    )]
    url: String,
    /// Key that the server was started with, if it was
    #[arg(long, env = "AMPOULE_KEY", hide_env_values = true)]
    key: Option<String>,
}

/// The function that a command is about.
#[derive(Args, Debug, Clone)]
pub struct FunctionArgs {
    /// Name of the function
    #[arg(value_name = "NAME")]
    pub(super) function: FunctionName,
    #[command(flatten)]
    pub(super) tenant: TenantArgs,
}

/// The tenant that a command is about.
#[derive(Args, Debug, Clone)]
pub struct TenantArgs {
    /// Tenant: a namespace with functions and kv of its own
    #[arg(long, short, default_value = "default", value_name = "TENANT")]
    pub(super) tenant: TenantId,
}

impl TenantArgs {
    /// ` --tenant T` for commands that are shown, nothing for the default tenant.
    pub(super) fn flag(&self) -> String {
        if self.is_default() {
            return String::new();
        }
        format!(" --tenant {}", self.tenant)
    }

    /// Whether this is the tenant of paths that name none.
    pub(super) fn is_default(&self) -> bool {
        self.tenant == TenantId::default_tenant()
    }

    /// What a command about the tenant as a whole gives advice on.
    pub(super) fn subject(&self) -> Subject {
        Subject {
            function: None,
            tenant_flag: self.flag(),
        }
    }

    /// What a command about `function` gives advice on.
    pub(super) fn subject_of(&self, function: &FunctionName) -> Subject {
        Subject {
            function: Some(function.to_string()),
            tenant_flag: self.flag(),
        }
    }
}

/// A deployment as the control plane describes it; members that are not read here are left out.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Version {
    #[serde(default)]
    pub(super) version: u64,
    #[serde(default)]
    pub(super) deployment: String,
    #[serde(default)]
    pub(super) active: bool,
    #[serde(default)]
    pub(super) created_ms: u64,
    #[serde(default)]
    pub(super) evaluation: String,
    #[serde(default)]
    pub(super) evaluation_reason: Option<String>,
    #[serde(default)]
    pub(super) entry: String,
    #[serde(default)]
    pub(super) files: u64,
    #[serde(default)]
    pub(super) source_bytes: u64,
    #[serde(default)]
    pub(super) requires_key: bool,
    #[serde(default)]
    pub(super) log: Vec<Line>,
}

/// One line of a function's log.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Line {
    #[serde(default)]
    pub(super) timestamp_ms: u64,
    #[serde(default)]
    pub(super) level: String,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) invocation: Option<String>,
}

/// A client of one server.
pub(super) struct Client {
    base: Url,
    key: Option<HeaderValue>,
    /// The same without a scheme, if it is one of those that functions may require.
    invoke_key: Option<HeaderValue>,
    http: reqwest::Client,
}

impl Client {
    /// A client as the command line and the environment describe it; connects to nothing yet.
    ///
    /// # Errors
    /// Usage, for an address or a key that cannot be one.
    pub(super) fn new(args: &ServerArgs) -> Result<Self, CliError> {
        let base = parse_base(&args.url)?;
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("ampoule/", env!("CARGO_PKG_VERSION")))
            .no_gzip()
            .no_brotli()
            .no_deflate();
        if is_loopback(&base) {
            // A proxy of the environment could not reach this machine's own loopback.
            http = http.no_proxy();
        }
        let http = http
            .build()
            .map_err(|error| CliError::usage(format!("no HTTP client can be made: {error}")))?;
        let key = args.key.as_deref().filter(|key| !key.is_empty());
        let invoke_key = key.filter(|key| Token::is_meant(key));
        Ok(Self {
            base,
            key: key
                .map(|key| secret_value(&format!("Bearer {key}")))
                .transpose()?,
            invoke_key: invoke_key.map(secret_value).transpose()?,
            http,
        })
    }

    /// A request to `path` of the control plane, for example `tenants/default/functions`.
    pub(super) fn control(&self, method: Method, path: &str) -> RequestBuilder {
        let url = self.with_path(&format!("/api/v1/{path}"));
        self.control_url(method, url).timeout(ANSWER_TIMEOUT)
    }

    /// A request to an address of the control plane, without a time limit.
    pub(super) fn control_url(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.key {
            Some(key) => request.header(AUTHORIZATION, key.clone()),
            None => request,
        }
    }

    /// A request to a surface with a prefix of its own, which may work on it for some time; `path`
    /// begins with `/`. It has the key.
    pub(super) fn at(&self, method: Method, path: &str) -> RequestBuilder {
        let url = self.with_path(path);
        let request = self.http.request(method, url).timeout(WORK_TIMEOUT);
        match &self.key {
            Some(key) => request.header(AUTHORIZATION, key.clone()),
            None => request,
        }
    }

    /// A request for a list of the control plane: `path` may have a query.
    pub(super) fn page(&self, path: &str) -> RequestBuilder {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut request = self.control(Method::GET, path);
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            request = request.query(&[(name, value)]);
        }
        request
    }

    /// A request to the data plane; without a time limit, the server has one for each function.
    /// It has the key if that is an API key; the operator's own is nothing for functions.
    pub(super) fn data(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.invoke_key {
            Some(key) => request.header("x-api-key", key.clone()),
            None => request,
        }
    }

    /// The address at which a function is invoked; `rest` is what follows its name: nothing,
    /// or a path and query that begin with `/` or `?`.
    ///
    /// # Errors
    /// Usage, when dot segments in `rest` lead away from the function.
    pub(super) fn invoke_url(
        &self,
        tenant: &TenantArgs,
        function: &FunctionName,
        rest: &str,
    ) -> Result<Url, CliError> {
        let path = if tenant.is_default() {
            format!("/invoke/{function}")
        } else {
            format!("/invoke/@{}/{function}", tenant.tenant)
        };
        self.url_below(&path, function, rest)
    }

    /// The address at which a version is tested; `rest` as for [`Client::invoke_url`].
    ///
    /// # Errors
    /// As [`Client::invoke_url`].
    pub(super) fn test_url(
        &self,
        tenant: &TenantArgs,
        function: &FunctionName,
        version: u64,
        rest: &str,
    ) -> Result<Url, CliError> {
        let path = function_path(tenant, function);
        let path = format!("/api/v1/{path}/versions/{version}/test");
        self.url_below(&path, function, rest)
    }

    fn url_below(&self, path: &str, function: &FunctionName, rest: &str) -> Result<Url, CliError> {
        let own = self.with_path(path);
        let text = format!("{own}{rest}");
        let url = Url::parse(&text)
            .map_err(|error| CliError::usage(format!("{text} is not a URL: {error}")))?;
        let inside = url.path().strip_prefix(own.path());
        if !inside.is_some_and(|inside| inside.is_empty() || inside.starts_with('/')) {
            return Err(CliError::usage(format!(
                "the path {rest} leads out of {function}"
            )));
        }
        Ok(url)
    }

    /// Sends a request and answers its response, whatever the status.
    ///
    /// # Errors
    /// Unreachable, when no answer comes.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, CliError> {
        let sent = request.send().await;
        sent.map_err(|error| CliError::unreachable(self.base_text(), &error))
    }

    /// Sends a request to the control plane and reads its JSON answer; `Null` for an empty one.
    ///
    /// # Errors
    /// Unreachable, the server's problem, or that this is no Ampoule server.
    pub(super) async fn json(
        &self,
        request: RequestBuilder,
        subject: &Subject,
    ) -> Result<Value, CliError> {
        let (answer, _tag) = self.json_with_tag(request, subject).await?;
        Ok(answer)
    }

    /// [`Client::json`] with the entity tag of the answer, if it has one.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub(super) async fn json_with_tag(
        &self,
        request: RequestBuilder,
        subject: &Subject,
    ) -> Result<(Value, Option<String>), CliError> {
        let mut response = self.send(request).await?;
        let status = response.status();
        let tag = response.headers().get(ETAG);
        let tag = tag.and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let bytes = read_bounded(&mut response, ANSWER_BYTES_MAX)
            .await
            .map_err(|error| CliError::unreachable(self.base_text(), &error))?;
        if let Some(problem) = Problem::read(status.as_u16(), &bytes) {
            return Err(CliError::problem(problem, subject));
        }
        if !status.is_success() {
            return Err(self.foreign(format!("it answered {status}")));
        }
        if bytes.is_empty() {
            return Ok((Value::Null, tag));
        }
        let value = serde_json::from_slice(&bytes)
            .map_err(|_| self.foreign("it answered something that is not JSON"))?;
        Ok((value, tag))
    }

    /// All pages of the list `things` at `path` as one answer.
    ///
    /// # Errors
    /// As [`Client::json`].
    pub(super) async fn pages(
        &self,
        path: &str,
        things: &str,
        subject: &Subject,
    ) -> Result<Value, CliError> {
        let mut whole = self.json(self.control(Method::GET, path), subject).await?;
        while let Some(cursor) = whole["cursor"].as_str().map(str::to_owned) {
            let request = self.control(Method::GET, path).query(&[("cursor", cursor)]);
            let mut page = self.json(request, subject).await?;
            whole["cursor"] = page["cursor"].take();
            let more = page[things].as_array_mut().map(std::mem::take);
            let more = more.unwrap_or_default();
            if more.is_empty() && !whole["cursor"].is_null() {
                // Neither an end nor a page: asking on would not end either.
                return Err(self.foreign(format!("a page has no {things}")));
            }
            if let Some(all) = whole[things].as_array_mut() {
                all.extend(more);
            }
        }
        Ok(whole)
    }

    /// Reads `value` as a `T`.
    ///
    /// # Errors
    /// That this is no Ampoule server.
    pub(super) fn typed<T: for<'a> Deserialize<'a>>(&self, value: &Value) -> Result<T, CliError> {
        T::deserialize(value).map_err(|error| self.foreign(format!("its answer has {error}")))
    }

    /// That this is no Ampoule server.
    pub(super) fn foreign(&self, what: impl Into<String>) -> CliError {
        CliError::foreign(self.base_text(), what)
    }

    fn with_path(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    pub(super) fn base_text(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }
}

/// `request` with a JSON body.
pub(super) fn json_body(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request
        .header(CONTENT_TYPE, "application/json")
        .body(body.to_string())
}

/// The path of a function in the control plane.
pub(super) fn function_path(tenant: &TenantArgs, function: &FunctionName) -> String {
    format!("tenants/{}/functions/{function}", tenant.tenant)
}

/// The platform's problem in `response`, if it is one: `Ok`, else the bytes read so far, which
/// are the whole body unless it is larger than any problem.
///
/// # Errors
/// What the transport says when the body breaks off.
pub(super) async fn problem_or_bytes(
    response: &mut Response,
) -> Result<Result<(Problem, Vec<u8>), Vec<u8>>, reqwest::Error> {
    let status = response.status();
    if status.as_u16() < 400 || !is_problem(response.headers()) {
        return Ok(Err(Vec::new()));
    }
    let bytes = read_bounded(response, PROBLEM_BYTES_MAX).await?;
    Ok(match Problem::read(status.as_u16(), &bytes) {
        Some(problem) => Ok((problem, bytes)),
        None => Err(bytes),
    })
}

/// Reads a body until its end or until it has more than `bytes_max` bytes.
pub(super) async fn read_bounded(
    response: &mut Response,
    bytes_max: usize,
) -> Result<Vec<u8>, reqwest::Error> {
    let mut bytes = Vec::new();
    while bytes.len() <= bytes_max {
        match response.chunk().await? {
            Some(chunk) => bytes.extend_from_slice(&chunk),
            None => break,
        }
    }
    Ok(bytes)
}

fn is_problem(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.starts_with("application/problem+json"))
}

fn parse_base(text: &str) -> Result<Url, CliError> {
    let refuse = |why: &str| {
        let example = "write it like http://127.0.0.1:4000";
        CliError::usage(format!(
            "{text:?} cannot be the server's address: {why}; {example}"
        ))
    };
    let text = text.trim();
    let full = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let url = Url::parse(&full).map_err(|error| refuse(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("only http and https are spoken"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("it holds a user name, keys go into AMPOULE_KEY"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it has a query or a fragment"));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn secret_value(text: &str) -> Result<HeaderValue, CliError> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| CliError::usage("the key holds characters that no header may have"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
