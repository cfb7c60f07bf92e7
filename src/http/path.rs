//! What the paths of the control plane name, parsed before a handler runs.

use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, Required};
use utoipa::{IntoParams, PartialSchema};

use super::problem::Problem;
use crate::error::Code;
use crate::id::{FunctionName, InvalidName, KeyId, ScheduleName, TenantId};
use crate::store::{self, ScheduleKey};

/// The tenant that a path names.
pub(super) struct OfTenant(pub(super) TenantId);

/// The function that a path names.
pub(super) struct OfFunction(pub(super) TenantId, pub(super) FunctionName);

/// The version that a path names.
pub(super) struct OfVersion(pub(super) TenantId, pub(super) FunctionName, pub(super) u64);

impl<S: Send + Sync> FromRequestParts<S> for OfTenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        Ok(Self(params.name("tenant")?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfFunction {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        Ok(Self(params.name("tenant")?, params.name("function")?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfVersion {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        let (tenant, function) = (params.name("tenant")?, params.name("function")?);
        let version = params
            .get("version")
            .parse()
            .map_err(|_| Problem::new(Code::BadRequest, "a version is a whole number from 1"))?;
        Ok(Self(tenant, function, version))
    }
}

/// The schedule that a path names.
pub(super) struct OfSchedule(pub(super) ScheduleKey);

impl<S: Send + Sync> FromRequestParts<S> for OfSchedule {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        Ok(Self(ScheduleKey {
            tenant: params.name("tenant")?,
            function: params.name("function")?,
            name: params.name("schedule")?,
        }))
    }
}

/// The key that a path names.
pub(super) struct OfKey(pub(super) KeyId);

/// The key of a tenant that a path names.
pub(super) struct OfTenantKey(pub(super) TenantId, pub(super) KeyId);

impl<S: Send + Sync> FromRequestParts<S> for OfKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        Ok(Self(params.key()?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfTenantKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts, state).await?;
        Ok(Self(params.name("tenant")?, params.key()?))
    }
}

/// The decoded parameters of a path.
pub(super) struct Params(RawPathParams);

impl Params {
    /// Takes them from a request.
    ///
    /// # Errors
    /// `invalid_name` if one of them is not UTF-8.
    pub(super) async fn of<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params
            .map_err(|_| Problem::new(Code::InvalidName, "a name in the path is not UTF-8"))?;
        Ok(Self(params))
    }

    /// One of them as text; empty if the route has none of that name.
    pub(super) fn get(&self, wanted: &str) -> &str {
        let mut params = self.0.iter();
        params
            .find(|(name, _)| *name == wanted)
            .map_or("", |(_, value)| value)
    }

    /// One of them as a name.
    ///
    /// # Errors
    /// `invalid_name`.
    pub(super) fn name<T: FromStr<Err = InvalidName>>(&self, wanted: &str) -> Result<T, Problem> {
        let name = self.get(wanted).parse::<T>();
        name.map_err(|error| Problem::new(Code::InvalidName, error.to_string()))
    }

    /// The id of a key.
    ///
    /// # Errors
    /// `key_not_found`: what is no id is the id of no key.
    fn key(&self) -> Result<KeyId, Problem> {
        let key = self.get("key").parse();
        key.map_err(|_| Problem::from(store::Error::KeyNotFound))
    }
}

impl IntoParams for OfTenant {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![parameter("tenant", TenantId::schema())]
    }
}

impl IntoParams for OfSchedule {
    fn into_params(in_provider: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut parameters = OfFunction::into_params(in_provider);
        parameters.push(parameter("schedule", ScheduleName::schema()));
        parameters
    }
}

impl IntoParams for OfFunction {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![
            parameter("tenant", TenantId::schema()),
            parameter("function", FunctionName::schema()),
        ]
    }
}

impl IntoParams for OfVersion {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .description(Some("The number of a version"))
            .minimum(Some(1));
        vec![
            parameter("tenant", TenantId::schema()),
            parameter("function", FunctionName::schema()),
            parameter("version", number.into()),
        ]
    }
}

/// A parameter of a path, as the OpenAPI document describes it.
pub(super) fn parameter(name: &str, schema: RefOr<Schema>) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .schema(Some(schema))
        .build()
}
