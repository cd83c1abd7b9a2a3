//! The stage before any upstream is asked, in which an answer that exists already may serve the request.
//!
//! It comes after admission, so that clients get only answers that they may ask for, and before the first lease,
//! so that an answer found here uses no key.

use super::answer::ProxyResponse;
use super::request_run::RequestRun;
use crate::domain::attempt_record::CacheLookup;

impl RequestRun {
    /// The answer, if there is one. No answers are kept today, so there is none, and the record says that nothing was
    /// looked up.
    pub(super) async fn lookup(&mut self) -> Option<ProxyResponse> {
        self.state.trace.lookup = CacheLookup::Off;
        None
    }
}
