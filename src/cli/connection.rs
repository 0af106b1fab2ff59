//! kubectl's connection flags, with kubectl's names and meaning.

use std::path::PathBuf;

use clap::Args;

use crate::client::{ConnectOptions, Hidden, RequestTimeout};

/// The flags that say how to reach a cluster, and as whom. `--namespace` is not among them: the
/// scope of a command owns it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct KubeArgs {
    /// Read lists in pages of this many objects; 0 reads them whole
    #[arg(long, global = true, value_name = "NUMBER", default_value_t = 500)]
    pub chunk_size: u32,

    /// Read this kubeconfig file and no other
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Use this context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,

    /// Use this cluster of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,

    /// Use this user of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub user: Option<String>,

    /// Address of the API server
    #[arg(long, short = 's', global = true, value_name = "URL")]
    pub server: Option<String>,

    /// Name that the API server's certificate must bear, if not the name in its address
    #[arg(long, global = true, value_name = "NAME")]
    pub tls_server_name: Option<String>,

    /// Trust any certificate of the API server; the connection is then not secure
    #[arg(
        long, global = true, value_name = "BOOL",
        num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true",
        hide_default_value = true, hide_possible_values = true,
    )]
    pub insecure_skip_tls_verify: bool,

    /// Client certificate for TLS
    #[arg(long, global = true, value_name = "FILE")]
    pub client_certificate: Option<PathBuf>,

    /// Key of the client certificate
    #[arg(long, global = true, value_name = "FILE")]
    pub client_key: Option<PathBuf>,

    /// Certificates of the authority to trust
    #[arg(long, global = true, value_name = "FILE")]
    pub certificate_authority: Option<PathBuf>,

    /// Bearer token, in place of the kubeconfig's credentials
    #[arg(long, global = true, value_name = "TOKEN")]
    pub token: Option<Hidden>,

    /// User name for basic authentication, which few API servers accept
    #[arg(long, global = true, value_name = "NAME")]
    pub username: Option<String>,

    /// Password for basic authentication
    #[arg(long, global = true, value_name = "PASSWORD")]
    pub password: Option<Hidden>,

    /// Act as this user, or as system:serviceaccount:NAMESPACE:NAME
    #[arg(long = "as", global = true, value_name = "USER")]
    pub as_: Option<String>,

    /// Act as the user with this uid
    #[arg(long, global = true, value_name = "UID")]
    pub as_uid: Option<String>,

    /// Act as a member of this group; repeatable
    #[arg(long, global = true, value_name = "GROUP")]
    pub as_group: Vec<String>,

    /// Act as a user with this extra value; repeatable
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub as_user_extra: Vec<(String, String)>,

    /// Longest time a single request may take, e.g. 30s or 1m30s; 0 for any [default: 60s]
    #[arg(long, global = true, value_name = "DURATION")]
    pub request_timeout: Option<RequestTimeout>,

    /// Ask for answers that are not compressed
    #[arg(
        long, global = true, value_name = "BOOL",
        num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true",
        hide_default_value = true, hide_possible_values = true,
    )]
    pub disable_compression: bool,

    /// Accepted as kubectl's; nothing is cached there
    #[arg(long, global = true, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be KEY=VALUE".to_owned()),
    }
}

impl From<&KubeArgs> for ConnectOptions {
    fn from(args: &KubeArgs) -> Self {
        Self {
            kubeconfig: args.kubeconfig.clone(),
            context: args.context.clone(),
            cluster: args.cluster.clone(),
            user: args.user.clone(),
            server: args.server.clone(),
            tls_server_name: args.tls_server_name.clone(),
            insecure_skip_tls_verify: args.insecure_skip_tls_verify,
            client_certificate: args.client_certificate.clone(),
            client_key: args.client_key.clone(),
            certificate_authority: args.certificate_authority.clone(),
            token: args.token.clone(),
            username: args.username.clone(),
            password: args.password.clone(),
            impersonate: args.as_.clone(),
            impersonate_uid: args.as_uid.clone(),
            impersonate_groups: args.as_group.clone(),
            impersonate_extra: args.as_user_extra.clone(),
            request_timeout: args.request_timeout.unwrap_or_default(),
            disable_compression: args.disable_compression,
            cache_dir: args.cache_dir.clone(),
            namespace: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::{CommandFactory, Parser, Subcommand};

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        kube: KubeArgs,
        #[command(subcommand)]
        command: Command,
    }

    #[derive(Debug, Subcommand)]
    enum Command {
        Check,
    }

    fn options(words: &str) -> Result<ConnectOptions, clap::Error> {
        let words = std::iter::once("ambient").chain(words.split_whitespace());
        Program::try_parse_from(words).map(|program| ConnectOptions::from(&program.kube))
    }

    #[test]
    fn every_flag_of_kubectl_but_namespace_is_there() {
        let command = Program::command();
        let known: Vec<_> = command
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .collect();
        for flag in "kubeconfig context cluster user server tls-server-name insecure-skip-tls-verify \
                     client-certificate client-key certificate-authority token username password as \
                     as-uid as-group as-user-extra request-timeout disable-compression cache-dir"
            .split_whitespace()
        {
            assert!(known.contains(&flag), "--{flag}");
        }
        assert!(!known.contains(&"namespace"));
        Program::command().debug_assert();
    }

    #[test]
    fn flags_stand_after_the_command_and_before_it() {
        for words in [
            "check --as=jane --as-group a --as-group=b -s https://x",
            "--as jane --as-group a --as-group b -s https://x check",
        ] {
            let options = options(words).unwrap();
            assert_eq!(options.impersonate.as_deref(), Some("jane"));
            assert_eq!(options.impersonate_groups, ["a", "b"]);
            assert_eq!(options.server.as_deref(), Some("https://x"));
        }
    }

    #[test]
    fn values_are_read_as_kubectl_reads_them() {
        let read = options("check --as-user-extra scopes=a=b --request-timeout 90 --token s3cret")
            .unwrap();
        assert_eq!(
            read.impersonate_extra,
            [("scopes".to_owned(), "a=b".to_owned())]
        );
        assert_eq!(read.request_timeout.limit(), Some(Duration::from_secs(90)));
        assert!(!format!("{read:?}").contains("s3cret"));
        assert_eq!(options("check").unwrap(), ConnectOptions::default());
        for (words, insecure) in [
            ("check --insecure-skip-tls-verify", true),
            ("check --insecure-skip-tls-verify=true", true),
            ("check --insecure-skip-tls-verify=false", false),
        ] {
            assert_eq!(
                options(words).unwrap().insecure_skip_tls_verify,
                insecure,
                "{words}"
            );
        }
        for words in ["check --request-timeout soon", "check --as-user-extra x"] {
            assert!(options(words).is_err(), "{words}");
        }
    }
}
