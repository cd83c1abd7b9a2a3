//! One request to a running process over a plain connection: no client library, no runtime.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::Duration;

use crate::config::Listen;

/// What is asked, and how long and how large the answer may be.
pub(super) struct Asking {
    /// The whole request, which must say `connection: close`.
    pub(super) request: Vec<u8>,
    /// The time for name resolution, connecting and the whole answer together.
    pub(super) timeout: Duration,
    /// In bytes, head included.
    pub(super) longest: u64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unasked {
    #[error("cannot ask {address}")]
    Unreachable { address: Listen, source: io::Error },
    #[error("{address} has not answered within {} s", timeout.as_secs())]
    Silent { address: Listen, timeout: Duration },
    #[error(
        "what {0} answers is no plain HTTP; a listener with TLS can't be asked: name a plain one with {1}"
    )]
    NotHttp(Listen, &'static str),
}

/// An answer.
pub(super) struct Answered {
    pub(super) status: u16,
    head: String,
    /// As it came, with the lengths of its pieces where it has pieces.
    pub(super) body: String,
}

impl Answered {
    /// A header by its name in small letters; an empty text without it.
    pub(super) fn header(&self, name: &str) -> &str {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut named = fields.filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.next().map_or("", |(_, value)| value.trim())
    }
}

/// Status and body of the answer. `option` names the address on the command line.
pub(super) fn ask(
    address: &Listen,
    option: &'static str,
    asking: Asking,
) -> Result<(u16, String), Unasked> {
    let answered = ask_all(address, option, asking)?;
    Ok((answered.status, answered.body))
}

/// The answer with its headers.
pub(super) fn ask_all(
    address: &Listen,
    option: &'static str,
    asking: Asking,
) -> Result<Answered, Unasked> {
    let (answered, answer) = mpsc::channel();
    let (asked, timeout) = (address.clone(), asking.timeout);
    // A thread of its own: connecting to a socket file and resolving a name know no timeout. It ends with the process.
    std::thread::spawn(move || answered.send(exchange(&asked, &asking)));
    let address = address.clone();
    let bytes = match answer.recv_timeout(timeout) {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(source)) => return Err(Unasked::Unreachable { address, source }),
        Err(_) => return Err(Unasked::Silent { address, timeout }),
    };
    read(&bytes).ok_or(Unasked::NotHttp(address, option))
}

fn exchange(address: &Listen, asking: &Asking) -> io::Result<Vec<u8>> {
    let timeout = Some(asking.timeout);
    match address {
        Listen::Tcp(address) => {
            let stream = TcpStream::connect(address)?;
            stream.set_read_timeout(timeout)?;
            send(stream, asking)
        }
        Listen::Unix(file) => {
            let stream = UnixStream::connect(file)?;
            stream.set_read_timeout(timeout)?;
            send(stream, asking)
        }
    }
}

fn send(mut stream: impl Read + Write, asking: &Asking) -> io::Result<Vec<u8>> {
    stream.write_all(&asking.request)?;
    let mut stream = stream.take(asking.longest);
    let mut answer = Vec::new();
    let mut part = vec![0; 64 * 1024];
    while !is_whole(&answer) {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(part.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if answer.is_empty() => return Err(error),
            // A connection may be reset behind an answer that is whole.
            Err(_) => break,
        }
    }
    Ok(answer)
}

/// Whether all is there that the head announces; without a length, the end of the connection says so.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = memmem(answer, b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(answer.get(..end).unwrap_or_default());
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok())?
    });
    length.is_some_and(|length| answer.len() >= (end + 4).saturating_add(length))
}

fn memmem(all: &[u8], wanted: &[u8]) -> Option<usize> {
    all.windows(wanted.len()).position(|part| part == wanted)
}

fn read(answer: &[u8]) -> Option<Answered> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split_whitespace().nth(1)?;
    Some(Answered {
        status: status.parse().ok()?,
        head: head.to_owned(),
        body: body.trim().to_owned(),
    })
}

/// Of the addresses of a listener the one to ask at from the same machine: the first whose port is known.
///
/// # Errors
/// The first address, when each has a different port every time (`:0`); `None` when there is no address.
pub(super) fn nearest(all: Vec<Listen>) -> Result<Listen, Option<Listen>> {
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
    Err(any_port)
}

/// A wildcard address is reached through the loopback address.
fn nearby(address: &str) -> Listen {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    Listen::Tcp(match host {
        "0.0.0.0" => format!("127.0.0.1:{port}"),
        "[::]" => format!("[::1]:{port}"),
        _ => address.to_owned(),
    })
}

/// Behind the mistake in an address, what to write instead.
pub(super) fn hint(suggestion: &str) -> String {
    match suggestion {
        "" => String::new(),
        text => format!(": {text}"),
    }
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
    fn an_answer_is_over_when_it_is_as_long_as_it_says() {
        let whole = |text: &str| is_whole(text.as_bytes());
        assert!(whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
        assert!(!whole("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok"));
        assert!(!whole("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n"));
        assert!(
            !whole("HTTP/1.1 200 OK\r\n\r\nok"),
            "until the connection ends"
        );
    }

    #[test]
    fn only_http_is_an_answer() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\n{\"status\":\"draining\"}";
        let read_well = read(answer).unwrap();
        assert_eq!((read_well.status, read_well.header("A")), (503, "b"));
        assert_eq!(read_well.body, "{\"status\":\"draining\"}");
        for other in [
            &b""[..],
            b"\x15\x03\x03\x00\x02\x02\x32",
            b"SSH-2.0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
        ] {
            assert!(read(other).is_none());
        }
    }
}
