//! A field of a Kubernetes Secret.
//!
//! A Secret that is there is patched: the field alone, of the very version that was looked at. One that is missing is made by a
//! server-side apply, as that is the only way to make one whose right can be limited to its name. An apply to one that is there
//! would take away what the same manager applied before and now leaves out: the type, labels and fields of the first time.

mod document;
mod kubeconfig;
mod session;

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use gridkey_core::Receipt;
use gridkey_core::sink::KubernetesSettings;
use gridkey_engine::ports::{PutError, Readiness, SinkError, SinkFault};
use reqwest::Method;
use zeroize::Zeroizing;

use crate::adapter::{Adapter, Put};
use crate::format::{Held, Standing};
use crate::http::{Answer, Unanswered};
use crate::machine::Machine;
use document::{APPLY, Found, MANAGER, MERGE, Refusal};
pub(crate) use session::Clusters;
use session::Request;

/// What a check writes for show; webhooks of the cluster see it.
const REHEARSED: &str = "a value that gridkey only tries out";

/// How often the Secret is looked at anew because something else wrote to it meanwhile.
const LOOKS: u32 = 8;

/// The longest that restarts may take after a put. The secret is where it belongs by then.
const RESTARTS: Duration = Duration::from_secs(10);

/// One field of one Secret.
pub(crate) struct KubernetesAdapter<'a> {
    pub machine: &'a Machine,
    pub clusters: &'a Clusters,
    pub settings: &'a KubernetesSettings,
}

/// Whether a write is done, or only tried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    Real,
    Rehearsal,
}

/// A write that did not come about.
enum Unwritten {
    /// By the API server, in its own words.
    Refused(Refusal),
    Failed(PutError),
}

#[async_trait]
impl Adapter for KubernetesAdapter<'_> {
    async fn check(&self) -> Result<Readiness, SinkError> {
        for workload in &self.settings.restart {
            self.restart(workload, "", Run::Rehearsal).await?;
        }
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(REHEARSED));
        for _ in 0..LOOKS {
            let found = self.look().await?;
            match self.write(found.as_ref(), &encoded, document::maker(None), Run::Rehearsal).await {
                Ok(_) => {
                    return Ok(match found.and_then(|found| found.kept_by) {
                        Some(kept_by) => Readiness::Plausible(kept_by),
                        None => Readiness::Proven,
                    });
                }
                Err(Unwritten::Refused(refusal)) if refusal.is_outdated() => {}
                Err(Unwritten::Refused(refusal)) if refusal.message.contains("does not support dry run") => {
                    return Ok(Readiness::Plausible(refusal.said()));
                }
                Err(Unwritten::Refused(refusal)) => return Err(self.refused(&refusal)),
                Err(Unwritten::Failed(error)) => return Err(cause(error)),
            }
        }
        Err(self.too_busy())
    }

    async fn held(&self) -> Result<Held, SinkError> {
        match self.look().await? {
            Some(found) => Ok(found.held()),
            None => {
                self.is_in_a_namespace().await?;
                Ok(Held::Nothing)
            }
        }
    }

    async fn put(&self, put: Put<'_>) -> Result<Option<Receipt>, PutError> {
        let receipt = self.put_secret(put).await?;
        // Of a put that changed nothing, too: the one before it may have been cut off right here. The same key restarts nothing.
        self.restart_all(put).await;
        Ok(Some(receipt))
    }

    async fn remove(&self) -> Result<(), SinkError> {
        for _ in 0..LOOKS {
            let Some(found) = self.look().await? else {
                return self.is_in_a_namespace().await;
            };
            if found.encoded.is_none() {
                return Ok(());
            }
            match self.patch(&found, None, Run::Real).await {
                Ok(left) if left.encoded.is_none() => return Ok(()),
                Ok(_) => return Err(self.changed_by_another()),
                Err(Unwritten::Refused(refusal)) if refusal.is_outdated() => {}
                Err(Unwritten::Refused(refusal)) => return Err(self.refused(&refusal)),
                Err(Unwritten::Failed(error)) => return Err(cause(error)),
            }
        }
        Err(self.too_busy())
    }

    /// A login by a command, a look, a write, and restarts.
    fn deadline(&self) -> Duration {
        Duration::from_secs(40) + if self.settings.restart.is_empty() { Duration::ZERO } else { RESTARTS }
    }
}

