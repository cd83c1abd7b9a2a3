use std::sync::mpsc::Sender as Channel;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

use super::*;
use crate::domain::dialect::Operation;
use crate::domain::time::Time;

/// Passes batches on; takes none while it is told to fail.
#[derive(Debug)]
struct Passing {
    batches: Channel<usize>,
    fails: Arc<AtomicBool>,
    /// Every export waits until the test allows it.
    gate: Option<Arc<std::sync::Barrier>>,
}

impl SpanExporter for Passing {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        // The test may be over.
        let _ = self.batches.send(batch.len());
        if let Some(gate) = &self.gate {
            gate.wait();
        }
        if self.fails.load(Ordering::Relaxed) {
            Err(OTelSdkError::InternalFailure("no".to_owned()))
        } else {
            Ok(())
        }
    }
}

fn terms(queue: usize, batch: usize) -> TraceSettings {
    TraceSettings {
        sampler: Sampler {
            share: 1.0,
            parent_based: true,
        },
        keep: Keep::NOTHING,
        batching: Batching {
            delay: Duration::from_millis(1),
            batch,
            queue,
        },
        scheme: "http",
        mask: None,
    }
}

fn ended(traces: &Traces) -> Arc<NumberedRequest> {
    let trace = traces.begin(None, (7, 9));
    Arc::new(NumberedRequest {
        number: 1,
        record: RequestRecord {
            id: Arc::from("r"),
            client: None,
            operation: Operation::Chat,
            stream: false,
            target: String::new(),
            chain: None,
            routing: None,
            outcome: "answered",
            status: Some(200),
            attempts: Vec::new(),
            refused: None,
            lookup: crate::domain::attempt_record::CacheLookup::Off,
            saved: None,
            rescue_obstacles: Vec::new(),
            started: Time::ZERO,
            complete: Time::ZERO,
            ended: Time::ZERO,
            first_token: None,
            usage: None,
            trace: Some(Arc::new(trace)),
        },
    })
}

#[tokio::test]
async fn what_is_sent_fails_or_is_dropped_is_counted() {
    let (batches, seen) = mpsc::channel();
    let fails = Arc::new(AtomicBool::new(false));
    let gate = Arc::new(std::sync::Barrier::new(2));
    let exporter = Passing {
        batches,
        fails: Arc::clone(&fails),
        gate: Some(Arc::clone(&gate)),
    };
    let traces = Traces::start(
        &terms(2, 1),
        TracedProviders::default(),
        Clock::start(),
        exporter,
    )
    .unwrap();
    let told = ended(&traces);
    traces.send(Arc::clone(&told), "sampled", None);
    assert_eq!(seen.recv().unwrap(), 1);
    // The thread is in its export: two have room, the rest has none.
    for _ in 0..5 {
        traces.send(Arc::clone(&told), "sampled", None);
    }
    assert_eq!(traces.counts().dropped, 3);
    gate.wait();
    for _ in 0..2 {
        assert_eq!(seen.recv().unwrap(), 1);
        fails.store(true, Ordering::Relaxed);
        gate.wait();
    }
    traces.finish(Duration::from_secs(5)).await;
    let counts = traces.counts();
    assert_eq!(counts.exported + counts.failed, 3);
    assert!(counts.failed >= 1 && counts.dropped == 3, "{counts:?}");
}

#[tokio::test]
async fn the_last_are_sent_at_the_end_and_a_stuck_exporter_does_not_keep_it() {
    let (batches, seen) = mpsc::channel();
    let exporter = Passing {
        batches,
        fails: Arc::default(),
        gate: None,
    };
    let mut calm = terms(100, 4);
    calm.batching.delay = Duration::from_secs(3600);
    let traces =
        Traces::start(&calm, TracedProviders::default(), Clock::start(), exporter).unwrap();
    for _ in 0..6 {
        traces.send(ended(&traces), "sampled", None);
    }
    traces.finish(Duration::from_secs(5)).await;
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [4, 2]);
    assert_eq!(traces.counts().exported, 6);

    let (batches, seen) = mpsc::channel();
    let exporter = Passing {
        batches,
        fails: Arc::default(),
        gate: Some(Arc::new(std::sync::Barrier::new(2))),
    };
    let traces = Traces::start(
        &terms(9, 1),
        TracedProviders::default(),
        Clock::start(),
        exporter,
    )
    .unwrap();
    traces.send(ended(&traces), "sampled", None);
    seen.recv().unwrap();
    traces.finish(Duration::from_millis(10)).await;
}

#[test]
fn a_remote_parent_decides_and_its_trace_is_kept() {
    let (batches, _seen) = mpsc::channel();
    let exporter = Passing {
        batches,
        fails: Arc::default(),
        gate: None,
    };
    let mut never = terms(1, 1);
    never.sampler.share = 0.0;
    let traces =
        Traces::start(&never, TracedProviders::default(), Clock::start(), exporter).unwrap();
    let remote = |sampled| Remote {
        trace_id: TraceId::random(5),
        span_id: SpanId::random(6),
        sampled,
        random: true,
        state: None,
    };
    let joined = traces.begin(Some(remote(true)), (1, 2));
    assert!(joined.sampled && joined.trace_id.get() == 5 && joined.span_id.get() == 2);
    assert_eq!(joined.parent, Some((SpanId::random(6), true)));
    assert!(!traces.begin(Some(remote(false)), (1, 2)).sampled);
    let begun = traces.begin(None, (1, 2));
    assert!(!begun.sampled && begun.parent.is_none() && begun.trace_id.get() == 1);
}
