//! Names to addresses: looked up by the operating system, remembered for a while, and without those that no provider
//! has (see [`crate::domain::address`]).
//!
//! One task owns what is remembered. Lookups of one name at the same time are one lookup. When a lookup fails, or
//! takes long, the last answer holds on for a while: a resolver's outage is no outage of the providers.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tower_service::Service;

use super::lack::is_local;
use crate::domain::address::{self, AddressRefusal};
use crate::runtime::task;

/// The longest time that a lookup may take where there is an older answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long lookups hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DnsPolicy {
    /// How long an address that was found is kept.
    pub ttl: Duration,
    /// How long a failed lookup is kept.
    pub negative_ttl: Duration,
    /// An answer beyond `ttl`, while lookups fail.
    pub max_stale: Duration,
}

/// Why a name has no address that can be called.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LookupError {
    /// The operating system found none.
    #[error("{host} cannot be looked up: {why}")]
    NotFound {
        /// The host's name.
        host: String,
        /// What the operating system says.
        why: Arc<str>,
    },
    /// It could not be looked up, for lack of something here.
    #[error("this machine lacks what it takes to look {host} up: {why}")]
    Local {
        /// The host's name.
        host: String,
        /// What the operating system says.
        why: Arc<str>,
    },
    /// It leads only to addresses that are not called.
    #[error("{host} leads to {address}, {why}, which is not called")]
    Refused {
        /// The host's name.
        host: String,
        /// The first of them.
        address: IpAddr,
        /// The reason.
        why: AddressRefusal,
    },
    /// The process is ending.
    #[error("names are no longer looked up")]
    Ended,
}

type Addresses = Arc<[IpAddr]>;
type LookupResult = Result<Addresses, Missing>;

/// Why a name has no addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Missing {
    why: Arc<str>,
    /// This machine lacked something; the name is not at fault.
    local: bool,
}

impl Missing {
    fn of(host: &str, Self { why, local }: Self) -> LookupError {
        let host = host.to_owned();
        if local {
            LookupError::Local { host, why }
        } else {
            LookupError::NotFound { host, why }
        }
    }
}
pub(super) type Lookup =
    Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// What is remembered of names. Cheap to clone; needs a runtime.
#[derive(Clone, Debug)]
pub struct DnsCache(mpsc::UnboundedSender<DnsMessage>);

#[derive(Debug)]
enum DnsMessage {
    Ask(String, oneshot::Sender<DnsAnswer>),
    Found(String, LookupResult),
}

/// What is known at once.
#[derive(Debug)]
enum DnsAnswer {
    Known(LookupResult),
    /// It is being looked up; until then there may be an older answer.
    Coming(oneshot::Receiver<LookupResult>, Option<Addresses>),
}

impl DnsCache {
    /// Asks the operating system.
    pub fn new(terms: DnsPolicy) -> Self {
        let lookup = |host: String| -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            Box::pin(async move {
                let found = tokio::net::lookup_host((host, 0)).await?;
                Ok(found.map(|address| address.ip()).collect())
            })
        };
        Self::asking(Arc::new(lookup), terms)
    }

    /// Resolves names by `lookup`.
    pub(super) fn asking(lookup: Lookup, terms: DnsPolicy) -> Self {
        let (sender, messages) = mpsc::unbounded_channel();
        let book = DnsTable {
            terms,
            lookup,
            names: HashMap::new(),
            // Not to be kept alive by itself.
            found: sender.downgrade(),
        };
        task::detach(book.keep(messages));
        Self(sender)
    }

    /// The addresses of `host`.
    async fn addresses(&self, host: &str) -> Result<Addresses, LookupError> {
        let (reply, told) = oneshot::channel();
        let asked = self.0.send(DnsMessage::Ask(host.to_owned(), reply));
        asked.map_err(|_| LookupError::Ended)?;
        let found = match told.await.map_err(|_| LookupError::Ended)? {
            DnsAnswer::Known(found) => found,
            DnsAnswer::Coming(coming, None) => coming.await.map_err(|_| LookupError::Ended)?,
            DnsAnswer::Coming(coming, Some(older)) => {
                match tokio::time::timeout(PATIENCE, coming).await {
                    Ok(Ok(found)) => found,
                    Ok(Err(_)) | Err(_) => Ok(older),
                }
            }
        };
        found.map_err(|missing| Missing::of(host, missing))
    }

    /// The addresses of `host` that may be called.
    ///
    /// # Errors
    /// There are none.
    pub async fn callable(
        &self,
        host: &str,
        allow_link_local: bool,
    ) -> Result<Vec<IpAddr>, LookupError> {
        let all = self.addresses(host).await?;
        let judged = |address: &&IpAddr| address::refused(**address, allow_link_local).is_none();
        let good: Vec<IpAddr> = all.iter().filter(judged).copied().collect();
        match all.first() {
            Some(first) if good.is_empty() => Err(LookupError::Refused {
                host: host.to_owned(),
                address: *first,
                why: address::refused(*first, allow_link_local)
                    .unwrap_or(AddressRefusal::Unspecified),
            }),
            _ => Ok(good),
        }
    }
}

