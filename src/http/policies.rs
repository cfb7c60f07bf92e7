//! Network policies: the global one and the tenants', and asking what they decide.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Http;
use super::body::Unread;
use super::etag::{Tagged, expected};
use super::json::parse;
use super::openapi::ProblemBody;
use super::path::OfTenant;
use super::problem::Problem;
use crate::error::Code;
use crate::id::TenantId;
use crate::limits::{POLICY_BYTES_MAX, TARGET_BYTES_MAX};
use crate::network::Verdict;
use crate::outbound::{self, Target};
use crate::policies::{Action, Connection, Decider, Document, Policy, Protocol, Rule, Scope};

/// A policy with its tag.
type Shown = Tagged<Json<Document>>;

/// The global policy
///
/// What is in force for all tenants. Without one that was stored, it is the preset that the
/// server was started with: `allow-all`, unless `--network-policy` says otherwise.
#[utoipa::path(
    get, path = "/network-policy", operation_id = "get_network_policy", tag = "network-policies",
    responses(
        (status = 200, description = "The policy", body = Document,
            headers(("etag" = String, description = "For `if-match`"))),
    )
)]
pub(super) async fn show_global(State(http): State<Arc<Http>>) -> Result<Shown, Problem> {
    show(&http, &Scope::Global)
}

/// Replace the global policy
///
/// In force from the answer on, for every connection: those that are open and that it does not
/// allow any more break off.
#[utoipa::path(
    put, path = "/network-policy", operation_id = "put_network_policy", tag = "network-policies",
    params(("if-match" = Option<String>, Header,
        description = "Replace only the policy of this tag")),
    request_body = Document,
    responses(
        (status = 200, description = "The policy as it was stored", body = Document,
            headers(("etag" = String, description = "For `if-match`"))),
        (status = 412, description = "The policy has another tag: `precondition_failed`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put_global(
    State(http): State<Arc<Http>>,
    request: Request,
) -> Result<Shown, Problem> {
    put(&http, Scope::Global, request).await
}

/// Go back to the preset that the server was started with
#[utoipa::path(
    delete, path = "/network-policy", operation_id = "delete_network_policy",
    tag = "network-policies",
    params(("if-match" = Option<String>, Header,
        description = "Delete only the policy of this tag")),
    responses(
        (status = 204, description = "No policy is stored any more"),
        (status = 412, description = "The policy has another tag: `precondition_failed`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete_global(
    State(http): State<Arc<Http>>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    delete(&http, Scope::Global, &headers).await
}

/// Ask what the global policy decides
///
/// Connects to nothing. A name is resolved as a function's connection would have it resolved, unless
/// an address is given.
#[utoipa::path(
    post, path = "/network-policy/test", operation_id = "test_network_policy",
    tag = "network-policies",
    request_body = Question,
    responses(
        (status = 200, description = "What would be decided", body = Answer),
    )
)]
pub(super) async fn test_global(
    State(http): State<Arc<Http>>,
    request: Request,
) -> Result<Json<Answer>, Problem> {
    test(&http, None, request).await
}

/// A tenant's policy
///
/// Asked after the rules of the global one. A tenant that has none has one without rules whose
/// default is `allow`, which changes nothing.
#[utoipa::path(
    get, path = "/tenants/{tenant}/network-policy", operation_id = "get_tenant_network_policy",
    tag = "network-policies",
    params(OfTenant),
    responses(
        (status = 200, description = "The policy", body = Document,
            headers(("etag" = String, description = "For `if-match`"))),
    )
)]
pub(super) async fn show_tenant(
    State(http): State<Arc<Http>>,
    OfTenant(tenant): OfTenant,
) -> Result<Shown, Problem> {
    show(&http, &Scope::Tenant(tenant))
}

