//! What the screen shows and where its user is in it. Nothing here reads a clock, a socket or a terminal.

use serde_json::Value;

use super::figures;
use super::rows::{self, Group, Row, RowKind};
use crate::cli::shown::{items, text};

/// The two halves of the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Pane {
    #[default]
    Tree,
    Requests,
}

/// What is in front of them.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) enum ScreenMode {
    #[default]
    Browse,
    /// A filter is being typed.
    Filter,
    Help,
    /// A command waits for its confirmation.
    Confirm(HoldCommand),
    /// One request; `None` until it is there, or why it is not.
    Request {
        id: String,
        shown: Option<Result<Value, String>>,
        scroll: u16,
    },
}

/// A command to a key or to a whole provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct HoldCommand {
    pub(super) provider: String,
    /// The number of the key; `None`: the provider itself.
    pub(super) key: Option<u64>,
    /// Else it is released.
    pub(super) hold: bool,
}

impl HoldCommand {
    /// The name of the key or provider that the command is for.
    pub(super) fn target(&self) -> String {
        match self.key {
            Some(number) => format!("{}#{number}", self.provider),
            None => format!("all of {}", self.provider),
        }
    }
}

/// News from the process.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum ModelUpdate {
    /// `/state`, `/history`, `/requests`, `/routing` and `/spend` of the day; the last two `None` where
    /// they were not asked for, all but the first where the process has no such thing.
    Look {
        state: Value,
        history: Option<Value>,
        requests: Option<Value>,
        routing: Option<Box<Value>>,
        spend: Option<Box<Value>>,
    },
    /// It does not answer.
    Lost(String),
    /// The details of one request.
    Request(String, Result<Value, String>),
    /// The result of a command.
    Done(Result<String, String>),
}

/// How the rows of a pane are sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Sort {
    /// As configured; requests newest first.
    #[default]
    Usual,
    /// What is out first; failed requests first.
    Trouble,
    /// Most under way first; slowest requests first.
    Load,
}

impl Sort {
    fn next(self) -> Self {
        match self {
            Self::Usual => Self::Trouble,
            Self::Trouble => Self::Load,
            Self::Load => Self::Usual,
        }
    }
}

/// One pane: where its user is, and what of it is shown.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct PaneView {
    /// The row that is selected, by what stays the same of it.
    chosen: Option<String>,
    /// Its place among the rows that are shown.
    pub(super) at: usize,
    /// The filter text, in lower case.
    pub(super) filter: String,
    pub(super) sort: Sort,
}

impl PaneView {
    /// The rows have changed: finds the chosen one again, or stays at its place.
    fn settle(&mut self, ids: &[String]) {
        let found = ids.iter().position(|id| Some(id) == self.chosen.as_ref());
        self.at = found.unwrap_or(self.at).min(ids.len().saturating_sub(1));
        self.chosen = ids.get(self.at).cloned();
    }

    fn go(&mut self, to: usize, ids: &[String]) {
        self.at = to.min(ids.len().saturating_sub(1));
        self.chosen = ids.get(self.at).cloned();
    }
}

/// The state of the screen.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct TopModel {
    /// The address that is asked.
    pub(super) place: String,
    pub(super) state: Value,
    pub(super) history: Option<Value>,
    pub(super) requests: Option<Value>,
    pub(super) spend: Option<Box<Value>>,
    routing: Option<Box<Value>>,
    groups: Vec<Group>,
    /// Seconds since the state's moment: countdowns go on by themselves.
    pub(super) age: f64,
    pub(super) pane: Pane,
    pub(super) tree: PaneView,
    pub(super) list: PaneView,
    pub(super) mode: ScreenMode,
    /// Why the process does not answer, if it does not.
    pub(super) lost: Option<String>,
    /// The result of the last command.
    pub(super) said: Option<Result<String, String>>,
    /// Rows of the pane that is in use, as of the last time it was drawn.
    pub(super) page: usize,
}

impl TopModel {
    /// Nothing is known yet.
    pub(super) fn new(place: String) -> Self {
        Self {
            place,
            page: 10,
            ..Self::default()
        }
    }

    /// Takes in an answer of the process.
    pub(super) fn hear(&mut self, news: ModelUpdate) {
        match news {
            ModelUpdate::Look {
                state,
                history,
                requests,
                routing,
                spend,
            } => {
                self.groups = rows::groups(&state);
                self.routing = routing.or_else(|| self.routing.take());
                if let Some(routing) = &self.routing {
                    figures::fill(&mut self.groups, routing);
                }
                (self.state, self.history, self.requests) = (state, history, requests);
                self.spend = spend.or_else(|| self.spend.take());
                (self.age, self.lost) = (0.0, None);
                self.settle();
            }
            ModelUpdate::Lost(why) => self.lost = Some(why),
            ModelUpdate::Request(of, answer) => {
                if let ScreenMode::Request { id, shown, .. } = &mut self.mode
                    && *id == of
                {
                    *shown = Some(answer);
                }
            }
            ModelUpdate::Done(result) => self.said = Some(result),
        }
    }

