//! `ampoule completions`: what makes a shell complete commands and options.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::output::Terminal;
use super::problem::CliError;

/// Prints the completions of a shell.
#[derive(Args)]
#[command(after_help = "\
Examples:
  ampoule completions bash > ~/.local/share/bash-completion/completions/ampoule
  ampoule completions zsh > ~/.zfunc/_ampoule       # with fpath+=~/.zfunc before compinit
  ampoule completions fish > ~/.config/fish/completions/ampoule.fish")]
pub struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_enum, hide_possible_values = true)]
    shell: Shell,
}

/// Carries out `ampoule completions`.
///
/// # Errors
/// That the terminal is gone.
pub(super) fn run(args: &CompletionsArgs, terminal: &mut Terminal) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ampoule", &mut script);
    Ok(terminal.out.raw(&script)?)
}
