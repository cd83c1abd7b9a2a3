//! An upstream that does as it is told: HTTP/1.1 by hand over a plain socket, so that it can cut, stall,
//! slice and talk nonsense. It notes every request, and whether the client left before the answer's end.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::behaviour::{At, Behaviour, End, Framing, Pause};
use super::planted;
use super::wait::bounded;

/// Which requests a script is for: every part that is given must be equal.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Match {
    key: Option<String>,
    model: Option<String>,
    path: Option<String>,
    below: Option<String>,
}

impl Match {
    /// All requests.
    pub fn any() -> Self {
        Self::default()
    }

    /// Those with this key.
    pub fn key(key: &str) -> Self {
        Self::any().and_key(key)
    }

    /// Those for this model.
    pub fn model(model: &str) -> Self {
        Self::any().and_model(model)
    }

    /// Those to this path, `/v1/embeddings` say.
    pub fn path(path: &str) -> Self {
        Self {
            path: Some(path.to_owned()),
            ..Self::default()
        }
    }

    /// Those to any path that begins like this.
    pub fn below(path: &str) -> Self {
        Self {
            below: Some(path.to_owned()),
            ..Self::default()
        }
    }

    /// Only with this key.
    pub fn and_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Only for this model.
    pub fn and_model(mut self, model: &str) -> Self {
        self.model = Some(model.to_owned());
        self
    }

    /// How many parts agree; `None` when one does not.
    fn fit(&self, request: &Received) -> Option<usize> {
        let parts = [
            (&self.key, request.key.as_deref()),
            (&self.model, request.model.as_deref()),
            (&self.path, Some(request.path.as_str())),
        ];
        let given = || parts.iter().filter(|(wanted, _)| wanted.is_some());
        let below = self.below.as_deref();
        let fits = below.is_none_or(|below| request.path.starts_with(below))
            && given().all(|(wanted, got)| wanted.as_deref() == *got);
        fits.then(|| given().count() + usize::from(below.is_some()))
    }
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// When its last byte was there.
    pub at: Instant,
    /// `POST`
    pub method: String,
    /// With query, if any.
    pub path: String,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// As received.
    pub body: Vec<u8>,
    /// The bearer token, or the key in Anthropic's header.
    pub key: Option<String>,
    /// The body's model.
    pub model: Option<String>,
    /// Whether the client left before the answer's end.
    pub cancelled: bool,
    /// Whether the script for it was played to its end.
    pub answered: bool,
}

impl Received {
    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(other, _)| other == name);
        header.map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

type Script = (Match, VecDeque<Behaviour>);

#[derive(Default)]
struct Shared {
    scripts: Mutex<Vec<Script>>,
    requests: watch::Sender<Vec<Received>>,
    connections: watch::Sender<usize>,
}

/// The upstream. It is gone when dropped.
pub struct ScriptedUpstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Drop for ScriptedUpstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl ScriptedUpstream {
    /// Listens on a port of its own. Without a script it says `ok`.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// One that answers everything in this way.
    pub async fn playing(behaviours: impl IntoIterator<Item = Behaviour>) -> Self {
        let upstream = Self::start().await;
        upstream.on(Match::any(), behaviours);
        upstream
    }

    /// `http://127.0.0.1:PORT/v1`
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What it does for such requests: one behaviour after the other, the last one for ever. Of several
    /// scripts the one with the most parts is played. Replaces an earlier script of the same match.
    pub fn on(&self, wanted: Match, behaviours: impl IntoIterator<Item = Behaviour>) {
        let behaviours: VecDeque<Behaviour> = behaviours.into_iter().collect();
        assert!(!behaviours.is_empty(), "a script needs a behaviour");
        let mut scripts = self.shared.scripts.lock().unwrap();
        scripts.retain(|(other, _)| *other != wanted);
        scripts.push((wanted, behaviours));
    }