    /// The rows of the tree that are shown, in order.
    pub(super) fn rows(&self) -> Vec<&Row> {
        let mut groups: Vec<Vec<&Row>> =
            self.groups.iter().map(|group| self.sifted(group)).collect();
        match self.tree.sort {
            Sort::Usual => {}
            Sort::Trouble => groups.sort_by_key(|group| group.iter().map(|row| row.mood).min()),
            Sort::Load => groups.sort_by_key(|group| {
                let load = group.first().map(|row| (row.in_flight, row.attempts));
                std::cmp::Reverse(load)
            }),
        }
        groups.concat()
    }

    /// What the filter leaves of a provider: all of it when it is meant itself, else what is meant below it.
    fn sifted<'a>(&self, group: &'a Group) -> Vec<&'a Row> {
        let wanted = &self.tree.filter;
        let Some((head, below)) = group.split_first() else {
            return Vec::new();
        };
        let all = wanted.is_empty() || head.has(wanted);
        let mut below: Vec<&Row> = below.iter().filter(|row| all || row.has(wanted)).collect();
        // Upstreams stay before keys.
        let is_key = |row: &Row| matches!(row.kind, RowKind::Key(_));
        match self.tree.sort {
            Sort::Usual => {}
            Sort::Trouble => below.sort_by_key(|row| (is_key(row), row.mood)),
            Sort::Load => below.sort_by_key(|row| {
                (
                    is_key(row),
                    std::cmp::Reverse((row.in_flight, row.attempts)),
                )
            }),
        }
        if all || !below.is_empty() {
            [vec![head], below].concat()
        } else {
            Vec::new()
        }
    }

    /// The requests that are shown, in order.
    pub(super) fn list(&self) -> Vec<&Value> {
        let all = self.requests.as_ref().map(|it| items(&it["requests"]));
        let wanted = &self.list.filter;
        let has = |request: &&Value| {
            let names = ["id", "target", "outcome", "upstream", "key", "client"];
            let mut shown = names.iter().filter_map(|name| request[*name].as_str());
            wanted.is_empty() || shown.any(|text| text.to_lowercase().contains(wanted))
        };
        let mut list: Vec<&Value> = all.into_iter().flatten().filter(has).collect();
        match self.list.sort {
            Sort::Usual => {}
            Sort::Trouble => list.sort_by_key(|request| is_good(request)),
            Sort::Load => list.sort_by(|one, other| {
                let total = |it: &Value| it["total_ms"].as_f64().unwrap_or(0.0);
                total(other).total_cmp(&total(one))
            }),
        }
        list
    }

    /// The pane in use.
    pub(super) fn view(&mut self) -> &mut PaneView {
        match self.pane {
            Pane::Tree => &mut self.tree,
            Pane::Requests => &mut self.list,
        }
    }

    /// Finds what was selected again.
    pub(super) fn settle(&mut self) {
        let (tree, list) = (self.ids(Pane::Tree), self.ids(Pane::Requests));
        self.tree.settle(&tree);
        self.list.settle(&list);
    }

    /// Moves the selection by `by` rows.
    pub(super) fn step(&mut self, by: isize) {
        let ids = self.ids(self.pane);
        let to = self.view().at.saturating_add_signed(by);
        self.view().go(to, &ids);
    }

    /// Sorts the pane in use in the next way.
    pub(super) fn sort(&mut self) {
        let view = self.view();
        view.sort = view.sort.next();
        self.settle();
    }

    fn ids(&self, pane: Pane) -> Vec<String> {
        match pane {
            Pane::Tree => self.rows().into_iter().map(Row::id).collect(),
            Pane::Requests => {
                let ids = self.list().into_iter().map(|request| text(&request["id"]));
                ids.collect()
            }
        }
    }

    /// The command that `hold` or release means for what is selected.
    pub(super) fn order(&self, hold: bool) -> Option<HoldCommand> {
        let rows = self.rows();
        let row = rows.get(self.tree.at).filter(|_| self.pane == Pane::Tree)?;
        let key = match row.kind {
            RowKind::Provider => None,
            RowKind::Key(number) => Some(number),
            RowKind::Upstream => return None,
        };
        Some(HoldCommand {
            provider: row.provider.clone(),
            key,
            hold,
        })
    }

    /// The request that is selected.
    pub(super) fn request(&self) -> Option<String> {
        let list = self.list();
        let request = list
            .get(self.list.at)
            .filter(|_| self.pane == Pane::Requests)?;
        Some(text(&request["id"]))
    }
}

/// Whether a request was answered, and well.
pub(super) fn is_good(request: &Value) -> bool {
    let status = request["status"].as_u64();
    match request["outcome"].as_str() {
        Some("answered") => status.is_none_or(|status| status < 400),
        _ => false,
    }
}
