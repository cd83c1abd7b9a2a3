//! Which requests are sent as traces: the file, the standard variables, and both.

use std::time::Duration;

use super::*;
use crate::domain::sampling::Sampler;

const PROVIDERS: &str = "llm: {providers: [{name: echo}]}";

fn read(file: &str, variables: &[(&str, &str)]) -> (TracesPolicy, bool, Vec<String>) {
    let text = format!(
        "telemetry: {{otlp: {{endpoint: 'http://c:4318'}}, traces: {{{file}}}}}\n{PROVIDERS}"
    );
    let config = yaml(&text, variables).unwrap();
    let sent = config.telemetry.otlp.traces.is_some();
    (config.telemetry.traces, sent, config.warnings)
}

#[test]
fn the_usual_is_all_of_them() {
    let (policy, sent, warnings) = read("", &[]);
    assert_eq!(policy, TracesPolicy::default());
    assert!(sent && warnings.is_empty());
}

#[test]
fn each_sampler_of_the_environment_is_known_and_wins() {
    let parent = |share| Sampler {
        share,
        parent_based: true,
    };
    let alone = |share| Sampler {
        share,
        parent_based: false,
    };
    for (name, argument, expected, sent) in [
        ("always_on", "", alone(1.0), true),
        ("always_off", "", alone(0.0), false),
        ("traceidratio", "0.5", alone(0.5), true),
        ("traceidratio", "", alone(1.0), true),
        ("parentbased_always_on", "", parent(1.0), true),
        ("parentbased_always_off", "", parent(0.0), true),
        ("parentbased_traceidratio", "0.01", parent(0.01), true),
    ] {
        let variables = [
            ("OTEL_TRACES_SAMPLER", name),
            ("OTEL_TRACES_SAMPLER_ARG", argument),
        ];
        let (policy, pushed, warnings) = read("sample: 0.3", &variables);
        assert_eq!((policy.sampler, pushed), (expected, sent), "{name}");
        assert!(warnings.is_empty(), "{warnings:?}");
    }
    assert_eq!(read("sample: 0.3", &[]).0.sampler, parent(0.3));
}

#[test]
fn what_is_wrong_in_the_environment_is_told_and_counts_for_nothing() {
    for (name, value) in [
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_PROPAGATORS", "tracecontext,b3"),
    ] {
        let (policy, sent, warnings) = read("", &[(name, value)]);
        assert_eq!(policy, TracesPolicy::default(), "{name}");
        assert!(
            sent && warnings.len() == 1 && warnings[0].contains(name),
            "{warnings:?}"
        );
    }
    let (policy, ..) = read("", &[("OTEL_PROPAGATORS", "none")]);
    assert!(!policy.propagates);
    assert!(
        read("", &[("OTEL_PROPAGATORS", "baggage,tracecontext")])
            .2
            .is_empty()
    );
}

#[test]
fn the_file_says_what_is_kept() {
    let (policy, ..) = read("keep_failures: false, keep_waited: 0, keep_slow: 2s", &[]);
    assert!(!policy.keep.failures);
    assert_eq!(policy.keep.waited, None);
    assert_eq!(policy.keep.slow, Some(Duration::from_secs(2)));
    assert!(!read("push: false", &[]).1);
    let delays = [
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "7"),
    ];
    let (policy, ..) = read("", &delays);
    assert_eq!((policy.delay, policy.batch), (Duration::from_millis(20), 7));
}
