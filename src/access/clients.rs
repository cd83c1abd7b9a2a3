//! All clients of one configuration, found by the token that a request carries.

use std::collections::HashMap;
use std::sync::Arc;

use super::client::Client;
use crate::domain::client::ClientPolicy;
use crate::domain::fleet::LostPolicy;
use crate::wire::token::TokenDigest;

/// The configured clients, found by their tokens.
#[derive(Debug)]
pub struct Clients {
    /// Clients by the first bytes of the hash of their token; the whole hash is compared in constant time.
    shelves: HashMap<u64, Vec<(TokenDigest, Arc<Client>)>>,
    /// Compared with unknown tokens, so that they take as long as known ones.
    nobody: TokenDigest,
}

impl Clients {
    /// Clients with their tokens. Those that were there before, by name, keep their counts.
    pub fn new<'a>(
        clients: impl IntoIterator<Item = (ClientPolicy, &'a [TokenDigest])>,
        before: Option<&Self>,
    ) -> Self {
        let mut shelves: HashMap<u64, Vec<_>> = HashMap::new();
        for (policy, tokens) in clients {
            let known = before.and_then(|before| before.find(&policy.name));
            let client = Arc::new(Client::new(policy, known));
            for token in tokens {
                let shelf = shelves.entry(token.digest_prefix()).or_default();
                shelf.push((*token, Arc::clone(&client)));
            }
        }
        Self {
            shelves,
            nobody: TokenDigest::of(b""),
        }
    }

    /// Other processes have the same clients: each keeps to its shares of its limits.
    pub fn join_fleet(&self, lost: LostPolicy) {
        for client in self.all() {
            client.join_fleet(lost);
        }
    }

    /// The client with this token.
    pub fn whose(&self, token: &[u8]) -> Option<&Arc<Client>> {
        let digest = TokenDigest::of(token);
        let shelf = self.shelves.get(&digest.digest_prefix());
        let mut found = None;
        if shelf.is_none() {
            // No client has the empty token.
            let _ = std::hint::black_box(digest == self.nobody);
        }
        for (other, client) in shelf.into_iter().flatten() {
            if *other == digest {
                found = Some(client);
            }
        }
        found
    }

    /// All of them, each once, by name.
    pub fn all(&self) -> Vec<Arc<Client>> {
        let clients = self.shelves.values().flatten();
        let mut all: Vec<_> = clients.map(|(_, client)| Arc::clone(client)).collect();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all.dedup_by(|a, b| a.name() == b.name());
        all
    }

    fn find(&self, name: &str) -> Option<&Client> {
        let mut all = self.shelves.values().flatten();
        let (_, client) = all.find(|(_, client)| **client.name() == *name)?;
        Some(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Time;

    const NOW: Time = Time::from_millis(1000);
    use crate::domain::client::{Allow, ClientLimits, Priority};

    fn policy(name: &str, most: u32) -> ClientPolicy {
        ClientPolicy {
            name: Arc::from(name),
            allow: Allow::everything(),
            limits: ClientLimits {
                max_in_flight: most.try_into().ok(),
                ..ClientLimits::default()
            },
            priority: Priority::Normal,
        }
    }

    fn name(clients: &Clients, token: &str) -> Option<String> {
        let client = clients.whose(token.as_bytes())?;
        Some(client.name().to_string())
    }

    #[test]
    fn each_token_leads_to_its_client_and_others_to_nobody() {
        let (one, two) = (TokenDigest::of(b"one"), TokenDigest::of(b"two"));
        let three = [TokenDigest::of(b"three")];
        let clients = Clients::new(
            [(policy("a", 0), &[one, two][..]), (policy("b", 0), &three)],
            None,
        );
        assert_eq!(name(&clients, "one").as_deref(), Some("a"));
        assert_eq!(name(&clients, "two").as_deref(), Some("a"));
        assert_eq!(name(&clients, "three").as_deref(), Some("b"));
        for token in ["", "four", "On", "one "] {
            assert_eq!(name(&clients, token), None, "{token}");
        }
    }

    #[test]
    fn counts_go_over_to_the_next_configuration_by_name() {
        let (old, new) = ([TokenDigest::of(b"old")], [TokenDigest::of(b"new")]);
        let before = Clients::new([(policy("a", 1), &old[..])], None);
        let place = before.whose(b"old").unwrap().enter(NOW).unwrap();
        let after = Clients::new(
            [(policy("a", 1), &new[..]), (policy("b", 1), &old)],
            Some(&before),
        );
        assert!(after.whose(b"new").unwrap().enter(NOW).is_none());
        assert!(after.whose(b"old").unwrap().enter(NOW).is_some());
        drop(place);
        assert!(after.whose(b"new").unwrap().enter(NOW).is_some());
    }
}
