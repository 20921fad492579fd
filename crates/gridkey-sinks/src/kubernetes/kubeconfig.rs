//! What a kubeconfig, or the pod itself, says of a cluster and of who asks it. Nothing is run.
//!
//! The reader is our own: a client for Kubernetes brings thirty crates, runs what a kubeconfig names, and does not tell a request that
//! was not sent from one whose answer was lost, which decides whether a key may be revoked.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gridkey_core::sink::KubernetesSettings;
use gridkey_engine::ports::{SinkError, SinkFault};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;
use zeroize::Zeroizing;

use crate::http;
use crate::machine::Machine;

/// Where a pod finds what it is.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A cluster, and who asks it.
pub(super) struct Access {
    pub server: Url,
    /// The only authorities that the server's certificate may come from, in PEM; those of the system where there are none.
    pub authorities: Option<Vec<u8>>,
    /// The name in the server's certificate, where it is not the one in the address.
    pub server_name: Option<String>,
    pub proxy: Option<String>,
    pub user: User,
}

/// Who asks, as a kubeconfig says it.
#[derive(Default)]
pub(super) struct User {
    pub token: Option<Zeroizing<String>>,
    /// Certificate and private key, in PEM.
    pub identity: Option<Zeroizing<Vec<u8>>>,
    /// As whom the request counts.
    pub impersonation: HeaderMap,
}

/// A kubeconfig, as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    current_context: Option<String>,
    clusters: Option<Vec<NamedCluster>>,
    contexts: Option<Vec<NamedContext>>,
    users: Option<Vec<NamedUser>>,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: ClusterEntry,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: ContextEntry,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: Option<UserEntry>,
}

