//! Floor 5: a request's own task. It asks the tree for a lease, sends, classifies, settles, and passes the
//! answer on; after a failure that can be hidden it asks again. All waiting and all I/O of a request happen
//! here, and dropping it gives everything back.

mod admission;
mod answer;
mod attempt;
mod body;
mod call_headers;
mod charge;
mod counting;
mod cut;
mod drain;
mod events;
mod explain;
mod failed;
mod hedger;
mod held;
mod leasing;
mod limits;
mod live;
mod lookup;
mod outbox;
mod pulses;
mod race;
mod redacted;
mod relay;
mod request;
mod request_run;
mod rescue;
mod run;
mod shared;
mod story;
mod tokens;
mod tried;
mod verdict;

pub use answer::{Answer, AnswerBody};
pub use explain::{Explanation, Fate, KeyLine, Line, NoAnswer, Question, Standing, Turn};
pub use failed::Failed;
pub use hedger::Hedger;
pub use pulses::Pulses;
pub use relay::Relay;
pub use request::{Continuation, Endpoint, Request};
pub use shared::Dispatch;
