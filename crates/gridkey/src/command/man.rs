//! `man`: the manual pages, from what the commands say of themselves.

use std::io::Write;
use std::path::Path;

use clap_mangen::Man;

use crate::args::{ManArguments, cli};
use crate::exit::{CommandError, Exit};
use crate::print;

pub fn run(arguments: &ManArguments) -> Result<Exit, CommandError> {
    let mut command = cli();
    command.build();
    match &arguments.out {
        Some(folder) => write_all(&command, folder)?,
        None => print::out(&page(&command)?),
    }
    Ok(Exit::Done)
}

/// A page for each command, `gridkey-plan.1` and the like.
fn write_all(command: &clap::Command, folder: &Path) -> Result<(), CommandError> {
    let failed = |error: std::io::Error| {
        CommandError::new(format!("the pages cannot be written to {}", folder.display())).because(&error)
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut waiting = vec![command.clone()];
    while let Some(command) = waiting.pop() {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_string();
        replace(folder, &format!("{name}.1"), &page(&command)?).map_err(failed)?;
        let below = command.get_subcommands();
        waiting.extend(below.filter(|below| !below.is_hide_set() && below.get_name() != "help").cloned());
    }
    Ok(())
}

/// Puts a page into the place of another, or of a link by that name: what a link leads to is not the page's to overwrite.
fn replace(folder: &Path, name: &str, page: &str) -> std::io::Result<()> {
    let mut options = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        options.permissions(std::fs::Permissions::from_mode(0o644));
    }
    let mut file = options.tempfile_in(folder)?;
    file.write_all(page.as_bytes())?;
    file.persist(folder.join(name))?;
    Ok(())
}

fn page(command: &clap::Command) -> Result<String, CommandError> {
    let mut page = Vec::new();
    let made = Man::new(command.clone()).render(&mut page);
    made.map_err(|error| CommandError::new("the page cannot be made").because(&error))?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}
