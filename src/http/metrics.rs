//! `GET /metrics`: for Prometheus.
//!
//! Guarded like the control plane, and not open like the health checks: what it tells (how many
//! invocations end how, names of tenants if the operator wants them) is the operator's business,
//! and a tenant who reads it learns about the others.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::Http;
use super::problem::Problem;
use crate::limits;
use crate::metrics::{self, Now};

/// Answers all metrics.
pub(super) async fn metrics(State(http): State<Arc<Http>>) -> Result<impl IntoResponse, Problem> {
    let number = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
    let app = &http.app;
    let waiting = app.store.waiting();
    let now = Now {
        images: number(app.images.len()),
        running: number(app.dispatch.counts().running),
        writes_waiting: number(waiting.writes),
        lines_waiting: number(waiting.lines),
        lines_dropped: app.store.logs().dropped(),
        tails: number(limits::TAILS_MAX - http.tails.places_left()),
        spans_dropped: app.dispatch.spans_dropped(),
    };
    let metrics = Arc::clone(app.dispatch.metrics());
    let text = http.blocking(move || metrics.text(&now)).await?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text))
}