/// Replace a tenant's policy
///
/// As for the global one.
#[utoipa::path(
    put, path = "/tenants/{tenant}/network-policy", operation_id = "put_tenant_network_policy",
    tag = "network-policies",
    params(
        OfTenant,
        ("if-match" = Option<String>, Header, description = "Replace only the policy of this tag"),
    ),
    request_body = Document,
    responses(
        (status = 200, description = "The policy as it was stored", body = Document,
            headers(("etag" = String, description = "For `if-match`"))),
        (status = 412, description = "The policy has another tag: `precondition_failed`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put_tenant(
    State(http): State<Arc<Http>>,
    OfTenant(tenant): OfTenant,
    request: Request,
) -> Result<Shown, Problem> {
    put(&http, Scope::Tenant(tenant), request).await
}

/// Delete a tenant's policy
#[utoipa::path(
    delete, path = "/tenants/{tenant}/network-policy",
    operation_id = "delete_tenant_network_policy", tag = "network-policies",
    params(
        OfTenant,
        ("if-match" = Option<String>, Header, description = "Delete only the policy of this tag"),
    ),
    responses(
        (status = 204, description = "The tenant has no policy any more"),
        (status = 412, description = "The policy has another tag: `precondition_failed`",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn delete_tenant(
    State(http): State<Arc<Http>>,
    OfTenant(tenant): OfTenant,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    delete(&http, Scope::Tenant(tenant), &headers).await
}

/// Ask what the policies decide about a connection of a tenant's functions
///
/// As for the global one, with the tenant's rules after the global ones.
#[utoipa::path(
    post, path = "/tenants/{tenant}/network-policy/test",
    operation_id = "test_tenant_network_policy", tag = "network-policies",
    params(OfTenant),
    request_body = Question,
    responses(
        (status = 200, description = "What would be decided", body = Answer),
    )
)]
pub(super) async fn test_tenant(
    State(http): State<Arc<Http>>,
    OfTenant(tenant): OfTenant,
    request: Request,
) -> Result<Json<Answer>, Problem> {
    test(&http, Some(tenant), request).await
}

fn show(http: &Http, scope: &Scope) -> Result<Shown, Problem> {
    Ok(tagged(&*http.app.network.policy(scope)?))
}

fn tagged(policy: &Policy) -> Shown {
    let document = policy.document().clone();
    Tagged(policy.tag().to_owned(), Json(document))
}

async fn put(http: &Http, scope: Scope, request: Request) -> Result<Shown, Problem> {
    let expected = expected(request.headers())?;
    let json = read(http, request, POLICY_BYTES_MAX).await?;
    let policy = Policy::parse(&json)
        .map_err(|error| Problem::new(Code::PolicyInvalid, error.to_string()))?;
    let policy = Arc::new(policy);
    let (stored, in_force) = (http.app.store.policies(), http.app.network.preset(&scope));
    stored
        .set(scope, Arc::clone(&policy), expected, in_force)
        .await?;
    Ok(tagged(&policy))
}

async fn delete(http: &Http, scope: Scope, headers: &HeaderMap) -> Result<StatusCode, Problem> {
    let (stored, in_force) = (http.app.store.policies(), http.app.network.preset(&scope));
    stored.remove(scope, expected(headers)?, in_force).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn read(http: &Http, request: Request, bytes_max: usize) -> Result<bytes::Bytes, Problem> {
    let (parts, body) = request.into_parts();
    let body = Unread::new(&parts.headers, body, http.tasks.clone());
    let bytes_max = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    Ok(body.read(bytes_max).await?)
}

/// A connection to ask about: a URL, or a host with port and protocol.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NetworkQuestion)]
pub(super) struct Question {
    /// A URL with the scheme `http`, `https`, `ws` or `wss`; the others are not given then, but for
    /// `address`.
    url: Option<String>,
    /// A name, or an IP address.
    host: Option<String>,
    /// That of the protocol without.
    #[schema(maximum = 65535)]
    port: Option<u16>,
    /// `https` without.
    #[schema(value_type = Option<Protocol>)]
    protocol: Option<String>,
    /// What the host's name is taken to resolve to.
    #[schema(value_type = Option<String>)]
    address: Option<IpAddr>,
}

/// What the policies decide about a connection.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NetworkAnswer)]
pub(super) struct Answer {
    /// Whether it would be made: to one of the addresses that are allowed.
    allowed: bool,
    /// Why, for people.
    reason: String,
    /// As connections have it.
    host: String,
    /// As connections have it.
    port: u16,
    /// As connections have it.
    protocol: Protocol,
    /// What decides: that of the first allowed address, or of the last one if none is. Nothing
    /// when the name has no address.
    #[serde(flatten)]
    by: By,
    /// Every address that the name has, in the resolver's order.
    addresses: Vec<Decided>,
}

/// What is decided about one address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NetworkDecision)]
pub(super) struct Decided {
    /// The address.
    #[schema(value_type = String)]
    address: IpAddr,
    /// Whether it may be connected to.
    allowed: bool,
    /// Why, for people.
    reason: String,
    /// What decides.
    #[serde(flatten)]
    by: By,
}

/// What decides.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = NetworkDecider)]
pub(super) struct By {
    /// The policy whose rule decides; `default` if none of them does; `service` if the connection
    /// would lead to the service itself, which no policy allows.
    policy: Option<DecidingPolicy>,
    /// The rule's place in its policy, from 0.
    rule_index: Option<usize>,
    /// The rule.
    rule: Option<Rule>,
}

/// What a decision is from.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = NetworkDecidingPolicy)]
enum DecidingPolicy {
    Global,
    Tenant,
    Default,
    Service,
}

async fn test(
    http: &Http,
    tenant: Option<TenantId>,
    request: Request,
) -> Result<Json<Answer>, Problem> {
    // A URL as long as may be, with every byte escaped.
    let json = read(http, request, 8 * TARGET_BYTES_MAX).await?;
    let invalid = |detail: String| Problem::new(Code::BadRequest, detail);
    // serde would take a list for an object without names.
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err(invalid("the body must be a JSON object".to_owned()));
    }
    let question: Question = parse(&json).map_err(|error| invalid(error.to_string()))?;
    let target = question.target()?;
    let literal = target.host.parse().ok().or(question.address);
    let addresses = match literal {
        Some(ip) => vec![SocketAddr::new(ip, target.port)],
        None => {
            let asking = tenant.clone().unwrap_or_else(TenantId::default_tenant);
            let found = http.app.client.look_up(&asking, &target).await;
            match found {
                Ok(addresses) => addresses,
                Err(error) => return Ok(Json(unresolved(target, &error))),
            }
        }
    };
    let decided: Vec<Decided> = addresses
        .into_iter()
        .map(|address| decide(http, tenant.as_ref(), &target, address))
        .collect::<Result<_, _>>()?;
    let allowed = decided.iter().find(|one| one.allowed);
    let telling = allowed.or(decided.last());
    Ok(Json(Answer {
        allowed: allowed.is_some(),
        reason: telling.map_or_else(String::new, |one| one.reason.clone()),
        host: target.host,
        port: target.port,
        protocol: target.protocol,
        by: telling.map_or_else(By::default, |one| one.by.clone()),
        addresses: decided,
    }))
}

/// A connection that fails before anything can be decided.
fn unresolved(target: Target, error: &outbound::Error) -> Answer {
    Answer {
        allowed: false,
        reason: error.to_string(),
        host: target.host,
        port: target.port,
        protocol: target.protocol,
        by: By::default(),
        addresses: Vec::new(),
    }
}

fn decide(
    http: &Http,
    tenant: Option<&TenantId>,
    target: &Target,
    address: SocketAddr,
) -> Result<Decided, Problem> {
    let network = &http.app.network;
    let connection = Connection {
        protocol: target.protocol,
        host: &target.host,
        address,
    };
    let ip = address.ip();
    let decision = match network.verdict(tenant, &connection)? {
        Verdict::Decided(decision) => decision,
        Verdict::Service => {
            let by = By {
                policy: Some(DecidingPolicy::Service),
                ..By::default()
            };
            let reason = "it is the address of this service itself, which no policy allows";
            return Ok(Decided {
                address: ip,
                allowed: false,
                reason: reason.to_owned(),
                by,
            });
        }
    };
    let allowed = decision.action == Action::Allow;
    let verb = if allowed { "allows" } else { "denies" };
    let (policy, scope, index) = match decision.decider {
        Decider::GlobalRule(index) => (DecidingPolicy::Global, Some(Scope::Global), Some(index)),
        Decider::TenantRule(index) => {
            let scope = tenant.cloned().map(Scope::Tenant);
            (DecidingPolicy::Tenant, scope, Some(index))
        }
        Decider::GlobalDefault | Decider::TenantDefault => (DecidingPolicy::Default, None, None),
    };
    let rules = scope.map(|scope| network.policy(&scope)).transpose()?;
    let rule = rules.zip(index);
    let rule = rule.and_then(|(policy, index)| policy.document().rules.get(index).cloned());
    Ok(Decided {
        address: ip,
        allowed,
        reason: format!("{} {verb} it", decision.decider),
        by: By {
            policy: Some(policy),
            rule_index: index,
            rule,
        },
    })
}

impl Question {
    /// Where the connection leads, by the same reading of URLs as that of functions.
    fn target(&self) -> Result<Target, Problem> {
        let bad = |detail: &str| Problem::new(Code::BadRequest, detail);
        let url = match (&self.url, &self.host) {
            (Some(url), None) if self.port.is_none() && self.protocol.is_none() => url.clone(),
            (None, Some(host)) => {
                let protocol = self.protocol.as_deref().unwrap_or("https");
                let host = host.trim_start_matches('[').trim_end_matches(']');
                if host.contains(['/', '?', '#', '@', '\\']) {
                    return Err(bad("host is a name or an address, and nothing besides"));
                }
                let host = match host.contains(':') {
                    true => format!("[{host}]"),
                    false => host.to_owned(),
                };
                let port = self.port.map(|port| format!(":{port}"));
                format!("{protocol}://{host}{}/", port.unwrap_or_default())
            }
            _ => return Err(bad("say either url, or host with port and protocol")),
        };
        if url.len() > TARGET_BYTES_MAX {
            return Err(bad("the URL is too long"));
        }
        Target::of_url(&url).map_err(|error| match error {
            outbound::Error::UnsupportedScheme => bad("the protocol is http, https, ws or wss"),
            error => bad(&error.to_string()),
        })
    }
}
