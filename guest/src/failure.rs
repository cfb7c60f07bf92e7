//! An exception taken to pieces.

/// What can be told about an exception.
#[derive(Default)]
pub struct Failure {
    /// `TypeError`
    pub name: String,
    /// What it says.
    pub message: String,
    /// Frames of the user's code.
    pub stack: String,
    /// Its `code`, if it has one.
    pub code: String,
    /// For a syntax error: the file.
    pub file: String,
    /// From 1; 0 if unknown.
    pub line: u32,
    /// From 1; 0 if unknown.
    pub column: u32,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}: {} ({}:{})\n{}",
            self.name, self.message, self.file, self.line, self.stack
        )
    }
}