/// One client's view of it.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    pub(super) dns: DnsCache,
    pub(super) allow_link_local: bool,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = LookupError;
    type Future = BoxFuture<'static, Result<Self::Response, LookupError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LookupError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self {
            dns,
            allow_link_local,
        } = self.clone();
        Box::pin(async move {
            let good = dns.callable(name.as_str(), allow_link_local).await?;
            // The port is the connector's to fill in.
            let addresses = good.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(addresses.collect::<Vec<_>>().into_iter())
        })
    }
}

/// What the task owns.
struct DnsTable {
    terms: DnsPolicy,
    lookup: Lookup,
    /// Only names of the configuration get here, so they are few.
    names: HashMap<String, DnsEntry>,
    found: mpsc::WeakUnboundedSender<DnsMessage>,
}

#[derive(Default)]
struct DnsEntry {
    /// The last answer, and when it came.
    answer: Option<(Addresses, Instant)>,
    /// The last failure, and until when it holds.
    failure: Option<(Missing, Instant)>,
    /// The callers that wait for the lookup under way.
    waiting: Option<Vec<oneshot::Sender<LookupResult>>>,
}

impl DnsEntry {
    /// The answer, if it is at most so old.
    fn answer(&self, age: Duration) -> Option<Addresses> {
        let (addresses, came) = self.answer.as_ref()?;
        (came.elapsed() <= age).then(|| Arc::clone(addresses))
    }
}

impl DnsTable {
    async fn keep(mut self, mut messages: mpsc::UnboundedReceiver<DnsMessage>) {
        while let Some(message) = messages.recv().await {
            match message {
                DnsMessage::Ask(host, reply) => {
                    // A caller that no longer waits gets no answer.
                    drop(reply.send(self.tell(host)));
                }
                DnsMessage::Found(host, found) => self.found(&host, found),
            }
        }
    }

    fn tell(&mut self, host: String) -> DnsAnswer {
        let DnsPolicy { ttl, max_stale, .. } = self.terms;
        let entry = self.names.entry(host.clone()).or_default();
        // An answer that came just now also serves callers that asked while it was on its way.
        if !ttl.is_zero()
            && let Some(known) = entry.answer(ttl)
        {
            return DnsAnswer::Known(Ok(known));
        }
        // While lookups fail, an older answer is better than none.
        let older = entry.answer(ttl + max_stale);
        let failure = entry.failure.as_ref();
        if let Some((why, until)) = failure
            && Instant::now() < *until
        {
            return DnsAnswer::Known(older.ok_or_else(|| why.clone()));
        }
        let (reply, coming) = oneshot::channel();
        // Callers that ask during a lookup wait for the same one.
        match &mut entry.waiting {
            Some(waiting) => waiting.push(reply),
            None => {
                entry.waiting = Some(vec![reply]);
                let looking = (self.lookup)(host.clone());
                let found = self.found.clone();
                task::detach(async move {
                    let addresses = match looking.await {
                        Ok(addresses) if addresses.is_empty() => Err(Missing {
                            why: "it has no address".into(),
                            local: false,
                        }),
                        Ok(addresses) => Ok(addresses.into()),
                        Err(error) => Err(Missing {
                            why: error.to_string().into(),
                            local: is_local(&error),
                        }),
                    };
                    if let Some(book) = found.upgrade() {
                        drop(book.send(DnsMessage::Found(host, addresses)));
                    }
                });
            }
        }
        DnsAnswer::Coming(coming, older)
    }

    fn found(&mut self, host: &str, found: LookupResult) {
        let DnsPolicy {
            ttl,
            negative_ttl,
            max_stale,
        } = self.terms;
        let Some(entry) = self.names.get_mut(host) else {
            return;
        };
        let now = Instant::now();
        let told = match found {
            Ok(addresses) => {
                entry.answer = Some((Arc::clone(&addresses), now));
                entry.failure = None;
                Ok(addresses)
            }
            Err(missing) => {
                // What is lacking here says nothing about the name.
                let held = (!missing.local).then(|| (missing.clone(), now + negative_ttl));
                entry.failure = held;
                entry.answer(ttl + max_stale).ok_or(missing)
            }
        };
        for reply in entry.waiting.take().unwrap_or_default() {
            drop(reply.send(told.clone()));
        }
    }
}

#[cfg(test)]
mod tests;
