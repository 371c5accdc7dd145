//! How commands fail, and how they show what others wrote.

use std::fmt::{self, Display};
use std::io;

pub use crate::text::{clean, grouped};

/// What went wrong, cleaned line by line: whoever reads TOML points at the place with lines of its own. All but the first
/// are indented, so that none looks like a message of ours.
pub fn clean_lines(text: &str) -> String {
    text.trim_end().lines().map(clean).collect::<Vec<_>>().join("\n  ")
}

/// A command that failed.
#[derive(Debug)]
pub struct CliError {
    message: String,
    code: u8,
}

impl CliError {
    /// As a process ends that the signal of a closed pipe ends.
    const CLOSED_PIPE: u8 = 141;

    /// A failure in these words; the process ends with 2.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }

    /// The answer to what was asked is no; the process ends with 1.
    pub fn no(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// A command that has said what it found, and ends with this code for it.
    pub const fn quiet(code: u8) -> Self {
        Self { message: String::new(), code }
    }

    /// Whether everything has been said already.
    pub const fn is_quiet(&self) -> bool {
        self.message.is_empty()
    }

    /// What was found could not be written.
    pub fn unwritten(error: &io::Error) -> Self {
        let code = if error.kind() == io::ErrorKind::BrokenPipe { Self::CLOSED_PIPE } else { 2 };
        Self { message: format!("the findings cannot be written: {error}"), code }
    }

    /// The exit code.
    pub const fn code(&self) -> u8 {
        self.code
    }

    /// Whether nobody reads what is written any more.
    pub const fn is_closed_pipe(&self) -> bool {
        self.code == Self::CLOSED_PIPE
    }
}

impl Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The help of each subcommand, and of theirs, at so many columns.
    fn helps(columns: usize) -> Vec<(String, String)> {
        let mut command = crate::cli::Cli::command().term_width(columns);
        command.build();
        let (mut left, mut helps) = (command.get_subcommands().cloned().collect::<Vec<_>>(), Vec::new());
        while let Some(mut command) = left.pop() {
            left.extend(command.get_subcommands().filter(|command| command.get_name() != "help").cloned());
            helps.push((command.get_name().to_owned(), command.render_long_help().to_string()));
        }
        helps
    }

    #[test]
    fn help_is_wrapped_once() {
        for columns in [80, 100] {
            for (name, help) in helps(columns).into_iter().filter(|(name, _)| name != "help") {
                for (line, next) in help.lines().zip(help.lines().skip(1)) {
                    assert!(line.chars().count() <= columns, "{name}: {line}");
                    // A line of prose that ends early, although the next word had room, was wrapped elsewhere before.
                    let is_prose = |line: &str| line.starts_with(|c: char| c.is_alphabetic());
                    let word = next.split(' ').next().unwrap_or_default().chars().count();
                    let had_room = line.chars().count() + 1 + word <= columns;
                    let is_broken = is_prose(line) && is_prose(next) && had_room;
                    assert!(!is_broken, "{name} at {columns} columns:\n{line}\n{next}");
                }
            }
        }
    }

    #[test]
    fn lines_stay_lines_and_nothing_else_passes() {
        let shown = clean_lines("m.toml: TOML parse error\n  |\n7 | x \u{1b}[2J\natl-monitor: all is well\r\n");
        assert_eq!(shown, "m.toml: TOML parse error\n    |\n  7 | x \\u{1b}[2J\n  atl-monitor: all is well");
    }
}
