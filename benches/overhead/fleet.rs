//! What shared limits cost a request: Pointsman with limits of its key and its budget by itself against itself in a fleet. It
//! starts `valkey-server` or `redis-server`.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use crate::load::Shape;
use crate::process;
use crate::{Column, Figures, Plan, median, plain};

/// Ended when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn server(port: u16) -> Option<Server> {
    let start = |program: &str| {
        let mut command = Command::new(program);
        let port = port.to_string();
        command.args(["--port", &port, "--save", "", "--appendonly", "no"]);
        command.stdout(Stdio::null()).spawn().ok()
    };
    start("valkey-server")
        .or_else(|| start("redis-server"))
        .map(Server)
}

pub async fn run(plan: &Plan) {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    let Some(_server) = server(port) else {
        eprintln!("neither valkey-server nor redis-server is installed");
        return;
    };
    let secret = std::env::temp_dir().join(format!("pointsman-bench-{port}.key"));
    std::fs::write(&secret, [7; 32]).expect("a file");
    let fleet = format!(
        "fleet: {{url: 'redis://127.0.0.1:{port}', name: bench, secret_file: '{}'}}\n",
        secret.display()
    );
    let upstream = process::upstream();
    let mut alone = Figures::default();
    let mut shared = Figures::default();
    for round in 1..=plan.rounds {
        eprintln!("round {round} of {}", plan.rounds);
        let by_itself = process::limited(&upstream.address, "");
        let in_fleet = process::limited(&upstream.address, &fleet);
        // Its share is the whole limit two seconds after its start.
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        let both = [&mut alone, &mut shared];
        plain(&by_itself, &in_fleet, Shape::Equal, plan, both).await;
    }
    drop(std::fs::remove_file(secret));
    println!(
        "{:<44} {:>10} {:>10} {:>8}",
        "median of all rounds", "alone", "in a fleet", "ratio"
    );
    let rows: [(&str, Column); 3] = [
        ("CPU µs per answer of 2 KB", |figures| &figures.plain_cpu),
        ("p50 ms, 64 connections", |figures| &figures.plain_p50),
        ("p99 ms, 64 connections", |figures| &figures.plain_p99),
    ];
    for (name, of) in rows {
        let (alone, shared) = (median(of(&alone)), median(of(&shared)));
        println!(
            "{name:<44} {alone:>10.2} {shared:>10.2} {:>8.2}",
            shared / alone
        );
    }
}
