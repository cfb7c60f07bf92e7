//! An HTTP client for one request after another on a connection that is kept.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::shell::Outcome;

/// What a server answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text, when all went well.
    pub(super) fn text(&self) -> Outcome<String> {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        match self.status {
            200..=299 => Ok(text),
            status => Err(format!("the answer is {status}: {text}")),
        }
    }
}

/// A content type and a body.
pub(super) type Content<'a> = Option<(&'a str, &'a [u8])>;

/// A connection.
pub(super) struct Client {
    reader: BufReader<TcpStream>,
    host: String,
}

impl Client {
    /// Connects to a server, given as `http://host:port`. An answer may take so long.
    pub(super) fn connect(url: &str, patience: Duration) -> Outcome<Self> {
        let host = url.strip_prefix("http://").unwrap_or(url).to_owned();
        match open(&host, patience) {
            Ok(reader) => Ok(Self { reader, host }),
            Err(error) => Err(format!("{host}: {error}")),
        }
    }

    pub(super) fn get(&mut self, path: &str) -> Outcome<Answer> {
        self.request("GET", path, None)
    }

    pub(super) fn request(
        &mut self,
        method: &str,
        path: &str,
        content: Content<'_>,
    ) -> Outcome<Answer> {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host);
        if let Some((kind, body)) = content {
            let length = body.len();
            text += &format!("content-type: {kind}\r\ncontent-length: {length}\r\n");
        }
        let mut bytes = (text + "\r\n").into_bytes();
        bytes.extend(content.map_or(&[][..], |(_, body)| body));
        let sent = self.reader.get_mut().write_all(&bytes);
        let answer = sent.and_then(|()| read(&mut self.reader));
        answer.map_err(|error| format!("{method} {}{path}: {error}", self.host))
    }
}

fn open(host: &str, patience: Duration) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(host)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(BufReader::new(stream))
}

/// Reads one answer, by its length or by its chunks.
pub(super) fn read(from: &mut impl BufRead) -> io::Result<Answer> {
    let broken = |what: &str| io::Error::other(what.to_owned());
    let line = line(from)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| broken("no status line"))?;
    let mut answer = Answer {
        status,
        fields: Vec::new(),
        body: Vec::new(),
    };
    loop {
        let line = self::line(from)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        let field = (name.to_lowercase(), value.trim().to_owned());
        answer.fields.push(field);
    }
    if answer.field("transfer-encoding").is_some() {
        while let size @ 1.. = chunk_size(&self::line(from)?)? {
            take(from, size, &mut answer.body)?;
            self::line(from)?;
        }
        while !self::line(from)?.is_empty() {}
    } else if status != 204 {
        let length = answer.field("content-length").map(str::parse::<u64>);
        let length = length.and_then(Result::ok);
        let length = length.ok_or_else(|| broken("no length"))?;
        take(from, length, &mut answer.body)?;
    }
    Ok(answer)
}

fn chunk_size(line: &str) -> io::Result<u64> {
    let digits = line.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(digits, 16).map_err(io::Error::other)
}

fn take(from: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    let read = from.by_ref().take(length).read_to_end(body)?;
    if u64::try_from(read).is_ok_and(|read| read == length) {
        return Ok(());
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if from.by_ref().take(64 << 10).read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
