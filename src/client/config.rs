//! Connection settings from flags, kubeconfig and surroundings, as kubectl (client-go's `clientcmd`)
//! merges them: a flag overrides one field of what the context chose.

use std::path::{Path, PathBuf};

use kube::config::{Cluster, ExecAuthCluster, Kubeconfig, KubeconfigError, LoadDataError};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::credentials::{self, Plugin};
use super::environment::Environment;
use super::error::ClientError;
use super::options::ConnectOptions;
use super::proxy;
use crate::error::why;

/// How the audit log of a cluster names us.
const USER_AGENT: &str = concat!("kubectl-ambient/", env!("CARGO_PKG_VERSION"));

/// All that is known about a connection before it is made.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) config: kube::Config,
    /// The API server's address as messages name it.
    pub(super) server: String,
    /// ` through the proxy …`, or nothing.
    pub(super) via: String,
    pub(super) context: Option<String>,
    pub(super) namespace: String,
    pub(super) plugin: Option<Plugin>,
}

/// Works out where to connect, as whom, and how.
///
/// kube's own loader is not used beyond reading files: it looks at the proxy variables by rules of
/// its own, and `infer` obeys variables that impersonate.
pub(super) fn resolve(
    options: &ConnectOptions,
    env: &Environment,
) -> Result<Settings, ClientError> {
    let kubeconfig = load(options, env)?;
    let server_flag = given(options.server.as_deref());
    if kubeconfig.as_ref().is_none_or(is_empty) && server_flag.is_none() {
        if env.in_cluster && options.kubeconfig.is_none() {
            return in_cluster(options, env);
        }
        return Err(no_kubeconfig(options, env, kubeconfig.is_some()));
    }
    let kubeconfig = kubeconfig.unwrap_or_default();
    let choice = Choice::of(options, &kubeconfig)?;
    let cluster = choice.cluster(options, &kubeconfig)?;
    let mut auth = choice.user(options, &kubeconfig)?;
    credentials::override_with(&mut auth, options)?;
    if let Some(exec) = auth.exec.as_mut().filter(|exec| exec.provide_cluster_info) {
        exec.cluster = Some(
            (&cluster)
                .try_into()
                .map_err(|error| kubeconfig_error(&error))?,
        );
    }

    let root = root_certificates(&cluster)?;
    let tls_is_meant = root.is_some()
        || cluster.insecure_skip_tls_verify == Some(true)
        || auth.client_certificate.is_some()
        || auth.client_certificate_data.is_some();
    let url = server_url(cluster.server.as_deref().unwrap_or_default(), tls_is_meant)?;
    if url.scheme_str() != Some("https") {
        // Credentials do not travel in plain text; kubectl leaves them out as well.
        credentials::keep_impersonation_only(&mut auth);
    }

    let mut config = kube::Config::new(url);
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify == Some(true);
    config.root_cert = root;
    config.disable_compression = cluster.disable_compression == Some(true);
    config.tls_server_name = cluster.tls_server_name.filter(|name| !name.is_empty());
    config.auth_info = auth;
    let namespace = given(options.namespace.as_deref())
        .or(given(choice.namespace.as_deref()))
        .unwrap_or("default")
        .to_owned();
    finish(
        config,
        choice.context,
        namespace,
        cluster.proxy_url.as_deref(),
        options,
        env,
    )
}

/// A pod's service account, with what flags say in its place.
fn in_cluster(options: &ConnectOptions, env: &Environment) -> Result<Settings, ClientError> {
    let mut config = kube::Config::incluster_env().map_err(|error| {
        ClientError::config(format!("cannot use this pod's service account: {error}"))
    })?;
    credentials::override_with(&mut config.auth_info, options)?;
    if let Some(file) = &options.certificate_authority {
        let cluster = Cluster {
            certificate_authority: Some(path_text(file)),
            ..Cluster::default()
        };
        config.root_cert = root_certificates(&cluster)?;
        config.root_cert_file = None;
    }
    let namespace = given(options.namespace.as_deref())
        .unwrap_or(&config.default_namespace)
        .to_owned();
    finish(config, None, namespace, None, options, env)
}

