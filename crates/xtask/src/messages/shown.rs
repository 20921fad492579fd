//! What the binary is seen to say: the errors, findings and diagnostics in the transcripts of scenarios and in the
//! snapshots of manifests.

use std::path::Path;

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub kind: Kind,
    /// As it is printed, line by line.
    pub lines: Vec<String>,
    pub exit: Option<String>,
    /// The command that says it; none for a manifest, which every command reads.
    pub command: Option<String>,
    /// The file that shows it, from the root of the repository.
    pub file: String,
}

/// Where a message comes from, in the order in which the table has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Error,
    Finding,
    /// What a run began and could not do.
    Failure,
    Diagnostic,
    /// Any other line of a run.
    Line,
}

impl Shown {
    /// All of it on one line with single blanks.
    pub fn text(&self) -> String {
        self.lines.iter().flat_map(|line| line.split_whitespace()).collect::<Vec<_>>().join(" ")
    }
}

/// All that is shown below the root of the repository.
///
/// # Errors
/// A folder or a file that cannot be read.
pub fn read(root: &Path) -> Result<Vec<Shown>, String> {
    let mut shown = Vec::new();
    for file in files(root, "tests/scenarios", "expected.txt")? {
        shown.extend(transcript(&text(root, &file)?, &file));
    }
    for file in files(root, "crates/gridkey-core/tests/manifests", ".snap")? {
        shown.extend(snapshot(&text(root, &file)?, &file));
    }
    Ok(shown)
}

fn text(root: &Path, file: &str) -> Result<String, String> {
    std::fs::read_to_string(root.join(file)).map_err(|error| format!("{file} cannot be read: {error}"))
}

/// The files below a folder whose names end so, from the root, in order.
fn files(root: &Path, folder: &str, ending: &str) -> Result<Vec<String>, String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_string()];
    while let Some(folder) = folders.pop() {
        let failed = |error: std::io::Error| format!("{folder} cannot be read: {error}");
        for entry in std::fs::read_dir(root.join(&folder)).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            match entry.path().is_dir() {
                true => folders.push(path),
                false if path.ends_with(ending) => files.push(path),
                false => {}
            }
        }
    }
    files.sort();
    Ok(files)
}

/// What the commands of a scenario say: `$` a command, `!` standard error, `|` standard output, `=` the exit code.
fn transcript(text: &str, file: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let mut command = None;
    let mut of_command = 0;
    let mut open = false;
    for line in text.lines() {
        let (mark, said) = line.split_at_checked(2).unwrap_or((line, ""));
        match mark.trim_end() {
            "$" => {
                command = Some(said.to_string());
                of_command = shown.len();
                open = false;
            }
            "=" => {
                let exit = Some(said.to_string());
                shown[of_command..].iter_mut().for_each(|shown| shown.exit.clone_from(&exit));
                open = false;
            }
            "!" | "|" if said.trim().is_empty() => open = false,
            "!" | "|" => {
                let kind = kind(said);
                match shown.last_mut() {
                    Some(last) if open && said.starts_with(' ') => last.lines.push(said.to_string()),
                    _ => {
                        open = true;
                        let (lines, command, file) =
                            (vec![said.to_string()], command.clone(), file.to_string());
                        shown.push(Shown { kind, lines, exit: None, command, file });
                    }
                }
            }
            _ => open = false,
        }
    }
    shown
}

fn kind(line: &str) -> Kind {
    let is_finding = line
        .split_once(" [")
        .is_some_and(|(severity, _)| matches!(severity, "blocks" | "blocks account" | "warning" | "allowed"));
    match line {
        _ if is_finding => Kind::Finding,
        _ if line.starts_with("error: ") => Kind::Error,
        "Failed:" => Kind::Failure,
        _ => Kind::Line,
    }
}

/// What is said of a manifest: paragraphs, each of which is a diagnostic.
fn snapshot(text: &str, file: &str) -> Vec<Shown> {
    let is_diagnostic = |lines: &Vec<String>| {
        lines.first().is_some_and(|first| first.starts_with("error: ") || first.starts_with("warning: "))
    };
    let paragraphs = text.split("\n---\n").last().unwrap_or_default().split("\n\n");
    let lines =
        paragraphs.map(|paragraph| paragraph.trim_matches('\n').lines().map(str::to_string).collect());
    let made =
        |lines| Shown { kind: Kind::Diagnostic, lines, exit: None, command: None, file: file.to_string() };
    lines.filter(is_diagnostic).map(made).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_is_taken_apart_by_messages() {
        let text = "# one.yaml\n$ gridkey plan\n! acme: reading\n! error: it failed\n!   because of this\n!   help: do that\n\
                    | \n| blocks [capacity] acme: it is full\n|     help: free a slot\n= 3\n";
        let shown = transcript(text, "a/expected.txt");
        let kinds: Vec<_> = shown.iter().map(|shown| (shown.kind, shown.lines.len())).collect();
        assert_eq!(kinds, [(Kind::Line, 1), (Kind::Error, 3), (Kind::Finding, 2)]);
        assert_eq!(shown[1].text(), "error: it failed because of this help: do that");
        assert!(shown.iter().all(|shown| shown.exit.as_deref() == Some("3")));
        assert_eq!(shown[2].command.as_deref(), Some("gridkey plan"));
    }

    #[test]
    fn a_snapshot_is_taken_apart_by_paragraphs() {
        let text =
            "---\nsource: x\n---\nerror: it is wrong\n --> a.yaml:1:1\n\nwarning: it is odd\n\nproject x\n";
        let shown = snapshot(text, "a.snap");
        let lines: Vec<_> = shown.iter().map(|shown| shown.lines.len()).collect();
        assert_eq!(lines, [2, 1]);
    }
}
