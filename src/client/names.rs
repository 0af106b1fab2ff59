//! The names in a kubeconfig, for completing flags: nothing is connected to.

use super::config;
use super::environment::Environment;
use super::options::ConnectOptions;

/// The names that a kubeconfig holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KubeconfigNames {
    /// For `--context`.
    pub contexts: Vec<String>,
    /// For `--cluster`.
    pub clusters: Vec<String>,
    /// For `--user`.
    pub users: Vec<String>,
}

impl KubeconfigNames {
    /// Reads them, sorted. A kubeconfig that cannot be read holds none: whoever completes a line is
    /// not told of errors.
    pub fn read(options: &ConnectOptions, env: &Environment) -> Self {
        let Ok(Some(kubeconfig)) = config::load(options, env) else {
            return Self::default();
        };
        let sorted = |names: Vec<String>| {
            let mut names = names;
            names.sort();
            names.dedup();
            names
        };
        Self {
            contexts: sorted(kubeconfig.contexts.into_iter().map(|c| c.name).collect()),
            clusters: sorted(kubeconfig.clusters.into_iter().map(|c| c.name).collect()),
            users: sorted(kubeconfig.auth_infos.into_iter().map(|u| u.name).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_sorted_and_a_broken_file_has_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let options = ConnectOptions {
            kubeconfig: Some(file.path().to_owned()),
            ..ConnectOptions::default()
        };
        std::fs::write(
            file.path(),
            "contexts: [{name: test, context: {cluster: a, user: b}}, {name: prod, context: {cluster: a, user: b}}]\n\
             clusters: [{name: a, cluster: {server: https://x}}]\nusers: [{name: b, user: {}}]\n",
        )
        .unwrap();
        let names = KubeconfigNames::read(&options, &Environment::default());
        assert_eq!(names.contexts, ["prod", "test"]);
        assert_eq!(
            (&*names.clusters, &*names.users),
            (&["a".to_owned()][..], &["b".to_owned()][..])
        );
        std::fs::write(file.path(), "contexts: [").unwrap();
        assert_eq!(
            KubeconfigNames::read(&options, &Environment::default()),
            KubeconfigNames::default()
        );
    }
}