    /// Everything received so far.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.requests.borrow().clone()
    }

    /// How many requests were received so far.
    pub fn count(&self) -> usize {
        self.shared.requests.borrow().len()
    }

    /// The keys of the requests, in order; an empty text for none.
    pub fn keys(&self) -> Vec<String> {
        let requests = self.shared.requests.borrow();
        let keys = requests.iter().map(|request| request.key.clone());
        keys.map(Option::unwrap_or_default).collect()
    }

    /// The models of the requests, in order.
    pub fn models(&self) -> Vec<String> {
        let requests = self.shared.requests.borrow();
        let models = requests.iter().map(|request| request.model.clone());
        models.map(Option::unwrap_or_default).collect()
    }

    /// Connections made to it so far.
    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }

    /// Completes when `n` requests were received; returns them.
    pub async fn wait_for(&self, n: usize) -> Vec<Received> {
        self.wait(&format!("request {n}"), |requests| requests.len() >= n)
            .await
    }

    /// Completes when a client left before the end of its answer, be it before this call.
    pub async fn cancelled(&self) {
        let left = |requests: &[Received]| requests.iter().any(|request| request.cancelled);
        self.wait("a client to leave", left).await;
    }

    async fn wait(&self, what: &str, done: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let mut seen = self.shared.requests.subscribe();
        let waiting = seen.wait_for(|requests| done(requests));
        bounded(what, waiting).await.unwrap().clone()
    }
}

/// A port that nobody listens on. It stays taken, so nobody else gets it either.
pub struct Refusing(TcpSocket);

impl Refusing {
    /// Takes a port.
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        Self(socket)
    }

    /// `http://127.0.0.1:PORT/v1`
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.0.local_addr().unwrap())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with the listener: they are tasks of this one.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        shared.connections.send_modify(|count| *count += 1);
        connections.spawn(connection(stream, Arc::clone(&shared)));
    }
}

/// What is left of a connection after an answer.
#[derive(PartialEq)]
enum After {
    KeepAlive,
    Close,
    Reset,
}

async fn connection(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut ahead = Vec::new();
    loop {
        let Ok(Some(request)) = read_request(&mut stream, &mut ahead).await else {
            return;
        };
        let behaviour = choose(&shared, &request);
        let index = {
            let mut index = 0;
            shared.requests.send_modify(|requests| {
                index = requests.len();
                requests.push(request);
            });
            index
        };
        let note = |change: fn(&mut Received)| {
            shared
                .requests
                .send_modify(|requests| change(&mut requests[index]));
        };
        let (mut read, mut write) = stream.split();
        let after = tokio::select! {
            biased;
            after = play(&mut write, &behaviour) => after,
            () = departure(&mut read, &mut ahead) => {
                note(|request| request.cancelled = true);
                return;
            }
        };
        match after {
            Ok(After::KeepAlive) => note(|request| request.answered = true),
            Ok(After::Close) => return note(|request| request.answered = true),
            Ok(After::Reset) => {
                drop(stream.set_zero_linger());
                return note(|request| request.answered = true);
            }
            // Writing failed: the client is gone.
            Err(_) => return note(|request| request.cancelled = true),
        }
    }
}

fn choose(shared: &Shared, request: &Received) -> Behaviour {
    let mut scripts = shared.scripts.lock().unwrap();
    let fitting = scripts
        .iter_mut()
        .filter_map(|(wanted, queue)| Some((wanted.fit(request)?, queue)))
        .max_by_key(|(parts, _)| *parts);
    match fitting {
        Some((_, queue)) if queue.len() > 1 => queue.pop_front().unwrap(),
        Some((_, queue)) => queue[0].clone(),
        None => Behaviour::says("ok"),
    }
}

/// Completes when the client closes its side.
async fn departure(read: &mut ReadHalf<'_>, ahead: &mut Vec<u8>) {
    while matches!(read.read_buf(ahead).await, Ok(bytes) if bytes > 0) {}
}

