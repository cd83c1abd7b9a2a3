//! How much a task may read before it yields to other tasks and to its own timers.
//!
//! A peer that sends without a pause always has something ready, so a loop that reads from it never waits, and a timer
//! beside it is never polled. A loop that reads counts here what it took, and yields when the budget is used up.

/// The bytes of one turn: well below a millisecond's work.
const BYTES: usize = 256 * 1024;
/// The pieces or events of one turn, however small they are.
const PIECES: usize = 1024;

/// What was taken since this task last yielded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct YieldBudget {
    bytes: usize,
    pieces: usize,
}

impl YieldBudget {
    /// Counts one piece of `bytes` bytes. Empty ones count too: a peer may send them without end.
    pub fn spend(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.pieces += 1;
    }

    /// Whether it is time to yield. The next turn begins with that.
    pub fn is_over(&mut self) -> bool {
        let over = self.bytes >= BYTES || self.pieces >= PIECES;
        if over {
            *self = Self::default();
        }
        over
    }

    /// Counts one piece, and yields where that ends the turn.
    pub async fn took(&mut self, bytes: usize) {
        self.spend(bytes);
        if self.is_over() {
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_over_by_bytes_and_by_pieces_and_the_next_one_begins_anew() {
        let mut turn = YieldBudget::default();
        turn.spend(BYTES - 1);
        assert!(!turn.is_over());
        turn.spend(1);
        assert!(turn.is_over() && !turn.is_over());
        for _ in 0..PIECES {
            turn.spend(0);
        }
        assert!(turn.is_over());
    }

    #[tokio::test]
    async fn a_timer_beside_a_loop_that_never_waits_is_looked_at() {
        let endless = async {
            let mut turn = YieldBudget::default();
            loop {
                turn.took(0).await;
            }
        };
        let over = tokio::time::timeout(std::time::Duration::from_millis(5), endless).await;
        assert!(over.is_err());
    }
}
