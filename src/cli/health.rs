//! `pointsman health`: asks a running process how it is, for images without a shell and an HTTP client.
//!
//! One request over a plain connection. Exit code 0 or 1 and nothing else: container engines reserve the others.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use super::arguments::Health;
use super::exit::{complain, say, surroundings};
use crate::app;
use crate::config::{self, ConfigErrors, Listen, LoadRequest};

/// For everything: name resolution, connecting, and the whole answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Health answers are a few hundred bytes.
const LONGEST_ANSWER: u64 = 16 * 1024;

/// Why a process is not well, or cannot be asked.
#[derive(Debug, thiserror::Error)]
enum Unwell {
    #[error("--address {given} {message}{}", hint(suggestion))]
    Address {
        given: String,
        message: String,
        suggestion: String,
    },
    #[error("cannot tell where to ask; name the address with --address")]
    Configuration(#[source] ConfigErrors),
    #[error(
        "{0} is a different port each time: take the one of the log line `listening`, with --address"
    )]
    AnyPort(Listen),
    #[error("cannot ask {address}")]
    Unreachable { address: Listen, source: io::Error },
    #[error("{0} has not answered within 2 s")]
    Silent(Listen),
    #[error(
        "what {0} answers is no plain HTTP; a listener with TLS can't be asked: name a plain one with --address"
    )]
    NotHttp(Listen),
    #[error("{address} answers {status}: {body}")]
    Status {
        address: Listen,
        status: u16,
        body: String,
    },
}

fn hint(suggestion: &str) -> String {
    match suggestion {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

pub(super) fn run(arguments: Health) -> ExitCode {
    match ask(arguments) {
        Ok(body) => {
            say(&format!("{body}\n"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&app::chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn ask(arguments: Health) -> Result<String, Unwell> {
    let path = match arguments.ready {
        true => "/health/ready",
        false => "/health/live",
    };
    let address = match arguments.address {
        Some(given) => Listen::parse(&given).map_err(|(message, suggestion)| Unwell::Address {
            given,
            message,
            suggestion,
        })?,
        None => configured(arguments.config)?,
    };
    let (answered, answer) = mpsc::channel();
    let asked = address.clone();
    // A thread of its own: connecting to a socket file and resolving a name know no timeout. It ends with the process.
    std::thread::spawn(move || answered.send(exchange(&asked, path)));
    let bytes = match answer.recv_timeout(TIMEOUT) {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(source)) => return Err(Unwell::Unreachable { address, source }),
        Err(_) => return Err(Unwell::Silent(address)),
    };
    match read(&bytes) {
        Some((200, body)) => Ok(body),
        Some((status, body)) => Err(Unwell::Status {
            address,
            status,
            body,
        }),
        None => Err(Unwell::NotHttp(address)),
    }
}

/// Where the process of this configuration can be asked: its first address, seen from the same machine.
fn configured(config_path: Option<std::path::PathBuf>) -> Result<Listen, Unwell> {
    let request = LoadRequest {
        config_path,
        ..surroundings()
    };
    let all = config::addresses(&request).map_err(Unwell::Configuration)?;
    let mut any_port = None;
    for listen in all {
        let Listen::Tcp(address) = &listen else {
            return Ok(listen);
        };
        if !address.ends_with(":0") {
            return Ok(nearby(address));
        }
        any_port.get_or_insert(listen);
    }
    Err(Unwell::AnyPort(
        any_port.unwrap_or(Listen::Tcp("127.0.0.1:0".to_owned())),
    ))
}

/// An address that stands for all of the machine's is asked through the loopback one.
fn nearby(address: &str) -> Listen {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    Listen::Tcp(match host {
        "0.0.0.0" => format!("127.0.0.1:{port}"),
        "[::]" => format!("[::1]:{port}"),
        _ => address.to_owned(),
    })
}

fn exchange(address: &Listen, path: &str) -> io::Result<Vec<u8>> {
    match address {
        Listen::Tcp(address) => get(TcpStream::connect(address)?, path),
        Listen::Unix(file) => get(UnixStream::connect(file)?, path),
    }
}

fn get(mut stream: impl Read + Write, path: &str) -> io::Result<Vec<u8>> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    match stream.take(LONGEST_ANSWER).read_to_end(&mut answer) {
        // A connection may be reset behind an answer that is whole.
        Err(error) if answer.is_empty() => Err(error),
        _ => Ok(answer),
    }
}

/// Status and body of an answer.
fn read(answer: &[u8]) -> Option<(u16, String)> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split_whitespace().nth(1)?;
    Some((status.parse().ok()?, body.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_addresses_are_asked_through_the_loopback_one() {
        for (address, asked) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("10.0.0.1:80", "10.0.0.1:80"),
            ("localhost:80", "localhost:80"),
        ] {
            assert_eq!(nearby(address).to_string(), asked);
        }
    }

    #[test]
    fn only_http_is_an_answer() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\n{\"status\":\"draining\"}";
        assert_eq!(
            read(answer),
            Some((503, "{\"status\":\"draining\"}".to_owned()))
        );
        for other in [
            &b""[..],
            b"\x15\x03\x03\x00\x02\x02\x32",
            b"SSH-2.0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
        ] {
            assert_eq!(read(other), None);
        }
    }
}
