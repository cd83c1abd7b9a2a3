//! Waiting requests of clients: the order of classes, and which request is evicted from a full room.

use super::*;
use crate::domain::attempts::Cause;
use crate::domain::client::{Priority, Requester};

type LeaseReceiver = oneshot::Receiver<Result<Lease, LeaseRefused>>;

impl Bench {
    /// Asks for one of provider `a`'s places in the background.
    async fn comes(self: &Arc<Self>, priority: Priority, client: &str) -> LeaseReceiver {
        let (tell, told) = oneshot::channel();
        let bench = Arc::clone(self);
        let standing = Requester {
            priority,
            client: Some(Arc::from(client)),
        };
        task::detach(async move { drop(tell.send(bench.ask_standing(standing).await)) });
        self.settle_down().await;
        told
    }

    async fn ask_standing(&self, standing: Requester) -> Result<Lease, LeaseRefused> {
        let chain = Arc::new(Chain {
            target: Arc::from("t"),
            upstreams: vec![Upstream::new("a", "m")],
        });
        let end = self.clock.now() + 600 * S;
        let dispatcher = self.tree.client();
        let asked = dispatcher.lease(end, |reply| {
            let ask = RouteConstraints {
                closed: vec![None],
                first: true,
                ..RouteConstraints::default()
            };
            let mut route = RouteRequest::new(Arc::clone(&chain), ask, 0, end, reply);
            route.standing = standing.clone();
            route.may_wait = true;
            route.wait_until = end;
            route
        });
        asked.await
    }
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_overtakes_only_classes_after_its_own() {
    use Priority::{High, Low, Normal};
    let bench = Arc::new(Bench::new(vec![one_at_a_time("a")]).await);
    let mut held = bench.lease(&["a"]).await;
    let mut told = Vec::new();
    for (priority, client) in [
        (Low, "x"),
        (Normal, "x"),
        (High, "x"),
        (Normal, "y"),
        (High, "y"),
    ] {
        told.push(bench.comes(priority, client).await);
    }
    for next in [2, 4, 1, 3, 0] {
        held.settle(outcome(Class::Success));
        bench.settle_down().await;
        held = told[next].try_recv().unwrap().unwrap();
        let others = told.iter_mut().filter_map(|told| told.try_recv().ok());
        assert_eq!(others.count(), 0, "{next} alone");
    }
}

#[tokio::test(start_paused = true)]
async fn the_router_lets_go_of_whoever_waits_for_most() {
    let bench = Arc::new(Bench::new(vec![one_at_a_time("a")]).await);
    let held = bench.lease(&["a"]).await;
    let mut greedy = Vec::new();
    for _ in 0..10 {
        greedy.push(bench.comes(Priority::Normal, "greedy").await);
    }
    let mut small = Vec::new();
    for _ in 0..6 {
        small.push(bench.comes(Priority::Normal, "small").await);
    }
    let router = Arc::clone(&bench.tree.client().cells().router);
    assert_eq!(router.waiting(), 10);
    let gone = |told: &mut LeaseReceiver| match told.try_recv() {
        Ok(Err(refused)) => Some(refused.cause == Cause::RoomFull),
        _ => None,
    };
    // Five each, the oldest stay.
    let greedy: Vec<_> = greedy.iter_mut().map(gone).collect();
    assert_eq!(greedy, [vec![None; 5], vec![Some(true); 5]].concat());
    let small: Vec<_> = small.iter_mut().map(gone).collect();
    assert_eq!(small, [vec![None; 5], vec![Some(true)]].concat());
    drop(held);
}
