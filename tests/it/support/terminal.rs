//! Commands in a terminal of their own: what it shows, and how they leave it.

use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;

use pty_process::{OwnedWritePty, Size};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::planted::assert_clean;
use super::temp::TempDir;
use super::wait::bounded;

/// What the terminal got, and what it shows for it.
struct Seen {
    bytes: Vec<u8>,
    parser: vt100::Parser,
}

fn size(statuses: u16) -> NonZeroU16 {
    NonZeroU16::new(statuses).unwrap()
}

/// A terminal in which a command runs.
pub struct Term {
    child: Child,
    keyboard: OwnedWritePty,
    seen: Arc<watch::Sender<Seen>>,
    reading: JoinHandle<()>,
    dir: TempDir,
}

impl Term {
    /// Runs `pointsman` with these arguments, in a shell that tells before and after how the terminal is set.
    pub fn start(arguments: &str, env: &[(&str, &str)]) -> Self {
        let binary = env!("CARGO_BIN_EXE_pointsman");
        // The shell itself is told to stay when the test ends the command.
        Self::run(
            &format!(
                "trap '' TERM; stty -a | grep -o '[-]*icanon\\|[-]*echo '; {binary} {arguments}; echo code $?; stty -a | grep -o '[-]*icanon\\|[-]*echo '; echo over"
            ),
            env,
        )
    }

    /// Runs a script in a terminal of its own.
    pub fn run(script: &str, env: &[(&str, &str)]) -> Self {
        let (pty, pts) = pty_process::open().unwrap();
        pty.resize(Size::new(24, 80)).unwrap();
        let dir = TempDir::new();
        let path = std::env::var("PATH").unwrap();
        let child = pty_process::Command::new("sh")
            .args(["-c", script])
            .env_clear()
            .env("PATH", path)
            .env("TERM", "xterm-256color")
            .envs(env.iter().copied())
            .current_dir(dir.path())
            .kill_on_drop(true)
            .spawn(pts)
            .unwrap();
        let (mut screen, keyboard) = pty.into_split();
        let seen = Arc::new(watch::Sender::new(Seen {
            bytes: Vec::new(),
            parser: vt100::Parser::new(size(24), size(80), 0),
        }));
        let into = Arc::clone(&seen);
        let reading = tokio::spawn(async move {
            let mut part = [0; 4096];
            // A terminal whose other end is gone is an error on some systems, and the end on others.
            while let Ok(count @ 1..) = screen.read(&mut part).await {
                into.send_modify(|seen| {
                    seen.bytes.extend(&part[..count]);
                    seen.parser.process(&part[..count]);
                });
            }
        });
        Self {
            child,
            keyboard,
            seen,
            reading,
            dir,
        }
    }

    pub async fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).await.unwrap();
    }

    pub fn text(&self) -> String {
        self.seen.borrow().parser.screen().contents()
    }

    /// Where the command runs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The id of the shell's process.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Takes the terminal away, and waits for the end of what runs in it.
    pub async fn hang_up(mut self) {
        self.reading.abort();
        drop(self.reading.await);
        drop(self.keyboard);
        bounded("its end", self.child.wait()).await.unwrap();
    }

    /// Whether it ever got this.
    pub fn got(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.seen.borrow().bytes).contains(text)
    }

    pub fn is_full_screen(&self) -> bool {
        self.seen.borrow().parser.screen().alternate_screen()
    }

    pub fn is_coloured(&self) -> bool {
        let seen = self.seen.borrow();
        let screen = seen.parser.screen();
        let mut statuses =
            (0..24).flat_map(|row| (0..80).filter_map(move |column| screen.cell(row, column)));
        statuses.any(|cell| cell.fgcolor() != vt100::Color::Default)
    }

    /// Completes when the screen is as it should be; shows it when it never is. It is drawn from top to bottom: with the
    /// footer all of it is there.
    pub async fn is(&self, what: &str, mut test: impl FnMut(&vt100::Screen) -> bool) {
        let mut seen = self.seen.subscribe();
        let waiting = seen.wait_for(|seen| test(seen.parser.screen()));
        let waiting = tokio::time::timeout(super::PATIENCE, waiting);
        if waiting.await.is_err() {
            panic!("the screen never shows {what}:\n{}", self.text());
        }
    }

    pub async fn shows(&self, text: &str) {
        self.is(text, |screen| screen.contents().contains(text))
            .await;
    }

    pub async fn hides(&self, text: &str) {
        let what = format!("no {text}");
        self.is(&what, |screen| !screen.contents().contains(text))
            .await;
    }

    pub async fn resize(&self, rows: u16, columns: u16) {
        self.seen.send_modify(|seen| {
            seen.parser.screen_mut().set_size(size(rows), size(columns));
        });
        self.keyboard.resize(Size::new(rows, columns)).unwrap();
    }

    /// The end: the exit code, after it was looked at whether the terminal is as it was before.
    pub async fn ended(mut self) -> (String, Vec<u8>) {
        self.shows("over").await;
        bounded("the shell's end", self.child.wait()).await.unwrap();
        bounded("the terminal's end", self.reading).await.unwrap();
        let seen = self.seen.borrow();
        let screen = seen.parser.screen();
        let text = screen.contents();
        assert!(
            !screen.alternate_screen() && !screen.hide_cursor(),
            "{text}"
        );
        assert_eq!(text.matches("icanon").count(), 2, "{text}");
        assert!(
            !text.contains("-icanon") && !text.contains("-echo"),
            "{text}"
        );
        assert_clean("a terminal", &seen.bytes);
        let code = text.split("code ").nth(1).unwrap_or_default();
        let code = code.lines().next().unwrap_or_default().trim().to_owned();
        (code, seen.bytes.clone())
    }
}
