//! A load that stands for what a server does all day, for a build that counts what it runs: the server,
//! or the guest in it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use super::install::sources;
use super::load::{CASES, HELLO, Started, Turn, start};
use super::wrk::Load;
use super::{Places, ampoule, catalogue, suite};
use crate::shell::{Outcome, at, root};

/// The cases of which there are many requests.
const BUSY: [&str; 2] = ["hello", "json"];
const CONNECTIONS: [u32; 3] = [1, 16, 64];

/// How long each kind of load lasts, unless something else is asked for.
const SECONDS: u32 = 4;

/// Puts a server under load that writes down what it ran when it ends; each kind of load for so many
/// seconds.
///
/// # Errors
/// When the server does not do what it has to, or wrk is not there ([`super::check_load`]).
pub(crate) fn train(server: &Path, seconds: Option<u32>) -> Outcome {
    let seconds = seconds.unwrap_or(SECONDS);
    let places = Places::with(server.to_owned());
    sources(&places)?;
    let started = start(catalogue::ampoule(), &places, None)?;
    for case in CASES.iter().filter(|case| BUSY.contains(&case.name)) {
        for connections in CONNECTIONS {
            let turn = Turn {
                case,
                connections,
                seconds,
                processors: None,
            };
            started.run(&turn, &places)?;
        }
    }
    let path = format!("/invoke/everyday?url={}", upstream()?);
    call(&started, &places, "everyday", &path, seconds)?;
    call(
        &started,
        &places,
        "broad",
        "/invoke/broad?name=you",
        seconds,
    )?;
    started.end();
    Ok(())
}

/// Has a server compute for long: the V8 suite, each benchmark once.
///
/// # Errors
/// As [`train`], and when the suite cannot be installed.
pub(crate) fn exercise(server: &Path) -> Outcome {
    suite::exercise(&Places::with(server.to_owned()))
}

/// Calls a function of `xtask/peers/training`, for what the cases leave out.
fn call(started: &Started, places: &Places, name: &str, path: &str, seconds: u32) -> Outcome {
    let file = root()
        .join("xtask/peers/training")
        .join(name)
        .with_extension("js");
    let source = fs::read_to_string(&file).map_err(at(&file))?;
    let server = started.server();
    ampoule::deploy_sources(server, std::iter::once((name.to_owned(), source)))?;
    let load = Load {
        path: path.to_owned(),
        is_post: true,
        connections: 16,
        seconds,
        processors: None,
    };
    let (figures, _resident_kib) = load.run(server, places)?;
    match figures.errors {
        0 => Ok(()),
        errors => Err(format!("{errors} answers of {name} were errors")),
    }
}

/// Where subrequests go, as a URL: to threads of this program, for as long as it runs. No function reaches
/// the server itself.
fn upstream() -> Outcome<String> {
    let failed = |error| format!("no listener for subrequests: {error}");
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || greet(&stream));
        }
    });
    Ok(format!("http://{address}/"))
}

/// Answers each request of a connection with the same greeting, until its client goes away.
fn greet(stream: &TcpStream) -> std::io::Result<()> {
    let body = HELLO;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        // An empty line ends the head of a request, and none of them has a body.
        if line == "\r\n" {
            (&mut &*stream).write_all(answer.as_bytes())?;
        }
        line.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::http::Client;
    use super::*;

    #[test]
    fn the_upstream_answers_each_request_of_a_connection() {
        let url = upstream().unwrap();
        let url = url.trim_end_matches('/');
        let mut client = Client::connect(url, Duration::from_secs(10)).unwrap();
        for path in ["/", "/again?and=again"] {
            assert_eq!(client.get(path).unwrap().text().unwrap(), HELLO);
        }
    }
}
