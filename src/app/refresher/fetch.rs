//! One fetch of a list: its pages, under limits of time and size.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method, header};

use crate::domain::catalog::entry::Entry;
use crate::domain::ids::ModelName;
use crate::domain::secret::ApiKey;
use crate::upstream::{CallBody, SendError, Transport, UpstreamRequest, UpstreamResponse};
use crate::wire::auth;
use crate::wire::catalog::{
    self, CatalogFormat, DetailCall, ListError, MOST_BYTES, MOST_PAGES, NextPage, Page,
};
use crate::wire::segment;

/// How long all pages of a list may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a list is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum ListReader {
    /// As the own list of a provider of this kind.
    Own(String),
    /// As this list, or the one that its shape says.
    Named(Option<CatalogFormat>),
}

impl ListReader {
    pub(super) fn read(&self, text: &str) -> Result<Page, ListError> {
        match self {
            Self::Own(kind) => catalog::read_own(text, kind),
            Self::Named(format) => catalog::read(text, *format).map(|(page, _)| page),
        }
    }

    /// The pages of a list as one.
    pub(super) fn read_all(&self, pages: &[String]) -> Result<Page, ListError> {
        let mut all = Page::default();
        for text in pages {
            if catalog::add_details(text, &mut all.entries) {
                continue;
            }
            let page = self.read(text)?;
            all.entries.extend(page.entries);
            all.groups.extend(page.groups);
            all.notes.append(page.notes);
        }
        Ok(all)
    }
}

/// A server that tells more than its list.
#[derive(Clone)]
pub(super) struct ServerDetails {
    /// Its root.
    pub transport: Arc<dyn Transport>,
    /// Its kind.
    pub kind: String,
}

/// Where a list is, and how it is asked for.
#[derive(Clone)]
pub(super) struct ListRequest {
    pub transport: Arc<dyn Transport>,
    /// Behind the transport's root, without a query.
    pub path: String,
    /// What its query has anyway.
    pub query: String,
    pub headers: HeaderMap,
    /// A key in the query.
    pub query_key: Option<ApiKey>,
    pub reader: ListReader,
    /// The server itself, where it tells more than its list.
    pub details: Option<ServerDetails>,
}

/// What came.
pub(super) enum FetchedList {
    /// It is what it was.
    Unchanged,
    /// All of it.
    New {
        page: Page,
        pages: Vec<String>,
        etag: Option<String>,
    },
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Send(#[from] SendError),
    #[error("nothing came within 10 s")]
    Late,
    #[error("it answered with status {0}")]
    Status(u16),
    #[error(transparent)]
    List(#[from] ListError),
    #[error("it is not UTF-8")]
    Text,
}

/// Fetches a list, unless it is still of version `etag`.
pub(super) async fn fetch(
    source: &ListRequest,
    etag: Option<&str>,
) -> Result<FetchedList, FetchError> {
    let fetched = tokio::time::timeout(PATIENCE, pages(source, etag)).await;
    let mut fetched = fetched.map_err(|_| FetchError::Late)??;
    if let FetchedList::New { page, pages, .. } = &mut fetched {
        // What did not come in time is not known; the list is used as it is.
        let _ = tokio::time::timeout(PATIENCE, details(source, &mut page.entries, pages)).await;
    }
    Ok(fetched)
}

/// Adds what the server tells of its models beside its list.
async fn details(source: &ListRequest, entries: &mut [Entry], pages: &mut Vec<String>) {
    let Some(ServerDetails { transport, kind }) = &source.details else {
        return;
    };
    for call in catalog::detail_calls(kind, entries) {
        let Ok(answer) = transport.send(detail_request(source, &call)).await else {
            return;
        };
        // A model that the server does not know, or a server without the route.
        let text = match answer.status {
            200 => whole(answer).await,
            _ => continue,
        };
        let page = text.map(|text| catalog::detail_page(kind, &call, &text));
        if let Ok(Some(page)) = page {
            catalog::add_details(&page, entries);
            pages.push(page);
        }
    }
}

fn detail_request(source: &ListRequest, call: &DetailCall) -> UpstreamRequest {
    let list = ListRequest {
        path: call.path.to_owned(),
        ..source.clone()
    };
    let mut request = request(&list, "", None);
    if let Some(body) = &call.body {
        request.method = Method::POST;
        let json = HeaderValue::from_static("application/json");
        request.headers.insert(header::CONTENT_TYPE, json);
        request.body = CallBody::Bytes(body.clone().into());
    }
    request
}

/// A body as text.
async fn whole(answer: UpstreamResponse) -> Result<String, FetchError> {
    let mut body = Vec::new();
    let mut chunks = answer.body;
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk?);
        if body.len() > MOST_BYTES {
            return Err(ListError::TooLarge.into());
        }
    }
    String::from_utf8(body).map_err(|_| FetchError::Text)
}

async fn pages(source: &ListRequest, etag: Option<&str>) -> Result<FetchedList, FetchError> {
    let mut all = Page::default();
    let mut texts = Vec::new();
    let mut version = None;
    let mut query = source.query.clone();
    for at in 0..MOST_PAGES {
        let etag = etag.filter(|_| at == 0);
        let answer = source.transport.send(request(source, &query, etag)).await?;
        match answer.status {
            304 if at == 0 && etag.is_some() => return Ok(FetchedList::Unchanged),
            200 => {}
            status => return Err(FetchError::Status(status)),
        }
        if at == 0 {
            let found = answer.headers.get(header::ETAG);
            version = found.and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        }
        let text = whole(answer).await?;
        let reader = source.reader.clone();
        // Megabytes of JSON: not among the requests.
        let read = tokio::task::spawn_blocking(move || (reader.read(&text), text));
        let (page, text) = read.await.map_err(|_| FetchError::Text)?;
        let page = page?;
        texts.push(text);
        all.entries.extend(page.entries);
        all.groups.extend(page.groups);
        all.notes.append(page.notes);
        match page.next {
            None => break,
            Some(_) if at + 1 == MOST_PAGES => {
                let warning = format!("it has more than {MOST_PAGES} pages: the rest is not read");
                all.notes.warn(warning);
            }
            Some(NextPage::Query(next)) => query = next,
            Some(NextPage::Parameter(name, value)) => {
                let own = source.query.as_str();
                let mark = if own.is_empty() { "" } else { "&" };
                query = format!("{own}{mark}{name}={}", segment::escaped(&value));
            }
        }
    }
    Ok(FetchedList::New {
        page: all,
        pages: texts,
        etag: version,
    })
}

fn request(source: &ListRequest, query: &str, etag: Option<&str>) -> UpstreamRequest {
    let mut path = source.path.clone();
    if !query.is_empty() {
        path.push('?');
        path.push_str(query);
    }
    if let Some(key) = &source.query_key {
        path = auth::with_key(&path, key);
    }
    let mut headers = source.headers.clone();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    if let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
        headers.insert(header::IF_NONE_MATCH, etag);
    }
    UpstreamRequest {
        method: Method::GET,
        path: path.into(),
        passed: false,
        model: ModelName::from(""),
        headers,
        body: CallBody::Bytes(Default::default()),
        signing: None,
    }
}
