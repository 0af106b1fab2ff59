//! What flags, kubeconfig and surroundings amount to.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::client::config::{Settings, resolve};
use crate::client::scripted::Scripted;
use crate::client::{ClientError, ConnectOptions, Environment, Hidden};
use crate::exit::Exit;

/// A kubeconfig with two contexts.
const TWO: &str = r#"
apiVersion: v1
kind: Config
current-context: dev
clusters:
- name: dev
  cluster: { server: "https://dev.test:6443", tls-server-name: inner.test, insecure-skip-tls-verify: true }
- name: prod
  cluster: { server: "https://prod.test", proxy-url: "socks5://gate:1080", disable-compression: true }
contexts:
- name: dev
  context: { cluster: dev, user: joe, namespace: shop }
- name: prod
  context: { cluster: prod, user: ann }
users:
- name: joe
  user: { token: t0ken }
- name: ann
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: absent-plugin-of-a-test
      installHint: "brew install absent-plugin\n\nor ask Ann"
      interactiveMode: Never
- name: cert
  user: { client-certificate-data: eA==, client-key-data: eA==, as: root }
"#;

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
        }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.dir.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        file
    }

    fn two(&self) -> ConnectOptions {
        ConnectOptions {
            kubeconfig: Some(self.file("config", TWO)),
            ..ConnectOptions::default()
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the options' fields are wrapped")]
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn plain(options: &ConnectOptions) -> Result<Settings, ClientError> {
    resolve(options, &Environment::default())
}

fn fault(options: &ConnectOptions) -> (String, Vec<String>) {
    let error = plain(options).unwrap_err();
    (error.to_string(), error.hints())
}

#[test]
fn the_current_context_is_used_as_it_stands() {
    let place = Place::new();
    let settings = plain(&place.two()).unwrap();
    assert_eq!(settings.server, "https://dev.test:6443");
    assert_eq!(settings.context.as_deref(), Some("dev"));
    assert_eq!(settings.namespace, "shop");
    assert_eq!(
        settings.config.tls_server_name.as_deref(),
        Some("inner.test")
    );
    assert!(settings.config.accept_invalid_certs);
    assert!(!settings.config.default_retry);
    assert_eq!(settings.via, "");
}

#[test]
fn names_choose_other_entries() {
    let place = Place::new();
    let options = ConnectOptions {
        context: some("prod"),
        ..place.two()
    };
    let settings = plain(&options).unwrap();
    assert_eq!(settings.server, "https://prod.test");
    assert_eq!(settings.namespace, "default");
    assert_eq!(
        settings.via,
        " through the proxy socks5://gate:1080 (proxy-url)"
    );
    assert!(settings.config.disable_compression);
    assert!(settings.plugin.is_some());

    let options = ConnectOptions {
        cluster: some("prod"),
        user: some("joe"),
        ..place.two()
    };
    let settings = plain(&options).unwrap();
    assert_eq!(settings.server, "https://prod.test");
    assert_eq!(settings.namespace, "shop");
    assert!(settings.config.auth_info.token.is_some());

    let options = ConnectOptions {
        namespace: some("cart"),
        ..place.two()
    };
    assert_eq!(plain(&options).unwrap().namespace, "cart");
}

#[test]
fn an_empty_flag_is_no_flag() {
    let place = Place::new();
    let empty = some("");
    let options = ConnectOptions {
        context: empty.clone(),
        cluster: empty.clone(),
        user: empty.clone(),
        server: empty.clone(),
        namespace: empty,
        ..place.two()
    };
    assert_eq!(plain(&options).unwrap().server, "https://dev.test:6443");
}

#[test]
fn a_name_that_does_not_exist_is_named_with_those_that_do() {
    let place = Place::new();
    for (options, message, hint) in [
        (
            ConnectOptions {
                context: some("x"),
                ..place.two()
            },
            "the context `x` is not in the kubeconfig",
            "`--context` takes one of dev, prod",
        ),
        (
            ConnectOptions {
                cluster: some("x"),
                ..place.two()
            },
            "the cluster `x` (context `dev`) is not in the kubeconfig",
            "`--cluster` takes one of dev, prod",
        ),
        (
            ConnectOptions {
                user: some("x"),
                ..place.two()
            },
            "the user `x` is not in the kubeconfig",
            "`--user` takes one of ann, cert, joe",
        ),
    ] {
        assert_eq!(fault(&options), (message.to_owned(), vec![hint.to_owned()]));
    }
}

#[test]
fn a_server_on_the_command_line_needs_no_kubeconfig() {
    for (server, insecure, expected) in [
        ("https://10.0.0.1:6443/", false, "https://10.0.0.1:6443"),
        ("https://host/prefix/?x=1", false, "https://host/prefix"),
        ("localhost:8080", false, "http://localhost:8080"),
        ("10.0.0.1:6443", true, "https://10.0.0.1:6443"),
    ] {
        let options = ConnectOptions {
            server: some(server),
            insecure_skip_tls_verify: insecure,
            ..ConnectOptions::default()
        };
        let settings = plain(&options).unwrap();
        assert_eq!(settings.server, expected);
        assert_eq!(
            (settings.context, settings.namespace.as_str()),
            (None, "default")
        );
    }
    for server in ["ftp://x", "https://", "a b", "https://:443"] {
        let options = ConnectOptions {
            server: some(server),
            ..ConnectOptions::default()
        };
        assert_eq!(
            plain(&options).unwrap_err().exit(),
            Exit::Unreachable,
            "{server}"
        );
    }
}

#[test]
fn a_server_on_the_command_line_does_not_keep_the_others_name() {
    let place = Place::new();
    let options = ConnectOptions {
        server: some("https://other.test"),
        ..place.two()
    };
    assert_eq!(plain(&options).unwrap().config.tls_server_name, None);
    let options = ConnectOptions {
        tls_server_name: some("mine"),
        ..options
    };
    assert_eq!(
        plain(&options).unwrap().config.tls_server_name.as_deref(),
        Some("mine")
    );
}

#[test]
fn credentials_do_not_travel_in_plain_text() {
    let place = Place::new();
    let options = ConnectOptions {
        server: some("http://dev.test"),
        impersonate: some("jane"),
        ..place.two()
    };
    let auth = plain(&options).unwrap().config.auth_info;
    assert!(auth.token.is_none());
    assert_eq!(auth.impersonate.as_deref(), Some("jane"));
}

#[test]
fn a_token_on_the_command_line_is_the_only_credential() {
    let place = Place::new();
    for user in ["joe", "ann", "cert"] {
        let options = ConnectOptions {
            user: some(user),
            token: Some(Hidden::from("mine".to_owned())),
            ..place.two()
        };
        let auth = plain(&options).unwrap().config.auth_info;
        assert!(auth.token.is_some(), "{user}");
        assert!(
            auth.exec.is_none() && auth.client_certificate_data.is_none(),
            "{user}"
        );
    }
}

#[test]
fn name_and_password_exclude_a_token() {
    let place = Place::new();
    let basic = |options| ConnectOptions {
        username: some("u"),
        ..options
    };
    assert_eq!(plain(&basic(place.two())).unwrap_err().exit(), Exit::Usage);
    let auth = plain(&basic(ConnectOptions {
        user: some("ann"),
        ..place.two()
    }))
    .unwrap()
    .config
    .auth_info;
    assert_eq!(auth.username.as_deref(), Some("u"));
    assert!(auth.password.is_some() && auth.exec.is_none());
}

#[test]
fn impersonation_works_with_any_user_and_needs_one_to_act_as() {
    let place = Place::new();
    for user in ["joe", "ann", "cert"] {
        let options = ConnectOptions {
            user: some(user),
            impersonate: some("jane"),
            impersonate_groups: vec!["dev".to_owned()],
            ..place.two()
        };
        let auth = plain(&options).unwrap().config.auth_info;
        assert_eq!(auth.impersonate.as_deref(), Some("jane"));
        assert_eq!(auth.impersonate_groups, Some(vec!["dev".to_owned()]));
    }
    let groups = |options| ConnectOptions {
        impersonate_groups: vec!["dev".to_owned()],
        ..options
    };
    assert_eq!(plain(&groups(place.two())).unwrap_err().exit(), Exit::Usage);
    let root = groups(ConnectOptions {
        user: some("cert"),
        ..place.two()
    });
    assert_eq!(
        plain(&root)
            .unwrap()
            .config
            .auth_info
            .impersonate
            .as_deref(),
        Some("root")
    );
}

#[test]
fn trust_on_the_command_line_replaces_the_kubeconfigs() {
    let place = Place::new();
    // A certificate's text need only look like one here: nothing is verified yet.
    let authority = place.file(
        "ca.pem",
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
    );
    let options = ConnectOptions {
        certificate_authority: Some(authority.clone()),
        ..place.two()
    };
    let config = plain(&options).unwrap().config;
    assert!(!config.accept_invalid_certs);
    assert_eq!(config.root_cert, Some(vec![vec![0x30, 0x00]]));

    let both = ConnectOptions {
        insecure_skip_tls_verify: true,
        ..options
    };
    assert!(fault(&both).0.contains("exclude each other"));

    for (text, message) in [
        ("nothing", "there is no certificate in it"),
        ("-----BEGIN CERTIFICATE-----\n?", "cannot use"),
    ] {
        let file = place.file("ca.pem", text);
        let options = ConnectOptions {
            certificate_authority: Some(file),
            ..place.two()
        };
        assert!(fault(&options).0.contains(message), "{:?}", fault(&options));
    }
    let absent = ConnectOptions {
        certificate_authority: Some(place.dir.path().join("absent")),
        ..place.two()
    };
    assert!(fault(&absent).0.contains("absent"));
}

#[test]
fn a_list_of_files_is_merged_and_the_first_word_counts() {
    let place = Place::new();
    let first = place.file("first", "current-context: ''\ncontexts: []\n");
    let second = place.file("second", TWO);
    let third = place.file("third", &TWO.replace("dev.test", "else.test"));
    let absent = place.dir.path().join("absent");
    let list =
        std::env::join_paths([first, absent.clone(), PathBuf::new(), second, third]).unwrap();
    let env = Environment {
        kubeconfig: Some(list),
        ..Environment::default()
    };
    assert_eq!(
        resolve(&ConnectOptions::default(), &env).unwrap().server,
        "https://dev.test:6443"
    );

    let env = Environment {
        kubeconfig: Some(absent.into()),
        ..Environment::default()
    };
    let error = resolve(&ConnectOptions::default(), &env).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no cluster to connect to: there is no kubeconfig"),
        "{error}"
    );
}

#[test]
fn the_home_folder_holds_the_default_file() {
    let place = Place::new();
    place.file(".kube/config", TWO);
    let env = Environment {
        home: Some(place.dir.path().to_owned()),
        ..Environment::default()
    };
    assert_eq!(
        resolve(&ConnectOptions::default(), &env)
            .unwrap()
            .context
            .as_deref(),
        Some("dev")
    );
}

#[test]
fn relative_files_belong_to_the_kubeconfig_that_names_them() {
    let place = Place::new();
    place.file(
        "sub/ca.pem",
        "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
    );
    let config = "clusters: [{name: a, cluster: {server: 'https://a', certificate-authority: ca.pem}}]\n\
                  contexts: [{name: a, context: {cluster: a, user: nobody}}]\ncurrent-context: a\n";
    let options = ConnectOptions {
        kubeconfig: Some(place.file("sub/config", config)),
        ..ConnectOptions::default()
    };
    assert!(plain(&options).unwrap().config.root_cert.is_some());
}

#[test]
fn faults_of_the_kubeconfig_say_what_to_do() {
    let place = Place::new();
    let with = |text: &str| ConnectOptions {
        kubeconfig: Some(place.file("faulty", text)),
        ..ConnectOptions::default()
    };
    let (message, hints) = fault(&with(""));
    assert!(
        message.starts_with("no cluster to connect to: the kubeconfig is empty"),
        "{message}"
    );
    assert!(hints.iter().any(|hint| hint.contains("-f FILE|DIR")));

    let (message, hints) = fault(&with(&TWO.replace("current-context: dev", "")));
    assert_eq!(message, "the kubeconfig has no current context");
    assert_eq!(hints, ["`--context` takes one of dev, prod"]);

    let (message, _) = fault(&with(
        "users: [{name: a, user: {token: s3cret, token: s3cret}}]",
    ));
    assert!(
        message.contains("cannot understand the kubeconfig") && !message.contains("s3cret"),
        "{message}"
    );

    let options = ConnectOptions {
        kubeconfig: Some(place.dir.path().join("none")),
        ..ConnectOptions::default()
    };
    assert!(fault(&options).0.starts_with("there is no kubeconfig"));

    let config = "clusters: [{name: a, cluster: {server: ''}}]\ncontexts: [{name: a, context: {cluster: a, user: x}}]\ncurrent-context: a\n";
    assert_eq!(
        fault(&with(config)).0,
        "the cluster `a` has no server in the kubeconfig"
    );
}

#[test]
fn a_proxy_of_the_surroundings_is_used_and_shown_without_its_password() {
    let place = Place::new();
    let env = Environment {
        https_proxy: some("http://u:pa55@proxy:3128"),
        ..Environment::default()
    };
    let settings = resolve(&place.two(), &env).unwrap();
    assert_eq!(
        settings.via,
        " through the proxy http://proxy:3128 (HTTPS_PROXY)"
    );
    assert!(settings.config.proxy_url.is_some());
    let env = Environment {
        no_proxy: some("dev.test"),
        ..env
    };
    assert!(
        resolve(&place.two(), &env)
            .unwrap()
            .config
            .proxy_url
            .is_none()
    );
}

async fn connect(options: &ConnectOptions) -> ClientError {
    let listener = std::sync::Arc::new(crate::event::Silent);
    crate::client::Client::connect(options, &Environment::default(), listener)
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_plugin_that_is_not_installed_says_how_to_install_it() {
    let place = Place::new();
    let error = connect(&ConnectOptions {
        context: some("prod"),
        ..place.two()
    })
    .await;
    assert_eq!(
        error.to_string(),
        "the credential plugin `absent-plugin-of-a-test` is not installed"
    );
    assert_eq!(error.hints(), ["brew install absent-plugin", "or ask Ann"]);
    assert_eq!(error.exit(), Exit::Unreachable);
}

#[cfg(unix)]
fn plugin(place: &Place, script: &str) -> ConnectOptions {
    use std::os::unix::fs::PermissionsExt as _;
    let file = place.file("plugin", &format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = TWO.replace("absent-plugin-of-a-test", &file.display().to_string());
    ConnectOptions {
        kubeconfig: Some(place.file("config", &config)),
        context: some("prod"),
        ..ConnectOptions::default()
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_plugin_that_fails_is_quoted_only_in_its_complaint() {
    let place = Place::new();
    let options = plugin(&place, "echo s3cret; echo 'session expired' >&2; exit 3");
    let error = connect(&options).await;
    let message = error.to_string();
    assert!(
        message.ends_with("failed (exit status: 3): session expired"),
        "{message}"
    );
    assert!(!message.contains("s3cret"));

    let error = connect(&plugin(&place, "echo 'token: [s3cret'")).await;
    assert!(
        error
            .to_string()
            .contains("did not print an ExecCredential"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("s3cret"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_plugin_is_asked_once() {
    let place = Place::new();
    let runs = place.dir.path().join("runs");
    let answer = r#"{"kind":"ExecCredential","status":{"token":"t","expirationTimestamp":"2999-01-01T00:00:00Z"}}"#;
    let options = plugin(
        &place,
        &format!("echo run >> '{}'; echo '{answer}'", runs.display()),
    );
    let listener = std::sync::Arc::new(crate::event::Silent);
    let connected =
        crate::client::Client::connect(&options, &Environment::default(), listener).await;
    assert!(connected.is_ok(), "{connected:?}");
    assert_eq!(std::fs::read_to_string(runs).unwrap(), "run\n");
}

#[tokio::test]
async fn unusable_client_certificates_are_a_fault_of_the_configuration() {
    let place = Place::new();
    let error = connect(&ConnectOptions {
        user: some("cert"),
        ..place.two()
    })
    .await;
    assert!(matches!(error, ClientError::Config { .. }), "{error}");
    let certificate = Some(Path::new("absent.pem").to_owned());
    let error = connect(&ConnectOptions {
        client_certificate: certificate,
        ..place.two()
    })
    .await;
    let message = error.to_string();
    assert!(
        message.starts_with("cannot read the client certificate absent.pem: "),
        "{message}"
    );
    let key = Some(place.file("key.pem", ""));
    let error = connect(&ConnectOptions {
        client_key: key,
        ..place.two()
    })
    .await;
    assert_eq!(
        error.to_string(),
        "the client certificate is missing: certificate and key go together"
    );
}

#[tokio::test]
async fn a_client_says_where_it_is() {
    let place = Place::new();
    let script = Scripted::default();
    let client = script.client_with(ConnectOptions {
        server: some("https://dev.test:6443"),
        ..place.two()
    });
    assert_eq!(
        (client.server(), client.context(), client.namespace()),
        ("https://dev.test:6443", Some("dev"), "shop")
    );
}
