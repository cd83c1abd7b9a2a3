//! `telemetry.otlp`: where metrics and traces are pushed to, by OTLP over HTTP. The standard `OTEL_…` variables say the
//! same as the file; where both speak, the variables win. What is wrong in them is a warning: they may be meant for
//! others.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use zeroize::Zeroizing;

use super::read::{ConfigNode, FromNode, Report, section};
use super::values::{Headers, Names, PositiveSpan, Texts, choice};
use crate::domain::secret::ApiKey;

/// Where a collector on the same machine listens, when nothing but the exporter is named.
const LOCAL: &str = "http://localhost:4318";
/// What one export may take (OTLP exporter specification).
const TIMEOUT: Duration = Duration::from_secs(10);
/// What the service is called.
const SERVICE: &str = "pointsman";

section! {
    /// `telemetry.otlp`
    OtlpForm {
        /// The root URL of a collector that takes OTLP over HTTP, such as `http://collector:4318`; `/v1/metrics` and
        /// `/v1/traces` are added. Absent: nothing is pushed, unless `OTEL_EXPORTER_OTLP_ENDPOINT` names one.
        endpoint: HttpUrl,
        /// The full URL for metrics, if it is another one.
        metrics_endpoint: HttpUrl,
        /// The full URL for traces, if it is another one.
        traces_endpoint: HttpUrl,
        /// Request headers, such as the one with the collector's token. Never shown.
        headers: Headers,
        /// How long one export may take, its repetitions included. Default `10s`.
        timeout: PositiveSpan,
        /// How bodies are compressed. Default `none`.
        compression: Compression,
        /// Files of certificate authorities (PEM) to trust besides the usual ones, relative to this file.
        ca_file: Names,
        /// `service.name` of all that is pushed. Default `pointsman`.
        service_name: String,
        /// More attributes of the resource, such as `deployment.environment.name`.
        resource: Texts,
    }
}

/// An absolute http(s) URL. Not shown in messages: it may hold a secret.
pub(super) struct HttpUrl(String);

impl FromNode for HttpUrl {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let text = Zeroizing::new(node.text().unwrap_or_default());
        match url(&text) {
            Ok(url) => Some(Self(url)),
            Err(why) => node.reject(why, "write http://host:4318, say", report),
        }
    }
}

/// The URL without what is wrong in it, or what that is.
fn url(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let uri: Uri = text.parse().map_err(|_| "is not a URL")?;
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("http" | "https") if host.is_empty() => Err("names no host"),
        Some("http" | "https") if uri.authority().is_some_and(|it| it.as_str().contains('@')) => {
            Err("holds a user name: put credentials into headers")
        }
        Some("http" | "https") => Ok(text.to_owned()),
        _ => Err("is not an absolute http:// or https:// URL"),
    }
}

/// How bodies are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    /// No compression.
    #[default]
    None,
    /// Compression with gzip.
    Gzip,
}

impl Compression {
    /// The names in the configuration.
    pub(super) const ALL: [(&'static str, Self); 2] = [("none", Self::None), ("gzip", Self::Gzip)];
}

impl FromNode for Compression {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        choice(node, &Self::ALL, report)
    }
}

/// What is pushed where, and in whose name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OtlpPolicy {
    /// Where metrics go; `None`: nowhere.
    pub metrics: Option<OtlpTarget>,
    /// Where traces go; `None`: nowhere.
    pub traces: Option<OtlpTarget>,
    /// The resource attribute `service.name`.
    pub service_name: String,
    /// More attributes of the resource, by name.
    pub resource: Vec<(String, String)>,
}

impl Default for OtlpPolicy {
    fn default() -> Self {
        Self {
            metrics: None,
            traces: None,
            service_name: SERVICE.to_owned(),
            resource: Vec::new(),
        }
    }
}

/// Where one signal is pushed to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OtlpTarget {
    /// The full URL of the receiver.
    pub url: String,
    /// Request headers, legal ones; values may be secrets.
    pub headers: Vec<(String, ApiKey)>,
    /// What one export may take.
    pub timeout: Duration,
    /// How bodies are compressed.
    pub compression: Compression,
    /// Certificate authorities to trust besides the usual ones, in DER.
    pub authorities: Vec<Vec<u8>>,
}

/// One of what can be pushed.
struct OtlpSignal {
    /// In the names of variables.
    name: &'static str,
    /// After the root URL.
    path: &'static str,
}

