//! How commands speak: tables and sentences for people, JSON for machines, errors with the next
//! step.

use std::fmt::{self, Display};

/// A command that failed.
#[derive(Debug)]
pub struct CliError {
    message: String,
    code: u8,
}

impl CliError {
    /// A failure in these words; the process ends with 2.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }

    /// What was asked about does not hold: the command worked, and the answer is no. The process
    /// ends with 1.
    pub fn negative(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    /// The exit code.
    pub const fn code(&self) -> u8 {
        self.code
    }
}

impl Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Puts what was being done in front of what went wrong.
pub trait Context<T> {
    /// `what` is a noun phrase: a file, an address, a field.
    fn context(self, what: impl Display) -> Result<T, CliError>;
}

impl<T, E: Display> Context<T> for Result<T, E> {
    fn context(self, what: impl Display) -> Result<T, CliError> {
        self.map_err(|error| CliError::new(format!("{what}: {error}")))
    }
}

/// Prints a value as indented JSON.
pub fn print_json(value: &impl serde::Serialize) -> Result<(), CliError> {
    println!("{}", serde_json::to_string_pretty(value).context("the answer")?);
    Ok(())
}

/// Prints rows of a name and a value, the values in one column.
pub fn print_rows<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) {
    let rows: Vec<_> = rows.into_iter().collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in rows {
        println!("{name:width$}  {value}");
    }
}
