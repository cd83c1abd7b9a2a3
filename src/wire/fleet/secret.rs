//! The secret of a fleet: what is in the store is named and signed with it. Without it neither can be made or recognised, and
//! what somebody else has written is not believed.
//!
//! HMAC-SHA-256 (RFC 2104), with keys of their own for names and for signatures. Key material is long and random: its
//! keyed hash shows nothing of it.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{constant_time, hmac};
use data_encoding::HEXLOWER;

use crate::domain::budget::MeterKey;
use crate::domain::fleet::FleetSubject;
use crate::domain::fleet::quota::BudgetSubject;
use crate::domain::ids::FleetNode;
use crate::domain::persisted::Fingerprint;
use crate::domain::secret::{ApiKey, EncryptionKey};

/// Bytes of a signature: 128 bits.
pub const SIGNATURE: usize = 16;
/// Bytes of a process's name.
pub const LONGEST_NODE: usize = 64;
/// Between a process's name and its signature.
const MARK: char = '~';

/// Names and signs. Cheap to clone.
#[derive(Clone)]
pub struct FleetSecret {
    naming: Arc<hmac::Key>,
    signing: Arc<hmac::Key>,
}

impl FleetSecret {
    /// From the 32 bytes of its file.
    pub fn new(key: &EncryptionKey) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
        let derive = |purpose: &[u8]| {
            let derived = hmac::sign(&root, purpose);
            Arc::new(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
        };
        Self {
            naming: derive(b"pointsman fleet: names"),
            signing: derive(b"pointsman fleet: signatures"),
        }
    }

    /// What a key is known by in the fleet, whatever its provider is called: its material, and where it is sent.
    pub fn key(&self, home: &str, material: Option<&ApiKey>) -> Fingerprint {
        let material = material.map_or(&b""[..], |key| key.expose().as_bytes());
        Fingerprint(tagged(&self.naming, &[b"key", home.as_bytes(), material]))
    }

    /// What a provider is known by.
    pub fn provider(&self, home: &str) -> Fingerprint {
        Fingerprint(tagged(&self.naming, &[b"provider", home.as_bytes()]))
    }

    /// The name of a subject's field in the store, in hexadecimal digits.
    pub fn field(&self, subject: &FleetSubject) -> String {
        let model = subject.model.as_ref().map_or("", |model| model.as_str());
        let path = subject.operation.map_or("", |it| it.spec().route);
        let parts = [
            b"field",
            &subject.owner.0[..],
            subject.kind.word().as_bytes(),
            model.as_bytes(),
            path.as_bytes(),
        ];
        HEXLOWER.encode(&tagged(&self.naming, &parts))
    }

    /// What a client is known by: its name.
    pub fn client(&self, name: &str) -> Fingerprint {
        Fingerprint(tagged(&self.naming, &[b"client", name.as_bytes()]))
    }

    /// What a budget is known by: whose spending in which windows it is. The same in each configuration whatever its amount.
    pub fn purse(&self, meter: &MeterKey) -> Fingerprint {
        let MeterKey {
            scope,
            period,
            zone,
        } = meter;
        let period = period.word();
        let mut parts = vec![
            &b"purse"[..],
            scope.owner.kind().as_bytes(),
            scope.owner.name().as_bytes(),
            period.as_bytes(),
            zone.as_bytes(),
        ];
        parts.extend(scope.targets.iter().map(|target| target.as_bytes()));
        Fingerprint(tagged(&self.naming, &parts))
    }

    /// The end of the name in the store of one whose limits are shared, in hexadecimal digits.
    pub fn limits(&self, owner: &Fingerprint) -> String {
        HEXLOWER.encode(&tagged(&self.naming, &[b"limits", &owner.0]))
    }

    /// The end of a budget's name in the store, in one of its windows.
    pub fn budget(&self, subject: BudgetSubject) -> String {
        let parts = [
            &b"budget"[..],
            &subject.owner.0,
            &subject.window.to_be_bytes(),
        ];
        HEXLOWER.encode(&tagged(&self.naming, &parts))
    }

    /// How a process is listed.
    pub fn member(&self, node: &FleetNode) -> String {
        let tag = tagged(&self.signing, &[b"node", node.as_str().as_bytes()]);
        format!("{node}{MARK}{}", HEXLOWER.encode(&tag))
    }

    /// The process of a list's entry; `None` for what no process of this fleet has written.
    pub fn node(&self, member: &str) -> Option<FleetNode> {
        let (name, _) = member.rsplit_once(MARK)?;
        if !is_node(name) {
            return None;
        }
        let node = FleetNode::from(name);
        let ours = self.member(&node);
        constant_time::verify_slices_are_equal(ours.as_bytes(), member.as_bytes()).ok()?;
        Some(node)
    }

    /// The signature of a record.
    pub fn sign(&self, bytes: &[u8]) -> [u8; SIGNATURE] {
        tagged(&self.signing, &[b"record", bytes])
    }
}

/// Whether this may be a process's name.
pub fn is_node(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=LONGEST_NODE).contains(&name.len()) && name.bytes().all(letter)
}

/// With its length in front of each part no two lists come out as the same bytes.
fn tagged(key: &hmac::Key, parts: &[&[u8]]) -> [u8; SIGNATURE] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    let tag = context.sign();
    let (first, _) = tag.as_ref().as_chunks::<SIGNATURE>();
    first.first().copied().unwrap_or_default()
}

impl fmt::Debug for FleetSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FleetSecret(****)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> FleetSecret {
        FleetSecret::new(&EncryptionKey::new(&[byte; 32]).unwrap())
    }

    #[test]
    fn a_key_is_the_same_in_every_process_that_has_the_secret_and_nowhere_else() {
        let key =
            |of: u8, home: &str, material: &str| secret(of).key(home, Some(&ApiKey::new(material)));
        let known = key(1, "https://x", "sk-1");
        assert_eq!(key(1, "https://x", "sk-1"), known);
        for other in [
            key(2, "https://x", "sk-1"),
            key(1, "https://y", "sk-1"),
            key(1, "https://x", "sk-2"),
            key(1, "https://xs", "k-1"),
            secret(1).provider("https://x"),
        ] {
            assert_ne!(other, known);
        }
        assert!(!format!("{:?}", secret(1)).contains('1'));
    }

    #[test]
    fn only_who_has_the_secret_is_listed() {
        let node = FleetNode::from("web-1.3f9a0c21");
        let member = secret(1).member(&node);
        assert_eq!(secret(1).node(&member), Some(node));
        assert_eq!(secret(2).node(&member), None);
        for member in ["", "~", "web-1.3f9a0c21", "web-1~00", "a b~0", &member[1..]] {
            assert_eq!(secret(1).node(member), None, "{member}");
        }
    }
}
