//! Runs a program for what it prints, in bounded time and size. No shell is involved: its arguments are given one by one.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use zeroize::Zeroizing;

/// How long a program may take: helpers for secrets ask a server of their own, and somebody waits.
pub const LONGEST: Duration = Duration::from_secs(10);
/// How much it may print, in bytes.
pub const MOST_OUTPUT: u64 = 64 * 1024;

/// Why a program gave nothing. Nothing that it printed is in here.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It could not be started, or not be read from.
    #[error("the program cannot be run: {}", .0.kind())]
    Run(#[source] io::Error),
    /// It ended otherwise than well.
    #[error("the program failed ({0})")]
    Failed(ExitStatus),
    /// It took too long, and was ended.
    #[error("the program took longer than {} s", LONGEST.as_secs())]
    Slow,
    /// It printed more than secrets have, or what is no text.
    #[error("the program printed what is no text, or more than {MOST_OUTPUT} bytes")]
    Output,
}

/// What the program prints to its standard output. `words` are the program's path and its arguments. It is ended when
/// this is dropped.
///
/// # Errors
/// It cannot be run, fails, is too slow, or prints too much.
pub async fn printed(words: &[String]) -> Result<Zeroizing<String>, ProgramError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(ProgramError::Run(io::ErrorKind::NotFound.into()));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What it complains about may hold what it was asked for.
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(ProgramError::Run)?;
    let output = child.stdout.take();
    let running = async {
        let text = match output {
            Some(output) => read(output).await?,
            None => Zeroizing::default(),
        };
        let status = child.wait().await.map_err(ProgramError::Run)?;
        if status.success() {
            Ok(text)
        } else {
            Err(ProgramError::Failed(status))
        }
    };
    match tokio::time::timeout(LONGEST, running).await {
        Ok(printed) => printed,
        Err(_) => Err(ProgramError::Slow),
    }
}

async fn read(output: impl AsyncRead + Unpin) -> Result<Zeroizing<String>, ProgramError> {
    // Read into room that is there already: what grows leaves its old bytes behind.
    let room = usize::try_from(MOST_OUTPUT).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room.saturating_add(1)));
    let mut limited = output.take(MOST_OUTPUT + 1);
    let read = limited.read_to_end(&mut bytes).await;
    let length = read.map_err(ProgramError::Run)?;
    if length > room {
        return Err(ProgramError::Output);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| ProgramError::Output)?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(all: &[&str]) -> Vec<String> {
        all.iter().map(|word| (*word).to_owned()).collect()
    }

    #[tokio::test]
    async fn what_is_printed_comes_back_and_no_shell_reads_it() {
        let text = printed(&words(&["/bin/echo", "a key", "$HOME", ";", "true"])).await;
        assert_eq!(*text.unwrap(), "a key $HOME ; true\n");
    }

    #[tokio::test]
    async fn what_fails_prints_nothing() {
        let failing = words(&["/bin/sh", "-c", "echo secret; echo secret >&2; exit 3"]);
        let error = printed(&failing).await.unwrap_err();
        assert!(matches!(error, ProgramError::Failed(_)));
        assert!(!error.to_string().contains("secret") && error.to_string().contains('3'));
        let missing = printed(&words(&["/no/such/program"])).await.unwrap_err();
        assert!(matches!(missing, ProgramError::Run(_)), "{missing}");
        let much = printed(&words(&["/usr/bin/head", "-c", "100000", "/dev/zero"])).await;
        assert!(matches!(much.unwrap_err(), ProgramError::Output));
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_too_long_is_ended() {
        let slow = printed(&words(&["/bin/sleep", "1000"])).await;
        assert!(matches!(slow.unwrap_err(), ProgramError::Slow));
    }
}
