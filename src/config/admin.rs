//! What is typed about the admin listener: where it listens, and the token that it asks for.

use config::ValueKind;

use super::context::Context;
use super::listen::{Listen, Listens};
use super::read::{ConfigNode, FromNode, Report};
use super::resolved::AdminConfig;
use super::tokens::{self, TokenKeys};

/// `server.admin_listen`: addresses, or `off`.
pub(super) struct AdminListen(pub(super) Vec<Listen>);

impl FromNode for AdminListen {
    fn read(node: &ConfigNode<'_>, report: &mut Report) -> Option<Self> {
        let is_off = match &node.value.kind {
            ValueKind::Boolean(on) => !on,
            ValueKind::Array(items) => matches!(&items[..], [one] if is_off(&one.kind)),
            kind => is_off(kind),
        };
        if is_off {
            return Some(Self(Vec::new()));
        }
        if matches!(node.value.kind, ValueKind::Boolean(true)) {
            return node.reject("is no address", "write 127.0.0.1:8081, or off", report);
        }
        Listens::read(node, report).map(|Listens(all)| Self(all))
    }
}

fn is_off(kind: &ValueKind) -> bool {
    match kind {
        ValueKind::Boolean(on) => !on,
        ValueKind::String(text) => text.trim().eq_ignore_ascii_case("off"),
        _ => false,
    }
}

/// What it means. `insecure`: the operator allows addresses that others can reach without any identification.
pub(super) fn resolve(
    listen: Option<AdminListen>,
    typed: &TokenKeys,
    insecure: bool,
    context: &Context<'_>,
    report: &mut Report,
) -> AdminConfig {
    let usual = AdminConfig::default();
    let before = report.problems.len();
    let tokens = tokens::digests(typed, "server", context, report);
    let typed = typed.token.is_some() || typed.file.is_some() || typed.sha256.is_some();
    if typed && tokens.is_empty() && report.problems.len() == before {
        let place = report.place("server.admin_token");
        // A variable that is not set is reported already.
        if !report
            .problems
            .iter()
            .any(|it| it.place.starts_with(&place))
        {
            report.problem(
                "server.admin_token",
                "holds no token",
                "write one, or remove it",
            );
        }
    }
    let named = listen.is_some();
    let admin = AdminConfig {
        listen: listen.map_or(usual.listen, |AdminListen(all)| all),
        named,
        tokens,
    };
    let open = admin.listen.iter().filter(|it| !typed && !it.is_local());
    for listen in open {
        if insecure {
            let text =
                format!("anyone who can reach {listen} may release keys and stop the process");
            report.warn("server.admin_listen", text);
        } else {
            report.problem(
                "server.admin_listen",
                format!("{listen} can be reached from outside, and no token is needed"),
                "listen on 127.0.0.1 or a unix: socket, set server.admin_token, or set server.insecure_open: true",
            );
        }
    }
    admin
}