/// Sets what does not depend on where the settings are from.
fn finish(
    mut config: kube::Config,
    context: Option<String>,
    namespace: String,
    cluster_proxy: Option<&str>,
    options: &ConnectOptions,
    env: &Environment,
) -> Result<Settings, ClientError> {
    config.default_namespace.clone_from(&namespace);
    // kube's retries repeat writes and are invisible; ours do neither.
    config.default_retry = false;
    config.disable_compression |= options.disable_compression;
    config.connect_timeout = match (config.connect_timeout, options.request_timeout.limit()) {
        (Some(connect), Some(request)) => Some(connect.min(request)),
        (connect, _) => connect,
    };
    let agent = format!(
        "{USER_AGENT} ({}/{})",
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    let agent = http::HeaderValue::try_from(agent)
        .map_err(|error| ClientError::config(format!("the user agent cannot be sent: {error}")))?;
    config.headers.push((http::header::USER_AGENT, agent));

    let proxy = proxy::choose(&config.cluster_url, cluster_proxy, env)
        .map_err(|error| ClientError::config(error.to_string()))?;
    let via = proxy.as_ref().map_or_else(String::new, |proxy| {
        format!(
            " through the proxy {} ({})",
            without_credentials(&proxy.address),
            proxy.from
        )
    });
    config.proxy_url = proxy.map(|proxy| proxy.address);
    Ok(Settings {
        server: without_credentials(&config.cluster_url),
        via,
        context,
        namespace,
        plugin: Plugin::of(&config.auth_info),
        config,
    })
}

/// Reads the kubeconfig; nothing if no file of it exists.
pub(super) fn load(
    options: &ConnectOptions,
    env: &Environment,
) -> Result<Option<Kubeconfig>, ClientError> {
    if let Some(file) = options
        .kubeconfig
        .as_deref()
        .filter(|file| !file.as_os_str().is_empty())
    {
        return read(file)?.map(Some).ok_or_else(|| {
            ClientError::config(format!("there is no kubeconfig {}", file.display()))
                .hint("`--kubeconfig FILE` names another")
        });
    }
    let mut merged = None;
    for file in files(env) {
        // A file of the list that does not exist is passed over, as kubectl does.
        let Some(next) = read(&file)? else { continue };
        merged = Some(match merged {
            None => next,
            Some(first) => {
                Kubeconfig::merge(first, next).map_err(|error| kubeconfig_error(&error))?
            }
        });
    }
    Ok(merged)
}

/// The files that `KUBECONFIG` lists, else the default one.
fn files(env: &Environment) -> Vec<PathBuf> {
    let listed: Vec<PathBuf> = env
        .kubeconfig
        .as_deref()
        .map(|list| {
            std::env::split_paths(list)
                .filter(|file| !file.as_os_str().is_empty())
                .collect()
        })
        .unwrap_or_default();
    if listed.is_empty() {
        env.home
            .iter()
            .map(|home| home.join(".kube").join("config"))
            .collect()
    } else {
        listed
    }
}

fn read(file: &Path) -> Result<Option<Kubeconfig>, ClientError> {
    match Kubeconfig::read_from(file) {
        Ok(mut kubeconfig) => {
            // An empty name is no choice, and must not win over the next file's.
            kubeconfig.current_context = kubeconfig.current_context.filter(|name| !name.is_empty());
            Ok(Some(kubeconfig))
        }
        Err(KubeconfigError::ReadConfig(error, _))
            if error.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(KubeconfigError::ReadConfig(error, file)) => Err(ClientError::config(format!(
            "cannot read the kubeconfig {}: {}",
            file.display(),
            why(&error)
        ))),
        Err(KubeconfigError::Parse(error)) => Err(ClientError::config(format!(
            "cannot understand the kubeconfig {}: {}",
            file.display(),
            // The text around the fault is left out: it may hold credentials.
            error.without_snippet(),
        ))),
        Err(error) => Err(kubeconfig_error(&error)),
    }
}

fn is_empty(kubeconfig: &Kubeconfig) -> bool {
    kubeconfig.clusters.is_empty()
        && kubeconfig.contexts.is_empty()
        && kubeconfig.auth_infos.is_empty()
        && kubeconfig.current_context.is_none()
}

fn no_kubeconfig(options: &ConnectOptions, env: &Environment, found: bool) -> ClientError {
    let places: Vec<String> = match &options.kubeconfig {
        Some(file) => vec![file.display().to_string()],
        None => files(env)
            .iter()
            .map(|file| file.display().to_string())
            .collect(),
    };
    let places = if places.is_empty() {
        "no home folder is known".to_owned()
    } else {
        places.join(", ")
    };
    let fault = if found {
        "the kubeconfig is empty"
    } else {
        "there is no kubeconfig"
    };
    ClientError::config(format!("no cluster to connect to: {fault} ({places})"))
        .hint("`--kubeconfig FILE` or the variable KUBECONFIG names one")
        .hint("`-f FILE|DIR` reads manifests instead of a cluster")
}

/// What the context and the flags choose from a kubeconfig.
#[derive(Debug)]
struct Choice {
    context: Option<String>,
    cluster: Option<String>,
    user: Option<String>,
    namespace: Option<String>,
}

impl Choice {
    fn of(options: &ConnectOptions, kubeconfig: &Kubeconfig) -> Result<Self, ClientError> {
        let mut names: Vec<&str> = kubeconfig
            .contexts
            .iter()
            .map(|context| context.name.as_str())
            .collect();
        names.sort_unstable();
        let context = given(options.context.as_deref()).or(kubeconfig.current_context.as_deref());
        let chosen = match context {
            None => None,
            Some(name) => {
                let found = kubeconfig
                    .contexts
                    .iter()
                    .find(|context| context.name == name);
                let found = found.ok_or_else(|| {
                    ClientError::config(format!("the context `{name}` is not in the kubeconfig"))
                        .hint(one_of("--context", &names))
                })?;
                found.context.as_ref()
            }
        };
        let cluster = given(options.cluster.as_deref())
            .or_else(|| chosen.map(|context| context.cluster.as_str()))
            .filter(|name| !name.is_empty());
        if cluster.is_none() && given(options.server.as_deref()).is_none() {
            return Err(match context {
                Some(name) => ClientError::config(format!("the context `{name}` names no cluster")),
                None => ClientError::config("the kubeconfig has no current context")
                    .hint(one_of("--context", &names)),
            });
        }
        let user = given(options.user.as_deref())
            .or_else(|| chosen.and_then(|context| given(context.user.as_deref())));
        Ok(Self {
            context: context.map(str::to_owned),
            cluster: cluster.map(str::to_owned),
            user: user.map(str::to_owned),
            namespace: chosen.and_then(|context| context.namespace.clone()),
        })
    }

    /// The cluster's entry, with the flags in it.
    fn cluster(
        &self,
        options: &ConnectOptions,
        kubeconfig: &Kubeconfig,
    ) -> Result<Cluster, ClientError> {
        let server = given(options.server.as_deref());
        let mut cluster = match &self.cluster {
            None => Cluster::default(),
            Some(name) => {
                let found = kubeconfig
                    .clusters
                    .iter()
                    .find(|cluster| cluster.name == *name);
                let by_flag = given(options.cluster.as_deref()).is_some();
                match found.and_then(|cluster| cluster.cluster.clone()) {
                    Some(cluster) => cluster,
                    None if server.is_some() && !by_flag => Cluster::default(),
                    None => return Err(self.no_cluster(name, kubeconfig)),
                }
            }
        };
        let server_name = given(options.tls_server_name.as_deref());
        if server_name.is_some() || server.is_some() {
            // The name in the kubeconfig belongs to the server in the kubeconfig.
            cluster.tls_server_name = server_name.map(str::to_owned);
        }
        if let Some(server) = server {
            cluster.server = Some(server.to_owned());
        }
        let authority = options.certificate_authority.as_deref();
        if options.insecure_skip_tls_verify || authority.is_some() {
            // Either says how the server is to be trusted, in place of all the kubeconfig says.
            cluster.insecure_skip_tls_verify = Some(options.insecure_skip_tls_verify);
            cluster.certificate_authority = authority.map(path_text);
            cluster.certificate_authority_data = None;
        }
        if cluster.server.as_deref().is_none_or(str::is_empty) {
            let name = self.cluster.as_deref().unwrap_or_default();
            return Err(ClientError::config(format!(
                "the cluster `{name}` has no server in the kubeconfig"
            ))
            .hint("`--server URL` names one"));
        }
        Ok(cluster)
    }

    fn no_cluster(&self, name: &str, kubeconfig: &Kubeconfig) -> ClientError {
        let mut names: Vec<&str> = kubeconfig
            .clusters
            .iter()
            .map(|cluster| cluster.name.as_str())
            .collect();
        names.sort_unstable();
        let of = self
            .context
            .as_ref()
            .map_or_else(String::new, |context| format!(" (context `{context}`)"));
        ClientError::config(format!("the cluster `{name}`{of} is not in the kubeconfig"))
            .hint(one_of("--cluster", &names))
    }

    /// The user's entry as it stands. A context may name a user that has none: it stays anonymous.
    fn user(
        &self,
        options: &ConnectOptions,
        kubeconfig: &Kubeconfig,
    ) -> Result<kube::config::AuthInfo, ClientError> {
        let Some(name) = &self.user else {
            return Ok(kube::config::AuthInfo::default());
        };
        let found = kubeconfig.auth_infos.iter().find(|user| user.name == *name);
        if found.is_none() && given(options.user.as_deref()).is_some() {
            let mut names: Vec<&str> = kubeconfig
                .auth_infos
                .iter()
                .map(|user| user.name.as_str())
                .collect();
            names.sort_unstable();
            return Err(
                ClientError::config(format!("the user `{name}` is not in the kubeconfig"))
                    .hint(one_of("--user", &names)),
            );
        }
        Ok(found
            .and_then(|user| user.auth_info.clone())
            .unwrap_or_default())
    }
}

/// The certificates to trust, if the cluster names any.
fn root_certificates(cluster: &Cluster) -> Result<Option<Vec<Vec<u8>>>, ClientError> {
    let insecure = cluster.insecure_skip_tls_verify == Some(true);
    if insecure
        && (cluster.certificate_authority.is_some() || cluster.certificate_authority_data.is_some())
    {
        return Err(ClientError::config(
            "a certificate authority and skipping the verification of certificates exclude each other",
        ));
    }
    // kube decodes the data, or reads the file, only for its own loader and for plugins.
    let pem = ExecAuthCluster::try_from(cluster)
        .map_err(|error| kubeconfig_error(&error))?
        .certificate_authority_data;
    let Some(pem) = pem else { return Ok(None) };
    let unusable = |why: String| {
        ClientError::config(format!(
            "cannot use the certificate authority of the cluster: {why}"
        ))
    };
    let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&pem)
        .map(|certificate| certificate.map(|der| der.as_ref().to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(error.to_string()))?;
    if certificates.is_empty() {
        return Err(unusable("there is no certificate in it".to_owned()));
    }
    Ok(Some(certificates))
}

/// Reads a server's address. Without a scheme it is `https` if anything says TLS, else `http`
/// (client-go's `DefaultServerURL`).
fn server_url(text: &str, tls_is_meant: bool) -> Result<http::Uri, ClientError> {
    let text = text.trim();
    let whole = match text.split_once("://") {
        Some(_) => text.to_owned(),
        None if tls_is_meant => format!("https://{text}"),
        None => format!("http://{text}"),
    };
    // What follows the path is no part of an address.
    let whole = whole.split(['?', '#']).next().unwrap_or_default();
    let wrong =
        |why: String| ClientError::config(format!("`{text}` is not a server's address: {why}"));
    let url: http::Uri = whole
        .parse()
        .map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
    match url.scheme_str() {
        Some("http" | "https") if url.host().is_some_and(|host| !host.is_empty()) => Ok(url),
        Some("http" | "https") => Err(wrong("it has no host".to_owned())),
        scheme => Err(wrong(format!(
            "the scheme `{}` is not http or https",
            scheme.unwrap_or_default()
        ))),
    }
}

/// An address as it may be shown: without user and password, and without a final slash.
fn without_credentials(url: &http::Uri) -> String {
    let authority = url.authority().map_or("", http::uri::Authority::as_str);
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!(
        "{}://{host}{}",
        url.scheme_str().unwrap_or("http"),
        url.path().trim_end_matches('/')
    )
}

/// Whether key and certificate are of two pairs.
fn is_of_another_key(error: &kube::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(rustls::Error::InconsistentKeys(_)) = current.downcast_ref() {
            return true;
        }
        cause = current.source();
    }
    false
}

