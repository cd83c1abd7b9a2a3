//! Reloads that were ordered. Programs of added keys are run first, beside everything else: a signal to end, a change of what is
//! added and a list of models wait for none of them.

use std::mem;

use tokio::sync::oneshot;

use super::orders::Orders;
use super::process::App;
use super::programs::{self, Printed, Printing};
use super::reader::ConfigReader;
use crate::admin::Reloaded;

/// Who wants a reload.
pub(super) struct OrderedReload {
    /// `signal`, `file` or `admin`.
    pub(super) trigger: &'static str,
    replies: Vec<oneshot::Sender<Reloaded>>,
}

impl OrderedReload {
    /// Tells all who wait for it.
    pub(super) fn answer(self, reloaded: &Reloaded) {
        for reply in self.replies {
            // Whoever waited may be gone; the reload is done all the same.
            let _ = reply.send(reloaded.clone());
        }
    }
}

/// The reload that is under way, and one more after it.
#[derive(Default)]
pub(super) struct Reloads {
    under_way: Option<(OrderedReload, Printing)>,
    /// What was ordered since programs were started: they may print something else now. All of it is one reload.
    next: Option<OrderedReload>,
}

impl Reloads {
    /// Begins one, or notes that there has to be one more.
    pub(super) fn order(
        &mut self,
        trigger: &'static str,
        reply: Option<oneshot::Sender<Reloaded>>,
        (app, read, orders): (&App, &ConfigReader, &Orders),
    ) {
        let next = self.next.get_or_insert_with(|| OrderedReload {
            trigger,
            replies: Vec::new(),
        });
        next.replies.extend(reply);
        self.begin((app, read, orders));
    }

    /// Begins what was ordered, unless one is under way.
    pub(super) fn begin(&mut self, (app, read, orders): (&App, &ConfigReader, &Orders)) {
        if self.under_way.is_some() {
            return;
        }
        if let Some(ordered) = mem::take(&mut self.next) {
            orders.reloading();
            self.under_way = Some((ordered, programs::again(&app.added, read)));
        }
    }

    /// The reload that is due now, with what programs print; never while none is under way. Cancel-safe.
    pub(super) async fn due(&mut self) -> (OrderedReload, Printed) {
        loop {
            let Some((_, running)) = &mut self.under_way else {
                std::future::pending::<()>().await;
                continue;
            };
            let printed = running.await;
            if let Some((ordered, _)) = self.under_way.take() {
                return (ordered, printed);
            }
        }
    }
}
