//! `show`: a saved plan, in any form.

use crate::args::ShowArguments;
use crate::command::{approve, plan};
use crate::exit::{CommandError, Exit};

pub fn run(arguments: &ShowArguments) -> Result<Exit, CommandError> {
    plan::show(&approve::read_plan(&arguments.plan)?, &arguments.form);
    Ok(Exit::Done)
}
