//! What loading is asked: where to look, the environment, and what the command line says.

use std::fmt;
use std::path::PathBuf;

use super::variables::Variables;

/// Where to look, and what the command line says.
#[derive(Clone, Default)]
pub struct LoadRequest {
    /// `--config`: relative paths start at `working_dir`.
    pub config_path: Option<PathBuf>,
    /// Where files are looked up.
    pub working_dir: PathBuf,
    /// The process's environment.
    pub env: Variables,
    /// `--listen`, in order; empty when not given.
    pub listen: Vec<String>,
    /// `--admin-listen`, in order; empty when not given.
    pub admin_listen: Vec<String>,
    /// `--demo`: the built-in configuration, no file and no keys.
    pub demo: bool,
}

impl fmt::Debug for LoadRequest {
    /// The environment holds keys: only its size is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadRequest")
            .field("config_path", &self.config_path)
            .field("working_dir", &self.working_dir)
            .field("env", &self.env.len())
            .field("listen", &self.listen)
            .field("admin_listen", &self.admin_listen)
            .field("demo", &self.demo)
            .finish()
    }
}