impl KubernetesAdapter<'_> {
    /// Writes the secret over what is expected to be there. Each try looks first, and is bound to what it saw.
    async fn put_secret(&self, put: Put<'_>) -> Result<Receipt, PutError> {
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(put.secret.expose()));
        let maker = document::maker(put.secret.key_id().as_ref());
        for _ in 0..LOOKS {
            let found = self.look().await.map_err(PutError::Refused)?;
            let held = found.as_ref().map_or(Held::Nothing, Found::held);
            let standing = held.standing(put.secret.expose(), Some(put.replaces));
            match (standing.map_err(|what| self.conflict(&what)).map_err(PutError::Refused)?, &found) {
                (Standing::Same, Some(found)) => return Ok(found.receipt()),
                (Standing::Same, None) | (Standing::Replaceable, _) => {}
            }
            match self.write(found.as_ref(), &encoded, maker.clone(), Run::Real).await {
                Ok(written) => return Ok(written.receipt()),
                Err(Unwritten::Refused(refusal)) if refusal.is_outdated() => {}
                Err(Unwritten::Refused(refusal)) => {
                    return Err(PutError::Refused(self.refused(&refusal)));
                }
                Err(Unwritten::Failed(error)) => return Err(error),
            }
        }
        Err(PutError::Refused(self.too_busy()))
    }

    /// The Secret; `None` where there is none, and perhaps no namespace either.
    async fn look(&self) -> Result<Option<Found>, SinkError> {
        let answer = self.ask(&Request::get(self.secret_path())).await?;
        if answer.is_success() {
            return Found::read(&answer, &self.settings.field).map(Some).ok_or_else(|| foreign(&answer));
        }
        let refusal = self.refusal(&answer)?;
        if !refusal.is_without_secret() {
            return Err(self.refused(&refusal));
        }
        match self.settings.create {
            Some(false) => Err(self.missing()),
            Some(true) | None => Ok(None),
        }
    }

    /// That a Secret could be here. For a look, a namespace that is not there is like one without the Secret.
    async fn is_in_a_namespace(&self) -> Result<(), SinkError> {
        let path = ["api", "v1", "namespaces", &self.settings.namespace].map(ToString::to_string);
        let answer = self.ask(&Request::get(path.to_vec())).await?;
        if answer.is_success() {
            return Ok(());
        }
        let refusal = self.refusal(&answer)?;
        if refusal.status != 403 {
            return Err(self.refused(&refusal));
        }
        // Without that right, a write that is only tried out tells it.
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(REHEARSED));
        match self.make(&encoded, document::maker(None), Run::Rehearsal).await {
            Ok(_) => Ok(()),
            Err(Unwritten::Refused(refusal)) if refusal.is_outdated() => Ok(()),
            // That right is asked for once the namespace was found.
            Err(Unwritten::Refused(refusal)) if refusal.missing_verb() == Some("create") => Ok(()),
            Err(Unwritten::Refused(refusal)) => {
                let help = format!(
                    "{}; or allow `get` on the namespace `{}`",
                    self.rights("patch"),
                    self.settings.namespace
                );
                Err(self.refused(&refusal).help(help))
            }
            Err(Unwritten::Failed(error)) => Err(cause(error)),
        }
    }

    /// Writes the field of a Secret that was seen, or makes one.
    async fn write(
        &self,
        found: Option<&Found>,
        encoded: &str,
        maker: String,
        run: Run,
    ) -> Result<Found, Unwritten> {
        let written = match found {
            Some(found) if found.immutable => {
                return Err(Unwritten::Failed(PutError::Refused(self.immutable())));
            }
            Some(found) => self.patch(found, Some(encoded), run).await?,
            None => self.make(encoded, maker, run).await?,
        };
        let holds = written.encoded.as_ref().is_some_and(|held| held.as_str() == encoded);
        if holds {
            return Ok(written);
        }
        let error = self.changed_by_another();
        Err(Unwritten::Failed(match run {
            Run::Real => PutError::Unclear(error),
            Run::Rehearsal => PutError::Refused(error),
        }))
    }

    async fn patch(&self, found: &Found, encoded: Option<&str>, run: Run) -> Result<Found, Unwritten> {
        let body = found.patch(&self.settings.field, encoded);
        self.send((MERGE, body), MANAGER.to_string(), run).await
    }

    /// Without force: a value that something else put there meanwhile stays.
    async fn make(&self, encoded: &str, maker: String, run: Run) -> Result<Found, Unwritten> {
        self.send((APPLY, document::new_secret(self.settings, encoded)), maker, run).await
    }

    async fn send(&self, body: (&'static str, Bytes), manager: String, run: Run) -> Result<Found, Unwritten> {
        let request = patch(self.secret_path(), body, manager, run);
        let answer = self.ask(&request).await.map_err(|error| Unwritten::Failed(error.into()))?;
        if answer.is_success() {
            let written = Found::read(&answer, &self.settings.field);
            return written.ok_or_else(|| Unwritten::Failed(PutError::Unclear(foreign(&answer))));
        }
        match self.refusal(&answer) {
            Ok(refusal) if refusal.status < 500 => Err(Unwritten::Refused(refusal)),
            Ok(refusal) => {
                Err(Unwritten::Failed(PutError::Unclear(answer.error(&self.place(), &refusal.said()))))
            }
            Err(error) if error.fault == SinkFault::Throttled => {
                Err(Unwritten::Failed(PutError::Refused(error)))
            }
            Err(error) => Err(Unwritten::Failed(PutError::Unclear(error))),
        }
    }

    async fn restart_all(&self, put: Put<'_>) {
        let Some(id) = put.secret.key_id() else { return };
        let restarts = async {
            for workload in &self.settings.restart {
                if let Err(error) = self.restart(workload, &id.to_string(), Run::Real).await {
                    self.not_restarted(workload, &error.with_help());
                }
            }
        };
        if tokio::time::timeout(RESTARTS, restarts).await.is_err() {
            self.not_restarted(&self.settings.restart.join(", "), "it took too long");
        }
    }

    /// The secret has arrived, so this is no failure of its delivery.
    fn not_restarted(&self, workload: &str, why: &str) {
        tracing::warn!(
            "{workload} in the namespace `{}` was not restarted, and may go on with the key before: {why}",
            self.settings.namespace
        );
    }

    /// Changes an annotation of a workload's pods, so that new ones replace them; the same value changes nothing.
    async fn restart(&self, workload: &str, value: &str, run: Run) -> Result<(), SinkError> {
        let (kind, name) = workload.split_once('/').unwrap_or((workload, ""));
        let namespace = &self.settings.namespace;
        let kind = format!("{kind}s");
        let path = ["apis", "apps", "v1", "namespaces", namespace, &kind, name].map(ToString::to_string);
        let body = (MERGE, document::restart(self.settings, value));
        let answer = self.ask(&patch(path.to_vec(), body, MANAGER.to_string(), run)).await?;
        if answer.is_success() {
            return Ok(());
        }
        let refusal = self.refusal(&answer)?;
        let error = answer.error(&format!("{workload} cannot be restarted"), &refusal.said());
        Err(match refusal.status {
            403 => error.help(format!(
                "allow the verb `patch` on `{kind}` of the API group `apps`, with the name `{name}`, in the namespace `{namespace}`"
            )),
            404 => error.help("`restart` names workloads of the Secret's own namespace"),
            _ => error,
        })
    }

    async fn ask(&self, request: &Request) -> Result<Answer, Unanswered> {
        self.clusters.ask(self.machine, self.settings, request).await
    }

    fn secret_path(&self) -> Vec<String> {
        let KubernetesSettings { namespace, secret, .. } = self.settings;
        ["api", "v1", "namespaces", namespace, "secrets", secret].map(ToString::to_string).to_vec()
    }

    fn place(&self) -> String {
        format!("the Secret `{}` in the namespace `{}`", self.settings.secret, self.settings.namespace)
    }

    /// Why an answer is no success, in the API server's own words.
    ///
    /// # Errors
    /// Where something else answered.
    fn refusal(&self, answer: &Answer) -> Result<Refusal, SinkError> {
        match Refusal::read(answer) {
            Some(refusal) => Ok(refusal),
            // Who asks for patience has done nothing, whoever it is.
            None if answer.status == 429 => Err(self.throttled()),
            None => Err(foreign(answer)),
        }
    }

    /// What the API server refused, in words of what was to be done.
    fn refused(&self, refusal: &Refusal) -> SinkError {
        let KubernetesSettings { namespace, .. } = self.settings;
        let place = self.place();
        let said = refusal.said();
        let error = |fault, message: String| SinkError::new(fault, message);
        match refusal.status {
            401 => error(SinkFault::Unauthenticated, format!("{place}: the API server does not know this credential: {said}"))
                .help("see that the token or certificate is of this cluster, and has not ended"),
            403 if refusal.is_of_going_namespace() => {
                error(SinkFault::ContainerMissing, format!("the namespace `{namespace}` is being deleted"))
            }
            403 => {
                let forbidden = error(SinkFault::Forbidden, format!("{place}: {said}"));
                match refusal.missing_verb() {
                    Some("impersonate") => forbidden,
                    Some(missing) => forbidden.help(self.rights(missing)),
                    None => forbidden,
                }
            }
            404 if refusal.names_namespace() => {
                error(SinkFault::ContainerMissing, format!("there is no namespace `{namespace}`"))
                    .help(format!("make it with `kubectl create namespace {namespace}`, or see that the context is that of the right cluster"))
            }
            404 => error(SinkFault::ContainerMissing, format!("{place} is not there: {said}")),
            409 => error(SinkFault::Conflict, format!("{place}: {said}")),
            413 => error(SinkFault::Invalid, format!("{place} would be too large: {said}")),
            429 => self.throttled(),
            400..500 => error(SinkFault::Invalid, format!("{place}: the API server does not take it: {said}")),
            status => error(SinkFault::Unreachable, format!("{place}: answered {status}: {said}")),
        }
    }

    fn rights(&self, verb: &str) -> String {
        let KubernetesSettings { namespace, secret, .. } = self.settings;
        format!(
            "allow the verb `{verb}` on `secrets`, with the name `{secret}`, in the namespace `{namespace}`"
        )
    }

    fn changed_by_another(&self) -> SinkError {
        SinkError::failed(format!("{} holds something else than what was just written to it", self.place()))
            .help("see which webhook of the cluster changes Secrets, and leave this one out of it")
    }

    fn conflict(&self, what: &str) -> SinkError {
        SinkError::new(
            SinkFault::Conflict,
            format!("{} has another value in `{}`: {what}", self.place(), self.settings.field),
        )
    }

    fn missing(&self) -> SinkError {
        SinkError::new(
            SinkFault::ContainerMissing,
            format!("{} is not there, and `create: false` says that gridkey does not make it", self.place()),
        )
        .help("make it, or take `create: false` out")
    }

    fn immutable(&self) -> SinkError {
        SinkError::new(SinkFault::Invalid, format!("{} is immutable", self.place()))
            .help("Kubernetes never changes such a Secret; delete it and make it again without `immutable: true`, or name another one")
    }

    fn too_busy(&self) -> SinkError {
        SinkError::new(
            SinkFault::Conflict,
            format!("{} changed again and again while it was to be written", self.place()),
        )
        .help("see with `kubectl get secret --show-managed-fields` what writes to it")
    }

    fn throttled(&self) -> SinkError {
        SinkError::new(SinkFault::Throttled, format!("{}: the API server asks for patience", self.place()))
    }
}

fn patch(path: Vec<String>, body: (&'static str, Bytes), manager: String, run: Run) -> Request {
    let mut query = vec![("fieldManager", manager)];
    if run == Run::Rehearsal {
        query.push(("dryRun", "All".to_string()));
    }
    Request { method: Method::PATCH, path, query, body: Some(body) }
}

/// Something else than the API server answered, or it is none.
fn foreign(answer: &Answer) -> SinkError {
    SinkError::failed(format!("answered {} with something that an API server does not say", answer.status))
        .help("see that the kubeconfig has the address of an API server, and that no proxy answers in its place")
}

/// Of a write that was only tried out, or that takes away: what became of it, without whether it counts.
fn cause(error: PutError) -> SinkError {
    match error {
        PutError::Refused(error) | PutError::NoRoom(error) | PutError::Unclear(error) => error,
    }
}
