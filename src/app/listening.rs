//! The data listeners of a process: bound at the start, given new certificates on reload, drained at the end.

use std::sync::Arc;

use super::error::{StartError, chain};
use crate::api::{Api, ApiService, DataConnectionInfo};
use crate::config::{self, Config, Listen, Listeners, ServerConfig, TlsSettings};
use crate::domain::connection::ConnectionPolicy;
use crate::listener::{
    Bind, Connections, Drain, FileMode, Listener, Passed, Tls, TlsError, TlsFiles, bind,
};
use crate::runtime::{descriptors, task};

/// The listeners of the process.
pub(super) struct RunningListeners {
    tls: Option<Arc<Tls>>,
    /// Where callers from outside may be let in, and whether they are encrypted.
    outside: Vec<(Listen, bool)>,
    /// Whether TLS clients must show a certificate.
    identified: bool,
    pub(super) drain: Drain,
    /// As it was at the start: but for certificates it takes a restart.
    server: ServerConfig,
}

impl RunningListeners {
    /// Binds every address, then takes over Unix sockets from the process that listened before.
    pub(super) async fn bind(
        server: &ServerConfig,
        passed: &mut Passed,
    ) -> Result<BoundListeners, StartError> {
        let Listeners {
            connections,
            tls,
            unix,
            reuse_port,
        } = &server.listeners;
        let fitting = descriptors::limit().map_or(usize::MAX, descriptors::for_callers);
        let connections = Connections::new(ConnectionPolicy {
            max_connections: connections.max_connections.min(fitting),
            ..*connections
        });
        let files = tls.as_ref().map(|tls| files(tls, server));
        let tls = files.as_ref().map(Tls::load).transpose()?.map(Arc::new);
        let file = FileMode {
            mode: unix.mode,
            owner: unix.owner.clone(),
            group: unix.group.clone(),
        };
        let mut bound = Vec::new();
        for listen in &server.listen {
            let encrypted = server.listeners.tls_at(listen).is_some();
            let options = Bind {
                connections: &connections,
                tls: tls.as_ref().filter(|_| encrypted),
                file: &file,
                reuse: *reuse_port,
                passed: &mut *passed,
            };
            let listener = bind(listen, options).await;
            bound.push(listener.map_err(|source| StartError::Bind {
                address: listen.to_string(),
                source,
            })?);
        }
        // Only when every address is bound, a Unix socket is taken from another process.
        for listener in &mut bound {
            let taken = listener.take_place();
            taken.map_err(|source| StartError::Bind {
                address: listener.address(),
                source,
            })?;
        }
        Ok(BoundListeners {
            listeners: bound,
            tls,
            server: server.clone(),
        })
    }

    /// Reads the certificates of another configuration, and looks whether that would let anyone in from outside:
    /// addresses stay as they are, whatever it says of them.
    ///
    /// # Errors
    /// The first address that would be open without having been asked for.
    pub(super) fn judge(&self, config: &Config) -> Result<Certificates, StartError> {
        let server = &config.server;
        let settings = server.listeners.tls.as_ref().filter(|_| self.tls.is_some());
        let read = settings.map(|tls| Tls::load(&files(tls, &self.server)));
        let identified = match &read {
            Some(Ok(_)) => identified(server),
            // The old ones stay in use.
            Some(Err(_)) | None => self.identified,
        };
        let clients = !config.clients.is_empty();
        let is_open = |(listen, tls): &&(Listen, bool)| listen.is_open(*tls && identified, clients);
        match self.outside.iter().find(is_open) {
            Some((listen, _)) if !server.insecure_open => Err(StartError::Open {
                address: listen.to_string(),
            }),
            _ => Ok(Certificates { read, identified }),
        }
    }