/// The error of building a connection from settings that looked right.
pub(super) fn refused(error: &kube::Error, plugin: Option<&Plugin>) -> ClientError {
    match error {
        kube::Error::Auth(error) => credentials::refused(error, plugin),
        kube::Error::InferKubeconfig(error) => kubeconfig_error(error),
        error if is_of_another_key(error) => {
            ClientError::config("the client key does not belong to the client certificate")
        }
        error => ClientError::config(format!("cannot prepare the connection: {error}")),
    }
}

fn kubeconfig_error(error: &KubeconfigError) -> ClientError {
    let (part, fault) = match error {
        KubeconfigError::Parse(error) => {
            let why = error.without_snippet();
            return ClientError::config(format!("cannot understand the kubeconfig: {why}"));
        }
        KubeconfigError::LoadCertificateAuthority(fault) => ("certificate authority", fault),
        KubeconfigError::LoadClientCertificate(fault) => ("client certificate", fault),
        KubeconfigError::LoadClientKey(fault) => ("client key", fault),
        error => return ClientError::config(format!("cannot use the kubeconfig: {error}")),
    };
    ClientError::config(match fault {
        LoadDataError::ReadFile(error, file) => {
            format!("cannot read the {part} {}: {}", file.display(), why(error))
        }
        LoadDataError::NoBase64DataOrFile => {
            format!("the {part} is missing: certificate and key go together")
        }
        LoadDataError::DecodeBase64(error) => {
            format!("the {part} in the kubeconfig is not base64: {error}")
        }
    })
}

/// A flag's or field's value; an empty one is none, as for kubectl.
pub(super) fn given(value: Option<&str>) -> Option<&str> {
    value.filter(|text| !text.is_empty())
}

pub(super) fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A hint that names what a flag could have said.
fn one_of(flag: &str, names: &[&str]) -> String {
    const SHOWN: usize = 10;
    match names {
        [] => format!("the kubeconfig holds none for `{flag}`"),
        names if names.len() > SHOWN => {
            format!(
                "`{flag}` takes one of {} and {} more",
                names[..SHOWN].join(", "),
                names.len() - SHOWN
            )
        }
        names => format!("`{flag}` takes one of {}", names.join(", ")),
    }
}
