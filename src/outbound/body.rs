//! Bodies in both directions: streams with back-pressure, nothing collected.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;
use tokio_util::io::{ReaderStream, StreamReader};

use super::error::{Error, carried, found_in};
use super::request::Interrupted;
use crate::limits::BODY_CHUNK_BYTES_MAX;

/// Codings that may lie upon each other in one answer.
const CODINGS_MAX: usize = 4;

const BROKEN_OFF: Error = Error::Body("the answer's body broke off before its end");

/// The body of an answer, as a stream of chunks.
///
/// Chunks have 1 to [`BODY_CHUNK_BYTES_MAX`] bytes. An error is the last item. Not reading it
/// stops the sender; dropping it closes the connection, or the HTTP/2 stream.
pub struct Body {
    chunks: BoxStream<'static, Result<Bytes, Error>>,
    /// What is left of a chunk that was too large.
    rest: Bytes,
    ended: bool,
}

impl Body {
    /// `codings`: what to undo, outermost last, as [`codings`] found it.
    pub(super) fn new(incoming: Incoming, codings: Vec<Coding>) -> Self {
        let raw = incoming
            .into_data_stream()
            .map_err(|error| found_in(&error).unwrap_or(BROKEN_OFF));
        let chunks = if codings.is_empty() {
            raw.boxed()
        } else {
            let reader = StreamReader::new(raw.map_err(io::Error::other));
            let decoded = async move {
                let reader = decode(Box::new(reader), codings).await?;
                let stream = ReaderStream::with_capacity(reader, BODY_CHUNK_BYTES_MAX);
                Ok::<_, io::Error>(stream)
            };
            futures_util::stream::once(decoded)
                .try_flatten()
                .map_err(|error| from_decoder(&error))
                .boxed()
        };
        Self {
            chunks,
            rest: Bytes::new(),
            ended: false,
        }
    }

    /// The next chunk, or `None` after the last.
    ///
    /// # Errors
    /// [`Error::Body`] when the body breaks off or cannot be decompressed, [`Error::Denied`] when
    /// the policy refuses the connection from now on.
    /// # Cancel safety
    /// Safe: no chunk is lost.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, Error>> {
        self.next().await
    }
}

impl Stream for Body {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while self.rest.is_empty() {
            if self.ended {
                return Poll::Ready(None);
            }
            match std::task::ready!(self.chunks.poll_next_unpin(context)) {
                Some(Ok(chunk)) => self.rest = chunk,
                end => {
                    self.ended = true;
                    // Gives the connection back, or closes it, without waiting for the drop.
                    self.chunks = futures_util::stream::empty().boxed();
                    return Poll::Ready(end);
                }
            }
        }
        let length = self.rest.len().min(BODY_CHUNK_BYTES_MAX);
        Poll::Ready(Some(Ok(self.rest.split_to(length))))
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

/// A content coding that can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Brotli,
    Deflate,
}

/// The codings of an answer in the order they were applied; none if one of them is unknown, as
/// then the body is passed on as it is.
pub(super) fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, Error> {
    let mut found = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        for name in value.as_bytes().split(|byte| *byte == b',') {
            found.push(match name.trim_ascii().to_ascii_lowercase().as_slice() {
                b"gzip" | b"x-gzip" => Coding::Gzip,
                b"br" => Coding::Brotli,
                b"deflate" => Coding::Deflate,
                b"" | b"identity" => continue,
                _ => return Ok(Vec::new()),
            });
        }
    }
    if found.len() > CODINGS_MAX {
        return Err(Error::Protocol("it is compressed too many times"));
    }
    Ok(found)
}

type Reader = Box<dyn AsyncBufRead + Send + Unpin>;

/// Undoes codings, the last applied first. An empty body stays empty, whatever its coding.
async fn decode(mut reader: Reader, codings: Vec<Coding>) -> io::Result<Reader> {
    for coding in codings.into_iter().rev() {
        let Some(first) = reader.fill_buf().await?.first().copied() else {
            break;
        };
        reader = match coding {
            Coding::Gzip => {
                let mut decoder = GzipDecoder::new(reader);
                decoder.multiple_members(true);
                Box::new(BufReader::new(decoder))
            }
            Coding::Brotli => Box::new(BufReader::new(BrotliDecoder::new(reader))),
            // "deflate" means zlib, but some servers send the bare stream. A zlib stream starts
            // with its method, 8, in the low half of the first byte (RFC 1950, 2.2).
            Coding::Deflate if first & 0x0f == 8 => {
                Box::new(BufReader::new(ZlibDecoder::new(reader)))
            }
            Coding::Deflate => Box::new(BufReader::new(DeflateDecoder::new(reader))),
        };
    }
    Ok(reader)
}

fn from_decoder(error: &io::Error) -> Error {
    carried(error).unwrap_or(Error::Body("the answer's body cannot be decompressed"))
}

/// The body of a request on its way out.
pub(super) enum Upload {
    None,
    Whole(Bytes),
    Stream(mpsc::Receiver<Result<Bytes, Interrupted>>),
}

impl hyper::body::Body for Upload {
    type Data = Bytes;
    type Error = Interrupted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Interrupted>>> {
        match &mut *self {
            Self::None => Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::None;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Stream(chunks) => chunks
                .poll_recv(context)
                .map(|chunk| chunk.map(|chunk| chunk.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::None => true,
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::None => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