    /// Takes over new certificates. Returns which other changes need a restart.
    pub(super) fn reload(
        &mut self,
        server: &ServerConfig,
        certificates: Certificates,
    ) -> Vec<String> {
        let before = &self.server;
        let mut needs_restart = Vec::new();
        if server.listen != before.listen {
            needs_restart.push("server.listen has changed".to_owned());
        }
        // Compared without what a reload takes over: the time for bodies, and certificates.
        let but_body_and_tls = |listeners: &Listeners| {
            let mut rest = listeners.clone();
            rest.connections.body = std::time::Duration::ZERO;
            rest.tls = None;
            rest
        };
        if but_body_and_tls(&server.listeners) != but_body_and_tls(&before.listeners) {
            let text = "limits, http2, unix or reuse_port of server have changed";
            needs_restart.push(text.to_owned());
        }
        let place = |tls: &Option<TlsSettings>| tls.as_ref().map(|tls| tls.loopback);
        let (now, then) = (&server.listeners.tls, &before.listeners.tls);
        if place(now) != place(then) {
            needs_restart.push("server.tls was added, removed or moved".to_owned());
        }
        self.identified = certificates.identified;
        match (&self.tls, certificates.read) {
            (Some(tls), Some(Ok(next))) => {
                tls.replace(&next);
                tracing::debug!("certificates read again");
            }
            (_, Some(Err(error))) => {
                let problem = config::masked(&chain(&error));
                tracing::warn!(
                    problem,
                    "certificates not reloaded: the old ones stay in use"
                );
            }
            _ => {}
        }
        needs_restart
    }
}

/// Addresses that are bound and not served yet: connections wait.
pub(super) struct BoundListeners {
    listeners: Vec<Listener>,
    /// Given to the reload of certificates.
    pub(super) tls: Option<Arc<Tls>>,
    server: ServerConfig,
}

impl BoundListeners {
    /// Starts to serve requests.
    pub(super) fn serve(self, api: &Arc<Api>) -> RunningListeners {
        let (drain, shutdown) = Drain::new();
        let mut outside = Vec::new();
        for listener in self.listeners {
            let address = listener.address();
            let tls = listener.is_encrypted();
            tracing::info!(address, tls, listener = "data", "listening");
            let real = Listen::Tcp(address);
            let real_is_local = real.is_local();
            if !listener.is_unix() && !real_is_local {
                outside.push((real, tls));
            }
            let entrance = DataConnectionInfo {
                unix: listener.is_unix(),
                local: real_is_local,
                encrypted: tls,
            };
            task::detach(
                listener.serve(ApiService::new(Arc::clone(api), entrance), shutdown.clone()),
            );
        }
        RunningListeners {
            outside,
            identified: identified(&self.server),
            tls: self.tls,
            drain,
            server: self.server,
        }
    }
}

/// What a reload found of certificates.
pub(super) struct Certificates {
    /// `None`: there is no encryption before or after it.
    read: Option<Result<Tls, TlsError>>,
    identified: bool,
}

fn identified(server: &ServerConfig) -> bool {
    let tls = server.listeners.tls.as_ref();
    tls.is_some_and(|tls| tls.require_client_cert)
}

fn files(tls: &TlsSettings, server: &ServerConfig) -> TlsFiles {
    TlsFiles {
        cert: tls.cert.clone(),
        key: tls.key.clone(),
        client_ca: tls.client_ca.clone(),
        require_client_cert: tls.require_client_cert,
        http2: server.listeners.connections.http2.is_some(),
    }
}

/// As many file descriptors as the process may have; warns when connections could need more.
pub(super) fn raise_descriptors(server: &ServerConfig) {
    let Some(limit) = descriptors::raise() else {
        return;
    };
    let asked = server.listeners.connections.max_connections;
    let (fit, needed) = (descriptors::for_callers(limit), descriptors::needed(asked));
    if fit < asked {
        tracing::warn!(
            limit,
            needed,
            "server.max_connections is {asked}, but only {fit} fit into the limit of file descriptors (ulimit -n, LimitNOFILE): \
             raise it, or lower server.max_connections"
        );
    }
}

/// Whether the certificates of this configuration can be used.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn try_tls(server: &ServerConfig) -> Result<(), StartError> {
    if let Some(tls) = &server.listeners.tls {
        Tls::load(&files(tls, server))?;
    }
    Ok(())
}
