//! A program with Pointsman inside: no process beside it, no port.
//!
//! `cargo run --example embed -- pointsman.yaml smart "What is a pointsman?"`; without arguments the built-in demonstration
//! answers, which needs neither a key nor a network.

#![expect(clippy::print_stdout, reason = "it shows what it was told")]

use std::error::Error;
use std::time::Duration;

use pointsman::{AskError, Configuration, Pointsman, Query};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let configuration = match arguments.next() {
        Some(file) => Configuration::from_file(file)?,
        None => Configuration::demo()?,
    };
    let target = arguments.next().unwrap_or_else(|| "demo".to_owned());
    let text = arguments.next().unwrap_or_else(|| "hello".to_owned());
    let pointsman = Pointsman::start(&configuration).await?;

    // A whole answer.
    let query = Query::new(&target, &text).deadline(Duration::from_secs(30));
    match pointsman.ask(query).await {
        Ok(answer) => {
            let upstream = answer.upstream().unwrap_or("nobody");
            println!("{upstream}: {}", answer.text());
        }
        Err(AskError::Refused { code, message, .. }) => println!("{code}: {message}"),
        Err(error) => return Err(error.into()),
    }

    // The same, piece by piece.
    let mut stream = pointsman.stream(Query::new(&target, &text)).await?;
    while let Some(event) = stream.next().await {
        print!("{}", event?.text);
    }
    println!();

    // What the dispatcher knows of its providers.
    for provider in pointsman.state()["providers"]
        .as_array()
        .into_iter()
        .flatten()
    {
        println!("{}: {} in flight", provider["name"], provider["in_flight"]);
    }
    pointsman.shut_down().await;
    Ok(())
}
