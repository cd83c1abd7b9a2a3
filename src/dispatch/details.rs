//! What only some conditions speak of, of a request or of a question about one.

use super::request::Request;
use super::shared::Dispatch;
use crate::access::Client;
use crate::domain::asked::RequestDetails;
use crate::domain::budget::Spender;
use crate::domain::money::Pico;

/// Of a request.
pub(super) struct CallDetails<'a> {
    pub(super) dispatch: &'a Dispatch,
    pub(super) request: &'a Request,
    pub(super) target: &'a str,
}

impl RequestDetails for CallDetails<'_> {
    fn header(&self, name: &str) -> Option<String> {
        let value = self.request.headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    }

    fn temperature(&self) -> Option<f64> {
        self.request.doc.temperature()
    }

    fn budget_left(&self) -> Option<Pico> {
        let client = self.request.client.as_ref()?;
        self.dispatch.budget_left(client.name(), self.target)
    }
}

/// Of a question.
pub(super) struct QuestionDetails<'a> {
    pub(super) dispatch: &'a Dispatch,
    pub(super) headers: &'a [(String, String)],
    pub(super) client: Option<&'a Client>,
    pub(super) temperature: Option<f64>,
    pub(super) target: &'a str,
}

impl RequestDetails for QuestionDetails<'_> {
    fn header(&self, name: &str) -> Option<String> {
        let mut all = self.headers.iter();
        let (_, value) = all.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value.clone())
    }

    fn temperature(&self) -> Option<f64> {
        self.temperature
    }

    fn budget_left(&self) -> Option<Pico> {
        let client = self.client?;
        self.dispatch.budget_left(client.name(), self.target)
    }
}

impl Dispatch {
    /// What is left of the tightest budget of that client for requests to this target, as of the last one that ended.
    fn budget_left(&self, client: &str, target: &str) -> Option<Pico> {
        if self.budgets.is_empty() {
            return None;
        }
        let views = self.budgets.views(self.unix()).into_iter();
        let own = views.filter(|view| {
            let scope = &view.budget.scope;
            let is_own = matches!(&scope.owner, Spender::Client(name) if **name == *client);
            is_own && scope.has(target)
        });
        let left = own.map(|view| {
            let taken = view.spent.plus(view.reserved);
            view.budget.amount.minus(taken)
        });
        left.min()
    }
}
