//! A folder with a stand-in of gridkey, and the scripts run on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

pub const TOKEN: &str = "ghs_aTokenThatNobodyMaySee0123456789";

/// The top of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Whether a program is on `PATH`.
pub fn has(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

/// Whether the scripts can run here. Where they have to, nothing is skipped.
pub fn can_run() -> bool {
    let missing: Vec<_> =
        ["bash", "curl", "jq", "unzip"].into_iter().filter(|program| !has(program)).collect();
    if missing.is_empty() {
        return true;
    }
    let reason = format!("no {} on this machine", missing.join(", "));
    assert!(std::env::var_os("GRIDKEY_REQUIRE_PIPELINE_TOOLS").is_none(), "{reason}");
    println!("skipped: {reason}");
    false
}

/// What a script said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    #[track_caller]
    pub fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{}{}", self.err, self.out);
        self
    }

    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.err.contains(text), "does not say {text:?}:\n{}", self.err);
        self
    }
}

/// A folder to run scripts in. `gridkey` is a stand-in that does as the variables `STUB_…` say; another program can
/// take its place.
pub struct Place {
    pub folder: TempDir,
    pub gridkey: PathBuf,
    variables: Vec<(String, String)>,
}

/// Writes down how it was called, and what it was given of the surroundings that matter here.
const GRIDKEY: &str = r####"#!/usr/bin/env bash
set -euo pipefail
{
    printf 'gridkey %s\n' "$*"
    for name in GRIDKEY_TOKEN GRIDKEY_ENV GRIDKEY_POLICY GRIDKEY_MANIFEST; do
        [ -z "${!name+given}" ] || printf '%s=%s\n' "$name" "${!name}"
    done
} >>"$STUB_LOG"
command=$1
code_name=STUB_$command
id=plan
while [ $# -gt 0 ]; do
    case $1 in
        --out) printf '{"plan":"%s"}\n' "${STUB_TEXT:-}" >"$2" ;;
        --comment-id) id=$2 ;;
    esac
    shift
done
if [ "${STUB_WAITS:-}" = "$command" ]; then
    # It ends by itself too, so that a test that fails does not hang.
    timeout 30 tail -f /dev/null >/dev/null &
    trap 'kill $!; echo stopped in order >>"$STUB_LOG"; exit 130' TERM
    echo started
    wait $!
fi
case $command in
    plan | drift | show) printf '<!-- gridkey:%s -->\n### %s\n' "$id" "${STUB_TEXT:-a plan}" ;;
    apply) echo "::set-something::by the name of a key" ;;
esac
exit "${!code_name:-0}"
"####;

/// Writes down its arguments, then is curl.
const CURL: &str =
    "#!/usr/bin/env bash\nprintf 'curl %s\\n' \"$*\" >>\"$STUB_LOG\"\nPATH=${PATH#*:}\nexec curl \"$@\"\n";

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join("programs");
        std::fs::create_dir(&programs).unwrap();
        let gridkey = programs.join("gridkey");
        executable(&gridkey, GRIDKEY);
        executable(&programs.join("curl"), CURL);
        Self { folder, gridkey, variables: Vec::new() }
    }

    /// On GitHub, in the run of a pull request.
    pub fn on_github(api: &str) -> Self {
        Self::new()
            .with("GRIDKEY_API_URL", api)
            .with("GRIDKEY_TOKEN", TOKEN)
            .with("GITHUB_ACTIONS", "true")
            .with("GITHUB_REPOSITORY", "acme/mail")
            .with("GITHUB_REF", "refs/pull/7/merge")
    }

    /// On GitLab, in the pipeline of a merge request.
    pub fn on_gitlab(api: &str) -> Self {
        Self::new()
            .with("GRIDKEY_API_URL", api)
            .with("GRIDKEY_TOKEN", TOKEN)
            .with("GITLAB_CI", "true")
            .with("CI_PROJECT_ID", "5")
            .with("CI_MERGE_REQUEST_IID", "7")
    }

    /// With a variable set from now on.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_string(), value.to_string()));
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap_or_default()
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// How gridkey and curl were called so far.
    pub fn calls(&self) -> String {
        self.read("calls")
    }

    /// How gridkey was called so far.
    pub fn gridkey_calls(&self) -> Vec<String> {
        self.calls().lines().filter(|line| line.starts_with("gridkey ")).map(str::to_string).collect()
    }

    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new(root().join("scripts/pipelines").join(script));
        let inherited = std::env::var("PATH").unwrap_or_default();
        command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", format!("{}:{inherited}", self.path("programs").display()))
            .env("HOME", self.folder.path())
            .env("STUB_LOG", self.path("calls"))
            .env("GRIDKEY_BIN", &self.gridkey)
            .env("GRIDKEY_RETRY_SECONDS", "0")
            .env("GITHUB_OUTPUT", self.path("outputs"))
            .env("GITHUB_STEP_SUMMARY", self.path("summary.md"))
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a script. Whatever it says, and whatever it starts, the token is not in it.
    #[track_caller]
    pub fn run(&self, script: &str) -> Said {
        let output = self.command(script).output().unwrap();
        let said = Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        for (what, text) in [
            ("standard output", &said.out),
            ("standard error", &said.err),
            ("a command line", &self.calls()),
            ("an output", &self.read("outputs")),
            ("the summary", &self.read("summary.md")),
        ] {
            assert!(!text.contains(TOKEN), "{script}: the token is in {what}");
        }
        said
    }
}

pub fn executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
