//! What policies rank by, as of one moment: for people who look, not for a request.

use std::sync::Arc;
use std::time::Duration;

use super::ranking::unix;
use super::shared::Dispatch;
use crate::domain::asked::RequestShape;
use crate::domain::hash_map::HashMap;
use crate::domain::ids::Upstream;
use crate::domain::price::PriceSource;
use crate::domain::price_sheet::PriceSheet;
use crate::domain::target::{RankingStep, Target};

/// Figures are those of a request with a prompt of so many tokens.
pub const USUAL_PROMPT: u64 = 1000;

/// What is known of one upstream.
#[derive(Clone, Debug)]
pub struct CurrentFigures {
    /// The upstream.
    pub upstream: Upstream,
    /// Requests that were ranked to go there first, or went there, and have not ended; of targets that are ranked.
    pub pending: u32,
    /// Requests in flight at its provider.
    pub in_flight: u32,
    /// The average time until a stream's first token.
    pub stream: Option<Duration>,
    /// The average time until the end of a whole answer.
    pub whole: Option<Duration>,
    /// The average time for each token of a whole answer.
    pub per_token: Option<Duration>,
    /// The used share of its tightest limit, 0 to 1 and above; `None`: no limit is known.
    pub used: Option<f64>,
    /// Tokens that an answer is expected to have.
    pub expected_output: u64,
    /// Tokens that its context window holds.
    pub context_window: Option<u64>,
    /// What it costs, and who says so.
    pub price: Option<(Arc<PriceSheet>, PriceSource)>,
}

impl Dispatch {
    /// What is known of the first `most` upstreams that may be asked for, and how many more there are. In the order of the list
    /// of models.
    pub fn figures(&self, most: usize) -> (Vec<CurrentFigures>, usize) {
        let mut seen: HashMap<&Upstream, ()> = HashMap::default();
        let all = self.targets.listed().iter();
        let all = all.flat_map(|line| &line.chain.upstreams);
        let mut new = all.filter(|upstream| seen.insert(upstream, ()).is_none());
        let first = new.by_ref().take(most);
        let first = first.map(|upstream| self.figures_of(upstream)).collect();
        (first, new.count())
    }

    fn figures_of(&self, upstream: &Upstream) -> CurrentFigures {
        let now = self.clock.now();
        let averages = self.tree.averages(upstream);
        let [stream, whole, per_token] = averages.map_or([None; 3], |(averages, decay)| {
            let all = [averages.stream, averages.whole, averages.per_token];
            all.map(|average| average.map(|average| average.read(now, decay)))
        });
        CurrentFigures {
            pending: self.routing.pending(upstream),
            in_flight: self.tree.in_flight(&upstream.provider),
            stream,
            whole,
            per_token,
            used: self.tree.used_share(upstream),
            expected_output: self.tree.output_of(upstream).expected(None),
            context_window: self.window(upstream, self.endpoints.get(&upstream.provider)),
            price: self.prices.sheet_of(upstream),
            upstream: upstream.clone(),
        }
    }

    /// The targets whose order depends on the request.
    pub fn ranked_targets(&self) -> &[Target] {
        self.targets.forest().targets()
    }

    /// How a target would rank its members for a streamed request with a short prompt, of no client and no conversation. It
    /// takes no turn. `None` for one that is not ranked.
    pub fn usual_ranking(&self, target: &str, seed: u64) -> Option<RankingStep> {
        let chain = self.targets.resolve(Some(target)).ok()?;
        let asked = RequestShape {
            prompt_tokens: USUAL_PROMPT,
            stream: true,
            unix: unix(self.clock.wall()),
            ..RequestShape::default()
        };
        let ranked = self.rank(chain, &asked, None, seed, false);
        let steps = ranked.ranking?.steps;
        steps.into_iter().find(|step| *step.target == *target)
    }
}