const METRICS: OtlpSignal = OtlpSignal {
    name: "METRICS",
    path: "/v1/metrics",
};
const TRACES: OtlpSignal = OtlpSignal {
    name: "TRACES",
    path: "/v1/traces",
};

/// Reads the certificates of `ca_file`.
pub(super) type Authorities<'a> = &'a dyn Fn(Option<Names>, &mut Report) -> Vec<Vec<u8>>;

/// What the file and the variables say together.
pub(super) fn policy(
    raw: Option<OtlpForm>,
    env: &BTreeMap<String, String>,
    authorities: Authorities<'_>,
    report: &mut Report,
) -> OtlpPolicy {
    let mut raw = raw.unwrap_or_default();
    let file = TargetForm {
        root: raw.endpoint.take(),
        headers: raw.headers.take().map(|Headers(all)| all),
        timeout: raw.timeout.map(|PositiveSpan(span)| span),
        compression: raw.compression,
        authorities: authorities(raw.ca_file.take(), report),
    };
    let mut otel = Otel { env, report };
    let disabled = otel.flag("OTEL_SDK_DISABLED");
    let metrics = otel.target(&METRICS, &file, raw.metrics_endpoint.as_ref());
    let traces = otel.target(&TRACES, &file, raw.traces_endpoint.as_ref());
    let mut resource = raw.resource.map(|Texts(all)| all).unwrap_or_default();
    for (name, value) in otel.pairs("OTEL_RESOURCE_ATTRIBUTES") {
        put(&mut resource, name, value.as_str().to_owned());
    }
    let named = resource.iter().position(|(name, _)| name == "service.name");
    let attribute = named.map(|at| resource.remove(at).1);
    let variable = otel.text("OTEL_SERVICE_NAME").map(str::to_owned);
    let names = [variable, attribute, raw.service_name];
    OtlpPolicy {
        metrics: metrics.filter(|_| !disabled),
        traces: traces.filter(|_| !disabled),
        service_name: names
            .into_iter()
            .flatten()
            .map(|name| name.trim().to_owned())
            .find(|name| !name.is_empty())
            .unwrap_or_else(|| SERVICE.to_owned()),
        resource,
    }
}

/// What the file says of all signals.
struct TargetForm {
    root: Option<HttpUrl>,
    headers: Option<Vec<(String, ApiKey)>>,
    timeout: Option<Duration>,
    compression: Option<Compression>,
    authorities: Vec<Vec<u8>>,
}

fn put(all: &mut Vec<(String, String)>, name: String, value: String) {
    match all.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => all.push((name, value)),
    }
}

/// Reads the `OTEL_…` variables; an empty one counts as unset (OpenTelemetry environment variable specification).
pub(super) struct Otel<'a> {
    pub(super) env: &'a BTreeMap<String, String>,
    pub(super) report: &'a mut Report,
}

impl<'a> Otel<'a> {
    /// The value of a variable.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        let text = self.env.get(name)?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// Says that a variable counts for nothing.
    pub(super) fn ignored<T>(&mut self, name: &str, why: &str) -> Option<T> {
        let text = format!("{name} {why}: it is ignored");
        self.report.warnings.push(text);
        None
    }

