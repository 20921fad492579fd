//! The tutorial, run as it stands by one shell: each command ends and says as the page has it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A piece of the page.
enum Part {
    File { name: String, text: String },
    Command { line: String, said: Vec<String>, code: i32 },
}

/// What stands in fences: files by their names, and commands with what they say. A number in brackets is an exit code.
fn parts(page: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("```yaml ") {
            let text = lines
                .by_ref()
                .take_while(|line| *line != "```")
                .fold(String::new(), |text, line| text + line + "\n");
            parts.push(Part::File { name: name.to_string(), text });
        } else if line == "```console" {
            let mut open = false;
            for line in lines.by_ref().take_while(|line| *line != "```") {
                match (line.strip_prefix("$ "), parts.last_mut()) {
                    (Some(command), _) => {
                        open = command.ends_with("<<'END'");
                        parts.push(Part::Command { line: command.to_string(), said: Vec::new(), code: 0 });
                    }
                    (None, Some(Part::Command { line: command, .. })) if open => {
                        command.push('\n');
                        command.push_str(line);
                        open = line != "END";
                    }
                    (None, Some(Part::Command { said, code, .. })) => {
                        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                            Some(number) => *code = number.parse().unwrap(),
                            None => said.push(line.to_string()),
                        }
                    }
                    (None, _) => panic!("`{line}` follows no command"),
                }
            }
        }
    }
    parts
}

/// Whether a line is as the page has it, where `…` is anything.
fn is_like(line: &str, pattern: &str) -> bool {
    let mut rest = line.trim_end();
    let pieces: Vec<&str> = pattern.trim_end().split('…').collect();
    let (first, last) = (pieces[0], pieces[pieces.len() - 1]);
    if pieces.len() == 1 {
        return rest == first;
    }
    if !rest.starts_with(first) || !rest.ends_with(last) {
        return false;
    }
    pieces.iter().all(|piece| match rest.find(piece) {
        Some(at) => {
            rest = &rest[at + piece.len()..];
            true
        }
        None => false,
    })
}

/// Whether lines are as the page has them, where a line that is `…` is any number of lines.
fn are_like(lines: &[&str], patterns: &[String]) -> bool {
    match patterns.split_first() {
        None => lines.is_empty(),
        Some((pattern, others)) if pattern == "…" => {
            (0..=lines.len()).any(|at| are_like(&lines[at..], others))
        }
        Some((pattern, others)) => {
            lines.split_first().is_some_and(|(line, rest)| is_like(line, pattern) && are_like(rest, others))
        }
    }
}

#[test]
fn the_tutorial_goes_as_it_is_written() {
    const MARK: &str = "=== ended with ";
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/tutorial.md")).unwrap();
    let parts = parts(&page);
    let folder = tempfile::tempdir().unwrap();
    let mut script = "exec 2>&1\ntrap 'kill %1 2>/dev/null' EXIT\n\
        gridkey() { command gridkey --quiet \"$@\"; }\n"
        .to_string();
    let mut commands = 0;
    for part in &parts {
        match part {
            Part::File { name, text } => {
                let path = folder.path().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                // Files are written when their turn comes, from where the page has its folder.
                let kept = folder.path().join(format!(".page-{}", name.replace('/', "-")));
                std::fs::write(&kept, text).unwrap();
                let _ = writeln!(script, "cp '{}' '{}'", kept.display(), path.display());
            }
            Part::Command { line, .. } => {
                commands += 1;
                let _ = writeln!(script, "{line}\necho \"{MARK}$?\"");
            }
        }
    }
    assert!(commands > 40, "{commands}");
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_gridkey"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(&script).current_dir(folder.path()).env_clear().env("PATH", path);
    shell.env("HOME", folder.path()).stdin(std::process::Stdio::null());
    let said = String::from_utf8(shell.output().unwrap().stdout).unwrap();
    let mut told = said.split(MARK);
    let mut out = told.next().unwrap_or_default();
    for part in &parts {
        let Part::Command { line, said: expected, code } = part else { continue };
        let rest = told.next().unwrap_or_else(|| panic!("`{line}` did not end:\n{said}"));
        let (ended, next) = rest.split_once('\n').unwrap();
        let lines: Vec<&str> = out.lines().collect();
        let lines: Vec<&str> =
            lines.iter().rposition(|line| !line.is_empty()).map_or(&[][..], |last| &lines[..=last]).to_vec();
        assert!(
            are_like(&lines, expected),
            "`{line}` says\n{}\nand the page has\n{}",
            lines.join("\n"),
            expected.join("\n")
        );
        assert_eq!(ended, code.to_string(), "`{line}`:\n{out}");
        out = next;
    }
}
