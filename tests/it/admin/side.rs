//! A gateway seen from both of its sides.

use std::net::SocketAddr;
use std::path::PathBuf;

use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::client::Call;
use crate::support::gateway::{Place, command, filled, listening};
use crate::support::planted::assert_clean;
use crate::support::temp::TempDir;
use crate::support::wait::bounded;
use crate::support::{Gateway, until};

/// A gateway with an admin listener.
pub struct Side {
    pub gateway: Gateway,
    pub address: SocketAddr,
    path: PathBuf,
}

impl Side {
    /// Serves this configuration, its admin listener on a port of its own.
    pub async fn start(yaml: &str, places: &[(&str, &dyn Place)]) -> Self {
        let arguments = ["--admin-listen", "127.0.0.1:0"];
        Self::start_with(yaml, places, &arguments).await
    }

    /// The same with these arguments.
    pub async fn start_with(yaml: &str, places: &[(&str, &dyn Place)], arguments: &[&str]) -> Self {
        Self::start_where(yaml, places, arguments, &[]).await
    }

    /// The same with these variables.
    pub async fn start_where(
        yaml: &str,
        places: &[(&str, &dyn Place)],
        arguments: &[&str],
        env: &[(&str, &str)],
    ) -> Self {
        let dir = TempDir::new();
        let path = dir.write("gateway.yaml", &filled(yaml, places));
        let usual = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--config",
            "gateway.yaml",
        ];
        let command = command(dir.path(), &[&usual[..], arguments].concat(), env);
        let gateway = Gateway::start_as(dir, command).await;
        let line = gateway.logged("\"listener\":\"admin\"").await;
        Self {
            address: listening(&line).unwrap(),
            gateway,
            path,
        }
    }

    pub fn get(&self, path: &str) -> Call<'_> {
        self.call(Method::GET, path, None)
    }

    /// A change, with a JSON body or none.
    pub fn post(&self, path: &str, body: &str) -> Call<'_> {
        self.change(Method::POST, path, body)
    }

    pub fn change(&self, method: Method, path: &str, body: &str) -> Call<'_> {
        self.call(method, path, Some(body.into()))
            .header("content-type", "application/json")
    }

    pub fn call(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Call<'_> {
        self.gateway.call_at(self.address, method, path, body)
    }

    /// A part of the state.
    pub async fn state(&self, pointer: &str) -> Value {
        let state = self.get("/admin/v1/state").send().await.json();
        let part = state.pointer(pointer).cloned();
        part.unwrap_or_else(|| panic!("no {pointer} in {state}"))
    }

    /// Writes another configuration; nobody is told.
    pub fn write(&self, yaml: &str, places: &[(&str, &dyn Place)]) {
        std::fs::write(&self.path, filled(yaml, places)).unwrap();
    }

    /// Completes when a part of the state is this.
    pub async fn is(&self, pointer: &str, wanted: Value) {
        until("the state", async || self.state(pointer).await == wanted).await;
    }

    /// The status of an answer to this head, sent as it is.
    pub async fn raw(&self, head: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let text = format!("{head}\r\nconnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut all = Vec::new();
        bounded("the answer", stream.read_to_end(&mut all))
            .await
            .unwrap();
        assert_clean("an answer", &all);
        let text = String::from_utf8_lossy(&all).into_owned();
        text.split(' ').nth(1).unwrap_or_default().to_owned()
    }
}