    fn flag(&self, name: &str) -> bool {
        self.text(name)
            .is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// A number of milliseconds, above 0.
    pub(super) fn millis(&mut self, name: &str) -> Option<Duration> {
        let text = self.text(name)?;
        match text.parse().ok().filter(|millis| *millis > 0) {
            Some(millis) => Some(Duration::from_millis(millis)),
            None => self.ignored(name, "is no number of milliseconds above 0"),
        }
    }

    /// A number above 0.
    pub(super) fn count(&mut self, name: &str) -> Option<usize> {
        let text = self.text(name)?;
        match text.parse().ok().filter(|count| *count > 0) {
            Some(count) => Some(count),
            None => self.ignored(name, "is no number above 0"),
        }
    }

    /// `name=value,…`, values in percent-encoding. A list with a mistake counts for nothing.
    fn pairs(&mut self, name: &str) -> Vec<(String, Zeroizing<String>)> {
        let Some(text) = self.text(name) else {
            return Vec::new();
        };
        let entries = text.split(',').filter(|entry| !entry.trim().is_empty());
        let pairs: Option<Vec<_>> = entries
            .map(|entry| {
                let (name, value) = entry.split_once('=')?;
                let name = decoded(name.trim()).filter(|name| !name.is_empty())?;
                Some((name.as_str().to_owned(), decoded(value.trim())?))
            })
            .collect();
        match pairs {
            Some(pairs) => pairs,
            None => self
                .ignored(name, "is not a list like name=value,name=value")
                .unwrap_or_default(),
        }
    }

    /// The first of a signal's own variable and the one for all signals that is set: its name and its value.
    fn either(&self, signal: &OtlpSignal, what: &str) -> Option<(String, &'a str)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.name);
        let common = format!("OTEL_EXPORTER_OTLP_{what}");
        let value = |name: String| self.text(&name).map(|text| (name, text));
        value(own).or_else(|| value(common))
    }

    fn target(
        &mut self,
        signal: &OtlpSignal,
        file: &TargetForm,
        own: Option<&HttpUrl>,
    ) -> Option<OtlpTarget> {
        let wanted = self.exporter(signal)?;
        let joined = |root: &str| format!("{}{}", root.trim_end_matches('/'), signal.path);
        let variable = self.url(&format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.name));
        let variable = variable.or_else(|| {
            let root = self.url("OTEL_EXPORTER_OTLP_ENDPOINT")?;
            Some(joined(&root))
        });
        let url = variable
            .or_else(|| own.map(|HttpUrl(url)| url.clone()))
            .or_else(|| file.root.as_ref().map(|HttpUrl(root)| joined(root)))
            .or_else(|| wanted.then(|| joined(LOCAL)))?;
        if let Some((name, protocol)) = self.either(signal, "PROTOCOL")
            && protocol != "http/protobuf"
        {
            self.ignored::<()>(&name, "names a protocol other than http/protobuf");
        }
        if let Some((name, _)) = self.either(signal, "CERTIFICATE") {
            self.ignored::<()>(&name, "has another place: telemetry.otlp.ca_file");
        }
        let timeout = self.either(signal, "TIMEOUT");
        let timeout = timeout.and_then(|(name, _)| self.millis(&name));
        Some(OtlpTarget {
            url,
            headers: self.headers(signal, file),
            timeout: timeout.or(file.timeout).unwrap_or(TIMEOUT),
            compression: self
                .compression(signal)
                .or(file.compression)
                .unwrap_or_default(),
            authorities: file.authorities.clone(),
        })
    }

    /// Whether `OTEL_…_EXPORTER` asks for OTLP by name; `None` where it asks for something else only.
    fn exporter(&mut self, signal: &OtlpSignal) -> Option<bool> {
        let name = format!("OTEL_{}_EXPORTER", signal.name);
        let Some(text) = self.text(&name) else {
            return Some(false);
        };
        let words: Vec<&str> = text.split(',').map(str::trim).collect();
        if words.contains(&"otlp") {
            return Some(true);
        }
        // `/metrics` is there in any case.
        if words
            .iter()
            .all(|word| ["none", "prometheus"].contains(word))
        {
            return None;
        }
        self.ignored(&name, "names neither otlp nor none")
            .or(Some(false))
    }

    fn url(&mut self, name: &str) -> Option<String> {
        match url(self.text(name)?) {
            Ok(url) => Some(url),
            Err(why) => self.ignored(name, why),
        }
    }

    fn compression(&mut self, signal: &OtlpSignal) -> Option<Compression> {
        let (name, text) = self.either(signal, "COMPRESSION")?;
        let known = Compression::ALL.iter().find(|(word, _)| *word == text);
        match known {
            Some((_, compression)) => Some(*compression),
            None => self.ignored(&name, "names neither gzip nor none"),
        }
    }

    /// The file's, with those of the variable in the place of its own or added.
    fn headers(&mut self, signal: &OtlpSignal, file: &TargetForm) -> Vec<(String, ApiKey)> {
        let mut headers = file.headers.clone().unwrap_or_default();
        let Some((variable, _)) = self.either(signal, "HEADERS") else {
            return headers;
        };
        for (name, value) in self.pairs(&variable) {
            let legal = HeaderName::try_from(name.as_str()).is_ok()
                && HeaderValue::try_from(value.as_str()).is_ok();
            if !legal {
                self.ignored::<()>(&variable, "holds what no header can carry");
                continue;
            }
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
            headers.push((name, ApiKey::new(value.as_str())));
        }
        headers
    }
}

/// Text in percent-encoding; `None` where that is broken.
fn decoded(text: &str) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let byte = digit(high)? * 16 + digit(low)?;
                bytes.push(u8::try_from(byte).ok()?);
                rest = tail;
            }
            (b'%', _) => return None,
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    std::str::from_utf8(&bytes)
        .ok()
        .map(|text| Zeroizing::new(text.to_owned()))
}
