//! The call itself, let in: with a token that is fetched first, or with a signature, where a key alone does not do.

use super::{Attempt, Early};
use crate::domain::outcome::{Class, Failure};
use crate::upstream::{SendError, UpstreamRequest, UpstreamResponse};
use crate::wire::grant::TokenError;

impl Attempt<'_> {
    /// Makes the call. A token that was kept and is refused is fetched anew, once.
    pub(super) async fn let_in(
        &self,
        mut call: UpstreamRequest,
    ) -> Result<UpstreamResponse, Early> {
        let access = self.endpoint.access.as_deref();
        let (Some(access), Some(key)) = (access, &*self.lease.material) else {
            return self.call(call).await;
        };
        let lent = access
            .let_in(key, &mut call)
            .await
            .map_err(|error| failure(&error))?;
        let Some(lent) = lent else {
            return self.call(call).await;
        };
        // Of two tokens the later one is told: what the first was refused with goes nowhere.
        let mut token = lent.token;
        if !lent.fresh {
            let reply = self.call(call.clone()).await?;
            if reply.status != 401 {
                let _ = self.lease.token.set(token);
                return Ok(reply);
            }
            access.reject(key, token.clone());
            let Some(next) = access
                .let_in(key, &mut call)
                .await
                .map_err(|error| failure(&error))?
            else {
                return Ok(reply);
            };
            token = next.token;
        }
        let _ = self.lease.token.set(token);
        self.call(call).await
    }

    async fn call(&self, call: UpstreamRequest) -> Result<UpstreamResponse, Early> {
        self.wire.send(call).await.map_err(|error| {
            let class = match error {
                SendError::ConnectTimeout(_) => Class::Timeout,
                SendError::Unsigned(_) => Class::InvalidKey,
                SendError::Connect(_) | SendError::Broken(_) | SendError::Local(_) => {
                    Class::Network
                }
            };
            Early::from(Failure {
                certain: !matches!(error, SendError::Local(_)),
                ..Failure::new(class, error.to_string())
            })
        })
    }
}

/// There is no token: that is about this key alone.
fn failure(error: &TokenError) -> Early {
    let failure = Failure {
        retry_after: error.retry_after(),
        ..Failure::new(error.class(), error.to_string())
    };
    failure.into()
}
