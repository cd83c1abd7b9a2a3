//! Laws of whole answers that are translated: any body is no answer, or becomes one in each caller's dialect.
//!
//! The input is a line with the upstream's dialect, and the body.

use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;
use pointsman::domain::dropped::Dropped;
use pointsman::wire::exchange::AttemptStamp;
use pointsman::wire::inspection::Inspection;
use serde_json::Value;

use super::line;
use super::speech::{CALLERS, exchange, operation, plain_request};

pub fn hold(data: &[u8]) {
    let (upstream, body) = line(data);
    let Some(upstream) = operation(upstream).map(|operation| operation.spec().dialect) else {
        return;
    };
    let body = Bytes::copy_from_slice(body);
    for caller in CALLERS {
        let Some(operation) = operation(caller.as_bytes()) else {
            return;
        };
        let exchange = exchange(operation, upstream);
        let looked = exchange.inspect(&HeaderMap::new(), &body, None);
        let (doc, mut dropped) = (plain_request(caller), Dropped::default());
        let made = exchange.answer(
            &doc,
            &mut HeaderMap::new(),
            body.clone(),
            AttemptStamp {
                unique: 7,
                now: SystemTime::UNIX_EPOCH,
            },
            &mut dropped,
        );
        if exchange.is_identity() {
            assert_eq!(made.as_ref().ok(), Some(&body));
            continue;
        }
        match made {
            Ok(answer) => {
                let read: Option<Value> = serde_json::from_slice(&answer).ok();
                assert!(
                    read.is_some_and(|read| read.is_object()),
                    "{caller}: {answer:?}"
                );
            }
            // What was found good can be told.
            Err(loss) => {
                let is_json = serde_json::from_slice::<Value>(&body).is_ok();
                let is_good = is_json && matches!(looked, Inspection::Good(_));
                assert!(!is_good && !loss.why.is_empty(), "{upstream}: {body:?}");
            }
        }
    }
}