#[derive(Deserialize)]
struct ContextEntry {
    cluster: String,
    user: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ClusterEntry {
    server: String,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
    insecure_skip_tls_verify: Option<bool>,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct UserEntry {
    token: Option<Sensitive>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
    client_certificate: Option<String>,
    client_certificate_data: Option<String>,
    client_key: Option<String>,
    client_key_data: Option<Sensitive>,
    username: Option<IgnoredAny>,
    exec: Option<Exec>,
    auth_provider: Option<IgnoredAny>,
    #[serde(rename = "as")]
    impersonated: Option<String>,
    as_uid: Option<String>,
    as_groups: Option<Vec<String>>,
    as_user_extra: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Exec {
    command: String,
}

#[derive(Deserialize)]
#[serde(from = "String")]
struct Sensitive(Zeroizing<String>);

impl From<String> for Sensitive {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

/// A file, and what paths in it are relative to.
struct Source {
    path: PathBuf,
    document: Document,
}

fn invalid(message: impl Into<String>) -> SinkError {
    SinkError::new(SinkFault::Invalid, message)
}

/// The cluster that the settings mean, and who asks it: the user of the kubeconfig unless the settings have a token.
///
/// # Errors
/// Also where it is not at the address that the settings name.
pub(super) fn find(machine: &Machine, settings: &KubernetesSettings) -> Result<Access, SinkError> {
    let access = look_up(machine, settings)?;
    let Some(address) = &settings.address else { return Ok(access) };
    let spelt = |url: &Url| url.as_str().trim_end_matches('/').to_string();
    match spelt(&http::url(address)?) == spelt(&access.server) {
        true => Ok(access),
        false => Err(invalid(format!(
            "the API server is at `{}` by the kubeconfig, and `address` says `{address}`",
            access.server
        ))
        .help("see which context is meant, or put `address` right")),
    }
}

fn look_up(machine: &Machine, settings: &KubernetesSettings) -> Result<Access, SinkError> {
    let (paths, are_named) = match (&settings.kubeconfig, machine.variable("KUBECONFIG")) {
        (Some(path), _) => (vec![machine.path(path)], true),
        (None, Some(paths)) => (std::env::split_paths(&paths).collect(), true),
        (None, None) => (vec![machine.path("~/.kube/config")], false),
    };
    // As other clients do: a list may name files that are not there.
    let present: Vec<PathBuf> = paths.iter().filter(|path| path.exists()).cloned().collect();
    if !present.is_empty() {
        let sources: Result<Vec<Source>, SinkError> = present.into_iter().map(Source::read).collect();
        return access(&sources?, settings);
    }
    if are_named {
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(invalid(format!("there is no kubeconfig at {}", paths.join(", "))));
    }
    if settings.context.is_some() {
        return Err(invalid("`context` is set, and there is no kubeconfig that it could be in")
            .help("name one with `kubeconfig`, or with the variable `KUBECONFIG`"));
    }
    let host = machine.variable("KUBERNETES_SERVICE_HOST").ok_or_else(|| {
        SinkError::new(
            SinkFault::Unauthenticated,
            "no cluster is known: there is no kubeconfig, and this is no pod",
        )
        .help("name one with `kubeconfig`, or with the variable `KUBECONFIG`; `address` and `token` stand beside one, and not for it")
    })?;
    let port = machine.variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_string());
    in_pod(Path::new(SERVICE_ACCOUNT), &host, &port, settings.token.is_some())
}

/// The cluster that this pod runs in, and the pod's own account.
fn in_pod(folder: &Path, host: &str, port: &str, has_token: bool) -> Result<Access, SinkError> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
    let token = if has_token { None } else { Some(token_of(&folder.join("token"))?) };
    Ok(Access {
        server: http::url(&format!("https://{host}:{port}"))?,
        authorities: Some(read(&folder.join("ca.crt"))?.to_vec()),
        server_name: None,
        proxy: None,
        user: User { token, ..User::default() },
    })
}

fn access(sources: &[Source], settings: &KubernetesSettings) -> Result<Access, SinkError> {
    let paths =
        || sources.iter().map(|source| source.path.display().to_string()).collect::<Vec<_>>().join(", ");
    let current = || {
        sources
            .iter()
            .find_map(|source| source.document.current_context.clone().filter(|name| !name.is_empty()))
    };
    let name = settings.context.clone().or_else(current).ok_or_else(|| {
        invalid(format!("{} has no current context", paths())).help("name one with `context`")
    })?;
    let missing = |what: &str, name: &str| invalid(format!("{} has no {what} `{name}`", paths()));
    let (_, context) =
        entry(sources, |document| document.contexts.iter().flatten().find(|context| context.name == name))
            .ok_or_else(|| missing("context", &name))?;
    let (source, cluster) = entry(sources, |document| {
        document.clusters.iter().flatten().find(|cluster| cluster.name == context.context.cluster)
    })
    .ok_or_else(|| missing("cluster", &context.context.cluster))?;
    // With authorities of its own beside it, such a proxy could answer for the API server whatever `address` says.
    if settings.kubeconfig.is_some() && cluster.cluster.proxy_url.is_some() {
        return Err(invalid(format!(
            "{} has a `proxy-url`, which a kubeconfig that the manifest names cannot have",
            paths()
        ))
        .help("set the variable `HTTPS_PROXY`, or name the kubeconfig with the variable `KUBECONFIG`"));
    }
    let user =
        match context.context.user.as_deref().filter(|name| !name.is_empty() && settings.token.is_none()) {
            None => User::default(),
            Some(name) => {
                let (source, user) =
                    entry(sources, |document| document.users.iter().flatten().find(|user| user.name == name))
                        .ok_or_else(|| missing("user", name))?;
                user.user.as_ref().map(|user| source.user(name, user)).transpose()?.unwrap_or_default()
            }
        };
    source.cluster(&cluster.cluster, user)
}

/// The first of the files that has such an entry wins, as with other clients.
fn entry<'a, T>(
    sources: &'a [Source],
    find: impl Fn(&'a Document) -> Option<&'a T>,
) -> Option<(&'a Source, &'a T)> {
    sources.iter().find_map(|source| Some((source, find(&source.document)?)))
}

impl Source {
    fn read(path: PathBuf) -> Result<Self, SinkError> {
        let bytes = read(&path)?;
        let text =
            std::str::from_utf8(&bytes).map_err(|_| invalid(format!("{} is not text", path.display())))?;
        // The error's own text may quote a token.
        let document = serde_yaml::from_str(text).map_err(|error| {
            let at = error.location().map(|at| format!(":{}:{}", at.line(), at.column())).unwrap_or_default();
            invalid(format!("{}{at} is not as a kubeconfig is", path.display()))
        })?;
        Ok(Self { path, document })
    }

    fn cluster(&self, cluster: &ClusterEntry, user: User) -> Result<Access, SinkError> {
        if cluster.insecure_skip_tls_verify == Some(true) {
            return Err(invalid(format!(
                "{} says `insecure-skip-tls-verify`, which would show the secret to whoever answers for the API server",
                self.path.display()
            ))
            .help("give the authority of its certificate as `certificate-authority-data`, and take that out"));
        }
        if let Some(proxy) = cluster.proxy_url.as_deref().filter(|proxy| !proxy.starts_with("http")) {
            let scheme = proxy.split(':').next().unwrap_or_default();
            return Err(invalid(format!("{} has a proxy of the kind `{scheme}`", self.path.display()))
                .help("gridkey goes through proxies that begin with `http://` or `https://`"));
        }
        let authorities = self.data(
            cluster.certificate_authority_data.as_deref(),
            cluster.certificate_authority.as_deref(),
            "certificate-authority-data",
        )?;
        Ok(Access {
            server: http::url(&cluster.server)?,
            authorities: authorities.map(|pem| pem.to_vec()),
            server_name: cluster.tls_server_name.clone().filter(|name| !name.is_empty()),
            proxy: cluster.proxy_url.clone(),
            user,
        })
    }

    fn user(&self, name: &str, user: &UserEntry) -> Result<User, SinkError> {
        self.refuse_programs(name, user)?;
        let token = match (&user.token_file, &user.token) {
            (Some(path), _) => Some(token_of(&self.path(path))?),
            (None, Some(token)) => Some(token.0.clone()),
            (None, None) => None,
        };
        let certificate = self.data(
            user.client_certificate_data.as_deref(),
            user.client_certificate.as_deref(),
            "client-certificate-data",
        )?;
        let key_data = user.client_key_data.as_ref().map(|data| data.0.as_str());
        let key = self.data(key_data, user.client_key.as_deref(), "client-key-data")?;
        let identity = certificate.zip(key).map(|(certificate, key)| {
            let mut pem = Zeroizing::new(Vec::with_capacity(certificate.len() + 1 + key.len()));
            pem.extend_from_slice(&certificate);
            pem.push(b'\n');
            pem.extend_from_slice(&key);
            pem
        });
        Ok(User { token, identity, impersonation: self.impersonation(name, user)? })
    }

    /// A program in a kubeconfig is one that no policy saw.
    fn refuse_programs(&self, name: &str, user: &UserEntry) -> Result<(), SinkError> {
        let file = self.path.display();
        if let Some(Exec { command }) = &user.exec {
            return Err(invalid(format!("the user `{name}` of {file} runs the program `{command}`, and gridkey runs nothing that a policy cannot see"))
                .help(format!("write it into the sink's settings, with its arguments: `token: {{ command: [{command}, …] }}`")));
        }
        if user.auth_provider.is_some() {
            return Err(invalid(format!(
                "the user `{name}` of {file} has an `auth-provider`, which no client supports any more"
            ))
            .help("give the sink a `token`, or the user a token or a certificate"));
        }
        if user.username.is_some() {
            return Err(invalid(format!("the user `{name}` of {file} has a name and a password, which API servers do not take any more"))
                .help("give the sink a `token`, or the user a token or a certificate"));
        }
        Ok(())
    }

    fn impersonation(&self, name: &str, user: &UserEntry) -> Result<HeaderMap, SinkError> {
        let wrong = |what: &str| {
            invalid(format!("`{what}` of the user `{name}` of {} cannot be used", self.path.display()))
        };
        if user.as_user_extra.is_some() {
            return Err(wrong("as-user-extra").help("leave it out, or use a context without it"));
        }
        let mut headers = HeaderMap::new();
        let singles = [("impersonate-user", &user.impersonated), ("impersonate-uid", &user.as_uid)];
        let singles = singles.into_iter().filter_map(|(header, value)| Some((header, value.as_ref()?)));
        let groups = user.as_groups.iter().flatten().map(|group| ("impersonate-group", group));
        for (header, value) in singles.chain(groups) {
            let value = HeaderValue::from_str(value).map_err(|_| wrong("as"))?;
            headers.append(HeaderName::from_static(header), value);
        }
        Ok(headers)
    }

    /// What stands in the kubeconfig itself goes before a file.
    fn data(
        &self,
        data: Option<&str>,
        path: Option<&str>,
        field: &str,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, SinkError> {
        match (data.filter(|data| !data.is_empty()), path.filter(|path| !path.is_empty())) {
            (Some(data), _) => {
                let decoded = BASE64_STANDARD.decode(data.trim());
                let decoded = decoded
                    .map_err(|_| invalid(format!("`{field}` of {} is not base64", self.path.display())))?;
                Ok(Some(Zeroizing::new(decoded)))
            }
            (None, Some(path)) => read(&self.path(path)).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Paths of a kubeconfig are relative to it.
    fn path(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }
}

fn token_of(path: &Path) -> Result<Zeroizing<String>, SinkError> {
    let bytes = read(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| invalid(format!("{} is not text", path.display())))?;
    Ok(Zeroizing::new(text.trim().to_string()))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, SinkError> {
    let cannot = |error| invalid(format!("{} cannot be read: {error}", path.display()));
    // Opening a pipe waits for whoever writes it, and nothing ends that.
    if !std::fs::metadata(path).map_err(cannot)?.is_file() {
        return Err(invalid(format!("{} is not a regular file", path.display())));
    }
    std::fs::read(path).map(Zeroizing::new).map_err(cannot)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use gridkey_core::credential::Credential;
    use tempfile::TempDir;

    use super::*;

    fn config(cluster: &str, user: &str) -> String {
        format!(
            "current-context: main\nclusters:\n- name: shop\n  cluster: {{{cluster}}}\nusers:\n- name: robot\n  user: {{{user}}}\n\
             contexts:\n- name: main\n  context: {{cluster: shop, user: robot}}\n"
        )
    }

    const SERVER: &str = "server: 'https://shop.example:6443/k8s'";

    fn found(config: &str, change: impl FnOnce(&mut KubernetesSettings)) -> Result<Access, SinkError> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("config"), config).expect("a file");
        std::fs::write(folder.path().join("token"), "from-a-file\n").expect("a file");
        let mut settings =
            KubernetesSettings { kubeconfig: Some("config".to_string()), ..Default::default() };
        change(&mut settings);
        find(&Machine::new(folder.path().to_path_buf()), &settings)
    }

    fn error(config: &str) -> String {
        found(config, |_| ()).err().expect("an error").with_help()
    }

    #[test]
    fn a_token_is_read_from_where_the_kubeconfig_has_it() {
        for (user, token) in
            [("token: abc", Some("abc")), ("tokenFile: token, token: abc", Some("from-a-file")), ("", None)]
        {
            let access = found(&config(SERVER, user), |_| ()).expect(user);
            assert_eq!(access.user.token.as_ref().map(|token| token.as_str()), token, "{user}");
            assert_eq!(access.server.as_str(), "https://shop.example:6443/k8s");
        }
    }

    #[test]
    fn a_kubeconfig_runs_nothing() {
        let exec =
            "exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [hidden], env: null}";
        let error = error(&config(SERVER, exec));
        assert!(
            error.contains("runs the program `aws`") && error.contains("token: { command: [aws, …] }"),
            "{error}"
        );
        assert!(!error.contains("hidden"), "arguments may be secret: {error}");
        let access = found(&config(SERVER, exec), |settings| {
            settings.token = Some(Credential::Env("TOKEN".to_string()));
        });
        assert!(access.expect("another user").user.token.is_none(), "the settings have it");
    }

    #[test]
    fn what_is_not_safe_or_not_understood_is_refused() {
        let insecure = format!("{SERVER}, insecure-skip-tls-verify: true");
        for (config, says) in [
            (config(&insecure, "token: abc"), "insecure-skip-tls-verify"),
            (config("server: 'http://shop.example'", "token: abc"), "plain HTTP"),
            (config(&format!("{SERVER}, proxy-url: 'http://127.0.0.1:1'"), ""), "has a `proxy-url`"),
            (config(&format!("{SERVER}, certificate-authority-data: '?'"), ""), "is not base64"),
            (
                config(&format!("{SERVER}, certificate-authority: missing.pem"), ""),
                "missing.pem cannot be read",
            ),
            (config(SERVER, "username: robot, password: secret-of-the-test"), "a name and a password"),
            (config(SERVER, "auth-provider: {name: gcp}"), "`auth-provider`"),
            (config(SERVER, "as-user-extra: {scopes: [a]}"), "`as-user-extra`"),
            (config(SERVER, "token: [secret-of-the-test"), "is not as a kubeconfig is"),
            (config(SERVER, "").replace("main\nclusters", "other\nclusters"), "no context `other`"),
            (config(SERVER, "").replace("cluster: shop,", "cluster: gone,"), "no cluster `gone`"),
            (config(SERVER, "").replace("user: robot", "user: gone"), "no user `gone`"),
            ("clusters: null\n".to_string(), "no current context"),
        ] {
            let error = error(&config);
            assert!(error.contains(says) && !error.contains("secret-of-the-test"), "{config}\n{error}");
        }
    }

    #[test]
    fn a_kubeconfig_leads_nowhere_but_to_the_address_of_the_settings() {
        let at = |address: &str| {
            found(&config(SERVER, "token: abc"), |settings| settings.address = Some(address.to_string()))
        };
        assert!(at("https://Shop.example:6443/k8s/").is_ok());
        for other in
            ["https://shop.example:6443", "https://shop.example/k8s", "https://other.example:6443/k8s"]
        {
            let error = at(other).err().expect("another server").with_help();
            assert!(error.contains("`address` says"), "{error}");
        }
    }

    #[test]
    fn whoever_is_impersonated_is_named() {
        let access =
            found(&config(SERVER, "as: mailer, as-groups: [a, b], as-uid: '7'"), |_| ()).expect("access");
        let all = |name: &str| access.user.impersonation.get_all(name).iter().cloned().collect::<Vec<_>>();
        assert_eq!(all("impersonate-user"), ["mailer"]);
        assert_eq!(all("impersonate-group"), ["a", "b"]);
        assert_eq!(all("impersonate-uid"), ["7"]);
    }

    #[test]
    fn files_of_a_list_are_one_kubeconfig() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("one"), "current-context: main\nusers: null\ncontexts: [{name: main, context: {cluster: shop, user: robot}}]\n").expect("a file");
        std::fs::write(path("two"), config(SERVER, "token: abc")).expect("a file");
        let list = |names: &[&str]| {
            let paths = names.iter().map(|name| path(name)).collect::<Vec<_>>().join(":");
            let machine = machine(&folder, &[("KUBECONFIG", &paths)]);
            find(&machine, &KubernetesSettings::default())
        };
        let access = list(&["gone", "one", "two"]).expect("access");
        assert_eq!(access.user.token.as_ref().map(|token| token.as_str()), Some("abc"));
        let proxy = |scheme: &str| {
            let server = format!("{SERVER}, proxy-url: '{scheme}://127.0.0.1:1'");
            std::fs::write(path("proxied"), config(&server, "token: abc")).expect("a file");
            list(&["proxied"])
        };
        assert_eq!(proxy("http").expect("access").proxy.as_deref(), Some("http://127.0.0.1:1"));
        let error = proxy("socks5").err().expect("another kind").with_help();
        assert!(error.contains("`socks5`"), "{error}");
        let error = list(&["gone"]).err().expect("no file").with_help();
        assert!(error.contains("there is no kubeconfig at"), "{error}");
    }

    fn machine(folder: &TempDir, variables: &[(&str, &str)]) -> Machine {
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Machine::new(folder.path().to_path_buf()).with_variables(variables.collect::<BTreeMap<_, _>>())
    }

    #[test]
    fn a_pod_knows_where_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("token"), "abc\n").expect("a file");
        std::fs::write(folder.path().join("ca.crt"), "authority").expect("a file");
        for (host, address) in [("10.96.0.1", "https://10.96.0.1/"), ("fd00::1", "https://[fd00::1]/")] {
            let access = in_pod(folder.path(), host, "443", false).expect("access");
            assert_eq!(access.server.as_str(), address);
            assert_eq!(access.user.token.as_ref().map(|token| token.as_str()), Some("abc"));
            assert_eq!(access.authorities.as_deref(), Some(&b"authority"[..]));
        }
        assert!(in_pod(folder.path(), "10.96.0.1", "443", true).expect("access").user.token.is_none());
        let nowhere = find(&machine(&folder, &[]), &KubernetesSettings::default()).err().expect("no cluster");
        assert!(nowhere.message.contains("this is no pod"), "{nowhere}");
    }
}
