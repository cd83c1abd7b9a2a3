//! What floods take: resident memory over the start, at the peak and some seconds after, and CPU time. Run it with
//! `cargo bench --bench memory`. It takes some minutes and a gibibyte; `MEMORY_SCALE=0.1` makes it a tenth as large, and
//! words as arguments choose the floods whose names hold one of them.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, ends when something is wrong, and rounds"
)]

mod floods;
mod gateway;
mod http2;
#[path = "../support/process.rs"]
mod process;
mod upstream;

use std::thread;
use std::time::Duration;

use gateway::Gateway;

/// How long a flood's memory is given to come back.
const AFTER: Duration = Duration::from_secs(4);

fn main() {
    let (flags, words): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with('-'));
    if !flags.iter().any(|flag| flag == "--bench") {
        // Run by `cargo test`: that it builds is all there is to see without a release build.
        return;
    }
    let scale = std::env::var("MEMORY_SCALE").ok();
    let scale = scale.and_then(|scale| scale.parse().ok()).unwrap_or(1.0);
    let upstream = upstream::serve();
    println!("MiB over the start, and seconds of CPU time\n");
    println!("| Flood | Start | Peak | 4 s later | CPU s | |\n|---|---|---|---|---|---|");
    for flood in floods::all() {
        let name = flood.name();
        if !words.is_empty() && !words.iter().any(|word| name.contains(word)) {
            continue;
        }
        eprintln!("{name} ...");
        let gateway = Gateway::start(&upstream);
        let process = &gateway.process;
        let (start, cpu) = (process.memory_mib("VmRSS"), process.cpu_seconds());
        let note = flood.run(&gateway, scale);
        let cpu = process.cpu_seconds() - cpu;
        let peak = process.memory_mib("VmHWM") - start;
        pause(AFTER);
        let after = process.memory_mib("VmRSS") - start;
        println!("| {name} | {start:.0} | {peak:.1} | {after:.1} | {cpu:.2} | {note} |");
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing else runs here")]
fn pause(span: Duration) {
    thread::sleep(span);
}
