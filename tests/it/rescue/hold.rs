//! Events that are held back before they go out.

use super::*;

#[tokio::test]
async fn what_is_held_back_is_not_lost_by_a_cut() {
    let held = "{mode: restart, hold: 5s}";
    let three = three(held, "off", "").await;
    // Another answer altogether will do: nothing of the first was sent.
    three.b_says(Behaviour::streams(&["Good", " day"]));
    whole(&three.asked().await, "Good day");

    let tool = event(
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{"}}]}}]}"#,
    );
    let other = restarting_with(held).await;
    let call = Behaviour::events([tool.clone(), finish("tool_calls")]).reset(At::AfterPart(1));
    other.a.on(Match::any(), [call]);
    let events = [tool, finish("tool_calls"), DONE.to_owned()];
    other.b_says(Behaviour::events(events.clone()));
    assert_eq!(other.asked().await, events.concat());
}

async fn restarting_with(rescue: &str) -> Three {
    three(rescue, "off", "").await
}

#[tokio::test]
async fn what_was_held_back_is_sent_when_nothing_helps() {
    let three = restarting_with("{mode: restart, hold: 5s}").await;
    cut(&three.asked().await, "Hello");
}

#[tokio::test]
async fn a_hold_delays_a_stream_and_changes_nothing_else() {
    let three = restarting_with("{mode: restart, hold: 50ms}").await;
    let events = [
        role(),
        chunk("Hel"),
        chunk("lo"),
        finish("stop"),
        DONE.to_owned(),
    ];
    let gate = Gate::new();
    let stream = Behaviour::events(events.clone()).gate(At::AfterPart(2), &gate);
    three.a.on(Match::any(), [stream]);
    let mut stream = three.gateway.post_chat(body("")).stream().await;
    // It goes out in time even if nothing else comes.
    stream.until("Hel").await;
    gate.open();
    assert_eq!(stream.text().await, events.concat());
}
