//! As whom to connect: the kubeconfig's user, what flags change in it, and why credentials fail.

use std::collections::HashMap;
use std::io::ErrorKind;

use kube::client::AuthError;
use kube::config::{AuthInfo, ExecInteractiveMode};

use super::config::{given, path_text};
use super::error::ClientError;
use super::options::{ConnectOptions, Hidden};
use crate::error::why;

/// A credential plugin, as far as messages name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plugin {
    command: String,
    install_hint: Option<String>,
    /// Whether its own messages already stood on the terminal.
    heard: bool,
}

impl Plugin {
    /// The plugin that this user's credentials come from, if one is asked.
    pub(super) fn of(auth: &AuthInfo) -> Option<Self> {
        let exec = auth.exec.as_ref()?;
        Some(Self {
            command: exec.command.clone()?,
            install_hint: exec
                .install_hint
                .clone()
                .filter(|hint| !hint.trim().is_empty()),
            heard: exec.interactive_mode != Some(ExecInteractiveMode::Never),
        })
    }
}

/// Puts what the flags say in the place of what the kubeconfig says.
pub(super) fn override_with(
    auth: &mut AuthInfo,
    options: &ConnectOptions,
) -> Result<(), ClientError> {
    if let Some(file) = &options.client_certificate {
        auth.client_certificate = Some(path_text(file));
        auth.client_certificate_data = None;
    }
    if let Some(file) = &options.client_key {
        auth.client_key = Some(path_text(file));
        auth.client_key_data = None;
    }
    override_token(auth, options);
    override_basic(auth, options)?;
    override_impersonation(auth, options)
}

/// A token on the command line is who the user means to be. kubectl would still send the
/// kubeconfig's certificate, by which the server then goes: the token would be ignored in silence.
fn override_token(auth: &mut AuthInfo, options: &ConnectOptions) {
    let Some(token) = options
        .token
        .as_ref()
        .map(Hidden::reveal)
        .filter(|token| !token.is_empty())
    else {
        return;
    };
    auth.token = Some(token.into());
    auth.token_file = None;
    auth.username = None;
    auth.password = None;
    auth.exec = None;
    auth.auth_provider = None;
    if options.client_certificate.is_none() {
        auth.client_certificate = None;
        auth.client_certificate_data = None;
        if options.client_key.is_none() {
            auth.client_key = None;
            auth.client_key_data = None;
        }
    }
}

fn override_basic(auth: &mut AuthInfo, options: &ConnectOptions) -> Result<(), ClientError> {
    let username = given(options.username.as_deref());
    let password = options
        .password
        .as_ref()
        .map(Hidden::reveal)
        .filter(|text| !text.is_empty());
    if username.is_none() && password.is_none() {
        return Ok(());
    }
    if auth.token.is_some() || auth.token_file.is_some() {
        return Err(ClientError::Options {
            message: "a token and a user name with a password exclude each other".to_owned(),
        });
    }
    if let Some(username) = username {
        auth.username = Some(username.to_owned());
    }
    if let Some(password) = password {
        auth.password = Some(password.into());
    }
    // An empty half is sent as such; kube would send neither.
    auth.username.get_or_insert_default();
    if auth.password.is_none() {
        auth.password = Some("".into());
    }
    auth.exec = None;
    auth.auth_provider = None;
    Ok(())
}

fn override_impersonation(
    auth: &mut AuthInfo,
    options: &ConnectOptions,
) -> Result<(), ClientError> {
    if let Some(user) = given(options.impersonate.as_deref()) {
        auth.impersonate = Some(user.to_owned());
    }
    if let Some(uid) = given(options.impersonate_uid.as_deref()) {
        auth.impersonate_uid = Some(uid.to_owned());
    }
    if !options.impersonate_groups.is_empty() {
        auth.impersonate_groups = Some(options.impersonate_groups.clone());
    }
    if !options.impersonate_extra.is_empty() {
        let mut extra: HashMap<String, Vec<String>> = HashMap::new();
        for (key, value) in &options.impersonate_extra {
            extra.entry(key.clone()).or_default().push(value.clone());
        }
        auth.impersonate_user_extra = Some(extra);
    }
    let nobody = given(auth.impersonate.as_deref()).is_none();
    let partial = auth.impersonate_uid.is_some()
        || auth
            .impersonate_groups
            .as_ref()
            .is_some_and(|groups| !groups.is_empty())
        || auth
            .impersonate_user_extra
            .as_ref()
            .is_some_and(|extra| !extra.is_empty());
    if nobody && partial {
        return Err(ClientError::Options {
            message: "a uid, groups or extra values can be impersonated only together with a user (`--as`)"
                .to_owned(),
        });
    }
    Ok(())
}

/// Leaves nothing of a user but whom to impersonate.
pub(super) fn keep_impersonation_only(auth: &mut AuthInfo) {
    *auth = AuthInfo {
        impersonate: auth.impersonate.take(),
        impersonate_uid: auth.impersonate_uid.take(),
        impersonate_groups: auth.impersonate_groups.take(),
        impersonate_user_extra: auth.impersonate_user_extra.take(),
        ..AuthInfo::default()
    };
}

/// Leaves nothing of a user that goes into the `Authorization` header.
pub(super) fn keep_certificate_only(auth: &mut AuthInfo) {
    auth.username = None;
    auth.password = None;
    auth.token = None;
    auth.token_file = None;
    auth.auth_provider = None;
    auth.exec = None;
}

/// Says why there are no credentials. What a plugin answered is not repeated, nor how it was called:
/// either may hold a secret. The last line of its complaint is, unless the terminal showed it.
pub(super) fn refused(error: &AuthError, plugin: Option<&Plugin>) -> ClientError {
    let name = plugin.map_or("of the kubeconfig", |plugin| plugin.command.as_str());
    let mut hints = Vec::new();
    let message = match error {
        AuthError::AuthExecStart(error) if error.kind() == ErrorKind::NotFound => {
            match plugin.and_then(|plugin| plugin.install_hint.as_deref()) {
                Some(hint) => {
                    hints.extend(hint.lines().map(printable).filter(|line| !line.is_empty()));
                }
                None => hints.push(format!("install `{name}`, or put its folder into PATH")),
            }
            format!("the credential plugin `{name}` is not installed")
        }
        AuthError::AuthExecStart(error) => {
            format!(
                "the credential plugin `{name}` cannot be started: {}",
                why(error)
            )
        }
        AuthError::AuthExecRun { out, .. } => {
            hints.push(log_in_again(name));
            let said = String::from_utf8_lossy(&out.stderr);
            let last = said.lines().map(printable).rfind(|line| !line.is_empty());
            match last.filter(|_| plugin.is_none_or(|plugin| !plugin.heard)) {
                Some(line) => format!(
                    "the credential plugin `{name}` failed ({}): {line}",
                    out.status
                ),
                None => format!("the credential plugin `{name}` failed ({})", out.status),
            }
        }
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => {
            hints.push(log_in_again(name));
            format!("the credential plugin `{name}` did not print an ExecCredential with a status")
        }
        AuthError::ReadTokenFile(error, file) => {
            format!(
                "cannot read the token file {}: {}",
                file.display(),
                why(error)
            )
        }
        error => format!("cannot obtain credentials: {error}"),
    };
    ClientError::Credentials { message, hints }
}

fn log_in_again(plugin: &str) -> String {
    format!("log in again with `{plugin}` as you did for this cluster")
}

/// A line of other people's text, without what would move a terminal's cursor.
fn printable(line: &str) -> String {
    line.trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
