//! How calls to a provider are let in where their key is no text that is sent: by a token that is fetched with it, or by a
//! signature.

use super::UpstreamRequest;
use super::tokens::{LentToken, TokenSource};
use crate::domain::secret::ApiKey;
use crate::runtime::clock::Clock;
use crate::wire::auth::AuthScheme;
use crate::wire::grant::TokenError;
use crate::wire::sigv4::{AccessKey, Signing};

/// What a key lets in with.
#[derive(Debug)]
pub enum KeyAccess {
    /// A token that somebody else fetched.
    Token(ApiKey),
    /// A token that is fetched.
    Source(TokenSource),
    /// A signature.
    Access(AccessKey),
}

/// The keys of one provider.
#[derive(Debug)]
pub struct ProviderAccess {
    /// Each key with what it lets in with; keys are few.
    keys: Vec<(ApiKey, KeyAccess)>,
    /// The region that signatures are for.
    region: String,
    /// The service that they are for.
    service: &'static str,
    clock: Clock,
}

impl ProviderAccess {
    /// For these keys. `region` and `service` are what signatures are for.
    pub fn new(
        keys: Vec<(ApiKey, KeyAccess)>,
        region: &str,
        service: &'static str,
        clock: Clock,
    ) -> Self {
        Self {
            keys,
            region: region.to_owned(),
            service,
            clock,
        }
    }

    fn of(&self, key: &ApiKey) -> Option<&KeyAccess> {
        let mut keys = self.keys.iter();
        keys.find_map(|(own, access)| (own == key).then_some(access))
    }

    /// Lets a call in that is made with `key`. What it carries that the key does not tell is returned.
    ///
    /// # Errors
    /// Why there is no token.
    pub async fn let_in(
        &self,
        key: &ApiKey,
        call: &mut UpstreamRequest,
    ) -> Result<Option<LentToken>, TokenError> {
        match self.of(key) {
            None => Ok(None),
            Some(KeyAccess::Token(token)) => {
                AuthScheme::Bearer.put(&mut call.headers, token);
                Ok(None)
            }
            Some(KeyAccess::Source(source)) => {
                let lent = source.token().await?;
                AuthScheme::Bearer.put(&mut call.headers, &lent.token);
                Ok(Some(lent))
            }
            Some(KeyAccess::Access(key)) => {
                call.signing = Some(Box::new(Signing {
                    key: key.clone(),
                    region: self.region.clone(),
                    service: self.service,
                    wall: self.clock.wall(),
                }));
                Ok(None)
            }
        }
    }

    /// Notes that the token of a key was refused: it is not used again.
    pub fn reject(&self, key: &ApiKey, token: ApiKey) {
        if let Some(KeyAccess::Source(source)) = self.of(key) {
            source.reject(token);
        }
    }
}
