//! Tries what README.md promises: its command serves the example, and the line that is printed
//! then works.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crate::ci::now;
use crate::shell::{Outcome, Program, at, cargo, root, run};

/// What README.md says to type.
const PROMISES: [&str; 2] = ["cargo run --release -- dev examples/hello", "cargo test"];

/// How long the server may take from its start to its curl line.
const START: Duration = Duration::from_secs(60);

/// How long the server may take to answer, and to end.
const ANSWER: Duration = Duration::from_secs(10);

/// Lines of output that may wait to be looked at.
const LINES: usize = 64;

/// Runs the README's command on a free port, requests the URL of the printed curl line, and ends
/// the server with SIGTERM.
///
/// # Errors
/// When README.md does not hold the command, or anything of this does not work.
pub(crate) fn check(program: Program) -> Outcome {
    let path = root().join("README.md");
    let text = fs::read_to_string(&path).map_err(at(&path))?;
    for promise in PROMISES {
        if !text.contains(promise) {
            return Err(format!("README.md does not say `{promise}`"));
        }
    }
    let mut command = match program {
        Program::Release => released()?,
        Program::Tested => tested(),
    };
    command
        .args(["dev", "examples/hello", "--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| format!("cannot start the server: {error}"))?;
    let outcome = try_out(&mut child);
    let ended = end(&mut child);
    outcome.and(ended)
}

fn released() -> Outcome<Command> {
    run(cargo().args(["build", "--locked", "--release"]))?;
    let mut command = cargo();
    command.args(["run", "--locked", "--release", "--quiet", "--"]);
    Ok(command)
}

fn tested() -> Command {
    let mut command = Command::new(Program::Tested.path());
    command.current_dir(root());
    command
}

fn try_out(child: &mut Child) -> Outcome {
    let (sender, lines) = sync_channel(LINES);
    let output = child.stdout.take().expect("it was just asked for");
    let errors = child.stderr.take().expect("it was just asked for");
    forward(output, sender.clone());
    forward(errors, sender);
    let url = printed_url(&lines)?;
    // The server must never wait for somebody to read its output.
    thread::spawn(move || lines.into_iter().for_each(|line| println!("{line}")));
    let answer = get(&url, "")?;
    let status = answer.lines().next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 200 ") || !answer.contains("{\"hello\":") {
        return Err(format!("{url} answered:\n{answer}"));
    }
    println!("{url} answered: {status}");
    Ok(())
}

fn forward(from: impl Read + Send + 'static, to: SyncSender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if to.send(line).is_err() {
                return;
            }
        }
    });
}

/// The URL of the first line that holds a curl command.
fn printed_url(lines: &Receiver<String>) -> Outcome<String> {
    let end = now() + START;
    loop {
        match lines.recv_timeout(end.saturating_duration_since(now())) {
            Ok(line) => {
                println!("{line}");
                if let Some(url) = url_of(&line) {
                    return Ok(url);
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("no curl line within {} s", START.as_secs()));
            }
            Err(RecvTimeoutError::Disconnected) => {
                return Err("the server ended without printing a curl line".to_owned());
            }
        }
    }
}

fn url_of(line: &str) -> Option<String> {
    let (_, words) = line.split_once("curl ")?;
    let words = words.split_whitespace();
    let mut bare = words.map(|word| word.trim_matches(['\'', '"', '`']));
    bare.find(|word| word.starts_with("http://"))
        .map(str::to_owned)
}

/// The whole answer to a GET, as text. `fields` are further header fields, each with its line end.
///
/// # Errors
/// When there is none.
pub(crate) fn get(url: &str, fields: &str) -> Outcome<String> {
    let failed = |error| format!("{url}: {error}");
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).map_err(failed)?;
    stream.set_read_timeout(Some(ANSWER)).map_err(failed)?;
    stream.set_write_timeout(Some(ANSWER)).map_err(failed)?;
    let request =
        format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(failed)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Asks the server to end, and sees that it does.
///
/// # Errors
/// When it has ended before, or does not end as it should.
pub(crate) fn end(child: &mut Child) -> Outcome {
    if let Ok(Some(status)) = child.try_wait() {
        return Err(format!("the server ended by itself: {status}"));
    }
    let process = child.id().to_string();
    let asked = run(Command::new("kill").args(["-TERM", process.as_str()]));
    let deadline = now() + ANSWER;
    while asked.is_ok() && now() < deadline {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("the server ended badly: {status}")),
            _ => thread::sleep(Duration::from_millis(20)),
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    asked.and(Err("the server did not end on SIGTERM".to_owned()))
}

#[cfg(test)]
mod tests;
