//! How far a long upload has come, for a person who watches the terminal.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reqwest::header::CONTENT_LENGTH;
use reqwest::{Body, RequestBuilder};

use super::output::Terminal;

/// Smallest upload that is worth a bar, in bytes.
const BAR_BYTES_MIN: usize = 1 << 20;
/// What is sent between two moves of the bar, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// `request` with a body; its progress is shown on a terminal, unless programs read the output.
pub(super) fn body(
    request: RequestBuilder,
    bytes: Vec<u8>,
    terminal: &Terminal,
    json: bool,
) -> RequestBuilder {
    if json || bytes.len() < BAR_BYTES_MIN || !terminal.err.is_terminal() {
        return request.body(bytes);
    }
    let target = ProgressDrawTarget::stderr();
    watched(request, bytes, target)
}

fn watched(request: RequestBuilder, bytes: Vec<u8>, target: ProgressDrawTarget) -> RequestBuilder {
    let length = bytes.len();
    let total = u64::try_from(length).unwrap_or(u64::MAX);
    let bar = ProgressBar::with_draw_target(Some(total), target);
    let template = "  uploading {bar:30} {bytes} of {total_bytes}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    let chunks = stream::unfold((Bytes::from(bytes), bar), async |(mut rest, bar)| {
        if rest.is_empty() {
            bar.finish_and_clear();
            return None;
        }
        let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
        bar.inc(u64::try_from(chunk.len()).unwrap_or(0));
        Some((Ok::<_, Infallible>(chunk), (rest, bar)))
    });
    request
        .header(CONTENT_LENGTH, length)
        .body(Body::wrap_stream(chunks))
}

#[cfg(test)]
mod tests {
    use reqwest::Client;

    use super::*;
    use crate::cli::fake::{self, Fake};

    #[tokio::test]
    async fn an_upload_with_a_bar_sends_the_same_bytes() {
        let server = Fake::start(|_| fake::answer(204, "text/plain", "")).await;
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * CHUNK_BYTES + 7).collect();
        let request = Client::new().put(server.url());
        let hidden = ProgressDrawTarget::hidden();
        let sent = watched(request, bytes.clone(), hidden).send().await;
        assert_eq!(sent.unwrap().status(), 204);
        let seen = server.only();
        assert_eq!(seen.body, bytes);
        assert_eq!(seen.header("content-length"), Some("196615"));
    }
}
