//! The addresses on which a process with this configuration listens, for commands that query it.
//!
//! A running process keeps its configuration when its file turns out to have mistakes. A command must not take such
//! a file for a dead process, so only the addresses are validated here.

use config::{Value, ValueKind};

use super::admin::AdminListen;
use super::env;
use super::error::ConfigErrors;
use super::listen::{Listen, Listens};
use super::load::{interpolate_tree, layers, merge_keys, parse};
use super::lookup;
use super::read::{ConfigNode, FromNode, Report};
use super::request::LoadRequest;
use super::resolved::{AdminConfig, ServerConfig};

/// The addresses of `server.listen` in the order of the configuration, from the same layers as
/// [`load`](super::load()).
///
/// # Errors
/// What is wrong with `server.listen`; that the file cannot be read or parsed, unless a variable or the command line
/// names the address.
pub fn addresses(request: &LoadRequest) -> Result<Vec<Listen>, ConfigErrors> {
    let listens: Option<Listens> = read(request, "listen")?;
    Ok(listens.map_or_else(|| ServerConfig::default().listen, |listens| listens.0))
}

/// The addresses of `server.admin_listen` in the same way; none when it is off.
///
/// # Errors
/// As [`addresses`].
pub fn admin_addresses(request: &LoadRequest) -> Result<Vec<Listen>, ConfigErrors> {
    let listens: Option<AdminListen> = read(request, "admin_listen")?;
    Ok(listens.map_or_else(|| AdminConfig::default().listen, |AdminListen(all)| all))
}

/// What the layers say of `server.<key>`.
fn read<T: FromNode>(request: &LoadRequest, key: &str) -> Result<Option<T>, ConfigErrors> {
    let path = format!("server.{key}");
    let (env, ..) = env::with_dotenv(&request.env, &request.working_dir);
    let (overrides, _) = env::overrides(&env);
    let named =
        !request.listen.is_empty() || overrides.keys().any(|other| other.starts_with(&path));
    let mut report = Report::default();
    let found = lookup::find(request, &env).and_then(|source| {
        let Some(source) = source else {
            return Ok(None);
        };
        let file = parse(&source)?;
        report.file = source.name;
        Ok(Some(file))
    });
    let file = match found {
        Ok(file) => file.map(|mut file| {
            merge_keys(&mut file.cache);
            let listen = member(&mut file.cache, "server").and_then(|it| member(it, key));
            if let Some(listen) = listen {
                interpolate_tree(listen, &path, &env, &mut report);
            }
            file
        }),
        Err(_) if named => None,
        Err(problem) => return Err(ConfigErrors::one(problem)),
    };
    let mut root = match layers(file, overrides, request) {
        Ok(root) => root,
        Err(message) => {
            report.problem("", message, "");
            return Err(report.into_errors());
        }
    };
    let listen = member(&mut root, "server").and_then(|server| member(server, key));
    let read = listen.and_then(|value| T::read(&ConfigNode { value, path }, &mut report));
    if !report.problems.is_empty() {
        return Err(report.into_errors());
    }
    Ok(read)
}

fn member<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    match &mut value.kind {
        ValueKind::Table(table) => table.get_mut(key),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listens(env: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let request = LoadRequest {
            // No such directory: there is neither a file nor a `.env`.
            working_dir: "/nonexistent".into(),
            env: env
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..LoadRequest::default()
        };
        addresses(&request)
            .map(|all| all.iter().map(ToString::to_string).collect())
            .map_err(|errors| errors.to_string())
    }

    #[test]
    fn without_anything_it_is_the_usual_address() {
        assert_eq!(listens(&[]).unwrap(), ["127.0.0.1:8080"]);
    }

    #[test]
    fn a_variable_names_them_even_when_the_file_cannot_be_read() {
        let gone = ("POINTSMAN_CONFIG", "gone.yaml");
        let named = ("POINTSMAN__SERVER__LISTEN", "[::]:1,unix:/run/p.sock");
        assert_eq!(
            listens(&[gone, named]).unwrap(),
            ["[::]:1", "unix:/run/p.sock"]
        );
        assert!(listens(&[gone]).unwrap_err().contains("gone.yaml"));
    }

    #[test]
    fn what_is_no_address_is_told() {
        let wrong = listens(&[("POINTSMAN__SERVER__LISTEN", "8080")]).unwrap_err();
        assert!(wrong.contains("127.0.0.1:8080"), "{wrong}");
    }
}