async fn read_request(stream: &mut TcpStream, ahead: &mut Vec<u8>) -> io::Result<Option<Received>> {
    let end = loop {
        if let Some(end) = ahead.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(ahead).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&ahead[..end]).into_owned();
    ahead.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines
        .next()
        .unwrap_or_default()
        .split(' ')
        .map(str::to_owned);
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let header = |name: &str| {
        let header = headers.iter().find(|(other, _)| other == name);
        header.map(|(_, value)| value.clone())
    };
    assert_eq!(
        header("transfer-encoding"),
        None,
        "requests name their length"
    );
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    while ahead.len() < length {
        if stream.read_buf(ahead).await? == 0 {
            return Ok(None);
        }
    }
    let body: Vec<u8> = ahead.drain(..length).collect();
    let key = header("authorization")
        .and_then(|value| Some(value.strip_prefix("Bearer ")?.to_owned()))
        .or_else(|| header("x-api-key"))
        .or_else(|| header("x-goog-api-key"))
        .map(|key| planted::known(&key));
    let model = serde_json::from_slice::<Value>(&body)
        .ok()
        .and_then(|body| Some(body.get("model")?.as_str()?.to_owned()));
    Ok(Some(Received {
        at: Instant::now(),
        method: first.next().unwrap_or_default(),
        path: first.next().unwrap_or_default(),
        headers,
        body,
        key,
        model,
        cancelled: false,
        answered: false,
    }))
}

async fn play(write: &mut WriteHalf<'_>, behaviour: &Behaviour) -> io::Result<After> {
    if let Some(raw) = &behaviour.raw {
        write.write_all(raw).await?;
        return Ok(After::Close);
    }
    let parts = behaviour.encoded();
    if let Some(after) = stop(behaviour, At::BeforeHead).await {
        return Ok(after);
    }
    write.write_all(head(behaviour, &parts).as_bytes()).await?;
    if let Some(after) = stop(behaviour, At::AfterHead).await {
        return Ok(after);
    }
    for (index, part) in parts.iter().enumerate() {
        if let Some(span) = behaviour.between.filter(|_| index > 0) {
            tokio::time::sleep(span).await;
        }
        let framed = framed(behaviour.framing, part);
        if ends_at(behaviour, At::InsidePart(index)) {
            write.write_all(&framed[..framed.len() / 2]).await?;
            if let Some(after) = stop(behaviour, At::InsidePart(index)).await {
                return Ok(after);
            }
        }
        for slice in framed.chunks(behaviour.slice.unwrap_or(usize::MAX)) {
            write.write_all(slice).await?;
            if behaviour.slice.is_some() {
                // Lets the other side see the piece by itself.
                tokio::task::yield_now().await;
            }
        }
        if let Some(after) = stop(behaviour, At::AfterPart(index + 1)).await {
            return Ok(after);
        }
    }
    match behaviour.framing {
        Framing::Length => Ok(After::KeepAlive),
        Framing::Chunked => {
            write.write_all(b"0\r\n\r\n").await?;
            Ok(After::KeepAlive)
        }
        Framing::UntilClose => Ok(After::Close),
    }
}

/// Waits as told at this place, and says whether the answer ends here.
async fn stop(behaviour: &Behaviour, at: At) -> Option<After> {
    for (_, pause) in behaviour.pauses.iter().filter(|(place, _)| *place == at) {
        match pause {
            Pause::For(span) => tokio::time::sleep(*span).await,
            Pause::Gate(gate) => gate.opened().await,
        }
    }
    match behaviour.end.filter(|(place, _)| *place == at)?.1 {
        End::Reset => Some(After::Reset),
        End::Close => Some(After::Close),
        End::Hang => std::future::pending().await,
    }
}

fn ends_at(behaviour: &Behaviour, at: At) -> bool {
    behaviour.end.is_some_and(|(place, _)| place == at)
}

fn head(behaviour: &Behaviour, parts: &[Vec<u8>]) -> String {
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", behaviour.status);
    for (name, value) in &behaviour.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match behaviour.framing {
        Framing::Length => {
            let length: usize = parts.iter().map(Vec::len).sum();
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        Framing::Chunked => head.push_str("transfer-encoding: chunked\r\n"),
        Framing::UntilClose => {}
    }
    head.push_str("\r\n");
    head
}

fn framed(framing: Framing, part: &[u8]) -> Vec<u8> {
    if framing != Framing::Chunked || part.is_empty() {
        return part.to_vec();
    }
    let mut chunk = format!("{:x}\r\n", part.len()).into_bytes();
    chunk.extend_from_slice(part);
    chunk.extend_from_slice(b"\r\n");
    chunk
}
